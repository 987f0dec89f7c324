"""Calling the command inside the test's process: the same entry point, its output and exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass

from counterpoint.cli import main


@dataclass
class Said:
    code: int
    out: str
    err: str


def command(*words: object) -> Said:
    """`counterpoint WORDS…`"""
    out, err, argv, environment = io.StringIO(), io.StringIO(), sys.argv, dict(os.environ)
    sys.argv = ["counterpoint", *map(str, words)]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)  # what the command sets for itself is not for the other tests
    return Said(code, out.getvalue(), err.getvalue())
