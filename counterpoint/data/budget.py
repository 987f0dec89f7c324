"""How much memory prepared data may take."""

from __future__ import annotations

import re
from pathlib import Path

from counterpoint.core.errors import OptionError

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def budget(memory: int | float | str | None) -> int:
    """Bytes that prepared data may take: a number, "500MB", "8GB", or "auto" (None): half of what is free for this process."""
    if memory is None or memory == "auto":
        return available() // 2
    if isinstance(memory, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?\s*", memory.lower())
        if found is None:
            raise OptionError(f"memory = {memory!r} is not a size; it must be 'auto', a number of bytes, or '500MB', '8GB' …")
        memory = float(found[1]) * _UNITS[found[2]]
    if isinstance(memory, bool) or not memory > 0:
        raise OptionError(f"memory = {memory!r} is not allowed; it must be > 0 bytes")
    return int(memory)


def available() -> int:
    """Bytes this process may still take: free memory of the machine, of its control group, and of its address-space limit."""
    free = [2**62]
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        free.append(8 * 10**9)  # not Linux: a modest guess, and `memory=` says it exactly
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        try:
            free.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            free.append(soft - pages * resource.getpagesize())
    except (ImportError, OSError, ValueError):
        pass
    return max(min(free), 64 * 2**20)
