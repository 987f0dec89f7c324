"""The same figures from tensors on a GPU as from the CPU."""

import pytest
import torch

from counterpoint import clustering, evaluation
from counterpoint.index import Index

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_figures_on_a_gpu() -> None:
    g = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 4
    z = torch.randn(4, 16, generator=g)[y] + 0.5 * torch.randn(400, 16, generator=g)
    w = z + 0.1 * torch.randn(400, 16, generator=g)
    far, near = (z.cuda(), w.cuda()), (z, w)
    for one, two in (
        (evaluation.knn(far[0][:300], y[:300], far[0][300:], y[300:]), evaluation.knn(z[:300], y[:300], z[300:], y[300:])),
        (
            evaluation.linear_probe(far[0][:300], y[:300], far[0][300:], y[300:]),
            evaluation.linear_probe(z[:300], y[:300], z[300:], y[300:]),
        ),
        (evaluation.clusters(far[0], y)["nmi"], evaluation.clusters(z, y)["nmi"]),
        (evaluation.retrieval(far[0], y)["map"], evaluation.retrieval(z, y)["map"]),
        (evaluation.alignment(*far), evaluation.alignment(*near)),
        (evaluation.uniformity(far[0]), evaluation.uniformity(z)),
        (evaluation.effective_rank(far[0]), evaluation.effective_rank(z)),
        (evaluation.neighbour_agreement(*far), evaluation.neighbour_agreement(*near)),
    ):
        assert one == pytest.approx(two, rel=1e-2)
    assert evaluation.table({"trained": far[0]}, y.cuda())["scores"]["trained"]["knn"] > 0.9


def test_clustering_and_index_on_a_gpu() -> None:
    x = torch.randn(300, 8, generator=torch.Generator().manual_seed(0))
    for kind in ("plain", "spherical", "balanced"):
        found = clustering.kmeans(x.cuda(), k=5, kind=kind, starts=2)
        assert found.assignment.device.type == "cuda"
        assert found.inertia == pytest.approx(clustering.kmeans(x, k=5, kind=kind, starts=2).inertia, rel=0.05)
    torch.testing.assert_close(clustering.sinkhorn(x.cuda()).cpu(), clustering.sinkhorn(x), rtol=1e-3, atol=1e-4)
    assert (Index(x.cuda()).search(x[:20], 1)[1] == Index(x).search(x[:20], 1)[1]).all()
    clustering.number_of_clusters(x.cuda(), most=3)
