"""SCGC: a perceptron on node features, pulled towards the nodes that short walks reach, while clusters sharpen themselves.

Kulatilleke, Portmann & Chandra, "SCGC: Self-Supervised Contrastive Graph Clustering", 2022.
L_i = −α log( Σ_j G_ij e^{s_ij / t} / Σ_j e^{s_ij / t} ) + β KL(p_i ‖ q_i) + |x_i − x̂_i|²,   G = P + P² + … + P^R (or P^R alone),
P = row-normalised adjacency with self-loops, s = cosine of the codes, q = Student-t assignment to centres, p = q sharpened.
The graph enters through the loss alone. A first stage trains the auto-encoder, whose codes give the centres by k-means; without `decode`
(SCGC*) the reconstruction ends there. The published code keeps self-similarity as e^0 in both sums; here an anchor never meets itself.
"""

from __future__ import annotations

from counterpoint import clustering, data, encoders, losses, pairs, terms, views
from counterpoint.core import values
from counterpoint.core.options import Count, NotNegative, Positive, Share, use
from counterpoint.core.recipe import Claim, Contrast, Recipe, Round, Spec, Stage, Term
from counterpoint.core.registry import method


@method(paper=3, baseline="simclr", kinds="graph")
def scgc(
    spec: Spec,
    *,
    clusters: Count | None = None,
    power: Count = 2,
    cumulative: bool = True,
    temperature: Positive = 2.0,
    contrast: NotNegative = 1.0,
    sharpening: NotNegative = 0.1,
    decode: bool = True,
    pretraining: Share = 0.3,
    hidden: tuple[Count, ...] = (256, 64),
    width: Count = 16,
) -> Recipe:
    """Neighbours by walks, clusters by self-training.

    clusters: K; the number of classes that the labels name where not given, 10 without labels.
    power: R, the longest walk.
    cumulative: walks of 1 … R steps together (SCGC*), or of just R.
    temperature: t, the inverse of the published τ.
    contrast: α.
    sharpening: β.
    decode: whether the codes go on being decoded in the second stage.
    pretraining: share of the run that trains the auto-encoder alone.
    hidden: widths of the encoder; the decoder has them in reverse.
    width: of the codes.
    """
    count = clusters or spec.columns.get("label", (10, 1.0))[0]
    error = use(terms.paired, loss=use(losses.reconstruction, measure="square"), first="decoded", second="input")
    numbers = float(spec.only.shape[-1])  # the sum over the features of a node, not their mean
    start = use(clustering.start_centres)
    alone = {"objective.neighbours.weight": 0.0, "objective.clusters.weight": 0.0}
    after = {} if decode else {"objective.reconstruction.weight": 0.0}
    return Recipe(
        data=use(data.shuffled),
        views=use(views.modalities),
        encoder=use(
            encoders.network,
            backbone=use(encoders.graph.mlp, hidden=hidden, width=width),
            projector=None,
            prototypes=use(encoders.heads.centres, count=max(count, 2)),
            decoder=use(encoders.heads.decoder, hidden=hidden[::-1]),
        ),
        objective={
            "neighbours": Contrast(
                use(pairs.walks, power=power, cumulative=cumulative, own=False),
                use(losses.neighbouring, temperature=temperature),
                anchors="h",
                candidates="h",
                weight=contrast,
            ),
            "clusters": Term(use(terms.self_training, space="h"), weight=sharpening),
            "reconstruction": Term(error, weight=numbers),
        },
        rounds=(Round(start, at="stage", when=use(values.step, before=0.0, after=1.0, share=pretraining)),),
        stages=(Stage("autoencoder", pretraining, alone), Stage("clusters", 1 - pretraining, after)) if 0 < pretraining < 1 else (),
    )


CLAIM = Claim(
    data="dblp",
    metric="nmi",
    settings={"epochs": 100, "lr": 1e-3, "batch": 4096},
    arms={
        "baseline": {"contrast": 0.0, "sharpening": 0.0},
        "no contrast": {"contrast": 0.0},
        "no clusters": {"sharpening": 0.0},
        "no decoder": {"decode": False},
    },
    paper="+20 % ARI and +18 % NMI on DBLP, with 55 % less training time and 81 % less inference time (abstract)",
    note="Held-out fifth of the authors, k-means on their codes, last epoch (the published code takes the best epoch by true labels). The "
    "contrast makes the whole difference: after so short a pre-training codes are small, the assignment is nearly even and self-training "
    "hardly moves them. Plain features are still better at 100 epochs; at 200, seed 7, NMI is 0.270 with and 0.103 without both terms.",
)
