"""Graded rules: soft, product, overlap, weighted, proxies, hierarchy; each against its definition written out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from counterpoint import losses, pairs
from counterpoint.core import similarity
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Rows
from counterpoint.core.similarity import Pairs
from tests.pairs.rows import matrices, rows, views_of


def test_soft_targets_are_a_softmax_of_the_labels_likeness():
    """losses.supervised under pairs.soft = cross-entropy with softmax targets (paper 005)."""
    g = torch.Generator().manual_seed(0)
    vectors = torch.randn(4, 6, generator=g)
    labels = torch.tensor([0, 3, 1, 3, -1])
    a = Rows(torch.randn(5, 3, generator=g), {"item": torch.arange(5), "label": labels})
    b = Rows(torch.randn(4, 3, generator=g), {"item": torch.arange(10, 14), "label": torch.tensor([3, 0, 2, 2])})
    found = pairs.soft(a, b, {"label_vectors": vectors}, temperature=0.35)
    loss = losses.supervised(similarity.cosine(a.z, b.z), found, temperature=0.05)
    alike = functional.cosine_similarity(vectors[labels[:4]][:, None], vectors[b.keys["label"]][None], dim=2)
    target = torch.softmax(alike / 0.35, 1)
    logits = functional.normalize(a.z[:4]) @ functional.normalize(b.z).T / 0.05
    assert loss.counted.tolist() == [True] * 4 + [False]
    assert torch.allclose(loss.values[:4], -(target * logits.log_softmax(1)).sum(1), rtol=1e-4)
    hard = matrices(pairs.soft(a, b, {"label_vectors": vectors}, top=1))[0]
    assert torch.equal(hard > 0, (labels[:, None] == b.keys["label"]) & (labels >= 0)[:, None])


def test_soft_refuses_labels_without_a_vector():
    z = rows(item=[1, 2], label=[0, 4])
    with pytest.raises(RequirementError, match="4 label vectors"):
        pairs.soft(z, z, {"label_vectors": torch.randn(4, 2)})
    with pytest.raises(RequirementError, match="no table 'label_vectors'"):
        pairs.soft(z, z, {})


def test_product_of_soft_labels():
    q = torch.tensor([[1.0, 0.0], [0.5, 0.5], [float("nan"), float("nan")]])
    z = rows(item=[1, 2, 3, 1, 2, 3], view=[0, 0, 0, 1, 1, 1], q=torch.cat([q, q]))
    positive, _ = matrices(pairs.product(z, z, {}))
    assert positive[0].tolist() == [0, 0.5, 0, 1, 0.5, 0]
    assert positive[1].tolist() == [0.5, 0, 0, 0.5, 1, 0]
    assert positive[2].tolist() == [0, 0, 0, 0, 0, 1]
    assert matrices(pairs.product(z, z, {}, own=0.0))[0][1].tolist() == [0.5, 0, 0, 0.5, 0.5, 0]
    with pytest.raises(RequirementError, match="below 0"):
        pairs.product(rows(q=[[-1.0]]), rows(q=[[1.0]]), {})


def test_overlap_is_the_jaccard_index():
    tags = [{1, 2, 3}, {3}, {2, 3, 5}, set(), {7}]
    padded = [sorted(t) + [-1] * (3 - len(t)) for t in tags]
    z = rows(item=range(5), view=[0] * 5, tags=padded)
    positive, negative = matrices(pairs.overlap(z, z, {}, key="tags"))
    counts = matrices(pairs.overlap(z, z, {}, key="tags", weight="count"))[0]
    for i, one in enumerate(tags):
        for j, two in enumerate(tags):
            share = len(one & two) / len(one | two) if i != j and one & two else 0.0
            assert positive[i, j].item() == pytest.approx(share)
            assert counts[i, j] == (len(one & two) if i != j else 0)
            assert negative[i, j] == (i != j and not one & two)


def test_weights_of_rows():
    z = views_of([1, 2], good=[1.0, 0.25], common=[float("nan"), 3.0])
    found = pairs.weighted(z, z, {}, rule=use(pairs.same), positive="good", candidate="common")
    assert found.positive.dense(found.shape)[1].tolist() == [0, 0, 0, 0.25]
    assert found.candidate.dense(found.shape)[0].tolist() == [0, 3, 1, 3]


def test_proxies_compete_as_often_as_their_class_is_in_the_batch():
    """L_i = −log exp(s_iy) / Σ over the anchors j of exp(s_i,y_j) (paper 103, item 1)."""
    labels = torch.tensor([2, 0, 2, 2, 0])
    g = torch.Generator().manual_seed(0)
    anchors = Rows(torch.randn(5, 4, generator=g), {"item": torch.arange(5), "label": labels})
    centres = Rows(torch.randn(6, 4, generator=g), {"label": torch.arange(6)}, True)
    found = pairs.proxies(anchors, centres, {})
    assert found.candidate.dense(found.shape)[0].tolist() == [2, 0, 3, 0, 0, 0]
    loss = losses.supervised(similarity.cosine(anchors.z, centres.z), found, temperature=0.09)
    s = functional.normalize(anchors.z) @ functional.normalize(centres.z).T / 0.09
    loop = [-torch.log(s[i, labels[i]].exp() / sum(s[i, labels[j]].exp() for j in range(5))) for i in range(5)]
    assert torch.allclose(loss.values, torch.stack(loop), rtol=1e-5)
    once = pairs.proxies(anchors, centres, {}, counted=False)
    assert once.candidate.dense(once.shape)[0].tolist() == [1, 0, 1, 0, 0, 0]


def test_hierarchy_takes_the_finest_common_level():
    z = views_of([1, 2, 3, 4], family=[0, 0, 0, 1], species=[5, 5, 6, 6])
    positive, negative = matrices(pairs.hierarchy(z, z, {}, levels=("family", "species"), weights=(0.2, 0.7)))
    assert positive[0].tolist() == pytest.approx([0, 0.7, 0.2, 0, 1, 0.7, 0.2, 0])
    assert positive[2].tolist() == pytest.approx([0.2, 0.2, 0, 0, 0.2, 0.2, 1, 0])  # species 6 of another family does not count
    loose = matrices(pairs.hierarchy(z, z, {}, levels=("family", "species"), weights=(0.2, 0.7), nested=False))[0]
    assert loose[2].tolist() == pytest.approx([0.2, 0.2, 0, 0.7, 0.2, 0.2, 1, 0.7])
    assert torch.equal(negative > 0, (positive == 0) & ~torch.eye(8, dtype=torch.bool))
    plain = matrices(pairs.hierarchy(z, z, {}, levels=("family", "species")))[0]
    assert plain[0].tolist() == pytest.approx([0, 2 / 3, 1 / 3, 0, 1, 2 / 3, 1 / 3, 0])


def test_hierarchies_that_make_no_sense_are_refused():
    z = views_of([1, 2], family=[0, 0])
    for options, words in (({"levels": ()}, "name the keys"), ({"levels": ("family",), "weights": (0.1, 0.2)}, "2 weights for 1 levels")):
        with pytest.raises(OptionError, match=words):
            pairs.hierarchy(z, z, {}, **options)
    with pytest.raises(OptionError, match="do not rise"):
        pairs.hierarchy(z, z, {}, levels=("family", "item"), weights=(0.7, 0.2))


def test_weights_of_anchors_multiply_their_positives():
    """Seen by losses that sum positives, not by those that average them; 0 takes the anchor out, NaN counts 1."""
    z = rows(item=[1, 2, 3, 1, 2, 3], view=[0, 0, 0, 1, 1, 1], sure=[2.0, 0.0, float("nan"), 1.0, 1.0, 0.5])
    plain, found = pairs.same(z, z, {}), pairs.weighted(z, z, {}, rule=use(pairs.same), anchor="sure")
    weight = torch.tensor([2.0, 0, 1, 1, 1, 0.5])
    assert torch.equal(matrices(found)[0], matrices(plain)[0] * weight[:, None])
    assert torch.equal(found.candidates.dense((6, 6)), plain.candidates.dense((6, 6)))
    scores = similarity.cosine(z.z, z.z)
    one, two = (losses.supervised(scores, p) for p in (plain, found))
    assert two.counted.tolist() == [True, False, True, True, True, True]
    assert torch.allclose(one.values[two.counted], two.values[two.counted])
    pull, weighted = (losses.sigmoid(scores, Pairs(p.positive, p.positive, p.shape)).values for p in (plain, found))
    assert torch.allclose(weighted, pull * weight)
