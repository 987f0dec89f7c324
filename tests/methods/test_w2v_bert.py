"""w2v-BERT: the quantiser, the spans, distractors inside the utterance, and who learns from what."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from counterpoint import checks, encoders, terms, views
from counterpoint.core import registry
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Batch, Modality, Progress, Rows, Spec, View
from counterpoint.encoders.quantiser import gumbel
from counterpoint.training.step import gradients, parameters
from counterpoint.views import masking

NOW = Progress()
SPEC = Spec(16, {"x": Modality("audio", (1, 3200), {"rate": 8000})})


def sounds(n: int = 4) -> torch.Tensor:
    time = torch.arange(3200) / 8000
    return (torch.sin(2 * math.pi * (200 + 150 * torch.arange(n)[:, None]) * time * (1 + time)) * 0.3)[:, None]


def built(**options: object) -> tuple[torch.nn.Module, View]:
    torch.manual_seed(0)
    recipe = registry.get("w2v_bert")(SPEC, start=0.15, length=3, codes=16, **options).at("encoder.width", 16).at("encoder.heads", 2)
    model = recipe.at("encoder.lower", 1).at("encoder.upper", 1).encoder(SPEC)
    (view,) = recipe.views(Batch({"x": sounds()}, {"item": torch.arange(4)}), torch.Generator().manual_seed(1), NOW)
    return model, view


def test_a_quantised_vector_is_the_entry_of_its_code_and_the_gradient_reaches_every_code() -> None:
    quantiser = gumbel(6, groups=2, codes=5, width=8, temperature=0.7)
    x = torch.randn(3, 4, 6)
    for mode in (True, False):
        vectors, codes, choices = quantiser.train(mode)(x, NOW)
        entries = torch.cat([quantiser.entries[g][codes[..., g]] for g in range(2)], -1)
        torch.testing.assert_close(vectors, entries)
        torch.testing.assert_close(choices.sum(-1), torch.ones(3, 4, 2))
    assert torch.equal(codes, choices.argmax(-1))
    vectors.square().sum().backward()
    assert bool((quantiser.choose.weight.grad.abs().sum(1) > 0).all())
    one, two = (quantiser.train()(x, NOW)[1] for _ in range(2))
    assert not torch.equal(one, two)


def test_spans_have_their_length_and_no_item_is_without() -> None:
    there = torch.ones(2000, 40, dtype=torch.bool)
    there[:, 30:] = False
    hidden = masking.spans(there, torch.Generator().manual_seed(0), start=0.05, length=6)
    assert not bool((hidden & ~there).any()) and int(hidden.sum(1).min()) >= 2
    assert abs(float(hidden[:, 10:30].double().mean()) - (1 - 0.95**6)) < 0.03
    none = masking.spans(there, torch.Generator().manual_seed(0), start=0.0, length=6, least=3)
    assert none.sum(1).tolist() == [3] * 2000


def test_nothing_is_hidden_in_the_silence_behind_a_sound() -> None:
    x = sounds()
    x[:, :, 1600:] = 0
    _, keys = views.audio.spans(x, torch.Generator().manual_seed(0), frames=21, start=0.5, length=5)
    assert not bool(keys["hidden"][:, 11:].any()) and bool(keys["hidden"][:, :10].any(1).all())
    model, _ = built()
    frames, there = model.frames(x)
    assert frames.shape[1] == 21 == encoders.speech.frames_of(SPEC.only) and there.sum(1).tolist() == [11] * 4
    louder = x.clone()
    louder[0] *= 3
    assert torch.equal(model.frames(louder)[1], there)


def test_distractors_are_the_hidden_frames_of_the_utterance_with_another_unit() -> None:
    recipe = registry.get("w2v_bert")(SPEC)
    item, position, code = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([2, 3, 5, 8, 2, 3]), torch.tensor([7, 7, 1, 4, 7, 2])
    keys = {"item": item, "position": position, "code": code, "view": torch.zeros(6, dtype=torch.int64)}
    z = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    out = {"context": Rows(z[0], keys, False, ("global",)), "quantised": Rows(z[1], keys, False, ("clean",))}
    found = recipe.objective["contrast"](out, {}, NOW)
    u = torch.nn.functional.normalize(z, dim=2)
    scores = u[0] @ u[1].T / 0.1
    expected = []
    for i in range(6):
        others = [j for j in range(6) if item[j] == item[i] and code[j] != code[i]]
        expected.append(torch.logsumexp(scores[i, [i, *others]], 0) - scores[i, i])
    torch.testing.assert_close(found.values, torch.stack(expected))
    assert bool(found.counted.all())


def test_diversity_is_one_less_than_the_share_of_codes_in_use() -> None:
    def of(p: torch.Tensor, groups: int) -> float:
        return float(terms.diversity({"choices": Rows(p, {})}, {}, NOW, groups=groups).mean())

    assert of(torch.full((6, 8), 0.25), 2) == pytest.approx(0.0, abs=1e-6)
    one = torch.zeros(6, 8)
    one[:, [0, 5]] = 1.0
    assert of(one, 2) == pytest.approx(1 - 2 / 8, abs=1e-6)
    mean = torch.randn(5, 4).softmax(1)
    entropy = -(mean.mean(0) * mean.mean(0).log()).sum()
    assert of(mean, 1) == pytest.approx(float((4 - entropy.exp()) / 4), rel=1e-5)
    with pytest.raises(OptionError, match="does not divide"):
        of(mean, 3)


def test_units_come_from_the_frames_without_gaps_and_contexts_from_those_with() -> None:
    model, view = built()
    model.eval()
    clean = View("global", view.fields, {**view.keys, "hidden": torch.zeros_like(view.keys["hidden"])})
    with torch.no_grad():
        gaps, whole = model([view], NOW), model([clean], NOW)
        hidden = view.keys["hidden"]
        assert len(gaps["context"]) == int(hidden.sum()) == len(gaps["quantised"]) and len(whole["context"]) == 0
        torch.testing.assert_close(gaps["choices"].z, whole["choices"].z)
        units = model.quantiser(model.frames(view.fields["x"])[0], NOW)[1][..., 0]
        assert torch.equal(gaps["context"].keys["code"], units[hidden])
        assert not torch.allclose(gaps["z"].z, whole["z"].z)
        torch.testing.assert_close(model.embed(Batch(view.fields, view.keys))["embedding"].z, whole["z"].z)
    with pytest.raises(RequirementError, match="is for 5 frames and a wave has 21"):
        model([View("global", view.fields, {**view.keys, "hidden": torch.ones(4, 5)})], NOW)


def test_the_prediction_trains_no_codebook_and_the_contrast_no_upper_block() -> None:
    with checks.training(registry.get("w2v_bert"), "audio") as run:
        batch = run.data.batch(run.data.ids[:12])
        made = run.recipe.views(batch, run.generator("views"), run.now)
        reached = {}
        for name, term in run.recipe.objective.items():
            run.model.zero_grad()
            learning = parameters(run.model, run.recipe.updates[0], run.now)
            gradients(run, made, {name: term}, {}, 1, learning, {"loss": 0.0, "terms": {}}, "check")
            reached[name] = {
                n.split(".")[0] for n, p in run.model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)
            }
        front = {"first", "second", "norm"}
        assert reached["predict"] == front | {"lower", "upper", "classify"}
        assert reached["contrast"] == front | {"lower", "project", "quantiser"}
        assert reached["diversity"] == front | {"quantiser"}


def test_an_item_is_the_same_alone_and_in_a_batch_and_odd_sizes_are_refused() -> None:
    model, view = built()
    whole = model.embed(Batch(view.fields, view.keys))["embedding"].z
    alone = model.embed(Batch({"x": view.fields["x"][:1]}, {"item": torch.arange(1)}))["embedding"].z
    torch.testing.assert_close(whole[:1], alone, rtol=1e-4, atol=1e-5)
    assert np.isfinite(model.embed(Batch({"x": torch.zeros(2, 1, 3200)}, {"item": torch.arange(2)}))["embedding"].z.numpy()).all()
    with pytest.raises(OptionError, match="multiple of heads"):
        encoders.speech.speech(SPEC, width=10, heads=4)
    assert not registry.get("w2v_bert")(SPEC).requires()["column"]  # the model brings its own codes
    assert registry.get("w2v_bert")(SPEC, predict=0.0).objective.keys() == {"contrast", "diversity"}
    assert registry.get("w2v_bert")(SPEC, contrast=0.0).objective.keys() == {"predict"}
    assert use(encoders.speech.speech).effective()["mask"] == "hidden"
