"""MoCo: the positive comes from a slowly moving copy of the encoder, negatives from a queue of its past outputs.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020; v2 projector: Chen et al. 2020.
L_i = −s_ip / t + log( exp(s_ip / t) + Σ_{q in queue} exp(s_iq / t) ),   p = the teacher's projection of the other view.
Here the teacher's rows of the batch's other items are negatives too (as in MoCo v3), and an older copy of the same item in the queue is
left out: neither positive nor negative.
"""

from __future__ import annotations

from counterpoint import data, encoders, losses, pairs, views
from counterpoint.core.options import Count, Positive, Share, use
from counterpoint.core.recipe import Contrast, Recipe, Spec
from counterpoint.core.registry import method


@method(baseline="simclr")
def moco(spec: Spec, *, temperature: Positive = 0.2, queue: Count = 4096, momentum: Share = 0.99, width: Count = 128) -> Recipe:
    """Teacher and queue.

    temperature: softmax temperature, > 0.
    queue: rows of the queue; at most a quarter of what the data have is used.
    momentum: share of the teacher that stays at every step.
    width: width of the projection.
    """
    size = max(min(queue, spec.items // 4 * 2), 2)
    network = use(
        encoders.network,
        backbone=encoders.default(spec),
        projector=use(encoders.heads.mlp, width=width),
        teacher=use(encoders.teacher.ema, momentum=momentum),
        queue=use(encoders.queue.fifo, size=size),
    )
    contrast = Contrast(
        use(pairs.same, same_view=False), use(losses.info_nce, temperature=temperature), anchors="z", candidates=("teacher", "queue")
    )
    return Recipe(
        data=use(data.shuffled),
        views=use(views.two, transform=views.default(spec)),
        encoder=network,
        objective={"contrast": contrast},
    )
