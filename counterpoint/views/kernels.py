"""Boxes of pictures cut out, resized, mirrored and coloured on a processor in one pass over each item, compiled by numba (extra `fast`).

The same numbers as the plain calls of cutting.py and colour.py, which stand wherever numba does not; but what those write to memory in
between stays in the first cache here. Each kernel is compiled at its first batch in a process, in one to three seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.views.colour import Jitter

READ = (torch.uint8, torch.uint16, torch.bool, torch.float32, torch.float64)


def chosen(device: torch.device) -> bool:
    """Whether pictures on this device go through the kernels."""
    return device.type == "cpu" and _installed()


@lru_cache(maxsize=1)
def _installed() -> bool:
    """Whether numba is there and can be imported: beside a NumPy that is newer than it knows it says so in one of many ways."""
    try:
        import_module("numba")
    except Exception:
        return False
    return True


def array(x: Tensor) -> np.ndarray[Any, Any]:
    """What the kernels read: in a row in memory, and in float32 where numba does not know the type."""
    return (x if x.dtype in READ else x.float()).detach().contiguous().numpy()


def cut_out(source: np.ndarray[Any, Any], boxes: Tensor, flip: Tensor, brush: Jitter | None, full: float, views: Sequence[Tensor]) -> None:
    """Write to each of `views`, k tensors (b, c, height, width), its rows of `boxes` (k·b, 4) of the source (b, c, h, w): resized, mirrored
    where `flip` (k·b,), painted, and within [0, 1]; `full` is what 1 is in the units of the source."""
    paint: tuple[Tensor, ...] = (torch.full((len(boxes),), 1.0 / full),)
    name = "bare"
    if brush is not None:
        brush = brush.of_units(full)
        name, paint = "linear", (brush.matrix, brush.shade)
        if brush.turns is not None and brush.own is not None and brush.early is not None:
            name, paint = "hsv", (*paint, brush.own, brush.early, brush.turns)
    b, kernel = len(source), _compiled()[name]
    drawn = [array(part) for part in (boxes.float(), flip, *paint)]
    tasks = []
    for k, view in enumerate(views):
        box, mirror, *colours = (part[k * b : (k + 1) * b] for part in drawn)
        out = view.numpy().reshape(b, view.shape[1], -1)
        tasks.append((source, box, mirror, tuple(colours), out, *view.shape[2:]))
    _shared(kernel, tasks, b)


def _shared(kernel: Callable[..., None], tasks: Sequence[tuple[Any, ...]], items: int) -> None:
    """Each task for all items, shared out among as many threads as torch uses; the kernel lets go of the interpreter."""
    threads = torch.get_num_threads()
    calls = [(*task, items * t // threads, items * (t + 1) // threads) for task in tasks for t in range(threads)]
    if threads == 1:
        for call in calls:
            kernel(*call)
        return

    def part(t: int) -> None:
        for call in calls[t::threads]:
            kernel(*call)

    waiting = [_pool(threads, os.getpid()).submit(part, t) for t in range(1, threads)]
    part(0)
    for one in waiting:
        one.result()


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Of this process alone: a fork has none of its parent's threads."""
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="views")


@lru_cache(maxsize=1)
def _compiled() -> dict[str, Callable[..., None]]:
    import numba

    F, N = np.float32, np.uint32  # unsigned: an index that cannot be negative is not looked at twice
    jit = numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz", "arcp", "reassoc"})

    @jit
    def filters(start, length, pixels, count, mirror, first, weights):  # type: ignore[no-untyped-def]
        """Triangles around the centres of `count` equal pieces of a side, over its own pixels: the first pixel and the weights of each."""
        start = start if start > F(0) else F(0)  # a box that were not inside the picture, or no number, would read other memory
        start = start if start < F(pixels - 1) else F(pixels - 1)
        length = length if length > F(1) else F(1)
        length = length if length < F(pixels) - start else F(pixels) - start
        step, begin, end = length / count, int(start), int(start + length)
        origin, slope = start + 0.5 * step - 0.5, step
        if mirror:
            origin, slope = origin + (count - 1) * step, -step
        if step <= 1.0 and end - begin > 1:
            for j in range(count):
                middle = origin + slope * j
                low = min(max(int(np.floor(middle)), begin), end - 2)
                weights[1, j] = min(max(middle - low, 0.0), 1.0)
                weights[0, j] = F(1) - weights[1, j]
                first[j] = low
            return 2
        reach = max(step, 1.0)
        taps = min(int(np.ceil(2.0 * reach)), end - begin, weights.shape[0])
        for j in range(count):
            middle, total = origin + slope * j, 0.0
            low = min(max(int(np.floor(middle - reach)) + 1, begin), end - taps)
            for t in range(taps):
                weight = max(1.0 - abs(middle - (low + t)) / reach, 0.0)
                weights[t, j] = weight
                total += weight
            for t in range(taps):
                weights[t, j] /= total
            first[j] = low
        return taps

    @jit
    def within(value):  # type: ignore[no-untyped-def]
        return F(0) if value < F(0) else F(1) if value > F(1) else value

    @jit
    def bare(planes, means, brush, item, out):  # type: ignore[no-untyped-def]
        for k in range(planes.shape[0]):
            for p in range(planes.shape[1]):
                out[item, k, p] = within(planes[k, p] * brush[0][item])

    @jit
    def linear(planes, means, brush, item, out):  # type: ignore[no-untyped-def]
        matrix, shade = brush
        channels, pixels = planes.shape
        bias = F(0)
        for m in range(channels):
            bias += shade[item, 0, m] * means[m]
        for k in range(channels):
            if channels == 3:
                a, b, c = matrix[item, k, 0], matrix[item, k, 1], matrix[item, k, 2]
                for p in range(pixels):
                    out[item, k, p] = within(bias + a * planes[0, p] + b * planes[1, p] + c * planes[2, p])
                continue
            for p in range(pixels):
                out[item, k, p] = bias
            for m in range(channels):
                for p in range(pixels):
                    out[item, k, p] += matrix[item, k, m] * planes[m, p]
            for p in range(pixels):
                out[item, k, p] = within(out[item, k, p])

    @jit
    def hsv(planes, means, brush, item, out):  # type: ignore[no-untyped-def]
        matrix, shade, own, early, turns = brush
        pixels, turn = planes.shape[1], turns[item] + F(2)
        turned, sums = np.empty((3, pixels), F), np.zeros(3)
        for p in range(pixels):  # as in colour.turn_hue
            red, green, blue = planes[0, p], planes[1, p], planes[2, p]
            high, low = max(max(red, green), blue), min(min(red, green), blue)
            span = high - low + F(1e-9)
            place = (green + blue - red - low) / span + F(1)
            place = (place if green >= blue else -place) * F(1 / 6) + turn
            place = (place - np.floor(place)) * F(6)
            turned[0, p] = low + span * (min(max(abs(place - F(3)), F(1)), F(2)) - F(1))
            turned[1, p] = low + span * (F(2) - min(max(abs(place - F(2)), F(1)), F(2)))
            turned[2, p] = low + span * (F(2) - min(max(abs(place - F(4)), F(1)), F(2)))
        for k in range(3):
            total = 0.0
            for p in range(pixels):
                total += turned[k, p]
            sums[k] = total / pixels
        bias = F(0)
        for m in range(3):
            bias += shade[item, 0, m] * (means[m] if early[item] else F(sums[m]))
        for k in range(3):
            a, b, c = matrix[item, k, 0], matrix[item, k, 1], matrix[item, k, 2]
            d, e, f = own[item, 0, 0], own[item, 0, 1], own[item, 0, 2]
            for p in range(pixels):
                value = bias + d * planes[0, p] + e * planes[1, p] + f * planes[2, p]
                out[item, k, p] = within(value + a * turned[0, p] + b * turned[1, p] + c * turned[2, p])

    def kernel(paint: Callable[..., None]) -> Callable[..., None]:
        @jit
        def cut(x, boxes, flip, brush, out, height, width, start, stop):  # type: ignore[no-untyped-def]
            """Items start … stop: each row of the box is resized along, then the rows down, then all is painted."""
            channels, h, w = x.shape[1:]
            along, down = np.empty(width, N), np.empty(height, N)
            across, downward = (np.empty((2 + 2 * w // width, width), F), np.empty((2 + 2 * h // height, height), F))
            row, rows = np.empty(w, F), np.empty((h, width), F)
            planes, means = np.empty((channels, height * width), F), np.empty(channels, F)
            for item in range(start, stop):
                top, left, high, wide = boxes[item]
                taps = filters(left, wide, w, width, flip[item], along, across)
                layers = filters(top, high, h, height, False, down, downward)
                near, far = min(along[0], along[width - 1]), max(along[0], along[width - 1]) + N(taps)
                for k in range(channels):
                    for i in range(down[0], down[height - 1] + N(layers)):
                        for j in range(near, far):
                            row[j] = F(x[item, k, i, j])
                        if taps == 2:
                            for j in range(width):
                                rows[i, j] = across[0, j] * row[along[j]] + across[1, j] * row[along[j] + N(1)]
                            continue
                        for j in range(width):
                            rows[i, j] = across[0, j] * row[along[j]]
                        for t in range(1, taps):
                            for j in range(width):
                                rows[i, j] += across[t, j] * row[along[j] + N(t)]
                    total = 0.0  # of rows, in float64
                    for i in range(height):
                        first, p, part = down[i], i * width, F(0)
                        if layers == 2:
                            for j in range(width):
                                value = downward[0, i] * rows[first, j] + downward[1, i] * rows[first + N(1), j]
                                planes[k, p + j] = value
                                part += value
                            total += part
                            continue
                        for j in range(width):
                            planes[k, p + j] = downward[0, i] * rows[first, j]
                        for t in range(1, layers):
                            for j in range(width):
                                planes[k, p + j] += downward[t, i] * rows[first + N(t), j]
                        for j in range(width):
                            part += planes[k, p + j]
                        total += part
                    means[k] = total / (height * width)
                paint(planes, means, brush, item, out)

        return cut

    return {"bare": kernel(bare), "linear": kernel(linear), "hsv": kernel(hsv)}
