"""Contrastive UCB: what follows a state and an action, told from chance, gives features of both whose product is the transition itself.

Qiu et al., "Contrastive UCB: Provably Efficient Contrastive Self-Supervised Learning in Online Reinforcement Learning", ICML 2022.
L = mean over true pairs of log(1 + 1/g) + mean over chance pairs of log(1 + g),   g = φ(s, a) · ψ(s') ≥ 0, (rank,) each;
its minimum is g = P(s' | s, a) / P⁻(s'), so that P⁻(s') φ(s, a) · ψ(s') is the transition and φ its features, for a bonus of exploration.
Data: paired, first what was seen and done, then what came next; chance pairs are the other next observations of the batch, equal ones
among them, as the minimum asks for. The published code has BYOL's loss instead. Planner and bonus: counterpoint.tools.exploration.
Changes to CLIP: rows are non-negative, their product is a density ratio; observations are taken as they are.
"""

from __future__ import annotations

from counterpoint import encoders, losses, pairs, views
from counterpoint.core import similarity
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count, Positive, use
from counterpoint.core.recipe import Claim, Contrast, Recipe, Spec
from counterpoint.core.registry import get, method


@method(paper=56, baseline="clip", kinds="paired")
def contrastive_ucb(spec: Spec, *, rank: Count = 16, noise: Positive = 1.0) -> Recipe:
    """The density ratio of next observations, of low rank.

    rank: width of φ and ψ; at least the rank of the transition.
    noise: chance pairs per true pair in the comparison; the minimum is the same for all.
    """
    if len(spec.modalities) != 2:
        raise RequirementError(f"contrastive_ucb reads what was done and what came next, and the data have {', '.join(spec.modalities)}")
    first, second = spec.modalities
    ratio = Contrast(
        use(pairs.same),
        use(losses.density_ratio, form="ratio", noise=noise),
        anchors=first,
        candidates=second,
        similarity=use(similarity.dot),
    )
    recipe = get("clip")(spec).at("encoder.projector", use(encoders.heads.positive, width=rank))
    return recipe.at("views", use(views.modalities)).at("objective", {"ratio": ratio})


CLAIM = Claim(
    data="a combination lock: 6 hidden states seen as 36, 4 actions, 10 steps, 320 episodes",
    trial="counterpoint.tools.exploration.explore",
    metric="regret",
    direction="lower",
    arms={
        "baseline": {"bonus": 0.0},
        "random features": {"features": "random"},
        "tabular": {"features": "tabular"},
        "method": {},
    },
    paper="recovers the true representation of a low-rank transition, explores sample-efficiently; experiments: the bonus helps",
    note="Seeds 7 and 8, 240 episodes, rank 16, a bonus of 1, before: regret 0.96 and 0.74, without bonus 1.00 and 1.00 (never opened), "
    "random features 1.00 and 1.00, counts 0.41 and 0.39. Counts are an upper bound here: 36 observations and 4 actions leave little to "
    "generalise. With seed 7 a bonus of 3 and rank 32 gave 0.94 and were taken; twice the steps of learning gave 0.97.",
)
