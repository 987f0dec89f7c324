"""The command `counterpoint`. Exit codes: 0; 2 for a user's mistake; 1 for a fault of ours; 130 after Ctrl-C (the checkpoint is kept)."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Entry point: run the command, turn an error into one line and an exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch reads it at its first tensor: large ones on a processor lie in large pages

    from counterpoint.cli.commands import app
    from counterpoint.core.errors import CounterpointError

    try:
        code = app(standalone_mode=False)  # the parser returns an exit code where it would end the process
        if code == 130:
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except CounterpointError as error:
        _fail(str(error), 2)
    except KeyboardInterrupt:
        _fail("interrupted; what was trained is kept: continue with counterpoint fit --resume FOLDER", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except SystemExit:
        raise
    except Exception as error:
        _other(error)


def _other(error: Exception) -> None:
    """An error of the command line's own parser is the user's (2); an abort is Ctrl-C (130); anything else is ours (1)."""
    from typer import Abort, Exit

    show = getattr(error, "format_message", None)
    if isinstance(error, Exit):
        sys.exit(error.exit_code)
    if isinstance(error, Abort):
        _fail("interrupted", 130)
    if show is not None:
        _fail(show(), 2)
    if isinstance(error, OSError) and error.errno == 28:
        _fail("the disk is full; what was complete before is kept", 2)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        _fail("out of memory; give a smaller --set batch=…, or --memory to stream the data from disk", 2)
    if os.environ.get("COUNTERPOINT_DEBUG"):
        raise error
    import traceback

    where = traceback.extract_tb(error.__traceback__)[-1]
    _fail(
        f"a fault of counterpoint: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} "
        f"({os.path.basename(where.filename)}:{where.lineno}); COUNTERPOINT_DEBUG=1 shows all of it",
        1,
    )


def _fail(text: str, code: int) -> None:
    print("counterpoint: " + " ".join(text.split()), file=sys.stderr)
    sys.exit(code)
