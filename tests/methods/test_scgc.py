"""SCGC: the graph enters through the weighted contrast alone, centres come from k-means, clusters sharpen themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import checks, losses, pairs, terms
from counterpoint.core import registry, similarity
from counterpoint.core.recipe import Progress, Rows

NOW = Progress()


def rows(n: int = 9, d: int = 4, seed: int = 0) -> Rows:
    keys = {"item": torch.arange(n), "view": torch.zeros(n, dtype=torch.int64)}
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Rows(z.requires_grad_(), keys, False, ("x",))


def ring(n: int = 9) -> torch.Tensor:
    one = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
    return torch.cat([one, one.flip(0)], 1)


def steps(n: int = 9) -> np.ndarray:
    a = np.eye(n)
    a[tuple(ring(n).numpy())] = 1
    return a / a.sum(1, keepdims=True)


@pytest.mark.parametrize(("power", "cumulative"), [(1, True), (2, True), (3, False)])
def test_walks_are_powers_of_the_normalised_adjacency_without_the_way_home(power: int, cumulative: bool) -> None:
    p = steps()
    each = [np.linalg.matrix_power(p, k) for k in range(1, power + 1)]
    wanted = sum(each) if cumulative else each[-1]
    np.fill_diagonal(wanted, 0)
    made = pairs.walks(rows(), rows(), {"edges": ring()}, power=power, cumulative=cumulative, own=False)
    found = pairs.walks(r := rows(), r, {"edges": ring()}, power=power, cumulative=cumulative, own=False)
    assert np.allclose(found.positive.dense(found.shape).numpy(), wanted, atol=1e-6)
    assert np.allclose(made.positive.dense(made.shape).numpy(), wanted, atol=1e-6), "told apart by keys, not by being the same tensor"
    assert torch.equal(found.candidate.dense(found.shape) > 0, ~torch.eye(9, dtype=torch.bool))


def test_the_contrast_is_the_weighted_share_of_the_walks() -> None:
    """L_i = −log Σ_{j≠i} G_ij e^{s_ij / t} / Σ_{j≠i} e^{s_ij / t}, by a loop."""
    r, t = rows(), 1.7
    found = losses.neighbouring(similarity.cosine(r.z, r.z), pairs.walks(r, r, {"edges": ring()}, power=2, own=False), temperature=t)
    g = steps() + steps() @ steps()
    s = torch.nn.functional.cosine_similarity(r.z[:, None], r.z[None], dim=2).detach().numpy() / t
    for i in range(9):
        others = [j for j in range(9) if j != i]
        near, all_ = sum(g[i, j] * np.exp(s[i, j]) for j in others), sum(np.exp(s[i, j]) for j in others)
        assert found.values[i].item() == pytest.approx(-np.log(near / all_), rel=1e-6)
    assert found.chance == pytest.approx(np.log(8 / (2 - (g[0, 0]))), rel=1e-5)


def test_a_node_without_links_is_not_counted() -> None:
    r = rows(5)
    edges = torch.tensor([[0, 1], [1, 0]])
    found = losses.neighbouring(similarity.cosine(r.z, r.z), pairs.walks(r, r, {"edges": edges}, own=False))
    assert found.counted.tolist() == [True, True, False, False, False] and bool(torch.isfinite(found.values).all())


def test_self_training_is_the_divergence_to_a_constant_sharper_target() -> None:
    r = rows()
    centres = Rows(torch.randn(3, 4, dtype=torch.float64, requires_grad=True), {}, True)
    found = terms.self_training({"h": r, "prototypes": centres}, {}, NOW)
    far = torch.cdist(r.z, centres.z).square()
    q = 1 / (1 + far)
    q = q / q.sum(1, keepdim=True)
    p = (q.square() / q.sum(0)).detach()
    p = p / p.sum(1, keepdim=True)
    torch.testing.assert_close(found.values, (p * (p / q).log()).sum(1))
    wanted = torch.autograd.grad((p * (p / q).log()).sum(), [r.z, centres.z])
    torch.testing.assert_close(torch.autograd.grad(found.values.sum(), [r.z, centres.z]), wanted)


def test_the_first_stage_trains_the_auto_encoder_alone_and_its_codes_give_the_centres() -> None:
    from counterpoint.clustering import kmeans, start_centres

    with checks.training(registry.get("scgc"), "graph", epochs=4) as run:
        run._enter_stage()
        weights = {name: term.weight for name, term in run.recipe.objective.items()}
        assert weights["neighbours"] == weights["clusters"] == 0 and weights["reconstruction"] > 0
        start_centres(run)
        z = run.embed_all().z
        found = kmeans(z, k=4, centres=run.model.prototypes.weight.detach().clone(), rounds=1).centres
        torch.testing.assert_close(found, run.model.prototypes.weight.detach(), rtol=1e-3, atol=1e-4)
        run.fit()
        assert run.now.stage == "clusters" and run.finished


def test_without_decoding_the_reconstruction_ends_with_the_first_stage() -> None:
    recipe = registry.get("scgc")(checks.example("graph").spec, decode=False)
    assert dict(recipe.stages[1].changes) == {"objective.reconstruction.weight": 0.0}


def test_an_embedding_needs_no_graph() -> None:
    given = checks.example("graph")
    model = registry.get("scgc")(given.spec).encoder(given.spec)
    batch = given.batch(given.ids)
    alone = type(batch)(
        {"x": type(batch.fields["x"])({**batch.fields["x"].parts, "edge_index": ring()}, batch.fields["x"].rows)}, batch.keys
    )
    assert torch.equal(model.embed(batch)["embedding"].z, model.embed(alone)["embedding"].z)
