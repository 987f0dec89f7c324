"""Draw the picture of the README from the folder of a run: python scripts/picture.py demo docs/picture.png"""

from __future__ import annotations

import sys
from pathlib import Path

from counterpoint.core.errors import CounterpointError
from counterpoint.report.picture import draw


def main(arguments: list[str]) -> int:
    """Exit code 0; 2 for a user's mistake, in one line."""
    if len(arguments) != 2:
        print("usage: python scripts/picture.py RUN_FOLDER FILE.png", file=sys.stderr)
        return 2
    try:
        print(draw(Path(arguments[0]), Path(arguments[1])))
    except CounterpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
