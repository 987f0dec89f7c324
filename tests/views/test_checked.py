"""What a preset, a measure or a picture is given: taken in any usual form, or refused in one line that says what would be right."""

import types

import numpy as np
import pytest
import torch

from counterpoint import views
from counterpoint.core.errors import CounterpointError, DataError, OptionError
from counterpoint.core.recipe import Graph
from counterpoint.views import checked

G = torch.Generator

GOOD = {
    "image": torch.rand(4, 3, 12, 12), "volume": torch.randn(4, 1, 8, 8, 8), "video": torch.rand(4, 3, 6, 8, 8),
    "audio": torch.randn(4, 1, 800) * 0.1, "series": torch.randn(4, 2, 30), "table": torch.randn(4, 6), "array": torch.randn(4, 9),
    "text": torch.randint(1, 20, (4, 12)), "points": torch.randn(4, 3, 40), "skeleton": torch.randn(4, 3, 10, 12),
}  # fmt: skip
NODES = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])


def refused(kind, x, words, error=DataError, generator=None):
    with pytest.raises(error, match=words) as told:
        views.preset(kind)(x, generator)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("kind", sorted(GOOD))
@pytest.mark.parametrize("given", [None, "a picture", 3, [1, 2, 3], [np.zeros((3, 4))], {"x": 1}, (torch.zeros(3),), object()])
def test_what_is_no_batch_is_refused(kind, given):
    refused(kind, given, "was given")


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_wrong_numbers_of_axes_empty_axes_and_gradients_are_refused(kind):
    x = GOOD[kind]
    refused(kind, x[0], r"\(items, ")
    refused(kind, x[:, None], r"\(items, ")
    refused(kind, x[:0], "empty")
    refused(kind, x[..., :0], "no |at least")
    refused(kind, torch.zeros(3, dtype=torch.complex64).expand(*x.shape[:-1], 3), "complex64")
    if x.is_floating_point():
        refused(kind, x.clone().requires_grad_(), "detach")


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_numpy_and_every_width_of_float_are_taken(kind):
    x, preset = GOOD[kind], views.preset(kind)
    locked = x.numpy().copy()
    locked.setflags(write=False)
    want = preset(x, G().manual_seed(0))[0]
    for given in (x.numpy(), x.numpy()[::-1][::-1], locked, x.numpy().astype(x.numpy().dtype.newbyteorder())):
        assert torch.equal(preset(given, G().manual_seed(0))[0], want)
    if x.is_floating_point():
        assert torch.allclose(preset(x.double(), G().manual_seed(0))[0].float(), want, atol=1e-5)
        assert preset(x.half(), G().manual_seed(0))[0].dtype == torch.float32


@pytest.mark.parametrize("kind", ["image", "video", "volume"])
def test_pictures_hold_no_gaps(kind):
    for bad, word in ((float("nan"), "NaN"), (float("inf"), "inf")):
        x = GOOD[kind].clone()
        x.flatten()[5] = bad
        refused(kind, x, word)


@pytest.mark.parametrize("kind", ["series", "table", "array", "audio", "points", "skeleton"])
def test_a_gap_is_a_gap_and_infinity_is_refused(kind):
    x = GOOD[kind].clone()
    x.flatten()[5] = float("nan")
    views.preset(kind)(x)
    x.flatten()[6] = float("inf")
    refused(kind, x, "inf")


def test_ranges_of_pictures():
    refused("image", torch.rand(3, 3, 8, 8) * 255, r"from .* to .*\[0, 1\]")
    refused("video", torch.rand(3, 3, 4, 8, 8) * 255, r"from .* to .*\[0, 1\]")
    refused("image", torch.zeros(3, 3, 8, 8, dtype=torch.int64), "int64.*uint8")
    refused("image", torch.rand(4, 32, 32, 3), "channels last.*permute\\(0, 3, 1, 2\\)")
    refused("video", torch.rand(4, 8, 32, 32, 3), "channels last.*permute\\(0, 4, 1, 2, 3\\)")
    refused("video", torch.rand(4, 8, 3, 32, 32), "frames before channels")
    refused("points", torch.rand(4, 50, 3), "transpose")
    assert views.preset("image")(torch.rand(4, 20, 32, 32))[0].shape == (4, 20, 32, 32), "any number of channels"


def test_whole_numbers_of_scans_and_sounds_keep_their_meaning():
    scan = torch.randint(-1000, 1000, (3, 1, 8, 8, 8), dtype=torch.int16)
    one, same = (views.preset("volume")(x, G().manual_seed(0))[0] for x in (scan, scan.float()))
    assert torch.equal(one, same), "Hounsfield units stay"
    wave = torch.randint(-(2**15), 2**15, (3, 1, 800), dtype=torch.int16)
    one, same = (views.preset("audio")(x, G().manual_seed(0))[0] for x in (wave, wave.float() / 32767))
    assert torch.allclose(one, same)
    bytes_ = torch.randint(0, 256, (3, 1, 800), dtype=torch.uint8)
    for given, full in ((wave.to(torch.int64) << 40, 2**63 - 1), (wave.to(torch.int32), 2**31 - 1), ((wave >> 8).to(torch.int8), 127)):
        assert torch.equal(checked.checked(given, "audio"), given.float() / full)
    assert torch.allclose(checked.checked(bytes_, "audio"), bytes_.float() / 127.5 - 1.0)
    assert views.preset("series")(torch.ones(3, 1, 20, dtype=torch.int64))[0].is_floating_point()


def test_waves_are_long_enough_for_a_spectrum():
    for name in ("default", "stretch"):
        assert views.preset("audio", name)(torch.rand(2, 1, 4))[0].shape == (2, 1, 4)
        with pytest.raises(DataError, match="at least 4 samples"):
            views.preset("audio", name)(torch.rand(2, 1, 3))


def test_text_is_token_ids():
    refused("text", ["a text", "another"], "counterpoint.data.read")
    refused("text", torch.rand(3, 4), "whole numbers")
    refused("text", -torch.ones(3, 4, dtype=torch.int64), "below 0")
    ids = torch.randint(1, 9, (3, 12))
    for kind in (torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16):
        for name in views.presets("text")["text"]:
            one, same = (views.preset("text", name)(x, G().manual_seed(0))[0] for x in (ids.to(kind), ids))
            assert torch.equal(one, same)


def test_pictures_a_little_out_of_range_are_brought_into_it():
    x = torch.rand(3, 3, 8, 8)
    x[0, 0, 0, :2] = torch.tensor([-0.0005, 1.0005])
    made = checked.checked(x, "image")
    assert made.min() == 0 and made.max() == 1 and x.min() < 0, "the batch itself is left alone"


def test_skeletons_in_another_order_are_refused():
    for shape in ((4, 30, 17, 3), (4, 30, 3, 17), (4, 30, 17, 2)):
        refused("skeleton", torch.rand(shape), "coordinates not first")
    assert views.preset("skeleton")(torch.rand(4, 3, 30, 17))[0].shape == (4, 3, 30, 17)


def test_long_doubles_and_infinite_options():
    x = np.random.default_rng(0).random((4, 6)).astype(np.longdouble)
    assert views.preset("table")(x)[0].dtype == torch.float32
    with pytest.raises(OptionError, match="finite"):
        views.preset("image", "simclr", brightness=float("inf"))
    with pytest.raises(OptionError, match="did you mean 'simclr'"):
        views.preset("image", "SimCLR")


def test_views_are_float32_whatever_torch_takes_for_a_number():
    g = G().manual_seed(0)
    given = {
        "image": torch.rand(3, 3, 16, 16, generator=g), "table": torch.rand(9, 5, generator=g), "array": torch.rand(9, 5, generator=g),
        "series": torch.rand(3, 2, 30, generator=g), "audio": torch.rand(3, 1, 900, generator=g),
        "points": torch.rand(3, 3, 30, generator=g),
        "skeleton": torch.rand(3, 3, 20, 9, generator=g), "volume": torch.rand(3, 1, 9, 9, 9, generator=g),
        "video": torch.rand(3, 3, 6, 9, 9, generator=g),
    }  # fmt: skip
    torch.set_default_dtype(torch.float64)
    try:
        for kind, x in given.items():
            for name in views.presets(kind)[kind]:
                if "spectrogram" not in name:
                    assert all(view.dtype == torch.float32 for view in views.preset(kind, name)(x)), (kind, name)
    finally:
        torch.set_default_dtype(torch.float32)


def test_parts_of_a_graph_that_are_none_are_refused():
    x = torch.rand(4, 3)
    for kind in (torch.uint8, torch.uint16, torch.uint32, torch.int32):
        assert views.preset("graph")({"x": x, "edge_index": NODES.to(kind)})[0]["edge_index"].dtype == torch.int64
    weight = torch.ones(6)
    weight[2] = float("nan")
    refused("graph", {"x": x, "edge_index": NODES, "edge_weight": weight}, "NaN")
    for batch in (torch.tensor([0, 0, -1, 1]), torch.rand(4), torch.ones(4, dtype=torch.bool)):
        refused("graph", {"x": x, "edge_index": NODES, "batch": batch}, "0 and above")


@pytest.mark.parametrize("kind", ["graph", "interactions"])
def test_graphs_in_every_form(kind):
    x, preset = torch.rand(4, 5), views.preset(kind)
    as_mapping = {"x": x, "edge_index": NODES}
    want = preset(as_mapping, G().manual_seed(0))[1]
    forms = (
        {"x": x.numpy(), "edge_index": NODES.numpy()},
        types.SimpleNamespace(x=x, edge_index=NODES, to_dict=lambda: {"x": x, "edge_index": NODES, "edge_attr": torch.rand(6, 2)}),
    )
    for form in forms:
        made = preset(form, G().manual_seed(0))[1]
        assert torch.equal(made["x"], want["x"]) and torch.equal(made["edge_index"], want["edge_index"])
        assert "edge_attr" not in made, "what belongs to links that may be gone does not stay behind"
    made = preset(Graph(as_mapping, torch.tensor([2, 0])), G().manual_seed(0))[1]
    assert isinstance(made, Graph) and len(made) == 2 and torch.equal(made.parts["x"], want["x"])
    for bad, words in (
        ({"x": x, "edge_index": NODES.float()}, "float32"),
        ({"x": x, "edge_index": NODES.T}, "shape"),
        ({"x": x, "edge_index": NODES + 2}, "node 4.*4 nodes"),
        ({"x": x}, "edge_index"),
        ({"edge_index": NODES}, '"x"'),
        ({"x": x[0], "edge_index": NODES}, "nodes, features"),
        ({"x": x * float("nan"), "edge_index": NODES}, "NaN"),
        ({"x": x, "edge_index": NODES, "edge_weight": torch.ones(3)}, "edge_weight"),
        ({"x": x, "edge_index": NODES, "batch": torch.zeros(9, dtype=torch.int64)}, "batch"),
        ([as_mapping], "side by side"),
        (x, "edge_index"),
        (None, "None"),
    ):
        refused(kind, bad, words)


def test_a_graph_of_pyg():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing it warns of what it uses of torch
        data = pytest.importorskip("torch_geometric.data")
    graph = data.Data(x=torch.rand(4, 5), edge_index=NODES, y=torch.tensor([0, 1, 0, 1]))
    view = views.preset("graph")(graph)[0]
    assert set(view) == {"x", "edge_index"} and view["x"].shape == (4, 5)


def test_generators_names_and_data_sets():
    x = GOOD["image"]
    refused("image", x, "torch.Generator\\(\\).manual_seed\\(3\\)", OptionError, 3)
    refused("image", x, "torch.Generator", OptionError, np.random.default_rng(0))
    for call in (
        lambda: views.preset(None), lambda: views.preset("image", None), lambda: views.preset(3), lambda: views.preset("image", ["simclr"]),
    ):  # fmt: skip
        with pytest.raises(OptionError, match="give the name"):
            call()
    from counterpoint import data

    with pytest.raises(CounterpointError, match=r"a data set was given.*batch"):
        views.preset("array")(data.read(np.random.default_rng(0).normal(size=(30, 4)), kind="array"))
