"""Two views, crops, modalities, chains; presets and defaults, by name and by shape."""

import pytest
import torch

from counterpoint import views
from counterpoint.core import options
from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.options import use
from counterpoint.core.recipe import Batch, Modality, Progress, Spec
from counterpoint.core.registry import example_spec

G = torch.Generator
NOW = Progress()


def batch(n=5):
    fields = {"x": torch.rand(n, 3, 16, 16), "other": torch.randn(n, 4)}
    return Batch(fields, {"item": torch.arange(n) + 7, "label": torch.zeros(n, dtype=torch.int64)})


def test_two_views_differ_and_carry_the_keys():
    first, second = views.two(batch(), G().manual_seed(0), NOW, transform=use(views.image.simclr, size=8), names=("a", "b"))
    assert (first.name, second.name) == ("a", "b")
    assert first.fields["x"].shape == (5, 3, 8, 8) and not torch.equal(first.fields["x"], second.fields["x"])
    assert torch.equal(first.keys["item"], torch.arange(5) + 7) and {"label", "crop", "flip"} <= first.keys.keys()
    again = views.two(batch(), G().manual_seed(0), NOW, transform=use(views.image.simclr, size=8))
    assert len(again[0]) == 5


def test_the_second_view_may_differ_in_law():
    part, other = use(views.image.crop, size=8), use(views.image.crop, size=6)
    first, second = views.two(batch(), G(), NOW, transform=part, second=other)
    assert first.fields["x"].shape[-1] == 8 and second.fields["x"].shape[-1] == 6


def test_a_column_of_the_data_is_never_overwritten():
    one = Batch({"x": torch.rand(3, 1, 8, 8)}, {"item": torch.arange(3), "flip": torch.full((3,), 9)})
    view = views.two(one, G(), NOW, transform=use(views.image.crop))[0]
    assert torch.equal(view.keys["flip"], torch.full((3,), 9))


def test_multi_crop_counts_and_sizes():
    part = views.default_crops(example_spec("image"), locals=3)
    made = part(Batch({"x": torch.rand(4, 3, 32, 32)}, {"item": torch.arange(4)}), G(), NOW)
    assert [v.name for v in made] == ["global"] * 2 + ["local"] * 3
    assert made[0].fields["x"].shape[-1] == 32 and made[-1].fields["x"].shape[-1] == 16


def test_modalities_are_views_of_each_other():
    made = views.modalities(batch(), G(), NOW, transforms={"other": use(views.array.noise)})
    assert [v.name for v in made] == ["x", "other"] and torch.equal(made[0].fields["x"], batch().fields["x"]) is False
    with pytest.raises(DataError, match="no modality 'third'"):
        views.modalities(batch(), G(), NOW, transforms={"third": use(views.array.noise)})
    with pytest.raises(DataError, match="no modality"):
        views.two(batch(), G(), NOW, transform=use(views.array.noise), modality="y")


def test_chain_applies_in_order_and_joins_keys():
    steps = (use(views.image.crop, size=8), use(views.image.erase, share=1.0))
    view, keys = views.chain(torch.rand(4, 1, 16, 16), G(), steps=steps)
    assert view.shape[-1] == 8 and {"crop", "erased"} <= keys.keys()


def test_a_preset_is_called_with_a_batch():
    x = torch.randint(0, 256, (7, 3, 32, 32), dtype=torch.uint8)
    made = views.preset("image", "simclr", size=24)
    one, two = made(x, G().manual_seed(0))
    assert one.shape == two.shape == (7, 3, 24, 24) and not torch.equal(one, two)
    assert torch.equal(made(x, G().manual_seed(0))[1], two)
    torch.manual_seed(5)
    free = made(x)[0]
    torch.manual_seed(5)
    assert torch.equal(free, made(x.numpy())[0]), "without a generator torch's own seed decides"
    assert "size=24" in repr(made)


def test_every_preset_says_why():
    for kind, named in views.presets().items():
        for name, why in named.items():
            assert len(why) > 20 and why.endswith((".", ")")), (kind, name)


def test_every_kind_has_a_default_and_another():
    kinds = views.presets()
    assert kinds.keys() >= {"interactions", "graph", "image", "volume", "video", "series", "table", "array", "text", "audio", "points"}
    assert all("default" in named and len(named) >= 2 for named in kinds.values())
    assert all(views.preset(kind).name == "default" for kind in kinds)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("image", "turn"), ("image", "erase"), ("image", "frequency"), ("image", "noise"), ("image", "cut_mix"), ("image", "mix_up"),
        ("table", "mix_up"), ("array", "mix_up"), ("series", "channels"), ("text", "mask"), ("text", "swap"), ("audio", "stretch"),
        ("audio", "spectrogram_crop"), ("points", "tokens"), ("volume", "erase"),
        ("volume", "elastic"), ("volume", "blur"), ("volume", "gamma"), ("audio", "spectrogram_zoom"),
        ("graph", "edges"), ("graph", "nodes"),
        ("video", "clip"), ("video", "still"), ("skeleton", "pace"), ("interactions", "nodes"),
    ],
)  # fmt: skip
def test_presets_of_single_changes_change_items(kind, name):
    g = G().manual_seed(0)
    shapes = {
        "image": (3, 12, 12), "table": (8,), "array": (8,), "series": (4, 30), "audio": (1, 900), "points": (3, 40), "volume": (1, 8, 8, 8),
        "video": (3, 8, 8, 8), "skeleton": (3, 12, 9),
    }  # fmt: skip
    if kind in ("graph", "interactions"):
        x = {"x": torch.rand(20, 6, generator=g), "edge_index": torch.randint(0, 20, (2, 60), generator=g)}
        made = views.preset(kind, name)(x, g)
        assert all(m["edge_index"].shape[1] != 60 for m in made)
        return
    x = torch.randint(1, 30, (9, 14), generator=g) if kind == "text" else torch.rand(9, *shapes.get(kind, ()), generator=g)
    x = torch.rand(9, 1, 20, 100, generator=g) if name.startswith("spectrogram") else x
    made = views.preset(kind, name)(x, g)
    assert len(made) == 2 and all(len(m) == 9 for m in made)
    assert made[0].shape != x.shape or not torch.equal(made[0].nan_to_num(9.0), x.float() if kind != "text" else x)


def test_small_crops_are_smaller():
    x = torch.rand(2, 3, 224, 224)
    sides = [m.shape[-1] for m in views.preset("image", "multi_crop")(x)]
    assert sides == [224, 224, 96, 96, 96, 96], "96 of 224, as SwAV"
    for chosen, want in (({"size": 32}, 14), ({"local_size": 40}, 40), ({"size": 64, "local_size": (20, 30)}, (20, 30)), ({"size": 12}, 8)):
        preset = views.preset("image", "multi_crop", **chosen)
        made = preset(x)
        assert made[0].shape[-1] == chosen.get("size", 224) and made[-1].shape[-2:] == torch.Size(
            [want] * 2 if isinstance(want, int) else want
        )
    fitted = views.named(Modality("image", (3, 32, 48)), name="multi_crop")
    assert fitted.transforms[0].options["size"] == (32, 48) and fitted.transforms[-1].options["size"] == (14, 21)
    for wrong in (0, -3, 2.5, "small"):
        with pytest.raises(OptionError, match="local_size"):
            views.preset("image", "multi_crop", local_size=wrong)
    with pytest.raises(OptionError, match="no option 'local_size'"):
        views.preset("image", "simclr", local_size=3)


def test_repr_says_every_option_that_has_effect():
    for kind, named in views.presets().items():
        for name in named:
            preset = views.preset(kind, name)
            said = repr(preset)
            assert f"'{kind}', '{name}'" in said and "\n" not in said
            for part in preset.transforms:
                assert all(f"{option}=" in said for option in part.effective()), (kind, name)
    assert "area=(0.08, 1.0)" in repr(views.preset("image", "simclr")) and "hue=0.1" in repr(views.preset("image", "simclr"))
    assert "2 × " in repr(views.preset("image", "simclr")) and "3/7" in repr(views.preset("image", "multi_crop"))
    inside = use(views.chain, steps=(use(views.image.crop, size=4),))
    assert "ratio=(0.75" in repr(views.Preset("image", "mine", (inside,)))


def test_presets_are_sized_to_the_data_but_keep_what_they_say():
    spec = Modality("video", (3, 16, 20, 20))
    assert views.named(spec, name="still").transforms[0].options["frames"] == 1
    assert views.named(spec, name="clip").transforms[0].options["size"] == 20
    assert views.named(spec, name="default").name == "default"
    two = views.named(Modality("image", (3, 32, 32)), name="byol").transforms
    assert two[0] != two[1] and all(part.options["size"] == 32 for part in two)
    assert views.default(Modality("audio", (1, 20, 30))).make is views.audio.bands, "spectrograms are not waves"


@pytest.mark.parametrize(
    ("modality", "name", "words"),
    [
        (Modality("audio", (1, 8000)), "spectrogram", "these data are waves"),
        (Modality("audio", (1, 20, 30)), "speech", "these data are spectrograms"),
        (Modality("text", (20,), {"tokenizer": "words", "vocabulary": 900}), "dna", "A C G T"),
        (Modality("graph", (20,)), "low_rank", "lightgcl"),
        (Modality("series", (1, 50)), "channels", "these series have one"),
        (Modality("video", (3, 2, 9, 9)), "clip", "these clips have 2"),
        (Modality("image", (3, 32, 32)), "auto", "views.choose"),
    ],
)
def test_views_that_do_not_fit_say_why(modality, name, words):
    with pytest.raises(OptionError, match=words) as told:
        views.named(modality, name=name)
    assert "did you mean 'auto'" not in str(told.value)
    assert name not in views.candidates(modality)


def test_wrong_names_are_refused_with_the_nearest():
    for call, words in (
        (lambda: views.preset("image", "simcrl"), "did you mean 'simclr'"),
        (lambda: views.preset("imag", "simclr"), "did you mean 'image'"),
        (lambda: views.preset("image", "simclr", sise=3), "did you mean 'size'"),
        (lambda: views.preset("image", "simclr", flip=2.0), "in \\[0, 1\\]"),
        (lambda: views.default(example_spec("image"), strength="stron"), "did you mean 'strong'"),
        (lambda: views.named(example_spec("image"), name="simcl"), "did you mean 'simclr'"),
    ):
        with pytest.raises(OptionError, match=words):
            call()
    with pytest.raises(DataError, match="no views for data of the kind"):
        views.default(Spec(3, {"x": Modality("triples", (3,))}))
    with pytest.raises(DataError, match="empty"):
        views.preset("image", "simclr")(torch.zeros(0, 3, 8, 8))


def test_the_default_fits_the_data():
    def chosen(kind, shape, **info):
        return views.default(Spec(9, {"x": Modality(kind, shape, info)}))

    assert chosen("image", (1, 28, 28)).make is views.image.warp, "digits are not mirrored"
    assert chosen("image", (1, 28, 28)).effective()["flip"] == 0.0
    assert chosen("image", (3, 32, 32)).options["blur"] == 0.0 and chosen("image", (3, 128, 96)).options["size"] == (128, 96)
    assert chosen("table", (6,), numeric=4).options["numeric"] == 4
    assert chosen("text", (9,), tokenizer="/a/model", padding=1).make is views.text.twin
    assert chosen("text", (9,), tokenizer="words", padding=1).options["padding"] == 1
    assert chosen("audio", (1, 800), rate=8000).options["rate"] == 8000


@pytest.mark.parametrize("kind", sorted(views.presets()))
def test_defaults_and_crops_of_every_kind_survive_a_file(kind):
    spec = example_spec(kind)
    for part in (*(views.default(spec, strength=s) for s in ("weak", "default", "strong")), views.default_crops(spec)):
        assert options.from_plain(options.to_plain(part)) == part
    assert {"weak", "default", "strong"} <= views.candidates(spec.only).keys()
