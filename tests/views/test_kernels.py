"""The compiled road of pictures against the plain calls, and against float64 by hand."""

import math
import multiprocessing

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.views import colour, cutting, geometry, kernels
from counterpoint.views.cutting import Cut, cut_out

G = torch.Generator
THREADS = torch.get_num_threads()


@pytest.fixture(autouse=True)
def _installed():
    pytest.importorskip("numba")
    yield
    torch.set_num_threads(THREADS)


def drawn(shape, size, k=2, space="linear", coloured=True, seed=0):
    """Boxes, mirrors and colours of k views of pictures of `shape` (b, c, h, w)."""
    g, like = G().manual_seed(seed), torch.zeros(1).expand(k * shape[0], *shape[1:])
    boxes = geometry.crop_boxes(like, g, *shape[2:], (0.05, 1.0), (0.5, 2.0))
    brush = colour.jitter(like, g, (0.8, 0.8, 0.8, 0.2), 0.8, 0.2, space)[0] if coloured else None
    return Cut(boxes, torch.rand(len(like), generator=g) < 0.5, size, brush)


def pictures(shape, kind=torch.float32, seed=0):
    x = torch.rand(shape, generator=G().manual_seed(seed), dtype=torch.float64)
    return x.to(kind) if kind.is_floating_point else x.mul(colour.full(torch.empty(0, dtype=kind))).round().to(kind)


def plainly(monkeypatch, x, cuts):
    with monkeypatch.context() as changed:
        changed.setattr(kernels, "chosen", lambda device: False)
        changed.setattr(cutting, "LARGE", 1 << 40)  # torch's own resize of bytes rounds
        return cut_out(x, cuts)


def by_hand(x, cut):
    """(k·b, c, *size) in float64: the triangle filters as matrices, then the colours one after the other."""

    def matrix(start, length, pixels, count):
        rows, width = torch.zeros(count, pixels, dtype=torch.float64), max(length / count, 1.0)
        for i in range(count):
            for j in range(int(start), int(start + length)):
                rows[i, j] = max(1.0 - abs(start + (i + 0.5) * length / count - (j + 0.5)) / width, 0.0)
        return rows / rows.sum(1, keepdim=True)

    made = []
    for r, (top, left, height, width) in enumerate(cut.boxes.tolist()):
        picture = x[r % len(x)].double() / colour.full(x)
        down, along = matrix(top, height, x.shape[2], cut.size[0]), matrix(left, width, x.shape[3], cut.size[1])
        view = down @ picture @ along.T
        view = view.flip(-1) if cut.flip[r] else view
        if cut.brush is not None:
            mean = view.mean((1, 2))
            view = torch.einsum("km,mij->kij", cut.brush.matrix[r].double(), view) + (cut.brush.shade[r, 0].double() * mean).sum()
        made.append(view.clamp(0.0, 1.0))
    return torch.stack(made)


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.float32, torch.float64, torch.bool])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_kernels_give_what_the_plain_calls_give(monkeypatch, kind, channels):
    x = pictures((7, channels, 12, 15), kind)
    cuts = [drawn(x.shape, (12, 15)), drawn(x.shape, (20, 9), 1), drawn(x.shape, (4, 4), 3, coloured=False)]
    for ours, plain in zip(cut_out(x, cuts), plainly(monkeypatch, x, cuts), strict=True):
        assert len(ours) == len(plain)
        for one, two in zip(ours, plain, strict=True):
            assert one.dtype == torch.float32 and one.is_contiguous()
            assert torch.allclose(one, two, atol=5e-6)


@given(
    b=st.integers(1, 5), channels=st.integers(1, 4), height=st.integers(1, 40), width=st.integers(1, 40),
    size=st.tuples(st.integers(1, 24), st.integers(1, 24)), k=st.integers(1, 3), coloured=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_kernels_against_float64_by_hand(b, channels, height, width, size, k, coloured, seed):
    x = pictures((b, channels, height, width), torch.uint8, seed)
    cut = drawn(x.shape, size, k, coloured=coloured, seed=seed)
    made = torch.cat(cut_out(x, [cut])[0])
    assert torch.allclose(made.double(), by_hand(x, cut), atol=3e-6)


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_the_hue_in_hsv(monkeypatch, kind):
    """Near grey the hue jumps, so the bound is as wide as colour.turn_hue is exact."""
    x = pictures((40, 3, 16, 16), kind)
    cut = drawn(x.shape, (12, 18), space="hsv")
    assert cut.brush.turns is not None and cut.brush.turns.abs().max() > 0.1
    for one, two in zip(cut_out(x, [cut])[0], plainly(monkeypatch, x, [cut])[0], strict=True):
        assert torch.allclose(one, two, atol=2e-5)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_any_number_of_threads_makes_the_same_bits(threads):
    x = pictures((5, 3, 9, 9), torch.uint8)
    cut = drawn(x.shape, (11, 6), 3)
    torch.set_num_threads(1)
    one = torch.cat(cut_out(x, [cut])[0])
    torch.set_num_threads(threads)
    assert torch.equal(one, torch.cat(cut_out(x, [cut])[0]))


def _in_a_fork(x, cut, answer):
    answer.put(float(torch.cat(cut_out(x, [cut])[0]).sum()))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_has_threads_of_its_own():
    """All is drawn before: torch's own threads do not survive a fork."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    torch.set_num_threads(2)
    x, context = pictures((5, 3, 9, 9), torch.uint8), multiprocessing.get_context("fork")
    cut = drawn(x.shape, (11, 6), coloured=False)
    here, answer = float(torch.cat(cut_out(x, [cut])[0]).sum()), context.Queue()
    child = context.Process(target=_in_a_fork, args=(x, cut, answer))
    child.start()
    try:
        assert answer.get(timeout=60) == here
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("space", ["linear", "hsv"])
def test_the_mean_of_a_large_view_is_exact(monkeypatch, space):
    """Contrast turns about the mean: of a picture of one colour nothing but the light changes."""
    x = torch.tensor([0.1, 0.3, 0.7]).view(1, 3, 1, 1).expand(1, 3, 1024, 1024)
    brush = colour.jitter(x, G().manual_seed(1), (0.0, 0.9, 0.0, 0.0 if space == "linear" else 1e-6), 1.0, 0.0, space)[0]
    view = cut_out(x, [Cut(geometry.whole_boxes(x, 1024, 1024), torch.tensor([False]), (1024, 1024), brush)])[0][0]
    grey = x[0, :, 0, 0].double() @ torch.tensor(colour.RGB, dtype=torch.float64)
    matrix, shade = brush.matrix[0].double(), brush.shade[0, 0].double()
    share = float(shade.sum())
    wanted = (matrix + (0 if brush.own is None else brush.own[0].double())) @ x[0, :, 0, 0].double() + share * grey
    assert abs(share) > 0.05 and torch.allclose(view.amax((0, 2, 3)).double(), wanted, atol=3e-6)


def test_a_hole_in_the_data_is_not_hidden():
    x = pictures((2, 3, 8, 8))
    x[0, 1, 4, 4] = math.nan
    one = cut_out(x, [Cut(geometry.whole_boxes(x, 8, 8), torch.zeros(2, dtype=torch.bool), (8, 8))])[0][0]
    assert one[0, 1, 4, 4].isnan() and not one[0, ::2].isnan().any() and not one[1].isnan().any()


@pytest.mark.parametrize(
    "box", [(-5.0, 3.0, 4.0, 4.0), (6.0, 6.0, 50.0, 50.0), (90.0, 90.0, 4.0, 4.0), (math.nan,) * 4, (2.0, 2.0, 0.0, 0.0)]
)
@pytest.mark.parametrize("size", [4, 16])
def test_no_box_reads_beyond_the_picture(box, size):
    """Boxes are drawn inside; should one ever not be, other memory stays unread: values are those of the picture."""
    x = torch.full((1, 1, 8, 8), 0.25)
    view = cut_out(x, [Cut(torch.tensor([box]), torch.tensor([True]), (size, size))])[0][0]
    assert ((view - 0.25).abs() < 1e-6).logical_or(view.isnan()).all()


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'numba'"), ImportError("Numba needs NumPy 2.4 or less. Got NumPy 2.9."),
        SystemError("initialization of _internal failed"), OSError("libLLVM.so"), AttributeError("_ARRAY_API"),
    ],
)  # fmt: skip
def test_without_a_numba_that_works_the_plain_calls_stand(monkeypatch, error):
    def fails(name):
        raise error

    monkeypatch.setattr(kernels, "import_module", fails)
    kernels._installed.cache_clear()
    try:
        assert not kernels.chosen(torch.device("cpu"))
        x = pictures((4, 3, 8, 8))
        assert cut_out(x, [drawn(x.shape, (8, 8))])[0][0].shape == (4, 3, 8, 8)
    finally:
        monkeypatch.undo()
        kernels._installed.cache_clear()
    assert kernels.chosen(torch.device("cpu")) and not kernels.chosen(torch.device("meta"))
