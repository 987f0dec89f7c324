"""Text: padding stays at the end, order is kept where it should be, edits are what they say."""

import pytest
import torch

from counterpoint import data, views
from counterpoint.core.errors import DataError, OptionError
from counterpoint.data.text import word_of
from counterpoint.views import text

G = torch.Generator


def texts(n=50, t=20, padding=0):
    lengths = torch.randint(1, t + 1, (n, 1), generator=G().manual_seed(0))
    ids = torch.arange(t) + 10  # increasing, so that order can be read
    return torch.where(torch.arange(t) < lengths, ids.expand(n, t), padding), lengths[:, 0]


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("make", [text.drop, text.crop, text.repeat, text.swap, text.varied])
def test_padding_stays_at_the_end_and_texts_are_never_empty(make, padding):
    x, _ = texts(padding=padding)
    view, _ = make(x, G().manual_seed(0), padding=padding)
    there = view != padding
    assert bool((there[:, 1:] <= there[:, :-1]).all()) and bool(there[:, 0].all())


def test_drop_keeps_order_and_the_head():
    x, lengths = texts()
    view, keys = text.drop(x, G().manual_seed(0), share=0.5, head=1)
    assert bool((view[:, 0] == 10).all())
    assert torch.equal((view != 0).sum(1), lengths - keys["dropped"].sum(1))
    step = view[:, 1:] - view[:, :-1]
    assert bool((step[view[:, 1:] != 0] > 0).all())


def test_crop_is_one_span():
    x, _ = texts()
    view, keys = text.crop(x, G().manual_seed(0), share=(0.3, 0.6))
    step = (view[:, 1:] - view[:, :-1])[view[:, 1:] != 0]
    assert bool((step == 1).all())
    assert torch.equal(view[:, 0].float() - 10, keys["span"][:, 0])


def test_repeat_only_doubles():
    x, _ = texts()
    view, keys = text.repeat(x, G().manual_seed(0), share=0.8)
    step = (view[:, 1:] - view[:, :-1])[view[:, 1:] != 0]
    assert bool(((step == 0) | (step == 1)).all()) and bool((step == 0).any())
    grown = (view != 0).sum(1)
    assert torch.equal(grown, ((x != 0).sum(1) + keys["repeated"].sum(1)).clamp(max=20))


def test_swap_moves_no_further_than_its_reach():
    x, lengths = texts()
    view, _ = text.swap(x, G().manual_seed(0), reach=3, head=2)
    assert torch.equal(view.sort(1).values, x.sort(1).values)
    moved = (view - 10 - torch.arange(20)).abs()[view != 0]
    assert 0 < moved.max() <= 3
    long = lengths >= 2
    assert torch.equal(view[long, :2], x[long, :2])


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_swap_moves_as_far_as_its_reach(reach):
    x = torch.arange(1, 41).expand(300, 40)
    moved = (text.swap(x, G().manual_seed(0), reach=reach)[0] - x).abs()
    assert moved.max() == reach and (moved > 0).float().mean() > 0.2
    share = (text.varied(x, G().manual_seed(0), span=(1.0, 1.0), dropped=0.0, reach=reach)[0] != x).float().mean()
    assert abs(share - (moved > 0).float().mean()) < 0.02


def test_mask_and_twin():
    x, _ = texts()
    view, keys = text.mask(x, G().manual_seed(0), token=7, share=0.4)
    assert torch.equal(view == 7, keys["mask"]) and torch.equal(view[~keys["mask"]], x[~keys["mask"]])
    assert text.twin(x, G())[0] is x


def test_kmers_number_words_and_mark_gaps():
    x = torch.tensor([[1, 2, 3, 4, 0, 0]])
    found = text.kmers(x, k=2)
    assert found.tolist() == [[1 * 1 + 1, 1 * 4 + 2 + 1, 2 * 4 + 3 + 1, 0, 0]]
    every = torch.cartesian_prod(*[torch.arange(1, 5)] * 3)
    ids = text.kmers(every, k=3)[:, 0]
    assert sorted(ids.tolist()) == list(range(1, 65))


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_kmers_have_room_for_their_numbers(kind):
    last = text.kmers(torch.full((1, 9), 4, dtype=kind), k=9)
    assert last.tolist() == [[4**9]]
    with pytest.raises(OptionError, match="too long"):
        text.kmers(torch.full((1, 40), 4, dtype=kind), k=32)


def test_a_mask_token_that_is_no_id_is_refused():
    for kind, token in ((torch.uint8, 300), (torch.int32, 2**40)):
        with pytest.raises(OptionError, match="token"):
            text.mask(torch.ones(2, 5, dtype=kind), G(), token=token)


def test_strand_is_the_reverse_complement_and_its_own_inverse():
    x = torch.tensor([[1, 1, 2, 3, 0]])  # AACG → CGTT
    back, _ = text.strand(x, G(), share=1.0)
    assert back.tolist() == [[2, 3, 4, 4, 0]]
    assert torch.equal(text.strand(back, G(), share=1.0)[0], x)


def test_mutate_changes_letters_only():
    x = torch.tensor([[1, 2, 3, 4, 1, 2, 0, 0]]).expand(200, 8)
    view, _ = text.mutate(x, G().manual_seed(0), share=0.5)
    assert bool((view[:, 6:] == 0).all()) and view[:, :6].min() >= 1 and view.max() <= 4
    assert abs((view[:, :6] != x[:, :6]).float().mean() - 0.5 * 0.75) < 0.05
    drawn = text.mutate(torch.full((4000, 5), 9), G().manual_seed(1), share=0.8)[0].flatten().bincount()[1:5]
    assert ((drawn / 16000 - 0.25).abs() < 0.02).all(), "each of the four letters is as likely"


def test_numbers_that_are_no_ids_are_refused():
    with pytest.raises(DataError, match="whole numbers"):
        text.drop(torch.randn(2, 3), G())


LETTERS = "-acgtn"  # ids 0 … 5: padding, the four letters, any other sign


def spelled(ids):
    return ["".join(LETTERS[i] for i in row if i) for row in ids.tolist()]


def complement(sequence):
    return sequence[::-1].translate(str.maketrans("acgt", "tgca"))


def sequences(n=40):
    g = G().manual_seed(0)
    return ["".join("ACGT"[i] for i in torch.randint(0, 4, (int(torch.randint(20, 30, (), generator=g)),), generator=g)) for _ in range(n)]


def test_the_reader_and_the_views_agree_on_the_letters():
    """Sequences are read with A C G T = 1 2 3 4, U as T, every other code as 5; their views are those of the molecule."""
    given = [*sequences(), "ACGTUNNRYACGTUNNRYACGT", "acgtacgtacgtacgtacgtacgt"]
    found = data.read(given)
    assert found.spec.only.info["alphabet"] == "acgt" and found.spec.only.info["vocabulary"] == 6
    ids = found.batch(found.ids).fields["x"]
    assert spelled(ids)[:-2] == [s.lower() for s in given[:-2]] and spelled(ids)[-2] == "acgttnnnnacgttnnnnacgt"
    back, _ = text.strand(ids, G(), share=1.0)
    assert spelled(back) == [complement(s) for s in spelled(ids)]
    assert torch.equal(text.strand(back, G(), share=1.0)[0], ids)
    changed, keys = text.mutate(ids, G().manual_seed(0), share=0.3)
    assert int(changed.max()) <= 5 and torch.equal(changed == 0, ids == 0) and bool((changed[keys["mutated"]] <= 4).all())
    words = text.kmers(ids, k=3)
    assert int(words.max()) <= 64 and words[0, 0] == text.kmers(torch.tensor([[LETTERS.index(c) for c in given[0][:3].lower()]]), k=3)
    named = word_of(found.fields["x"].found)
    assert [named(i) for i in range(6)] == ["", "a", "c", "g", "t", "…"]
    assert "of DNA" in found.summary() and "5 different tokens" in found.summary()


def test_sequences_read_by_an_older_version_are_read_as_they_were():
    """A preparation that has no alphabet numbers characters after the buckets, as it did."""
    old = {"kind": "text", "column": None, "tokenizer": "characters", "words": list("acgt"), "vocabulary": 261, "length": 30, "cut": 0.0}
    found = data.read(sequences(), preprocessing={"version": 1, "modalities": {"x": old}, "names": {}})
    assert set(found.batch(found.ids).fields["x"].unique().tolist()) <= {0, 257, 258, 259, 260}
    again = data.read(sequences(), preprocessing=data.read(sequences()).preprocessing)
    assert set(again.batch(again.ids).fields["x"].unique().tolist()) <= {0, 1, 2, 3, 4}
    other = {**old, "alphabet": "acdefghiklmnpqrstvwy"}
    with pytest.raises(DataError, match="alphabet 'acdefghiklmnpqrstvwy'"):
        data.read(sequences(), preprocessing={"version": 1, "modalities": {"x": other}, "names": {}})


@pytest.mark.parametrize(
    "given",
    [
        ["CCNCCCNCCCCNCCCCCNCCCC", "CCCCCCCCCNCCCCCCCCCCNCCC"],  # molecules
        ["MKVLAAGIVGLLLAQWERTYIPAS", "ACDEFGHIKLMNPQRSTVWYACDE"],  # proteins
        ["abababababababababababab", "bababababababababababbaa"],
    ],
)
def test_other_long_words_are_no_dna(given):
    found = data.read(given)
    assert "alphabet" not in found.spec.only.info and found.spec.only.info["tokenizer"] == "characters"
    assert int(found.batch(found.ids).fields["x"].max()) > 256


def test_dna_changes_letters_and_turns_the_strand():
    x = torch.tensor([[1, 2, 3, 4, 1, 2, 3, 4, 4, 4, 0, 0]]).expand(3000, 12)
    view, keys = text.dna(x, G().manual_seed(0), mutated=0.1, turned=0.5)
    assert abs(keys["strand"].float().mean() - 0.5) < 0.04 and torch.equal(view == 0, x == 0)
    straight = torch.where(keys["strand"][:, None], text.strand(view, G(), share=1.0)[0], view)
    assert torch.equal(straight != x, keys["mutated"] & (straight != x)) and bool((keys["mutated"].sum(1) == 1).all())
    assert torch.equal(text.dna(x, G(), mutated=0.0, turned=0.0)[0], x)
    words, _ = text.dna(x, G(), mutated=0.0, turned=0.0, k=3)
    assert torch.equal(words, text.kmers(x, k=3))
    padded, _ = text.dna(torch.where(x == 0, 9, x), G().manual_seed(0), mutated=0.1, padding=9)
    assert torch.equal(padded == 9, x == 0)


def test_kmers_of_other_signs_and_another_padding_are_gaps():
    x = torch.tensor([[1, 2, 5, 3, 4, 9, 9], [4, 4, 4, 4, 4, 4, 4]])
    assert text.kmers(x, k=2, padding=9).tolist() == [[2, 9, 9, 12, 9, 9], [16] * 6]
    with pytest.raises(DataError, match="3 tokens are too short for words of 5"):
        text.kmers(torch.ones(2, 3, dtype=torch.int64), k=5)


def test_presets_of_dna_work_on_what_is_read(shipped):
    """The set dna_splice: both views read as the molecule or its other strand, but for the letters that were changed."""
    shipped("dna_splice")
    found = data.load("dna_splice[500]")
    ids = found.batch(found.ids[:200]).fields["x"]
    assert spelled(ids[:1])[0].upper() in {
        s.replace("D", "N").replace("R", "N").replace("S", "N") for s in [found.preview(found.ids[:1])[0]]
    }
    assert ids.shape == (200, 60) and int(ids.min()) >= 1 and int(ids.max()) <= 5
    for view in views.preset("text", "dna")(ids, G().manual_seed(0)):
        same = (view == ids).float().mean(1)
        turned = (view == text.strand(ids, G(), share=1.0)[0]).float().mean(1)
        assert bool((torch.maximum(same, turned) >= 0.95).all()) and 70 < int((turned > same).sum()) < 130
    for view in views.preset("text", "dna_kmers")(ids, G().manual_seed(0)):
        assert view.shape == (200, 58) and int(view.max()) <= 64 and len(view.unique()) > 60
