"""Similarities are float32 at least, forward and backward, whatever autocast says; and a logarithm that does not wait for a second core."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import log
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")
_LN2 = log(2.0)


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """A function of scores, or of pictures, which are its first argument, without autocast."""

    @wraps(function)
    def wide(*args: P.args, **kwargs: P.kwargs) -> R:
        kind = args[0].device.type  # type: ignore[attr-defined]
        if not torch.is_autocast_enabled(kind):
            return function(*args, **kwargs)
        with torch.autocast(kind, enabled=False):
            return function(*args, **kwargs)

    return wide


def full_precision_backward(backward: Callable[..., Any]) -> Callable[..., Any]:
    """The backward of an autograd function, (ctx, *gradients), without autocast, also where somebody calls it inside of one."""

    @wraps(backward)
    def wide(ctx: Any, *gradients: Tensor | None) -> Any:
        kind = next((g.device.type for g in gradients if g is not None), "cpu")
        if not torch.is_autocast_enabled(kind):
            return backward(ctx, *gradients)
        with torch.autocast(kind, enabled=False):
            return backward(ctx, *gradients)

    return wide


def ln(x: Tensor) -> Tensor:
    """The natural logarithm. On CPUs `torch.log` is MKL's, which starts its threads even for a hundred numbers and, where another program
    keeps a core busy, waits for them (16 ms in place of 2 µs); the logarithm to base 2 is not."""
    return x.log2() * _LN2
