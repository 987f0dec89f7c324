"""On what a run computes and how it is told to stop: devices, precision, launch by Lightning Fabric; memory; the first Ctrl-C as a wish."""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from counterpoint.core.errors import OptionError
from counterpoint.training.settings import Settings


def fabric_of(settings: Settings, kinds: set[str]) -> Any:
    """Lightning's Fabric for these settings and the kinds of the data's modalities; OptionError where there is no such device."""
    from lightning_fabric import Fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces every precision

    precision: Any = settings.precision
    if precision == "auto":
        precision = "bf16-mixed" if _bfloat16_pays(settings, kinds) else "32-true"
    devices: Any = settings.devices
    if devices == "auto":
        launched = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ.get("SLURM_NTASKS_PER_NODE", "1")))
        devices = launched
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", os.environ.get("SLURM_NNODES", "1")))
    many = devices * nodes > 1
    torch.backends.cudnn.benchmark = kinds <= {"image", "video", "volume"}  # of one shape: the fastest convolution is looked for once
    try:
        return Fabric(
            accelerator=settings.accelerator, devices=devices, num_nodes=nodes, precision=precision, strategy="ddp" if many else "auto"
        )
    except Exception as error:  # Fabric's own checks: no such device, unsupported precision
        raise OptionError(f"accelerator={settings.accelerator}, devices={settings.devices}: {str(error).splitlines()[0]}") from None


def _bfloat16_pays(settings: Settings, kinds: set[str]) -> bool:
    """On a GPU that has it; on a CPU that has it for convolutions (1.5 to 1.8 times as fast with image.small_cnn; others not measured).

    Not for volumes and videos on a CPU: convolutions over three axes in bfloat16 give other weights each time.
    """
    if settings.accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    has = any(getattr(torch.cpu, name, bool)() for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return has and settings.accelerator in ("auto", "cpu") and kinds <= {"image", "audio"}


def _allocator() -> Any:
    """C's allocator where it is glibc's, else None."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


@contextmanager
def kept_memory(device: torch.device) -> Iterator[None]:
    """Inside, what a step on a processor frees is kept for the next one, up to 1 GiB; at the end it is given back.

    By itself glibc's allocator gives large pieces back to the system again and again, and new pages must be waited for. It keeps
    these bounds for the rest of the process.
    """
    library = _allocator() if device.type == "cpu" else None
    if library is not None:
        library.mallopt(ctypes.c_int(-3), ctypes.c_int(32 << 20))  # M_MMAP_THRESHOLD: the largest there may be
        library.mallopt(ctypes.c_int(-1), ctypes.c_int(1 << 30))  # M_TRIM_THRESHOLD
    try:
        yield
    finally:
        if library is not None:
            library.malloc_trim(ctypes.c_size_t(0))


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Inside, the first SIGINT or SIGTERM is put into the list that is given; the next one raises KeyboardInterrupt."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_compiler(device: torch.device) -> None:
    """Refuse `compile` where torch would find nothing to compile with: on a CPU it writes C++."""
    asked = os.environ.get("CXX")
    names = (asked,) if asked else ("g++", "clang++", "c++", "cl")
    if device.type == "cpu" and not any(shutil.which(name) for name in names):
        raise OptionError(f"compile = True needs a C++ compiler, and {' or '.join(names)} is not there; install one, or leave compile out")
