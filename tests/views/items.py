"""Items of every kind and a case of every public transform, for the tests of what all transforms must do."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import torch

from counterpoint import views
from counterpoint.core.options import use
from counterpoint.views import (
    array,
    audio,
    centrality,
    graph,
    image,
    interactions,
    mixing,
    points,
    sequences,
    series,
    skeleton,
    table,
    text,
    video,
    volume,
)
from counterpoint.views.listed import PRESETS

KINDS = {}


def kind(make):
    KINDS[make.__name__.removeprefix("make_")] = make
    return make


@kind
def make_image(n, g):
    return torch.randint(0, 256, (n, 3, 12, 10), dtype=torch.uint8, generator=g)


@kind
def make_series(n, g):
    x = torch.randn(n, 2, 40, generator=g)
    x[::3, :, 25:] = float("nan")
    x[:, 0, 7] = float("nan")
    return x


@kind
def make_table(n, g):
    x = torch.cat([torch.randn(n, 5, generator=g), torch.randint(0, 4, (n, 3), generator=g).float()], 1)
    x[torch.rand(n, 8, generator=g) < 0.1] = float("nan")
    return x


@kind
def make_array(n, g):
    return torch.randn(n, 9, generator=g)


@kind
def make_text(n, g):
    x = torch.randint(1, 5, (n, 16), generator=g)
    return x * (torch.arange(16) < torch.randint(5, 17, (n, 1), generator=g))


@kind
def make_volume(n, g):
    return torch.randn(n, 1, 8, 9, 10, generator=g)


@kind
def make_video(n, g):
    return torch.randint(0, 256, (n, 3, 12, 7, 6), dtype=torch.uint8, generator=g)


@kind
def make_audio(n, g):
    x = torch.randn(n, 1, 900, generator=g) * 0.1
    x[::3, :, 700:] = float("nan")
    return x


@kind
def make_spectrogram(n, g):
    return torch.randn(n, 1, 20, 30, generator=g)


@kind
def make_points(n, g):
    x = torch.randn(n, 4, 50, generator=g)
    x[::3, :, 40:] = float("nan")
    return x


@kind
def make_skeleton(n, g):
    x = torch.randn(n, 3, 20, 12, generator=g)
    x[::3, :, 15:] = float("nan")
    return x


def molecules(n, seed=0):
    """n equal small graphs of 9 nodes side by side: two rings that share a link, and a tail."""
    one = torch.tensor([(0, 1), (1, 2), (2, 3), (3, 0), (2, 4), (4, 5), (5, 3), (5, 6), (6, 7), (7, 8)])
    links = (one[None] + 9 * torch.arange(n)[:, None, None]).reshape(-1, 2).T
    x = torch.randn(9, 8, generator=torch.Generator().manual_seed(seed)).repeat(n, 1)
    return {"x": x, "edge_index": torch.cat([links, links.flip(0)], 1), "batch": torch.arange(9 * n) // 9}


SINGLE = [
    ("image", use(image.simclr, size=8, blur=0.5, solarise=0.3, upside=0.5)),
    ("image", use(image.crop)),
    ("image", use(image.warp, size=(6, 9), flip=0.5, area=(0.5, 1.0), thickness=0.5, brightness=0.3)),
    ("image", use(image.erase, share=1.0)),
    ("image", use(image.erase, fill="noise")),
    ("image", use(image.erase, fill="mean")),
    ("image", use(image.frequency, phase=0.2, lost=0.2)),
    ("image", use(image.noise)),
    ("image", use(image.turn)),
    ("series", use(series.jitter)),
    ("series", use(series.scaling, invert=0.5)),
    ("series", use(series.warp)),
    ("series", use(series.window)),
    ("series", use(series.window, stretch=False)),
    ("series", use(series.permutation)),
    ("series", use(series.drop, share=0.5)),
    ("series", use(series.mask)),
    ("series", use(series.frequency)),
    ("series", use(series.moved)),
    ("series", use(series.varied, share=(1.0, 1.0))),
    ("image", use(views.plain)),
    ("image", use(views.chain, steps=(use(image.crop, size=8), use(image.noise)))),
    ("table", use(table.noise, numeric=5)),
    ("table", use(table.hide)),
    ("array", use(array.noise)),
    ("array", use(array.drop)),
    ("text", use(text.drop)),
    ("text", use(text.mask, token=7, length=3)),
    ("text", use(text.crop, head=1)),
    ("text", use(text.repeat, share=0.9)),
    ("text", use(text.swap, head=1)),
    ("text", use(text.mutate, share=0.5)),
    ("text", use(text.strand)),
    ("text", use(text.varied, reach=2)),
    ("text", use(text.dna, mutated=0.4)),
    ("text", use(text.dna, k=2)),
    ("text", use(text.twin)),
    ("text", use(sequences.changed)),
    ("volume", use(volume.varied, size=(4, 5, 6))),
    ("volume", use(volume.intensity)),
    ("volume", use(volume.erase, boxes=2)),
    ("volume", use(volume.elastic)),
    ("volume", use(volume.blur)),
    ("volume", use(volume.gamma)),
    ("video", use(video.moment, frames=3, strides=(1, 2), backward=0.5)),
    ("video", use(video.moment, backward=0.5)),
    ("video", use(video.simclr, frames=3, size=5)),
    ("audio", use(audio.gain)),
    ("audio", use(audio.noise)),
    ("audio", use(audio.shift)),
    ("audio", use(audio.shift, around=True)),
    ("audio", use(audio.speed)),
    ("audio", use(audio.stretch, window=64)),
    ("audio", use(audio.reverb, rate=1000)),
    ("audio", use(audio.crop, samples=100)),
    ("audio", use(audio.spans, frames=30, start=0.1, length=3)),
    ("audio", use(audio.varied, samples=800, rate=1000)),
    ("spectrogram", use(audio.bands)),
    ("spectrogram", use(audio.crop, samples=11)),
    ("spectrogram", use(audio.zoom)),
    ("points", use(points.rotate, axis="any")),
    ("points", use(points.scale)),
    ("points", use(points.jitter)),
    ("points", use(points.crop)),
    ("points", use(points.drop)),
    ("points", use(points.mask)),
    ("points", use(points.varied, axis="any")),
    ("skeleton", use(skeleton.shear)),
    ("skeleton", use(skeleton.rotate)),
    ("skeleton", use(skeleton.jitter, still=True)),
    ("skeleton", use(skeleton.joints)),
    ("skeleton", use(skeleton.moment)),
    ("skeleton", use(skeleton.varied)),
]
MIXING = [
    ("image", use(mixing.cutmix)),
    ("image", use(mixing.mixup)),
    ("table", use(table.corrupt, numeric=5, noise=0.1, hide=0.1)),
    ("table", use(table.mixup, numeric=5)),
    ("table", use(table.uniform, numeric=5)),
    ("table", use(table.noise, quantile=True, numeric=5)),
    ("array", use(array.corrupt, noise=0.1, drop=0.1)),
    ("array", use(array.mixup)),
    ("series", use(mixing.mixup)),
]
GRAPHS = [
    use(graph.drop_edges),
    use(graph.drop_edges, undirected=False),
    use(graph.add_edges, share=0.4),
    use(graph.mask_features, share=0.4),
    use(graph.mask_features, by="value"),
    use(graph.drop_nodes),
    use(graph.subgraph, steps=3),
    use(graph.diffuse),
    use(graph.low_rank),
    use(graph.varied, added=0.2),
    use(centrality.adaptive),
    use(interactions.random_factors),
]
LISTED = [
    (k, part) for k, named in PRESETS.items() if k in KINDS for entry in named.values() for part in sorted(set(map(str, entry.transforms)))
]
LISTED = [(k, next(p for e in PRESETS[k].values() for p in e.transforms if str(p) == name)) for k, name in LISTED]
LISTED = [("spectrogram" if part.make in (audio.bands, audio.zoom) else k, part) for k, part in LISTED]
EVERY = SINGLE + MIXING + LISTED
STILL = (text.twin, views.plain, audio.spans)  # views that are the items themselves
OF_OTHERS = (table.corrupt, table.uniform, array.corrupt, mixing.cutmix, mixing.mixup, table.mixup, array.mixup)  # by intention


def transforms():
    """Every public transform of the package: (x or graph, generator, *, options) → (view, keys)."""
    modules = [views, *(importlib.import_module(m.name) for m in pkgutil.walk_packages(views.__path__, "counterpoint.views."))]
    found = set()
    for module in modules:
        for name, made in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(made) or made.__module__ != module.__name__:
                continue
            first, *rest = inspect.signature(made).parameters.values()
            drawn = first.name in ("x", "graph") and bool(rest) and rest[0].name == "generator"
            returns = str(made.__annotations__.get("return"))
            if drawn and all(p.kind is p.KEYWORD_ONLY for p in rest[1:]) and returns.startswith("tuple["):
                found.add(made)
    return found


def name(case):
    return f"{case[0]}-{str(case[1])[4:-1]}"[:70]


def run(part, x, seed=0):
    return part(x, torch.Generator().manual_seed(seed))


def same(a, b):
    return torch.equal(a.nan_to_num(-9.0), b.nan_to_num(-9.0)) if a.is_floating_point() else torch.equal(a, b)
