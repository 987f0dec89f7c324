"""Sets rebuilt from their original place: fetched, put into the form they are stored in, and checked byte for byte."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from counterpoint.core.errors import DataError, OutputError

_LARGEST = 200 * 2**20  # no original is larger


def fetch(name: str, record: dict[str, Any], target: Path) -> Path:
    """Fetch and rebuild one file into `target`; DataError if the place cannot be reached or does not give the bytes expected."""
    parts = [download(url) for url in record["from"]]
    try:
        made = _REBUILD[name](Path(record["path"]).name, parts)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: what {record['from'][0]} holds is not of the form it had ({type(error).__name__})") from None
    if hashlib.sha256(made).hexdigest() != record["unpacked_sha256"]:
        raise DataError(
            f"{name}: what {record['from'][0]} holds has changed (another SHA-256); set COUNTERPOINT_DATA to a folder with a copy"
        )
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(gzip.compress(made, mtime=0))
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{name} cannot be kept in {target.parent} ({error.strerror}); set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    return target


def download(url: str) -> bytes:
    """The bytes at a place, bounded in size and in time."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data: bytes = answer.read(_LARGEST + 1)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(f"{url} cannot be reached ({reason}); set COUNTERPOINT_DATA to a folder that holds a copy of the set") from None
    if len(data) > _LARGEST:
        raise DataError(f"{url} gives more than {_LARGEST:,} bytes, which the set never had")
    return data


def unpacked_sha256(path: Path) -> str:
    """Of what a gzip file holds; "" if it holds nothing whole."""
    digest = hashlib.sha256()
    try:
        with gzip.open(path) as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except (OSError, EOFError, zlib.error):
        return ""
    return digest.hexdigest()


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _verbatim(file: str, parts: list[bytes]) -> bytes:
    return parts[0]


def _banking77(file: str, parts: list[bytes]) -> bytes:
    rows = list(csv.reader(io.StringIO(parts[0].decode(), newline="")))
    return _lines([{"text": text.strip(), "label": label} for text, label in rows[1:]])


def _clinc150(file: str, parts: list[bytes]) -> bytes:
    return _lines([{"text": text, "label": label} for text, label in json.loads(parts[0])[file.split(".")[0]]])


def _stc2(file: str, parts: list[bytes]) -> bytes:
    texts, classes = parts[0].decode("utf-8-sig").splitlines(), parts[1].decode().split()
    return _lines([{"text": text.strip(), "label": int(label) - 1} for text, label in zip(texts, classes)])


_REBUILD: dict[str, Callable[[str, list[bytes]], bytes]] = {
    "etth1": _verbatim,
    "banking77": _banking77,
    "clinc150": _clinc150,
    "stackoverflow": _stc2,
    "searchsnippets": _stc2,
}
