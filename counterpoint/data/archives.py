""".npy and .npz files: what they hold is read from their heads, and refused there if it is not plain numbers or is too large."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from counterpoint.core.errors import DataError
from counterpoint.data.sources import Array, Source
from counterpoint.data.streamed import Npy, one_line


@dataclass(frozen=True)
class Member:
    """One array of a file. `start` is where its numbers begin, where they lie there uncompressed and row by row; else None."""

    file: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    start: int | None

    @property
    def where(self) -> str:
        return f"{self.file}: {self.name}" if self.name else self.file

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def load(self, memory: int = 2**62) -> np.ndarray:
        """The whole array."""
        if self.bytes > memory:
            raise DataError(
                f"{self.where} takes {self.bytes:,} bytes unpacked and memory= allows {memory:,}; "
                "save it with numpy.save or numpy.savez (uncompressed, C order) to have it streamed"
            )
        try:
            if not self.name:
                return np.load(self.file, allow_pickle=False)
            with zipfile.ZipFile(self.file) as archive, archive.open(self.name + ".npy") as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise DataError(f"{self.where} cannot be read, the file may be cut off ({one_line(error)})") from None

    def source(self, memory: int) -> Source:
        """Rows on disk where they can be read in place, else the array itself."""
        if self.start is not None and self.bytes > 2**20:
            return Npy(self.file, self.start, self.shape, self.dtype)
        return Array(self.load(memory))


def members(path: Path) -> dict[str, Member]:
    """name → array of an .npz file, "" → that of an .npy file. Only the heads are read."""
    try:
        if path.suffix.lower() == ".npy":
            with open(path, "rb") as file:
                shape, fortran, dtype = _head(file)
                member = Member(str(path), "", shape, dtype, file.tell() if not fortran else None)
            if path.stat().st_size < file_end(member, path):
                raise DataError(f"{path} is cut off: its head promises {member.bytes:,} bytes of numbers")
            return {"": _plain(member)}
        found = {}
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    continue
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as file:
                    shape, fortran, dtype = _head(file)
                    head = file.tell()
                member = _plain(Member(str(path), name, shape, dtype, None))
                if info.file_size != head + member.bytes:
                    raise DataError(f"{member.where} is broken: {info.file_size - head:,} bytes for an array of {member.bytes:,}")
                if info.compress_type == zipfile.ZIP_STORED and not fortran:
                    member = Member(str(path), name, shape, dtype, _offset(path, info) + head)
                found[name] = member
        return found
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, struct.error, zlib.error, NotImplementedError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"{path} is not a whole {path.suffix} file ({one_line(error)})") from None


def file_end(member: Member, path: Path) -> int:
    return (member.start if member.start is not None else 0) + member.bytes


def _head(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran and len(shape) > 1, dtype


def _plain(member: Member) -> Member:
    if member.dtype.hasobject:
        raise DataError(f"{member.where} holds Python objects (pickled), which are never loaded; save arrays of numbers or words")
    if member.dtype.kind not in "biufUS":
        raise DataError(f"{member.where} has type {member.dtype}; it must be numbers, true/false or words")
    if any(s < 0 for s in member.shape):
        raise DataError(f"{member.where} has the shape {member.shape}, which no array has")
    return member


def _offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Where the data of a member begin: after its local head, whose extra field may differ from the directory's."""
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        local = file.read(30)
    name, extra = struct.unpack("<HH", local[26:30])
    return info.header_offset + 30 + name + extra
