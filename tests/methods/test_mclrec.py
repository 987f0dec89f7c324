"""SASRec and MCLRec: causality, the next choice, views of sequences, whom each update moves, the gap; and full ranking."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import checks, data, encoders, losses, pairs
from counterpoint.core import registry, similarity
from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import Modality, Progress, Rows
from counterpoint.evaluation import protocols
from counterpoint.evaluation.subject import Subject
from counterpoint.training.step import train_step
from counterpoint.views.sequences import changed, next_and_two

NOW = Progress()


def sequences(users=40, products=12, seed=0):
    """Each product is followed by the next one, in a circle."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(f"p{(start + i) % products}" for i in range(rng.integers(4, 9))) for start in rng.integers(0, products, users)]
    found = data.read(texts, kind="text")
    place = {word: 257 + i for i, word in enumerate(found.fields["x"].found["words"])}
    after = [place[f"p{(int(t.split()[-1][1:]) + 1) % products}"] for t in texts]
    return found.with_columns({"answer": np.array(after)})


def test_the_state_sees_nothing_after_it_and_no_padding():
    modality = Modality("text", (6,), {"vocabulary": 20})
    torch.manual_seed(0)
    model = encoders.sequences.sasrec(modality, width=8).eval()
    short, padded = torch.tensor([[3, 4, 5]]), torch.tensor([[3, 4, 5, 0, 0, 0]])
    assert torch.allclose(model(short), model(padded), atol=1e-6)
    assert not torch.allclose(model(short), model(torch.tensor([[4, 3, 5]])), atol=1e-3)
    assert torch.isfinite(model(torch.zeros(1, 6, dtype=torch.int64))).all()


def test_next_is_what_follows_the_beginning():
    x = torch.tensor([[5, 6, 7, 8, 0], [9, 0, 0, 0, 0], [3, 4, 0, 0, 0]])
    batch = type("B", (), {"fields": {"x": x}, "keys": {"item": torch.arange(3)}, "__len__": lambda s: 3})()
    seen = set()
    for seed in range(20):
        plain, one, two = next_and_two(batch, torch.Generator().manual_seed(seed), NOW)
        assert (plain.name, one.name, two.name) == ("plain", "global", "global")
        for row in range(3):
            n = int((plain.fields["x"][row] != 0).sum())
            following = int(plain.keys["next"][row])
            assert torch.equal(plain.fields["x"][row][:n], x[row][:n])
            assert following == (int(x[row, n]) if row != 1 else -1)
        seen.add(int((plain.fields["x"][0] != 0).sum()))
        assert int((plain.fields["x"][1] != 0).sum()) == 1 and torch.equal(one.fields["x"][1], x[1])
    assert seen == {1, 2, 3}


def test_each_change_is_what_it_says():
    x = torch.arange(2, 12)[None].repeat(300, 1)
    found, keys = changed(x, torch.Generator().manual_seed(0))
    for row, which in zip(found, keys["change"]):
        there = row[row != 0]
        if which == 0:
            assert len(there) == 5 and torch.equal(there, torch.arange(int(there[0]), int(there[0]) + 5))
        elif which == 1:
            assert int((row == 1).sum()) == 5 and bool((row[row != 1] == x[0][row != 1]).all())
        else:
            assert torch.equal(row.sort().values, x[0])
            moved = torch.nonzero(row != x[0]).flatten()
            assert not len(moved) or int(moved.max() - moved.min()) < 8
    assert torch.bincount(keys["change"]).min() > 60


def test_a_padded_sequence_stays_padded():
    x = torch.tensor([[4, 5, 6, 0, 0, 0]]).repeat(50, 1)
    found, _ = changed(x, torch.Generator().manual_seed(1))
    assert bool((found[:, 3:] == 0).all()) and bool((found[:, 0] != 0).all())


def moves(slug, number, **options):
    """The children of the model that one update of a step changes."""
    with checks.training(registry.get(slug), "text", weight_decay=0.0) as run:
        given = run.data
        recipe = registry.get(slug)(given.spec, **options)
        run.recipe = run.whole = recipe.at("updates", (recipe.updates[number],)) if number is not None else recipe
        before = {n: p.detach().clone() for n, p in run.model.named_parameters()}
        train_step(run, given.batch(given.ids[:16]))
        return {n.split(".")[0] for n, p in run.model.named_parameters() if not torch.equal(p, before[n])}


def test_each_update_moves_its_own_part():
    assert moves("mclrec", 0) == moves("mclrec", 2) == {"backbone"}
    assert moves("mclrec", 1) == {"first", "second"}
    assert moves("mclrec", None) == {"backbone", "first", "second"}


def test_gradient_passes_through_the_augmenters_to_the_encoder():
    """They are frozen in the encoder's update, not cut off."""
    with checks.training(registry.get("mclrec"), "text") as run:
        out = run.model(run.recipe.views(run.data.batch(run.data.ids[:8]), run.generator("views"), NOW), NOW)
        run.recipe.objective["latent"](out, {}, NOW).mean().backward()
        reached = {n.split(".")[0] for n, p in run.model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}
    assert reached == {"backbone", "first", "second"}


def test_a_crossed_contrast_is_nt_xent_of_dot_products():
    with checks.training(registry.get("mclrec"), "text") as run:
        run.model.eval()
        out = run.model(run.recipe.views(run.data.batch(run.data.ids[:6]), run.generator("views"), NOW), NOW)
        found = run.recipe.objective["latent_first"](out, {}, NOW).mean()
    h, z = out["h"], out["z"]
    rows = torch.cat([h.z[h.keys["view"] == 1], z.z[z.keys["view"] == 2]]).double()
    s = rows @ rows.T
    s.fill_diagonal_(-torch.inf)
    expected = -(s.log_softmax(1)[torch.arange(12), torch.arange(12).roll(6)]).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_next_choice_is_a_softmax_over_all_but_the_padding():
    with checks.training(registry.get("sasrec"), "text") as run:
        run.model.eval()
        out = run.model(run.recipe.views(run.data.batch(run.data.ids[:6]), run.generator("views"), NOW), NOW)
        found = run.recipe.objective["next"](out, {}, NOW)
    scores = (out["h"].z @ out["products"].z[1:].T).double()
    expected = -scores.log_softmax(1)[torch.arange(6), out["h"].keys["next"] - 1]
    assert torch.allclose(found.values.double(), expected, rtol=1e-4)


@pytest.mark.parametrize("whole", [False, True])
def test_the_gap_is_the_published_one(whole):
    g = torch.Generator().manual_seed(0)
    z = torch.randn(8, 3, generator=g, dtype=torch.float64, requires_grad=True)
    rows = Rows(z, {"item": torch.arange(4).repeat(2), "view": torch.arange(2).repeat_interleave(4)}, False, ("a", "b"))
    got = losses.score_gap(similarity.dot(z, z), pairs.same(rows, rows, {}), whole=whole)
    s = z.detach() @ z.detach().T
    own = s[torch.arange(8), torch.arange(8).roll(4)]
    far = [torch.stack([s[i, k] for k in range(8) if k not in (i, (i + 4) % 8)]) for i in range(8)]
    low = [min(own) if whole else own[i] for i in range(8)]
    high = [max(f.max() for f in far) if whole else far[i].max() for i in range(8)]
    for i in range(8):
        least, most = min(low[i], high[i]), max(low[i], high[i])
        expected = max(own[i] - least, 0) + (most - far[i]).clamp(min=0).mean()
        assert got.values[i].item() == pytest.approx(float(expected), rel=1e-5, abs=1e-6)
    got.values.sum().backward()
    assert bool(torch.isfinite(z.grad).all()) and bool((z.grad != 0).any())


def test_next_item_finds_what_always_follows():
    given = sequences()
    with checks.training(registry.get("sasrec"), "text", given, epochs=60, batch=20, lr=1e-2) as run:
        run.fit()
        embed = lambda d: run.model.embed(d.batch(d.ids))["embedding"].z.numpy()  # noqa: E731
        subject = Subject(embed, given, given, given, 0, run.model)
        figures = protocols.measure("next_item", subject, {"k": 1})
    assert figures["hits"] > 0.8 > figures["popular_hits"]
    with pytest.raises(RequirementError, match="needs a model"):
        protocols.measure("next_item", Subject(embed, given, given, given, 0, None, "raw"), {})
    with pytest.raises(RequirementError, match="scores choices"):
        protocols.measure("next_item", Subject(embed, given, given, given, 0, torch.nn.Identity()), {})


def test_heads_must_divide_the_width():
    with pytest.raises(RequirementError, match="3 heads"):
        encoders.sequences.sasrec(Modality("text", (6,), {"vocabulary": 20}), width=8, heads=3)
