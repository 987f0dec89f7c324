"""What every transform of every kind must do: shapes, types, repeatability, per-item parameters, odd and single batches."""

import pytest
import torch

from counterpoint import views
from counterpoint.core import options
from counterpoint.core.options import use
from counterpoint.views import array, centrality, graph, interactions, mixing, table, video
from tests.views.items import EVERY, GRAPHS, KINDS, LISTED, OF_OTHERS, SINGLE, STILL, molecules, name, run, same, transforms


def test_every_public_transform_has_a_case():
    """A new transform is tested by all that follows, or this fails and names it."""
    covered = {part.make for _, part in EVERY} | {part.make for part in GRAPHS}
    missing = {f"{made.__module__}.{made.__name__}" for made in transforms() - covered}
    assert not missing and covered <= transforms()


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
    if part.make in STILL or part.effective().get("share") == 0.0:
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
    if part.make in STILL or part.effective().get("share") == 0.0 or part.make is mixing.cutmix:
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


# ---- graphs ------------------------------------------------------------------------------------------------------------


def parts_of(view):
    """What of a graph can be compared, factors included."""
    flat = {k: v for k, v in view.items() if isinstance(v, torch.Tensor)}
    return flat | {f"factors{i}": v for i, v in enumerate(view.get("factors", ()))}


@pytest.mark.parametrize("part", GRAPHS, ids=lambda p: str(p)[4:-1])
@pytest.mark.parametrize("weighted", [False, True])
def test_graphs_keep_their_nodes_and_types_and_repeat(part, weighted):
    given = molecules(6)
    if weighted:
        given["edge_weight"] = torch.rand(given["edge_index"].shape[1])
    before = {k: v.clone() for k, v in given.items()}
    view, keys = run(part, given)
    assert all(torch.equal(given[k], before[k]) for k in before), "the graph was changed in place"
    assert view["x"].shape == given["x"].shape and view["x"].dtype == torch.float32 and torch.equal(view["batch"], given["batch"])
    edges = view["edge_index"]
    assert edges.dtype == torch.int64 and edges.min() >= 0 and edges.max() < 54
    if view.get("edge_weight") is not None:
        assert view["edge_weight"].shape == (edges.shape[1],)
    assert all(len(v) == 54 for v in keys.values())
    again, keys_again = run(part, given)
    assert all(torch.equal(v, parts_of(again)[k]) for k, v in parts_of(view).items())
    assert all(torch.equal(v, keys_again[k]) for k, v in keys.items())
    if part.make is not interactions.random_factors:  # the same for all views, by intention
        other = parts_of(run(part, given, 1)[0])
        assert any(v.shape != other[k].shape or not torch.equal(v, other[k]) for k, v in parts_of(view).items())


@pytest.mark.parametrize("part", GRAPHS, ids=lambda p: str(p)[4:-1])
def test_small_graphs_do_not_see_each_others_features(part):
    if part.make in (graph.low_rank, centrality.adaptive, interactions.random_factors):
        return  # of the whole graph by intention
    given = molecules(6)
    other = given | {"x": torch.where(given["batch"][:, None] == 3, given["x"], 7.0)}
    own = given["batch"] == 3
    (a, keys), (b, keys_other) = run(part, given), run(part, other)
    assert torch.equal(a["x"][own], b["x"][own]) and torch.equal(a["edge_index"], b["edge_index"])
    assert all(torch.equal(v, keys_other[k]) for k, v in keys.items())


@pytest.mark.parametrize("part", GRAPHS, ids=lambda p: str(p)[4:-1])
def test_options_of_graphs_are_explained_and_survive_a_file(part):
    rows = options.describe(part.make)
    assert all(sentence for _, _, _, sentence in rows), [r[0] for r in rows if not r[3]]
    assert options.from_plain(options.to_plain(part)) == part
