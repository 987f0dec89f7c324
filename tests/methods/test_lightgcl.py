"""LightGCL: ranking by triples is BPR, the low-rank view is fed by the layers of the graph, the decomposition never changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from counterpoint import checks, data, encoders, views
from counterpoint.core import registry
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Graph, Progress

NOW = Progress()
G = torch.Generator


def given() -> data.Dataset:
    rng = np.random.default_rng(1)
    chosen = np.argwhere(rng.random((20, 30)) < 0.2)
    return data.read({"interactions": np.concatenate([chosen, [[19, 29]]])})


def dense(found: data.Dataset) -> torch.Tensor:
    n = found.items
    a = torch.zeros(n, n, dtype=torch.float64)
    a[tuple(found.tables["edges"])] = 1
    scale = a.sum(1).clamp(min=1e-12).rsqrt()
    return scale[:, None] * a * scale


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_lightgcn_is_the_sum_of_its_layers(layers: int) -> None:
    found = given()
    model = encoders.interactions.lightgcn(found.spec.only, width=6, layers=layers)
    a, e = dense(found), model.start.detach().double()
    total = sum((torch.linalg.matrix_power(a, k) @ e for k in range(1, layers + 1)), e)
    nodes = found.batch([3, 40]).fields["x"]
    torch.testing.assert_close(model(nodes).double(), total[[3, 40]], rtol=1e-5, atol=1e-6)


def test_the_low_rank_view_is_fed_by_the_layers_of_the_graph() -> None:
    """g = E0 + F E0 + F Â E0, and not E0 + F E0 + F F E0."""
    found = given()
    nodes = found.batch(found.ids).fields["x"]
    parts, _ = views.graph.low_rank(nodes.parts, G(), rank=4, passes=6, fixed=True)
    model = encoders.interactions.lightgcn(found.spec.only, width=6, layers=2)
    f = (parts["factors"][0] @ parts["factors"][1].T).double()
    e = model.start.detach().double()
    torch.testing.assert_close(model(Graph(parts, found.ids)).double(), e + f @ e + f @ (dense(found) @ e), rtol=1e-4, atol=1e-5)


def test_a_fixed_decomposition_is_the_same_whatever_the_generator_and_computed_once() -> None:
    parts = given().batch([0]).fields["x"].parts
    one = views.graph.low_rank(parts, G().manual_seed(1), rank=4, fixed=True)[0]["factors"]
    two = views.graph.low_rank(parts, G().manual_seed(2), rank=4, fixed=True)[0]["factors"]
    again = views.graph.low_rank({**parts, "edge_index": parts["edge_index"].clone()}, G(), rank=4, fixed=True)[0]["factors"]
    assert one[0] is two[0] and torch.equal(one[0], again[0])
    other = views.graph.low_rank(parts, G().manual_seed(2), rank=4)[0]["factors"]
    assert not torch.equal(one[0], other[0])


def test_positives_were_chosen_and_negatives_were_not() -> None:
    found = given()
    known = set(map(tuple, found.tables["edges"].T.tolist()))
    made = views.interactions.triples(found.batch(list(range(20))), G().manual_seed(0), NOW, pairs=3)
    assert [v.name for v in made] == ["user", "positive", "negative"] + ["user_again", "positive_again", "negative_again"] * 2
    for user, positive, negative in zip(made[::3], made[1::3], made[2::3], strict=True):
        assert torch.equal(user.keys["of"], positive.keys["of"]) and torch.equal(user.keys["of"], negative.keys["of"])
        whole = user.keys["of"] >= 0
        assert bool(whole.any())
        for u, p, n in zip(user.keys["item"][whole], positive.keys["item"][whole], negative.keys["item"][whole], strict=True):
            assert (int(u), int(p)) in known and (int(u), int(n)) not in known and int(n) >= 20
        assert torch.equal(user.keys["answer"], positive.keys["answer"]) and bool((negative.keys["answer"] == -1).all())
    assert len(torch.cat([v.keys["of"][v.keys["of"] >= 0] for v in made[::3]]).unique()) == sum(
        int((v.keys["of"] >= 0).sum()) for v in made[::3]
    )


def test_who_chose_everything_or_nothing_or_is_a_product_has_no_triple() -> None:
    chosen = np.concatenate([np.stack([np.zeros(5, int), np.arange(5)], 1), [[2, 0]]])
    found = data.read({"interactions": chosen})
    user, _, _ = views.interactions.triples(found.batch([0, 1, 2, 4]), G().manual_seed(0), NOW)
    assert (user.keys["of"] >= 0).tolist() == [False, False, True, False]


def test_the_ranking_term_is_bpr() -> None:
    found = given()
    recipe = registry.get("lightgcl")(found.spec, triples=3)
    model = recipe.encoder(found.spec)
    made = recipe.views(found.batch(list(range(20))), G().manual_seed(0), NOW)
    out = model(made, NOW)
    loss = recipe.objective["ranking"](out, {}, NOW)
    z = {i: out["z"].z[out["z"].keys["view"] == i] for i in range(9)}
    whole = [made[3 * j].keys["of"] >= 0 for j in range(3)]
    bpr = [functional.softplus((z[3 * j] * (z[3 * j + 2] - z[3 * j + 1])).sum(1)) for j in range(3)]
    torch.testing.assert_close(loss.values, torch.cat([torch.where(w, v, 0.0) for w, v in zip(whole, bpr, strict=True)]))
    assert torch.equal(loss.counted, torch.cat(whole))
    assert loss.chance == pytest.approx(np.log(2))


def test_every_term_reaches_the_vectors() -> None:
    found = given()
    with checks.training(registry.get("lightgcl"), "interactions", found) as run:
        batch = next(run._batches(0, 0))
        names = {
            name: term(run.model(run.recipe.views(batch, G().manual_seed(0), NOW), NOW), batch.tables, NOW).mean()
            for name, term in run.recipe.objective.items()
        }
        for name, value in names.items():
            gradient = torch.autograd.grad(value, run.model.backbone.start, retain_graph=True)[0]
            assert bool((gradient != 0).any()), name


def test_other_users_are_refused() -> None:
    found = given()
    model = encoders.interactions.lightgcn(found.spec.only)
    other = data.read({"interactions": np.array([[0, 0], [1, 1]])})
    with pytest.raises(RequirementError, match="learns no others"):
        model(other.batch([0]).fields["x"])


def test_the_control_has_nothing_of_the_graph() -> None:
    one, two = given().batch([0]).fields["x"].parts, given().batch([0]).fields["x"].parts
    assert torch.equal(
        views.interactions.random_factors(one, G().manual_seed(1))[0]["factors"][0],
        views.interactions.random_factors({**two, "edge_index": two["edge_index"][:, :2]}, G().manual_seed(2))[0]["factors"][0],
    )
    assert use(views.interactions.random_factors, rank=3)(one, G())[0]["factors"][0].shape == (50, 3)


@pytest.mark.parametrize("cosine", [False, True])
def test_the_contrast_tells_a_node_from_the_others_of_its_side(cosine):
    """−log exp(g_u·e_u / t) / Σ_v exp(g_u·e_v / t) over the users of the batch, products apart."""
    found = given()
    recipe = registry.get("lightgcl")(found.spec, triples=2, temperature=0.5, cosine=cosine)
    model = recipe.encoder(found.spec)
    made = recipe.views(found.batch(list(range(20))), G().manual_seed(0), NOW)
    out = model(made, NOW)
    loss = recipe.objective["users"](out, {}, NOW)
    z = out["z"].z.double()
    e, g = z[:20], z[6 * 20 : 7 * 20]
    assert [v.name for v in made][6] == "global_user"
    e, g = (functional.normalize(x, dim=1) if cosine else x for x in (e, g))
    wanted = -torch.log_softmax(g @ e.T / 0.5, dim=1).diagonal()
    torch.testing.assert_close(loss.values.double(), wanted, rtol=1e-4, atol=1e-5)
    rows = recipe.objective["products"](out, {}, NOW)
    assert len(rows.values) == 40 and bool(rows.counted.all()) and bool(torch.isfinite(rows.values).all())
