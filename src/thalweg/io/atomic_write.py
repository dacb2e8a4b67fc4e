"""Write a file in one step: it appears under its name only when it is complete.

A draft is written in the same folder, flushed to the disk, and renamed. Until then, the
file that was there is untouched: a kill, a full disk or an error leaves it whole.

The writer holds a lock on its draft. A kill releases the lock and leaves the draft. The
next write to the same name removes every draft that nobody holds.
"""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from thalweg.core import shown

try:
    import fcntl
except ImportError:  # Windows removes no file that somebody has open
    fcntl = None


PathLike = str | os.PathLike[str]

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota of the disk is used up",
    errno.EFBIG: "the file is larger than a file may be here",
    errno.EIO: "the disk reported an error",
}
_REASONS = {
    errno.EACCES: "you have no permission to write there",
    errno.EPERM: "you have no permission to write there",
    errno.EROFS: "the file system is read-only",
    errno.ELOOP: "it is a symbolic link that leads to itself",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    **_FULL,
}


@contextmanager
def atomic_write(path: PathLike) -> Iterator[Path]:
    """Give a draft to write; it takes the place of `path` when the block ends.

    If the block raises, the draft is removed and `path` stays as it was. A symbolic
    link is followed. A file that is replaced keeps its permissions, and its owner where
    the system allows that.

    Parameters
    ----------
    path : str or path-like

    Yields
    ------
    Path
        An empty file in the same folder, with the same suffix. Open it, or give it to
        a library that wants a path.

    Raises
    ------
    OSError
        If `path` is a folder or a device, or cannot be written. The message names
        `path` and says why.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "numbers.txt"
    >>> with atomic_write(path) as draft:
    ...     _ = draft.write_text("1 2 3")
    >>> path.read_text()
    '1 2 3'
    """
    target, before = _target(path)
    _sweep(target)
    draft, file = _open_draft(path, target, private=before is not None)
    try:
        try:
            yield draft
            os.fsync(file)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            kept = " The file that was there is unchanged." if before else ""
            raise _sentence(error, f"{path} was not written: {{}}.{kept}") from error
        if before is not None:
            _copy_access(before, target, draft, file)
        if os.name == "nt":
            os.close(file)
            file = -1
        os.replace(draft, target)
        _sync_folder(target.parent)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    finally:
        if file >= 0:
            os.close(file)


def check_output(path: PathLike) -> None:
    """Try whether a file can be written, before the work whose result it shall hold.

    Nothing is left behind.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    OSError
        As `atomic_write`.
    """
    target, _ = _target(path)
    _sweep(target)
    draft, file = _open_draft(path, target, private=True)
    os.close(file)
    draft.unlink(missing_ok=True)


def _target(path: PathLike) -> tuple[Path, os.stat_result | None]:
    """Return the file that `path` means, links followed, and its state if it exists."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(f"path must be a str or path-like. Got {shown(path)} instead.")
    if not text or "\0" in text:
        raise ValueError(f"path must be the name of a file. Got {path!r} instead.")
    target = Path(os.path.realpath(text))
    try:
        state = target.stat()
    except FileNotFoundError:
        state = None
    except OSError as error:
        raise _refusal(path, error) from error
    if state is None and not target.parent.is_dir():
        named = target if os.path.islink(text) else Path(text)
        raise FileNotFoundError(
            f"there is no folder {named.parent} to write {named.name} in. Create it "
            "first, or choose another."
        )
    separators = tuple(filter(None, (os.sep, os.altsep)))
    if text.endswith(separators) or (state and stat.S_ISDIR(state.st_mode)):
        raise IsADirectoryError(
            f"{path} is a folder, not a file. Give the name of a file, such as "
            f"{Path(text) / 'NAME'}."
        )
    if state and not stat.S_ISREG(state.st_mode):
        raise OSError(
            f"{path} is a device or a pipe, not a file. Give the name of a file."
        )
    if state and not os.access(target, os.W_OK):
        raise PermissionError(
            f"{path} cannot be written: you have no permission to change it. Choose "
            "another name, or change its permissions."
        )
    return target, state


def _refusal(path: PathLike, error: OSError) -> OSError:
    return _sentence(error, f"{path} cannot be written: {{}}. Choose another name.")


def _sentence(error: OSError, text: str) -> OSError:
    """Return an error of the same type and number, whose text says the reason."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    said = type(error)(text.replace("{}", reason))
    said.errno = error.errno
    return said


def _prefix(target: Path) -> str:
    """Return how the names of all drafts of a file begin; names may be very long."""
    digest = sha256(target.name.encode(errors="surrogateescape")).hexdigest()
    return f".thalweg-{digest[:12]}-"


def _open_draft(path: PathLike, target: Path, private: bool) -> tuple[Path, int]:
    """Create a draft, and hold its lock until the descriptor is closed."""
    suffix = "".join(target.suffixes[-2:])  # libraries read the format from it
    suffix = suffix if len(suffix) <= 32 else ""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        draft = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}{suffix}")
        try:
            file = os.open(draft, flags, 0o600 if private else 0o666)
        except FileExistsError:
            continue
        except OSError as error:
            raise _refusal(path, error) from error
        with suppress(OSError):  # a file system without locks
            _lock(file)
        if os.fstat(file).st_nlink:
            return draft, file
        os.close(file)  # another writer swept it before we had the lock


def _sweep(target: Path) -> None:
    """Remove the drafts of this file that no writer holds."""
    with suppress(OSError):
        for draft in target.parent.glob(f"{_prefix(target)}*"):
            with suppress(OSError):
                _remove_if_left(draft)


def _remove_if_left(draft: Path) -> None:
    """Remove a draft, or raise OSError if its writer lives."""
    file = os.open(draft, os.O_RDWR)
    try:
        _lock(file, wait=False)
        draft.unlink()
    finally:
        os.close(file)


def _lock(file: int, wait: bool = True) -> None:
    """Lock a file until its descriptor is closed; raise OSError if another has it."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _copy_access(before: os.stat_result, target: Path, draft: Path, file: int) -> None:
    """Give the draft the owner, the permissions and the attributes of a file."""
    if os.name == "nt":
        return
    now = os.fstat(file)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        for owner in ((-1, before.st_gid), (before.st_uid, -1)):
            with suppress(PermissionError):
                os.chown(file, *owner)
    os.chmod(file, stat.S_IMODE(before.st_mode))
    with suppress(OSError, AttributeError):  # access lists, where there are any
        for name in os.listxattr(target):
            os.setxattr(draft, name, os.getxattr(target, name))


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power failure, where the system can."""
    with suppress(OSError):
        file = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
