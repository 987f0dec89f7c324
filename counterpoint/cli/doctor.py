"""`counterpoint doctor`: versions, extras, devices, and a self-test of the parts that must agree."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

FOR_USERS = ("image", "text", "decoding", "data", "graph", "audio", "volume", "index", "fast", "report", "demo")  # extras that are listed


def _wanted() -> dict[str, list[str]]:
    """ "" → what is always needed, extra → what it brings, from the metadata of the installed package."""
    found: dict[str, list[str]] = {"": [], **{extra: [] for extra in FOR_USERS}}
    for line in requires("counterpoint") or ():
        name, extra = re.match(r"[\w.-]+", line), re.search(r"extra *== *['\"]([\w-]+)", line)
        if name and name[0] != "counterpoint" and (key := extra[1] if extra else "") in found:
            found[key].append(name[0])
    return found


def examine(as_json: bool = False) -> int:
    """Print the findings; 0 when everything that is installed works, else 1."""
    import torch

    import counterpoint

    wanted = _wanted()
    found: dict[str, Any] = {
        "counterpoint": counterpoint.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "core": {name: _version(name) for name in wanted.pop("")},
        "extras": {extra: {name: _version(name) for name in members} for extra, members in wanted.items()},
        "devices": _devices(torch),
        "threads": torch.get_num_threads(),
        "COUNTERPOINT_DATA": os.environ.get("COUNTERPOINT_DATA"),
        "tests": [_try(name, test) for name, test in _tests().items()],
    }
    found["ok"] = all(test["ok"] for test in found["tests"]) and all(found["core"].values())
    if as_json:
        print(json.dumps(found))
    else:
        _print(found)
    return 0 if found["ok"] else 1


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices(torch: Any) -> list[str]:
    found = [f"cpu ({os.cpu_count()} cores)"]
    if torch.cuda.is_available():
        found += [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    if getattr(torch.backends, "mps", None) is not None and torch.backends.mps.is_available():
        found.append("mps")
    return found


def _try(name: str, test: Callable[[], str]) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        said, ok = test(), True
    except Exception as error:
        said, ok = f"{type(error).__name__}: {error}", False
    return {"name": name, "ok": ok, "said": said, "seconds": round(time.perf_counter() - start, 2)}


def _tests() -> dict[str, Callable[[], str]]:
    return {"loss against a loop": _loss, "views of pictures": _views, "a small run": _run, "methods load": _methods}


def _loss() -> str:
    """NT-Xent of 300 pairs against float64 by hand."""
    import torch

    from counterpoint import losses

    one, two = torch.randn(2, 300, 32, generator=torch.Generator().manual_seed(0))
    both = torch.nn.functional.normalize(torch.cat([one, two]).double(), dim=1)
    scores = both @ both.T / 0.1
    scores.fill_diagonal_(-torch.inf)
    wanted = float((scores.logsumexp(1) - scores[torch.arange(600), torch.arange(600).roll(300)]).mean())
    got = float(losses.nt_xent(one, two, temperature=0.1))
    if abs(got - wanted) > 1e-4 * abs(wanted):
        raise ArithmeticError(f"{got} and should be {wanted}")
    return f"{got:.6f}, float64 by hand {wanted:.6f}"


def _views() -> str:
    """A crop, mirrored, against the pixels of the picture; by the compiled kernels where numba is installed."""
    import torch

    from counterpoint.views import cutting, kernels

    x = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    cut = cutting.Cut(torch.tensor([[1.0, 2.0, 6.0, 5.0]] * 2), torch.tensor([True, False]), (6, 5))
    off = float((cutting.cut_out(x, [cut])[0][0] - torch.stack([x[0, :, 1:7, 2:7].flip(-1), x[1, :, 1:7, 2:7]])).abs().max())
    if off > 1e-5:
        raise ArithmeticError(f"pixels are off by {off}")
    way = "compiled by numba" if kernels.chosen(x.device) else "plain calls; faster with: pip install 'counterpoint[fast]'"
    return f"a crop is the pixels of the picture to {off:.0e} ({way})"


def _run() -> str:
    """A few steps on random arrays, saved, loaded, the same embedding."""
    import tempfile

    import numpy as np

    import counterpoint as cp

    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        run = cp.fit(x, epochs=1, out=f"{folder}/run", evaluate=False, report=False)
        same = np.allclose(run.embed(x), cp.load(f"{folder}/run").embed(x), atol=1e-5)
    if not same:
        raise ArithmeticError("a loaded run embeds differently")
    return "trained, saved, loaded, embeds alike"


def _methods() -> str:
    from counterpoint.core import registry

    found = [m.card() for m in registry.methods()]
    return f"{len(found)} methods"


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"counterpoint {found['counterpoint']}, Python {found['python']}, {found['system']}")
    console.print(f"devices: {', '.join(found['devices'])}; {found['threads']} threads")
    console.print("core: " + ", ".join(f"{n} {v or 'MISSING'}" for n, v in found["core"].items()), soft_wrap=True)
    for extra, members in found["extras"].items():
        missing = [n for n, v in members.items() if v is None]
        state = "complete" if not missing else f"lacks {', '.join(missing)}: pip install 'counterpoint[{extra}]'"
        console.print(f"extra {extra}: {state}", markup=False)
    console.print(f"COUNTERPOINT_DATA: {found['COUNTERPOINT_DATA'] or 'not set (data sets are fetched from their origin)'}", markup=False)
    for test in found["tests"]:
        console.print(f"{'ok    ' if test['ok'] else 'FAILED'} {test['name']}: {test['said']} ({test['seconds']} s)", markup=False)
