"""Parameters are drawn anew for each item and each view: equal items show whether numbers are shared, repeated or tied to a neighbour's."""

import pytest
import torch

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
)  # fmt: skip
from tests.views.items import EVERY, GRAPHS, KINDS, MIXING, OF_OTHERS, STILL, molecules, name
from tests.views.laws import columns, independent, ks, related

G = torch.Generator
N = 500
WHOLE = {id(part): case for case in EVERY for part in [case[1]]}.values()  # each case once
LEFT_OUT = {"low_rank": graph.low_rank, "adaptive": centrality.adaptive, "random_factors": interactions.random_factors}  # of whole graphs


def equal(what, n=N, seed=4):
    """n times the same item, as long as the batch."""
    x = KINDS[what](2, G().manual_seed(seed))[1:]
    if what == "text":
        x = torch.randint(1, 5, (1, 16), generator=G().manual_seed(seed))
    return x.expand(n, *x.shape[1:]).contiguous()


def twice(part, x, seed=0):
    """Two views in a row from one generator, as `views.two` makes them."""
    generator = G().manual_seed(seed)
    return part(x, generator), part(x, generator)


FEW = (text.strand, image.turn, series.drop)  # there are no more views
# The option that rules a key, where it is not called so, and what says that nothing is asked: then all items have the same.
RULED_BY = {"angle": "rotation", "speed": "factor", "sign": "invert", "crop": "area", "window": "share", "corrupted": "share"}
NOTHING = (0.0, (1.0, 1.0), (0.0, 0.0, 0.0))
NEVER = {(series.varied, "sign"), (video.simclr, "backward")}  # a part of it that is never used


def asked(part, key):
    """Whether an option lets this key differ between items."""
    chosen = part.effective()
    alone = chosen.get("frames") == 1 and key == "stride"
    return (part.make, key) not in NEVER and chosen.get(RULED_BY.get(key, key), 1.0) not in NOTHING and not alone


@pytest.mark.parametrize(("what", "part"), WHOLE, ids=map(name, WHOLE))
def test_keys_are_drawn_for_each_item_and_each_view(what, part):
    (_, first), (_, second) = twice(part, equal(what))
    for key, value in first.items():
        if not asked(part, key):
            continue
        varied = [u for u in columns(value) if len(u.unique()) > 1]
        assert varied, f"{key} is the same for all items"
        if value.is_floating_point() and key != "sign":
            assert max(len(u.unique()) for u in varied) >= 5, f"{key} has few values"
        assert independent(value, second[key]), f"{key} of an item depends on its neighbour's or on its other view's"


@pytest.mark.parametrize(("what", "part"), WHOLE, ids=map(name, WHOLE))
def test_views_of_equal_items_are_unrelated(what, part):
    """A number for each view, its product with noise: many values, none tied to that of the neighbour or of the other view."""
    if part.make in STILL or part.effective().get("share") == 0.0:
        return
    x = equal(what)
    if part.make in OF_OTHERS or part.effective().get("quantile"):
        x = KINDS[what](N, G().manual_seed(4))  # equal items have nothing to take from each other
    (a, _), (b, _) = twice(part, x)
    weight = torch.randn(a[0].numel(), generator=G().manual_seed(9), dtype=torch.float64)
    one, two = (v.reshape(N, -1).double().nan_to_num(-3.0) @ weight for v in (a, b))
    if part.make in OF_OTHERS or part.effective().get("quantile"):
        base = x.double().reshape(N, -1).nan_to_num(-3.0) / (255.0 if x.dtype == torch.uint8 else 1.0) @ weight
        one, two = one - base, two - base
        assert related(one[:-1], one[1:]) < 4
        return
    assert len(one.unique()) >= (2 if part.make in FEW else 20), "few different views"
    assert related(one[:-1], one[1:]) < 4 and related(one, two) < 4


@pytest.mark.parametrize("part", [p for p in GRAPHS if p.make not in LEFT_OUT.values()], ids=lambda p: str(p)[4:-1])
def test_views_of_equal_small_graphs_are_unrelated(part):
    given = molecules(N)
    own, seed = torch.arange(9 * N) % 9, G().manual_seed(9)
    of_nodes, of_pairs = torch.randn(9, 8, generator=seed), torch.randn(9, 9, generator=seed)
    (a, first), (b, second) = twice(part, given)
    sums = []
    for view in (a, b):
        source, target = view["edge_index"]
        weight = view["edge_weight"] if view.get("edge_weight") is not None else torch.ones(len(source))
        total = torch.zeros(N).index_add_(0, given["batch"][source], of_pairs[own[source], own[target]] * weight)
        sums.append(total + (view["x"] * of_nodes[own]).view(N, -1).sum(1))
    assert len(sums[0].unique()) >= 15 and related(sums[0][:-1], sums[0][1:]) < 4 and related(*sums) < 4
    for key, value in first.items():
        assert independent(value.view(N, 9), second[key].view(N, 9)), key


# ---- uniform where it says so ------------------------------------------------------------------------------------------


def log(u, low, high):
    return (u.log() - torch.tensor(low).log()) / (torch.tensor(high).log() - torch.tensor(low).log())


UNIFORM = {
    "gain": ("audio", use(audio.gain), lambda k: k["gain"] / 12 + 0.5),
    "noise ratio": ("audio", use(audio.noise), lambda k: (k["ratio"] - 10) / 30),
    "shift": ("audio", use(audio.shift, share=0.4), lambda k: (k["shift"] + 0.5) / 720 + 0.5),
    "shift around": ("audio", use(audio.shift, share=0.4, around=True), lambda k: (k["shift"] + 0.5) / 720 + 0.5),
    "speed": ("audio", use(audio.speed, factor=(0.5, 2.0)), lambda k: log(k["speed"], 0.5, 2.0)),
    "stretch": ("audio", use(audio.stretch, window=64), lambda k: log(k["speed"], 0.85, 1.15)),
    "decay": ("audio", use(audio.reverb, rate=1000), lambda k: (k["decay"] - 0.1) / 0.5),
    "wet": ("audio", use(audio.reverb, rate=1000), lambda k: k["wet"] / 0.5),
    "piece of a wave": ("audio", use(audio.crop, samples=100), lambda k: (k["start"] + 0.5) / 801),
    "jitter": ("image", use(image.simclr, jitter=1.0), lambda k: (k["brightness"] - 0.6) / 0.8),
    "contrast": ("image", use(image.simclr, jitter=1.0), lambda k: (k["contrast"] - 0.6) / 0.8),
    "saturation": ("image", use(image.simclr, jitter=1.0), lambda k: (k["saturation"] - 0.6) / 0.8),
    "hue": ("image", use(image.simclr, jitter=1.0), lambda k: k["hue"] / 0.2 + 0.5),
    "blur": ("image", use(image.simclr, blur=1.0), lambda k: (k["blur"] - 0.1) / 1.9),
    "noise of pictures": ("image", use(image.noise), lambda k: k["noise"] / 0.05),
    "window": ("series", use(series.window, share=(0.2, 1.0)), lambda k: (k["window"].diff(dim=1)[:, 0] / 40 - 0.2 + 0.0125) / 0.825),
    "span of text": ("text", use(text.crop, share=(0.0, 1.0)), lambda k: k["span"].diff(dim=1)[:, 0]),
    "brightness of volumes": ("volume", use(volume.intensity), lambda k: k["brightness"] / 0.4 + 0.5),
    "contrast of volumes": ("volume", use(volume.intensity), lambda k: (k["contrast"] - 0.8) / 0.4),
    "blur of volumes": ("volume", use(volume.blur, share=1.0), lambda k: (k["blur"] - 0.3) / 0.7),
    "colour of clips": ("video", use(video.simclr, jitter=1.0), lambda k: (k["brightness"] - 0.6) / 0.8),
    "size of clouds": ("points", use(points.scale), lambda k: log(k["scale"], 0.8, 1.25)),
    "place of clouds": ("points", use(points.scale), lambda k: k["shift"] / 0.2 + 0.5),
    "part of a cloud": ("points", use(points.crop, share=(0.0, 1.0)), lambda k: k["kept"] / 50 - 0.01),
    "points left": ("points", use(points.drop, share=1.0), lambda k: k["kept"] / 50 - 0.01),
    "angle of clouds": ("points", use(points.rotate), lambda k: k["angle"][:, 2] / (2 * torch.pi) + 0.5),
    "shear": ("skeleton", use(skeleton.shear), lambda k: k["shear"] + 0.5),
    "angle of skeletons": ("skeleton", use(skeleton.rotate), lambda k: k["angle"].rad2deg() / 60 + 0.5),
    "piece of movement": ("skeleton", use(skeleton.moment, share=(0.0, 1.0)), lambda k: k["window"].diff(dim=1)[:, 0] / 20 - 0.025),
    "mixed pictures": ("image", use(mixing.mixup, least=0.6), lambda k: (k["share"] - 0.6) / 0.4),
    "mixed rows": ("array", use(array.mixup), lambda k: (k["share"] - 0.5) / 0.5),
    "partners": ("table", use(table.mixup, numeric=5), lambda k: ((k["partner"] - torch.arange(N)) % N) / N),
    "change of a sequence": ("text", use(sequences.changed), lambda k: k["change"]),
}


# Laws of whole numbers, and half their distance as a share of the range.
GRAINS = {
    "shift": 0.001, "shift around": 0.001, "piece of a wave": 0.001, "window": 0.016, "part of a cloud": 0.01, "points left": 0.01,
    "piece of movement": 0.025, "partners": 0.001,
}  # fmt: skip


@pytest.mark.parametrize("of", UNIFORM)
def test_what_is_said_to_be_uniform_is(of):
    what, part, place = UNIFORM[of]
    u = place(part(equal(what), G().manual_seed(3))[1])
    if u.dtype == torch.int64 or of == "span of text":  # a few whole numbers: each as likely
        counts = torch.bincount(u.long())[1 if of == "span of text" else 0 :]
        if of == "span of text":  # sizes round(u · 16), 1 at least: the ends are half and three halves as wide
            expected = torch.tensor([1.5, *[1.0] * 14, 0.5]) * N / 16
        else:
            expected = torch.full((len(counts),), N / len(counts))
        chi = ((counts - expected).square() / expected).sum()
        free = len(counts) - 1
        assert float(chi) < free + 4 * (2 * free) ** 0.5
        return
    steps = GRAINS.get(of, 0.0)
    assert len(u.unique()) > (0.9 * u.numel() if of not in GRAINS else 10), "few values"
    assert ks(u.flatten()) < 1.95 / u.numel() ** 0.5 + steps


def test_every_mixed_item_is_covered():
    """Cases of mixing are among those above."""
    assert all(case in WHOLE for case in MIXING)
