"""A watch over the memory of tensors: what lives at once, and the largest of all, while a `with` block runs."""

from __future__ import annotations

import weakref
from typing import Any

from torch import Tensor, UntypedStorage
from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode):
    """Sees the storage of every tensor that any operation returns, forward and backward, until the storage is freed.

    largest: values in the largest storage.   alive, peak: bytes of all storages made inside that live now, and at most lived at once.
    Storages of `known` tensors (inputs) do not count.
    """

    def __init__(self, *known: Tensor) -> None:
        super().__init__()
        self.largest = self.alive = self.peak = 0
        self._sizes: dict[int, int] = {}
        self._living: dict[int, weakref.ref[UntypedStorage]] = {}
        self._known = {x.untyped_storage().data_ptr() for x in known}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(one, Tensor):
                self._see(one)
        return out

    def _see(self, x: Tensor) -> None:
        storage = x.untyped_storage()
        if storage.data_ptr() in self._known:
            return
        name, size = storage._cdata, storage.nbytes()
        self.largest = max(self.largest, size // x.element_size())
        if name not in self._living:
            self._living[name] = weakref.ref(storage, lambda _, name=name: self._gone(name))
        self.alive += size - self._sizes.get(name, 0)
        self._sizes[name] = size
        self.peak = max(self.peak, self.alive)

    def _gone(self, name: int) -> None:
        self._living.pop(name, None)
        self.alive -= self._sizes.pop(name, 0)
