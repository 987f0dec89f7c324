"""What every transform of every kind must do: shapes, types, repeatability, per-item parameters, odd and single batches."""

import pytest
import torch

from counterpoint import views
from counterpoint.core import options
from counterpoint.core.options import use
from counterpoint.views import array, audio, image, mixing, points, series, skeleton, table, text, video, volume
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
    return torch.randint(0, 256, (n, 3, 6, 9, 8), dtype=torch.uint8, generator=g)


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
    ("volume", use(volume.varied, size=(4, 5, 6))),
    ("volume", use(volume.intensity)),
    ("volume", use(volume.erase, boxes=2)),
    ("video", use(video.moment, frames=3, strides=(1, 2), backward=0.5)),
    ("video", use(video.simclr, frames=3, size=5)),
    ("audio", use(audio.gain)),
    ("audio", use(audio.noise)),
    ("audio", use(audio.shift)),
    ("audio", use(audio.shift, around=True)),
    ("audio", use(audio.speed)),
    ("audio", use(audio.stretch, window=64)),
    ("audio", use(audio.reverb, rate=1000)),
    ("audio", use(audio.crop, samples=100)),
    ("audio", use(audio.varied, samples=800, rate=1000)),
    ("spectrogram", use(audio.bands)),
    ("spectrogram", use(audio.crop, samples=11)),
    ("points", use(points.rotate, axis="any")),
    ("points", use(points.scale)),
    ("points", use(points.jitter)),
    ("points", use(points.crop)),
    ("points", use(points.drop)),
    ("points", use(points.mask)),
    ("skeleton", use(skeleton.shear)),
    ("skeleton", use(skeleton.rotate)),
    ("skeleton", use(skeleton.jitter, still=True)),
    ("skeleton", use(skeleton.joints)),
    ("skeleton", use(skeleton.moment)),
]
MIXING = [
    ("image", use(mixing.cutmix)),
    ("image", use(mixing.mixup)),
    ("table", use(table.corrupt, numeric=5, noise=0.1, hide=0.1)),
    ("table", use(table.mixup, numeric=5)),
    ("table", use(table.noise, quantile=True, numeric=5)),
    ("array", use(array.corrupt, noise=0.1, drop=0.1)),
    ("array", use(array.mixup)),
    ("series", use(mixing.mixup)),
]
LISTED = [
    (k, part) for k, named in PRESETS.items() if k in KINDS for entry in named.values() for part in sorted(set(map(str, entry.transforms)))
]
LISTED = [(k, next(p for e in PRESETS[k].values() for p in e.transforms if str(p) == name)) for k, name in LISTED]
LISTED = [("spectrogram" if part.make in (audio.bands, audio.zoom) else k, part) for k, part in LISTED]
EVERY = SINGLE + MIXING + LISTED
OF_OTHERS = (table.corrupt, array.corrupt, mixing.cutmix, mixing.mixup, table.mixup, array.mixup)  # by intention


def name(case):
    return f"{case[0]}-{str(case[1])[4:-1]}"[:70]


def run(part, x, seed=0):
    return part(x, torch.Generator().manual_seed(seed))


def same(a, b):
    return torch.equal(a.nan_to_num(-9.0), b.nan_to_num(-9.0)) if a.is_floating_point() else torch.equal(a, b)


@pytest.mark.parametrize(("what", "part"), EVERY, ids=map(name, EVERY))
@pytest.mark.parametrize("n", [1, 7])
def test_shape_type_keys_and_repeatability(what, part, n):
    x = KINDS[what](n, torch.Generator().manual_seed(1))
    before = x.clone()
    view, keys = run(part, x)
    assert same(x, before), "the batch was changed in place"
    assert len(view) == n and view.dim() == x.dim()
    assert view.dtype == (x.dtype if what == "text" or part.make is video.moment else torch.float32)
    assert view.device == x.device
    assert all(isinstance(v, torch.Tensor) and len(v) == n for v in keys.values())
    again, keys_again = run(part, x)
    assert same(view, again) and all(same(v, keys_again[k]) for k, v in keys.items())
    if what in ("image", "video") and part.make is not video.moment:
        assert view.min() >= 0 and view.max() <= 1
    if what not in ("image", "video", "volume", "audio", "spectrogram") and not part.effective().get("k"):
        assert view.shape == x.shape


@pytest.mark.parametrize(("what", "part"), EVERY, ids=map(name, EVERY))
def test_another_seed_is_another_view(what, part):
    if part.make is text.twin or part.effective().get("share") == 0.0:
        return
    x = KINDS[what](23, torch.Generator().manual_seed(1))
    assert not same(run(part, x, 1)[0], run(part, x, 2)[0])


@pytest.mark.parametrize(("what", "part"), SINGLE + LISTED, ids=map(name, SINGLE + LISTED))
def test_an_item_does_not_see_the_others(what, part):
    """Other items may change, this one's view does not: parameters are per item, drawn in the item's place."""
    if part.make in OF_OTHERS or part.effective().get("quantile"):
        return
    g = torch.Generator().manual_seed(1)
    x, other = KINDS[what](7, g), KINDS[what](7, g)
    other[3] = x[3]
    a, b = run(part, x)[0][3], run(part, other)[0][3]
    assert torch.allclose(a.float(), b.float(), atol=1e-5, equal_nan=True)


@pytest.mark.parametrize(("what", "part"), SINGLE + LISTED, ids=map(name, SINGLE + LISTED))
def test_equal_items_get_different_views(what, part):
    if part.make is text.twin or part.effective().get("share") == 0.0 or part.make is mixing.cutmix:
        return
    if part.make in (table.corrupt, array.corrupt):
        part = use(part, noise=0.5)
    x = KINDS[what](1, torch.Generator().manual_seed(4)).expand(24, *KINDS[what](1, torch.Generator()).shape[1:]).contiguous()
    view = run(part, x)[0]
    if part.effective().get("quantile"):
        return
    assert any(not same(view[0], view[i]) for i in range(1, 24))


@pytest.mark.parametrize(("what", "part"), EVERY, ids=map(name, EVERY))
def test_options_are_explained_and_survive_a_file(what, part):
    rows = options.describe(part.make)
    assert all(sentence for _, _, _, sentence in rows), [r[0] for r in rows if not r[3]]
    assert options.from_plain(options.to_plain(part)) == part


def test_default_names_every_kind_it_can():
    from counterpoint.core.registry import example_spec

    for what in KINDS.keys() - {"spectrogram"}:
        for strength in ("weak", "default", "strong"):
            part = views.default(example_spec(what), strength=strength)
            assert part.options, "options stand in config.yaml"
