"""What is particular to the kinds that have no test file of their own."""

from __future__ import annotations

import pytest
import torch

from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.recipe import Graph, Modality
from counterpoint.encoders import array, audio, graph, points, skeleton, video, volume

NAN = float("nan")


def test_arrays_of_more_axes_are_flattened_and_missing_is_zero() -> None:
    model = array.mlp(Modality("array", (2, 3)), width=8).eval()
    x = torch.randn(4, 2, 3)
    missing, zero = x.clone(), x.clone()
    missing[0, 1, 1], zero[0, 1, 1] = NAN, 0.0
    assert torch.equal(model(missing), model(zero))
    assert model(x.half()).isfinite().all()


@pytest.mark.parametrize("channels", [1, 2])
def test_volumes_of_any_channels_and_depth(channels: int) -> None:
    model = volume.small_cnn(Modality("volume", (channels, 9, 12, 10)), channels=(4, 8), stem=4).eval()
    x = torch.randint(0, 256, (2, channels, 9, 12, 10), dtype=torch.uint8)
    torch.testing.assert_close(model(x), model(x.float() / 255))
    assert model(x).shape == (2, 8)


def test_a_video_is_more_than_its_frames() -> None:
    model = video.small_cnn(Modality("video", (3, 6, 16, 16)), channels=(4, 8), stem=4).eval()
    x = torch.rand(2, 3, 6, 16, 16)
    assert model(x).shape == (2, 16) == (2, model.width)
    assert not torch.allclose(model(x), model(x.flip(2)), atol=1e-5)
    assert model(x[:, :, :3]).shape == (2, 16)


def test_mel_bands_are_triangles_that_cover_the_spectrum() -> None:
    bands = audio.mel_bands(40, 257, 16000.0)
    assert bands.shape == (40, 257) and (bands >= 0).all() and (bands <= 1).all()
    assert (bands.sum(1) > 0).all()
    assert (bands[:, 10:250].sum(0) > 0).all()
    assert torch.equal(bands.argmax(1), bands.argmax(1).sort().values)


def test_a_tone_is_loudest_in_its_band() -> None:
    mel = audio.LogMel(8000.0, 8000, 40, 0.032, 0.01)
    time = torch.arange(8000) / 8000
    low, high = (mel(torch.sin(2 * torch.pi * hertz * time)[None, None])[0, 0, :, 10:-10].mean(1).argmax() for hertz in (300.0, 2500.0))
    centres = audio.mel_bands(40, 129, 8000.0).argmax(1) * 4000 / 128
    assert abs(centres[low] - 300) < 60 and abs(centres[high] - 2500) < 200


def test_sound_past_its_end_is_silence() -> None:
    model = audio.small_cnn(Modality("audio", (1, 4000), {"rate": 8000}), channels=(4, 8), stem=4).eval()
    x = torch.randn(2, 1, 4000)
    ended, silent = x.clone(), x.clone()
    ended[..., 3000:], silent[..., 3000:] = NAN, 0.0
    assert torch.equal(model(ended), model(silent))
    assert model(x[..., :50]).isfinite().all()


def test_points_have_no_order_place_or_size() -> None:
    model = points.pointnet(Modality("points", (3, 20)), channels=(8, 16)).eval()
    x = torch.randn(2, 3, 20)
    z = model(x)
    torch.testing.assert_close(model(x[:, :, torch.randperm(20)]), z, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(3 * x + 5), z, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(model(torch.cat([x, torch.full((2, 3, 5), NAN)], 2)), z, rtol=1e-4, atol=1e-5)
    assert model(torch.full((1, 3, 4), NAN)).isfinite().all()


def test_a_skeletons_padding_changes_nothing_and_its_place_says_nothing() -> None:
    model = skeleton.dilated(Modality("skeleton", (3, 20, 5)), width=16, channels=8).eval()
    x = torch.randn(2, 3, 12, 5)
    padded = torch.cat([x, torch.full((2, 3, 8, 5), NAN)], 2)
    torch.testing.assert_close(model(padded), model(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model(x + 4), model(x), rtol=1e-3, atol=1e-4)


def test_propagation_is_the_normalised_adjacency_matrix() -> None:
    edges = torch.tensor([[0, 1, 1, 2, 3, 0], [1, 0, 2, 1, 0, 3]])
    adjacency = torch.eye(5, dtype=torch.float64)
    adjacency[edges[1], edges[0]] = 1
    scale = adjacency.sum(1).rsqrt()
    x = torch.randn(5, 4)
    expected = (scale[:, None] * adjacency * scale) @ x.double()
    torch.testing.assert_close(graph.propagate(x, edges), expected.float())


@pytest.mark.parametrize("name", ["GCN", "GIN", "GraphSAGE", "GAT"])
def test_networks_of_torch_geometric(name: str) -> None:
    pytest.importorskip("torch_geometric")
    model = graph.geometric(Modality("graph", (4,)), name=name, width=8)
    nodes = Graph({"x": torch.randn(5, 4), "edge_index": torch.tensor([[0, 1], [1, 2]])}, torch.tensor([4, 0]))
    assert model(nodes).shape == (2, 8)


def test_an_unknown_network_of_torch_geometric_is_refused() -> None:
    pytest.importorskip("torch_geometric")
    with pytest.raises(OptionError, match="'GCM' is not known; did you mean 'GCN'"):
        graph.geometric(Modality("graph", (4,)), name="GCM")


def test_a_graph_encoder_gives_the_rows_of_the_items_and_reads_what_a_view_made() -> None:
    model = graph.gcn(Modality("graph", (4,)), width=8).eval()
    x, edges = torch.randn(6, 4), torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    whole = model(Graph({"x": x, "edge_index": edges}, torch.arange(6)))
    torch.testing.assert_close(model(Graph({"x": x, "edge_index": edges}, torch.tensor([5, 1]))), whole[[5, 1]])
    weighted = Graph({"x": x, "edge_index": edges, "edge_weight": torch.zeros(4)}, torch.arange(6))
    torch.testing.assert_close(model(weighted), model(Graph({"x": x, "edge_index": edges[:, :0]}, torch.arange(6))))
    eye = torch.eye(6)
    unlinked = model(Graph({"x": x, "edge_index": edges, "factors": (eye, eye)}, torch.arange(6)))
    torch.testing.assert_close(unlinked, model(Graph({"x": x, "edge_index": edges[:, :0]}, torch.arange(6))))
    with pytest.raises(RequirementError, match="Graph"):
        model(x)


def test_a_perceptron_on_nodes_never_looks_at_the_links() -> None:
    model = graph.mlp(Modality("graph", (4,)), hidden=(5,), width=3)
    x = torch.randn(6, 4)
    found = [model(Graph({"x": x, "edge_index": torch.randint(0, 6, (2, k))}, torch.tensor([2, 4]))) for k in (0, 9)]
    assert torch.equal(*found) and found[0].shape == (2, 3)
