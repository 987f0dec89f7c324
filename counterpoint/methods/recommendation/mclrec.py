"""MCLRec: beside views of a sequence, learned views of its state are contrasted; who makes them learns in turn with who uses them.

Qin et al., "Meta-optimized Contrastive Learning for Sequential Recommendation", SIGIR 2023.
L = L_next + λ C(h₁, h₂) + β [ C(z₁, z₂) + C(h₁, z₂) + C(h₂, z₁) + 0.1 (R(z₁, z₂) + R(h₁, z₂) + R(h₂, z₁)) ],   z_v = w_v(h_v),
C the NT-Xent of dot products at temperature 1, R how far scores reach beyond where positives and negatives meet (losses.score_gap).
Three updates a batch: encoder on L, augmenters w₁, w₂ on the part in β from freshly encoded sequences, encoder on L (as in the code; the
paper has the first two). First order: no gradient passes through an update. At inference SASRec is left.
Changes: two views and two augmenters more, contrasts of states and of learned views, the updates.
"""

from __future__ import annotations

from counterpoint import losses, pairs
from counterpoint.core import similarity
from counterpoint.core.options import Count, NotNegative, Share, use
from counterpoint.core.recipe import Claim, Contrast, Recipe, Select, Spec, Update
from counterpoint.core.registry import get, method
from counterpoint.views.sequences import changed, next_and_two


@method(paper=125, baseline="sasrec", kinds="text")
def mclrec(
    spec: Spec,
    *,
    data_contrast: NotNegative = 0.0,
    latent_contrast: NotNegative = 0.05,
    gap: NotNegative = 0.1,
    joint: bool = False,
    width: Count = 64,
    layers: Count = 2,
    dropout: Share = 0.2,
) -> Recipe:
    """Learned views in turn with the encoder.

    data_contrast: λ, of the two changed sequences (CL4SRec with β = 0); 0 for Beauty, 0.03 and 0.04 elsewhere in the paper.
    latent_contrast: β, of the learned views; 0.05 for Beauty, 0.1 and 0.4 elsewhere.
    gap: weight of R relative to β.
    joint: all parts learn in one update, the paper's control.
    width: of the vectors.
    layers: of attention.
    dropout: share of units dropped while training.
    """
    first, second = (Select("h", (1,)), Select("z", (2,))), (Select("h", (2,)), Select("z", (1,)))
    rows = {"": "z", "_first": first, "_second": second}
    loss, far = use(losses.info_nce, temperature=1.0), use(losses.score_gap)
    changes = Select("h", ("global",))

    def contrast(of: object, which: object, weight: float) -> Contrast:
        return Contrast(use(pairs.same), of, anchors=which, candidates=which, similarity=use(similarity.dot), weight=weight)  # type: ignore[arg-type]

    added = {"data": contrast(loss, changes, data_contrast)}
    added |= {f"latent{name}": contrast(loss, which, latent_contrast) for name, which in rows.items()}
    added |= {f"gap{name}": contrast(far, which, latent_contrast * gap) for name, which in rows.items()}
    recipe = get("sasrec")(spec, width=width, layers=layers, dropout=dropout)
    encoder = Update(train=("backbone",))
    augmenters = Update(train=("first", "second"), terms=("latent*", "gap*"))
    return (
        recipe.at("views", use(next_and_two, transform=use(changed)))
        .at("encoder.augmenters", (width // 2, max(width // 4, 1)))
        .at("objective", {**recipe.objective, **added})
        .at("updates", (Update(),) if joint else (encoder, augmenters, encoder))
    )


CLAIM = Claim(
    data="beauty_sequences[2000]",
    protocol="next_item",
    metric="hits",
    settings={"epochs": 40, "batch": 256, "lr": 3e-3},
    arms={
        "changed sequences alone": {"data_contrast": 0.1, "latent_contrast": 0.0, "joint": True},
        "joint": {"joint": True},
    },
    paper="Beauty, HR@20: SASRec 0.0894, CL4SRec 0.0974, MCLRec 0.1243; joint training is worse than alternating",
    note="Full ranking, the last choice of each user left out, no stop by validation; a beginning of every sequence is drawn in "
    "each epoch. Turns matter as claimed: learned jointly the views cost 0.06.",
)
