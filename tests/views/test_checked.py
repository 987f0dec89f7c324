"""What a preset, a measure or a picture is given: taken in any usual form, or refused in one line that says what would be right."""

import types

import numpy as np
import pytest
import torch

from counterpoint import views
from counterpoint.core.errors import CounterpointError, DataError, OptionError
from counterpoint.core.recipe import Graph

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
