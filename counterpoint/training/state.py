"""Checkpoints: one tree of tensors and plain values, as safetensors and JSON, written whole or not at all. No pickle is ever loaded.

A checkpoint is a folder `step-N/` with `tensors.safetensors` and `tree.json`; `latest` names the one that counts. Everything is written and
synced under another name first, so that a kill at any moment leaves the previous checkpoint in place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from counterpoint.core.errors import OutputError, RunError


def pack(tree: Any, tensors: dict[str, Tensor], path: str = "") -> Any:
    """The tree with every tensor replaced by a name and put into `tensors`. Integer keys survive."""
    if isinstance(tree, Tensor):
        name = path or "value"
        tensors[name] = tree.detach().cpu().contiguous().clone()
        return {"$tensor": name}
    if isinstance(tree, Mapping):
        whole = all(isinstance(k, int) for k in tree) and len(tree) > 0
        inner = {str(k): pack(v, tensors, f"{path}/{k}" if path else str(k)) for k, v in tree.items()}
        return {"$whole": inner} if whole else inner
    if isinstance(tree, (list, tuple)):
        return [pack(v, tensors, f"{path}/{i}") for i, v in enumerate(tree)]
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"{path}: a checkpoint holds tensors, numbers, words, lists and dictionaries, not {type(tree).__name__}")


def unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `pack`."""
    if isinstance(tree, dict):
        if "$tensor" in tree:
            return tensors[tree["$tensor"]]
        if "$whole" in tree:
            return {int(k): unpack(v, tensors) for k, v in tree["$whole"].items()}
        return {k: unpack(v, tensors) for k, v in tree.items()}
    return [unpack(v, tensors) for v in tree] if isinstance(tree, list) else tree


def lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Bring what an optimiser keeps of each weight into that weight's order in memory (channels last): a fused step goes through both as
    they lie, and says nothing where they differ."""
    for weight, kept in optimizer.state.items():
        for name, x in kept.items():
            if isinstance(x, Tensor) and x.shape == weight.shape and x.stride() != weight.stride():
                kept[name] = torch.empty_like(weight, dtype=x.dtype).copy_(x)


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(dict(tensors), str(temporary), metadata)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # as any other file; safetensors makes it private
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU."""
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except FileNotFoundError:
        raise RunError(f"{path} is missing; is this the folder of a finished run?") from None
    except (SafetensorError, OSError) as error:
        raise RunError(f"{path} is broken ({error}); it was cut off or is not a safetensors file") from None


def save(folder: Path, tree: Mapping[str, Any], step: int) -> None:
    """Write a checkpoint and make it the one that counts; the one before, also of the same step, is there until then."""
    tensors: dict[str, Tensor] = {}
    plain = pack(tree, tensors)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        latest = folder / "latest"
        counts = latest.read_text(encoding="utf-8").strip() if latest.exists() else ""
        target = folder / (f"step-{step}" if counts != f"step-{step}" else f"step-{step}-again")
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from None
    try:
        write_tensors(target / "tensors.safetensors", tensors)
        write_text(target / "tree.json", json.dumps(plain))
        write_text(folder / "latest", target.name)
    except OutputError:
        shutil.rmtree(target, ignore_errors=True)
        raise
    for other in folder.glob("step-*"):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def load(folder: Path) -> dict[str, Any]:
    """The latest checkpoint of a run. RunError where there is none or it is broken."""
    try:
        name = (folder / "latest").read_text(encoding="utf-8").strip()
    except OSError:
        raise RunError(
            f"{folder.parent} has no checkpoint to resume from; start it with: counterpoint fit DATA --out {folder.parent}"
        ) from None
    if "/" in name or not name.startswith("step-"):
        raise RunError(f"{folder / 'latest'} is broken: it holds {name[:40]!r} and should name a folder step-N")
    try:
        plain = json.loads((folder / name / "tree.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / name / 'tree.json'} is missing or broken ({error})") from None
    tensors = read_tensors(folder / name / "tensors.safetensors")
    try:
        tree = unpack(plain, tensors)
    except KeyError as error:
        raise RunError(f"{folder / name} is broken: the tensor {error} is missing") from None
    if not isinstance(tree, dict):
        raise RunError(f"{folder / name / 'tree.json'} is broken: it holds no dictionary")
    return tree


def torch_threads() -> int:
    """Threads that tensor operations use; sums depend on it, so a run's config names it."""
    return torch.get_num_threads()
