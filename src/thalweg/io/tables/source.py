"""The bytes of a table: from a file or standard input, decompressed as they are read.

The format is told by the first bytes, not by the name. A compressed file that unpacks
to more than the memory can hold is refused: one that shows it at its start before it is
read, any other one as soon as it passes the limit.
"""

import bz2
import errno
import glob
import gzip
import io
import lzma
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from thalweg.io.atomic_write import PathLike

_PROBE = 16 << 20  # unpacked bytes from which the size of the whole is estimated
_MOST_LAYERS = 3  # a .csv.gz in a .zip has two

_COMPRESSIONS: dict[bytes, str] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
_IN_WORKBOOKS = (b"[Content_Types].xml", b"_rels/", b"xl/", b"docProps/", b"mimetype")
_DAMAGE = (
    EOFError, OSError, lzma.LZMAError, zlib.error, zipfile.BadZipFile,
    NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """The bytes of one table.

    Parameters
    ----------
    name : str
        What messages call it.
    file : io.BufferedReader
        The bytes, decompressed.
    head : bytes
        The first bytes, which tell the format. They are not yet read from `file`.
    path : Path or None
        The file itself, if it is not compressed.
    suffix : str
        The end of the name without that of a compression, such as ``".csv"``.
    whole : bool
        Whether all of it is wanted at once, so that it must fit in memory.
    """

    name: str
    file: Any
    head: bytes
    path: Path | None
    suffix: str
    whole: bool

    def seekable(self) -> Any:
        """Return the file itself, or all its bytes if it is compressed or a pipe."""
        return self.file if self.path else io.BytesIO(self.file.read())


def table_files(path: PathLike | Sequence[PathLike]) -> list[PathLike]:
    """Return the files that a path, a pattern, or several of them name.

    Raises
    ------
    FileNotFoundError
        If nothing is named, or no file matches a pattern.
    """
    one: Any = isinstance(path, (str, bytes, os.PathLike))
    files: list[PathLike] = []
    for each in path if isinstance(path, Sequence) and not one else [path]:
        text = os.fspath(each) if isinstance(each, os.PathLike) else each
        if not isinstance(text, str) or "\0" in text or not text:
            raise ValueError(
                f"path must be the name of a file, or a list of them. Got {text!r} "
                "instead. Give a str or a pathlib.Path."
            )
        if not glob.has_magic(text) or os.path.exists(text):
            files.append(each)
            continue
        found = sorted(name for name in glob.glob(text) if os.path.isfile(name))
        if not found:
            raise FileNotFoundError(
                f"no file matches {text}. Check the names and the folder."
            )
        files += found
    if not files:
        raise FileNotFoundError("there is no file to read. Name at least one.")
    return files


@contextmanager
def open_source(path: PathLike, *, whole: bool) -> Iterator[Source]:
    """Open a table file, or standard input for ``"-"``, as a stream of plain bytes.

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If a compressed file is damaged, holds several files, or unpacks to more than
        the memory can hold.
    """
    with _open(path) as (name, file, size):
        suffixes = [suffix.lower() for suffix in Path(name).suffixes]
        packed = False
        if whole and size > memory_limit():
            raise too_large(name, "takes", memory_limit())
        for _ in range(_MOST_LAYERS):
            kind = _compression(file.peek(4096))
            if not kind:
                break
            if whole and size and not packed:
                _check_size(name, kind, Path(path))
            limit = memory_limit() if whole else None
            unpacked = _Unpacked(_unpack(name, kind, file), name, kind, limit)
            file = io.BufferedReader(unpacked, 1 << 16)
            suffixes, packed = suffixes[:-1] or suffixes, True
        yield Source(
            name=name,
            file=file,
            head=file.peek(4096)[:4096],
            path=Path(path) if size and not packed else None,
            suffix=suffixes[-1] if suffixes else "",
            whole=whole,
        )


def memory_limit() -> int:
    """Return the bytes that one table may take: half of the memory that is free."""
    return available_memory() // 2


def available_memory() -> int:
    """Return the bytes of memory that this process can still take."""
    limits = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(line for line in lines if line.startswith("MemAvailable"))
        limits.append(int(free.split()[1]) * 1024)
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text())
        limits.append(most - int((group / "memory.current").read_text()))
    if not limits:
        with suppress(OSError, ValueError, AttributeError):
            pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            limits.append(pages // 2)
    return max(min(limits, default=4 << 30), 0)


def too_large(name: str, what: str, limit: int) -> "Refused":
    """Return the error of a table that the memory cannot hold."""
    return Refused(
        f"{name} {what} more than {limit / 2**30:.2g} GiB, which is half of the free "
        "memory. Read a part of its rows or columns, or use a machine with more memory."
    )


class Refused(ValueError):
    """A sentence about a file, to pass through the layers of its compression."""


class _Unpacked(io.RawIOBase):
    """An unpacked stream whose errors name the file, and which ends at a limit."""

    def __init__(
        self, inner: IO[bytes], source: str, kind: str, limit: int | None
    ) -> None:
        self.inner, self.source, self.kind, self.limit = inner, source, kind, limit
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.inner.read(len(buffer))
        except Refused:  # of the layer below
            raise
        except _DAMAGE as error:
            if _of_system(error):
                raise
            raise _damaged(self.source, self.kind, error) from error
        self.count += len(data)
        if self.limit is not None and self.count > self.limit:
            raise too_large(self.source, "unpacks to", self.limit)
        buffer[: len(data)] = data
        return len(data)


def _of_system(error: Exception) -> bool:
    """Whether the disk failed, and not the content: a wrong offset is content."""
    return getattr(error, "errno", None) not in (None, errno.EINVAL)


def _damaged(name: str, kind: str, error: Exception) -> "Refused":
    return Refused(
        f"{name} is a damaged {kind} file ({error or type(error).__name__}). Copy or "
        "compress it again."
    )


@contextmanager
def _open(path: PathLike) -> Iterator[tuple[str, Any, int]]:
    """Open a file or standard input; give its name and size (0 if it cannot seek)."""
    if os.fspath(path) == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise ValueError(
                "- stands for standard input, which is a terminal. Send a table to it, "
                "as in: cat table.csv | thalweg ..."
            )
        raw: Any = sys.stdin.buffer
        yield (
            "standard input",
            raw if hasattr(raw, "peek") else io.BufferedReader(raw),
            0,
        )
        return
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a folder, not a file. Name its files, as in '{path}/*.csv'."
        )
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}. Check the name and folder.")
    with open(path, "rb") as file:
        yield str(path), file, path.stat().st_size if path.is_file() else 0


def _compression(head: bytes) -> str:
    for magic, kind in _COMPRESSIONS.items():
        # A workbook is a zip file, and is read as it is.
        if head.startswith(magic) and not any(
            name in head[30:100] for name in _IN_WORKBOOKS
        ):
            return kind
    return ""


def _unpack(name: str, kind: str, file: Any) -> Any:
    if kind == "gzip":
        return gzip.open(file)
    if kind == "bzip2":
        return bz2.open(file)
    if kind == "xz":
        return lzma.open(file)
    return (_open_zstd if kind == "zstd" else _open_member)(name, file)


def _open_zstd(name: str, packed: Any) -> IO[bytes]:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd

            return zstd.open(packed)
        import zstandard  # pyright: ignore[reportMissingImports]

        return zstandard.ZstdDecompressor().stream_reader(
            packed, read_across_frames=True
        )
    except ImportError as error:
        raise ValueError(
            f"{name} is compressed with Zstandard, which this Python cannot unpack. "
            "Install the package zstandard, or unpack the file first (zstd -d)."
        ) from error


def _open_member(name: str, packed: Any) -> IO[bytes]:
    """Open the one file in a zip file."""
    try:
        whole = packed if packed.seekable() else io.BytesIO(packed.read())
        archive = zipfile.ZipFile(whole)
        members = _members(archive)
        if len(members) == 1:
            return archive.open(members[0])
    except _DAMAGE as error:
        if _of_system(error):
            raise
        if "password" in str(error):
            raise ValueError(
                f"{name} is a zip file with a password. Unpack it first."
            ) from error
        raise _damaged(name, "zip", error) from error
    names = ", ".join(each.filename for each in members[:5]) or "none"
    raise ValueError(
        f"{name} is a zip file of {len(members)} files ({names}). Give one that holds "
        "one file, or unpack it and name the file."
    )


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return the files in a zip file, without those that systems add."""
    return [
        each
        for each in archive.infolist()
        if not each.is_dir()
        and not each.filename.startswith("__MACOSX/")
        and Path(each.filename).name not in (".DS_Store", "Thumbs.db")
    ]


def _check_size(name: str, kind: str, path: Path) -> None:
    """Refuse a file that unpacks to more than the limit, before it is read.

    Its start tells how far it unpacks. If that is too far, it is unpacked once in
    constant memory and counted.
    """
    limit, count, size = memory_limit(), 0, path.stat().st_size
    # What is damaged is found, and said, when it is read.
    with suppress(*_DAMAGE), open(path, "rb") as packed:
        if kind == "zip":
            count = sum(each.file_size for each in zipfile.ZipFile(packed).infolist())
        else:
            unpacked = _unpack(name, kind, packed)
            while count <= limit and (data := unpacked.read(1 << 20)):
                count += len(data)
                if count >= _PROBE and count / packed.tell() * size <= limit:
                    return
    if count > limit:
        raise too_large(name, "unpacks to", limit)
