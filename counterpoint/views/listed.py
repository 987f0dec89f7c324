"""The presets there are: by kind and name, the transform of each view and the reason why these."""

from __future__ import annotations

from counterpoint.core.options import use
from counterpoint.core.recipe import Modality
from counterpoint.views import array, audio, graph, points, series, skeleton, table, text
from counterpoint.views.entry import Entry, twice
from counterpoint.views.listed_pixels import PIXELS


def _wave(modality: Modality) -> str:
    return "they are for spectrograms (channels, bands, frames) and these data are waves" if len(modality.shape) == 2 else ""


def _spectrogram(modality: Modality) -> str:
    return "they are for waves and these data are spectrograms" if len(modality.shape) == 3 else ""


def _not_letters(modality: Modality) -> str:
    return (
        "they take the ids 1 2 3 4 for A C G T, as DNA is read, and these texts are not read as DNA"
        if "alphabet" not in modality.info and ("tokenizer" in modality.info or modality.info.get("vocabulary", 5) > 5)
        else ""
    )


def _no_words(modality: Modality) -> str:
    return "their views are words of three letters, and what a run embeds afterwards are letters; they are for encoders of your own"


def _one_channel(modality: Modality) -> str:
    return "they leave out channels and these series have one" if modality.shape[0] < 2 else ""


def _no_factors(modality: Modality) -> str:
    return "their second view has factors of the graph, which the encoder of lightgcl reads and those of other methods do not"


_FACTORS = "The graph beside its own global structure, for encoders that read factors (LightGCL)."

PRESETS: dict[str, dict[str, Entry]] = PIXELS | {
    "series": {
        "default": twice(
            series.varied,
            "A window of the series at its own pace, with other amplitude and noise: what sensors, start times and subjects vary.",
        ),
        "amplitude": twice(
            series.varied, "Where the whole course of time counts (one heart beat): no window, no warp; only amplitude, noise and gaps.",
            share=(1.0, 1.0), warping=0.0,
        ),
        "order": Entry(
            (use(series.varied, warping=0.0, hidden=0.0), use(series.permutation, pieces=4)),
            "Where local shape counts and order does not: one view has its pieces in another order (Um et al. 2017).",
        ),
        "spectrum": twice(series.frequency, "Vibration, sound-like and rhythmic series: amplitudes and phases of frequencies change."),
        "channels": twice(
            series.drop,
            "Many sensors of one thing: a third of the channels is missing, so that each must be guessed from the others.",
            share=0.34, whole=False, unfit=_one_channel,
        ),
    },
    "table": {
        "default": twice(
            table.corrupt,
            "Replacing some values by those of other rows keeps each value legal and makes the row's other values tell what is missing.",
            noise=0.05,
        ),
        "scarf": Entry(
            (use(table.corrupt, share=0.0), use(table.corrupt, share=0.6)),
            "As in the paper: one view is the row, the other has 60% of its values replaced; for wide tables.",
        ),
        "missing": twice(table.hide, "Tables with many gaps: the views are rows with more gaps."),
        "noise": twice(table.noise, "Measured numbers with skewed laws: small moves in rank.", quantile=True),
        "mix_up": twice(
            table.mixup,
            "Tables of numbers: a row is mixed with another, its own values weighing more; a category is either row's, by that weight.",
            whole=False,
        ),
    },
    "array": {
        "default": twice(array.corrupt, "Nothing is known but the columns' marginals: entries of other items, and noise.", noise=0.1),
        "noise": twice(array.noise, "Embeddings and measurements: small normal noise.", scale=0.2),
        "drop": twice(array.drop, "Counts and bags of features: entries left out."),
        "mix_up": twice(
            array.mixup, "Any numbers without a known form: a weighted mean with another item, its own weighing more.", whole=False
        ),
    },
    "text": {
        "default": twice(text.varied, "Encoders that start from nothing: a span, with words left out, still says what the text is about."),
        "twin": twice(text.twin, "Pre-trained encoders: the text twice; the encoder's dropout is the view, any edit harms more (SimCSE)."),
        "repeat": twice(text.repeat, "As twin, but length does not give the pair away (ESimCSE)."),
        "mask": twice(
            text.mask,
            "Longer texts: runs of three tokens are hidden, so that a whole expression must be guessed and not one word of it. "
            "The token is that of the tokeniser's mask; 1, a token for rare words, where it has none.",
            token=1, share=0.2, length=3, whole=False,
        ),
        "swap": twice(
            text.swap, "Where words count and grammar does not (search, topics): tokens change places with near ones.", whole=False
        ),
        "dna": twice(text.dna, "DNA: a few letters changed, and either strand, which reads the same molecule.", unfit=_not_letters),
        "dna_kmers": twice(
            text.dna, "DNA as words of three letters that overlap, for an encoder with 65 ids of its own: a word says more than a letter.",
            k=3, unfit=_no_words,
        ),
    },
    "audio": {
        "default": twice(audio.varied, "Sounds: level, room, noise and a little speed say nothing of what sounds.", unfit=_spectrogram),
        "speech": twice(audio.varied, "Voices: pitch tells the speaker, so the speed stays.", factor=(1.0, 1.0), unfit=_spectrogram),
        "stretch": twice(
            audio.stretch, "Words and melodies: the same at another pace, the pitch kept, since pitch tells voice or note.",
            whole=False, unfit=_spectrogram,
        ),
        "spectrogram": twice(audio.bands, "Spectrograms, standardised: bands and stretches hidden (SpecAugment).", unfit=_wave),
        "spectrogram_crop": twice(
            audio.crop, "Long spectrograms of one sound or speaker: two pieces of it, each as good as the other.", samples=64, unfit=_wave,
        ),
        "spectrogram_zoom": twice(
            audio.zoom, "Spectrograms of sounds at any pitch and pace: a piece of bands and of time, enlarged (BYOL-A).", unfit=_wave,
        ),
    },
    "points": {
        "default": twice(points.varied, "Objects that stand upright: any turn about the vertical, a part of the surface, noise."),
        "any": twice(points.varied, "Objects without an up: any turn about any axis.", axis="any"),
        "tokens": twice(
            points.mask, "Encoders that take points as tokens: half of them are missing, as behind what a scanner cannot see.", whole=False
        ),
    },
    "skeleton": {
        "default": twice(skeleton.varied, "Movement: seen from elsewhere, at another pace, with joints that were not tracked."),
        "pace": twice(
            skeleton.varied,
            "Where the pace and the whole course count (gait, exercises done right or wrong): only the place to see it from changes, and "
            "joints that were not tracked.",
            share=(1.0, 1.0),
        ),
    },
    "graph": {
        "default": twice(graph.varied, "Edges and features left out: neighbours tell what is missing (GRACE)."),
        "subgraph": twice(graph.subgraph, "Many small graphs, molecules: a connected part says what the whole is (GraphCL)."),
        "diffusion": Entry(
            (use(graph.mask_features), use(graph.diffuse)), "The near and the far neighbourhood of a node as two views (MVGRL)."
        ),
        "edges": twice(
            graph.add_edges,
            "Links that were never written down (citations, friendships): a few false ones are added, and the others must outvote them.",
            share=0.2, whole=False,
        ),
        "nodes": twice(
            graph.drop_nodes, "Networks that are known in part: a fifth of the nodes is missing and should not change the rest (GraphCL).",
            whole=False,
        ),
        "low_rank": Entry((use(graph.varied), use(graph.low_rank)), _FACTORS, unfit=_no_factors),
    },
    "interactions": {
        "default": twice(
            graph.drop_edges, "Choices are known in part: a fifth is left out, and what a user likes does not hang on a single one (SGL).",
            share=0.2,
        ),
        "nodes": twice(
            graph.drop_nodes,
            "Few users or products decide for many: some are left out with all their choices, so that no single one is leant upon (SGL).",
            share=0.1, whole=False,
        ),
        "low_rank": Entry((use(graph.drop_edges, share=0.2), use(graph.low_rank)), _FACTORS, unfit=_no_factors),
    },
}  # fmt: skip
