"""The files of a run folder: written whole or not at all, read with a word on what is broken."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from counterpoint import __version__, views
from counterpoint.clustering import kmeans
from counterpoint.core import options
from counterpoint.core.errors import MissingExtra, OptionError, OutputError, RequirementError, RunError
from counterpoint.core.recipe import Batch, Graph, Modality, Progress, Spec, View
from counterpoint.run.scores import embed
from counterpoint.training import state

SHOWN, MOST = 6, 4  # items in the picture of views; views of an item, before some of the same role are left out
PREVIEWS = 2000  # items whose picture or text goes into embeddings.parquet


def new_folder(out: str | os.PathLike[str] | None, slug: str) -> Path:
    if out is not None:
        folder = Path(out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            hint = f"; continue it with --resume {folder}" if (folder / "config.yaml").exists() else ""
            raise OptionError(f"out = {str(folder)!r} exists and is not an empty folder; name a new one{hint}")
        return folder
    stem = time.strftime(f"{slug}-%Y%m%d-%H%M%S")
    folder, number = Path("runs") / stem, 1
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{stem}-{number}"
    return folder


def write_config(folder: Path, config: dict[str, Any]) -> None:

    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from None
    state.write_text(folder / "config.yaml", text)


def read_config(folder: Path) -> dict[str, Any]:
    """config.yaml of a run."""
    path = folder / "config.yaml"
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise RunError(f"{folder} holds no config.yaml: it is not the folder of a run") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path} is broken ({str(error).splitlines()[0]})") from None
    wanted = ("method", "settings", "data", "recipe")
    if not isinstance(config, dict) or any(key not in config for key in wanted):
        raise RunError(f"{path} is broken: it should hold {', '.join(wanted)}")
    return config


def save_model(run: Any) -> None:
    tensors = {name: tensor.contiguous().cpu() for name, tensor in run.model.state_dict().items()}
    state.write_tensors(run.folder / "model.safetensors", tensors, {"format": "pt"})
    card = {
        "counterpoint": __version__,
        "method": run.config["method"],
        "understood": run.config["data"]["understood"],
        "spec": spec_plain(run.spec),
        "preprocessing": run.preprocessing,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "width": width(run),
        "encoder": options.to_plain(run.recipe.encoder),
        "versions": run.config["versions"],
    }
    state.write_text(run.folder / "model.json", json.dumps(card, indent=1))


def width(run: Any) -> int:
    return int(embed(run.model, run.data.subset(run.data.ids[:2])).shape[1])


def save_embeddings(run: Any, given: Any, split: Tensor, mapped: bool = True) -> None:
    """embeddings.parquet: a row for each item.   mapped: with its place on the map, which takes seconds."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from counterpoint.core.errors import OutputError
    from counterpoint.report.map2d import project

    vectors = embed(run.model, given)
    seed = run.config["settings"]["seed"]
    names = given.names.get("label")
    labels = given.columns.get("label")
    count = len(names) if names else int(min(max(round((len(vectors) / 50) ** 0.5), 2), 12))
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    drawn = torch.Generator().manual_seed(seed)
    clusters = kmeans(torch.from_numpy(unit), k=min(count, len(unit)), starts=5, generator=drawn).assignment.numpy()
    flat = project(vectors, seed=seed) if mapped else None
    chosen = np.random.default_rng(seed).permutation(len(vectors))[:PREVIEWS]
    shown = given.preview(given.ids[torch.from_numpy(np.sort(chosen))])
    previews: list[Any] = [None] * len(vectors)
    for position, value in zip(np.sort(chosen), shown, strict=True):
        previews[int(position)] = value
    words = [None if labels is None or int(c) < 0 or not names else str(names[int(c)]) for c in (labels if labels is not None else split)]
    table = pa.table(
        {
            "id": pa.array(np.asarray(given.ids), pa.int64()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1), pa.float32()), vectors.shape[1]),
            "cluster": pa.array(clusters.astype(np.int32)),
            **({} if flat is None else {n: pa.array(flat[:, k].astype(np.float32)) for k, n in enumerate("xy")}),
            "split": pa.array(np.asarray(split).astype(np.int8)),
            "label": pa.array(words, pa.string()),
            "preview": pa.array([v if isinstance(v, bytes) else None for v in previews], pa.binary()),
            "preview_text": pa.array([v if isinstance(v, str) else None for v in previews], pa.string()),
        }
    )
    write_table(run.folder / "embeddings.parquet", table, pq, OutputError)


def save_views(run: Any, given: Any) -> None:
    """views.png: some items and the views that the recipe makes of them; none without matplotlib."""
    drawn = torch.Generator().manual_seed(run.config["settings"]["seed"])
    ids = given.ids
    if given.linked:  # of users and products the users; a node without links says nothing
        degree = torch.bincount(given.tables["edges"][0], minlength=len(given.parts))
        degree[int(given.tables.get("users", len(degree))) :] = 0
        ids = ids[degree[ids] > 0] if bool((degree[ids] > 0).any()) else ids
    batch = given.batch(ids[torch.randperm(len(ids), generator=drawn)[:SHOWN].sort().values])
    try:
        picture = views.picture(_columns(batch, run.recipe.views(batch, drawn, Progress()), given))
    except (MissingExtra, RequirementError):  # the latter: views that follow a column which the run made for itself
        return
    write_bytes(run.folder / "views.png", bytes(picture))


def _columns(batch: Batch, made: Sequence[View], given: Any) -> list[views.Column]:
    """Each modality and the views of it, beside each other; of many views one or two of each role."""
    columns = []
    for name, field in given.fields.items():
        kind, own = field.found["kind"], batch.fields[name]
        words = field.word_of
        here = [(view.name.removesuffix("_again"), view.fields[name]) for view in made if name in view.fields]
        roles = [role for role, _ in here]
        each = len(here) if len(here) <= MOST else 2 if len(set(roles)) < MOST else 1
        columns.append(views.Column("item" if len(given.fields) == 1 else name, kind, own, words=words))
        for place, (role, x) in enumerate(here):
            number = roles[:place].count(role)
            title = f"view of {name}" if role == name else role.replace("_", " ") if len(set(roles)) > 1 else "view"
            if number < each:
                title += f" {number + 1}" if min(roles.count(role), each) > 1 else ""
                columns.append(views.Column(title, kind, x, own, words))
    return columns


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None


def write_table(path: Path, table: Any, pq: Any, failure: type[Exception]) -> None:
    """Write a parquet file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(table, temporary)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise failure(f"{path} cannot be written: {error.strerror or error}") from None


def spec_plain(spec: Spec) -> dict[str, Any]:
    modalities = {n: {"kind": m.kind, "shape": list(m.shape), "info": options.to_plain(m.info)} for n, m in spec.modalities.items()}
    return {
        "items": spec.items,
        "modalities": modalities,
        "columns": {k: list(v) for k, v in spec.columns.items()},
        "tables": sorted(spec.tables),
    }


def spec_from(plain: Mapping[str, Any]) -> Spec:
    modalities = {n: Modality(m["kind"], tuple(m["shape"]), options.from_plain(m["info"])) for n, m in plain["modalities"].items()}
    return Spec(plain["items"], modalities, {k: (v[0], v[1]) for k, v in plain["columns"].items()}, frozenset(plain["tables"]))


def source_name(source: Any) -> Any:
    """What config.yaml can name: an absolute path, the name of a catalogued set; None for data in memory."""
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        return str(Path(text).resolve()) if Path(text).exists() else text
    if isinstance(source, dict) and all(isinstance(v, (str, os.PathLike)) for v in source.values()):
        return {k: source_name(v) for k, v in source.items()}
    return None


def fingerprint(given: Any) -> str:
    """Number of items and a hash of some of them: enough to notice other data."""

    mix = hashlib.blake2b(digest_size=12)
    picked = torch.unique(torch.linspace(0, given.items - 1, min(given.items, 32)).long())
    for name, value in sorted(given.batch(given.ids[picked]).fields.items()):
        mix.update(name.encode())
        if isinstance(value, Graph):
            mix.update(str(tuple(value.parts["edge_index"].shape)).encode())
            value = value.x
        mix.update(value.contiguous().numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode())
    return f"{given.items}:{mix.hexdigest()}"


def versions() -> dict[str, str]:
    found = {name: version(name) for name in ("numpy", "scipy", "scikit-learn")}  # importing them for that takes a second and more
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        **found,
        "threads": str(torch.get_num_threads()),
        "machine": platform.machine(),
    }


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
