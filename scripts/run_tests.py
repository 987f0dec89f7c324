"""Run the tests: one worker for each of at most two cores, one thread each. Arguments are handed to pytest (`make test ARGS="-k options"`).

The tests are many and small, so that two processes use two cores where two threads of one process do not: over 538 tests of losses, terms
and clustering, one process with two threads took as much processor time (37.5 s) as two with one thread (37.7 s), start included.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys


def main() -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("PYTHONHASHSEED", "0")  # both workers collect the tests in the same order
    workers = min(os.cpu_count() or 1, 2) if importlib.util.find_spec("xdist") else 1
    # By file: what a file's tests share (a trained run, a data set) is made once.
    spread = ["-n", str(workers), "--dist", "loadfile"] if workers > 1 else []
    return subprocess.call([sys.executable, "-m", "pytest", "-q", *spread, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
