"""w2v-BERT: the lower half of a network learns its own speech units by contrast, the upper half predicts them in hidden frames.

Chung et al., "W2v-BERT: Combining Contrastive Learning and Masked Language Modeling for Self-Supervised Speech Pre-Training", ASRU 2021.
Frames x (b, t, d), units q, y of a quantiser that sees them whole, context c (lower) and m (upper) of frames with spans hidden, M hidden:
L = β [ −mean_M log( exp(cos(c_t, q_t) / τ) / Σ_{s in M, same utterance} exp(cos(c_t, q_s) / τ) ) + α diversity ]
    − γ mean_M log p(y_t | m_t).
Distractors are all other hidden frames of the utterance, not 100 drawn ones; those of the same unit are left out. Units are hard forward,
soft backward; no gradient passes to y. A span starts at a frame with the given probability; at least two frames are hidden.
Changes against SimCLR: one view with a mask, the encoder, pairs inside an utterance, two more terms.
"""

from __future__ import annotations

from counterpoint import encoders, losses, pairs, terms, views
from counterpoint.core import values
from counterpoint.core.options import Count, NotNegative, Positive, Share, use
from counterpoint.core.recipe import Claim, Contrast, Recipe, Spec, Term
from counterpoint.core.registry import get, method


@method(paper=15, baseline="simclr", kinds="audio")
def w2v_bert(
    spec: Spec,
    *,
    contrast: NotNegative = 1.0,
    predict: NotNegative = 1.0,
    diversity: NotNegative = 0.1,
    temperature: Positive = 0.1,
    start: Share = 0.065,
    length: Count = 10,
    codes: Count = 64,
) -> Recipe:
    """Contrast below, prediction above.

    contrast: β, weight of the contrast; 0 leaves prediction of units that nothing holds apart.
    predict: γ, weight of the prediction; 0 is wav2vec 2.0.
    diversity: α, weight of the even use of codes, times β.
    temperature: τ, > 0.
    start: probability that a frame begins a hidden span.
    length: frames in a span (of 20 ms here; 10 of 40 ms in the paper).
    codes: units (1,024 in the paper).
    """
    frames = encoders.speech.frames_of(spec.only)
    hidden = use(views.audio.spans, frames=frames, start=start, length=length)
    heat = use(values.linear, start=2.0, end=0.5)
    network = use(encoders.speech.speech, quantiser=use(encoders.quantiser.gumbel, codes=codes, temperature=heat))
    same = use(pairs.same, key="position", block="item", exclude="code")
    objective: dict[str, Contrast | Term] = {}
    if contrast:
        loss = use(losses.info_nce, temperature=temperature)
        objective["contrast"] = Contrast(same, loss, "context", "quantised", weight=contrast)
        objective["diversity"] = Term(use(terms.diversity), weight=contrast * diversity)
    if predict:
        objective["predict"] = Term(use(terms.classified, logits="logits/0", label="code", temperature=1.0), weight=predict)
    return (
        get("simclr")(spec)
        .at("views", use(views.multi_crop, global_transform=hidden, local_transform=hidden, globals=1, locals=0))
        .at("encoder", network)
        .at("objective", objective)
    )


CLAIM = Claim(
    data="fsdd[600]",
    read={"size": 4800},
    metric="linear",
    settings={"epochs": 15, "batch": 32, "lr": 0.001},
    arms={"baseline": {"predict": 0.0}, "prediction only": {"contrast": 0.0}},
    paper="LibriSpeech, pre-trained on Libri-Light 60k h: 5 to 10 % fewer word errors than conformer wav2vec 2.0 and than HuBERT",
    note="225 steps on 600 spoken digits: no arm reaches the untrained network (0.917), whose filters on a spectrogram are enough for "
    "ten words. The prediction narrows the embedding (effective rank 11 in place of 18): its units are those of a quantiser that "
    "knows little yet.",
)
