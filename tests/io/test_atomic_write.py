"""A file appears under its name when it is whole; until then the old one stays."""

import errno
import os
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from thalweg.io import atomic_write, check_output


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "some file.csv"
    path.write_text("old")
    return path


def write(path: object, text: str = "new") -> None:
    with atomic_write(path) as draft:  # pyright: ignore[reportArgumentType]
        draft.write_text(text)


@contextmanager
def file_size_limit(n_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_old_file_stays_until_the_block_ends(path: Path) -> None:
    with atomic_write(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == [path.name]


def test_an_error_leaves_the_old_file_and_no_draft(path: Path) -> None:
    def interrupted(draft: Path) -> None:
        draft.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic_write(path) as draft:
        interrupted(draft)
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


def test_a_full_disk_leaves_the_old_file_and_says_so(path: Path) -> None:
    with (
        file_size_limit(1000),
        pytest.raises(OSError, match=r"larger than.*unchanged") as caught,
    ):
        write(path, "x" * 2000)
    assert caught.value.errno == errno.EFBIG
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == [path.name]


def test_a_draft_keeps_the_suffix_from_which_libraries_read_the_format(
    tmp_path: Path,
) -> None:
    for name in ("a.png", "a.csv.gz", "a" * 240 + ".parquet", "a." + "b" * 240, "a"):
        with atomic_write(tmp_path / name) as draft:
            draft.write_text(name)
            short = len(name) < 250 and "b" * 50 not in name
            assert draft.suffix == (Path(name).suffix if short else "")
        assert (tmp_path / name).read_text() == name


def test_a_link_is_followed(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "link").symlink_to("../some file.csv")
    (folder / "link to link").symlink_to("link")
    (folder / "dangling").symlink_to(tmp_path / "later.csv")
    write(folder / "link to link")
    write(folder / "dangling", "later")
    assert path.read_text() == "new"
    assert (tmp_path / "later.csv").read_text() == "later"
    assert all(each.is_symlink() for each in folder.iterdir())
    assert len(os.listdir(folder)) == 3


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_permissions_are_kept(path: Path, mode: int) -> None:
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write(tmp_path / "ours")
    modes = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root may")
def test_the_owner_is_kept(path: Path) -> None:
    os.chown(path, 1234, 2345)
    write(path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_a_draft_of_a_private_file_is_private(path: Path) -> None:
    path.chmod(0o600)
    with atomic_write(path) as draft:
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600


def abandoned_draft(path: Path) -> Path:
    """Return a draft of `path` as a killed writer leaves it: nobody holds its lock."""
    with atomic_write(path) as draft:
        draft.write_text("new")
        copy = draft.with_name(draft.name[:-5] + "+" + draft.suffix)
        copy.write_text("torn")
    return copy


@pytest.mark.parametrize("action", [write, check_output])
def test_drafts_of_killed_writers_are_swept(path: Path, action: object) -> None:
    left = abandoned_draft(path)
    others = abandoned_draft(path.with_name("another file.csv"))
    assert callable(action)
    action(path)
    assert not left.exists()
    assert others.exists()


def test_the_draft_of_a_living_writer_is_not_swept(path: Path) -> None:
    with atomic_write(path) as draft:
        draft.write_text("first")
        write(path, "second")
        assert draft.read_text() == "first"
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == [path.name]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(tmp_path)  # the path of a socket is short
        server.bind("socket")
        os.chdir(here)
        cases: dict[object, str] = {
            tmp_path: "is a folder",
            str(tmp_path / "new") + os.sep: "is a folder",
            "/dev/null": "is a device",
            tmp_path / "pipe": "or a pipe",
            tmp_path / "socket": "is a device",
            tmp_path / "loop": "leads to itself",
            tmp_path / "no" / "file": r"there is no folder .*no",
            tmp_path / "file" / "below": "is a file, not a folder",
            tmp_path / ("x" * 300): "too long",
            "": "path must be the name of a file",
            "a\0b": "path must be the name of a file",
            3: "path must be a str",
            None: "path must be a str",
            b"bytes": "path must be a str",
        }
        for bad, message in cases.items():
            with pytest.raises((OSError, ValueError, TypeError), match=message):
                check_output(bad)  # pyright: ignore[reportArgumentType]
            with pytest.raises((OSError, ValueError, TypeError), match=message):
                write(bad)
    assert sorted(os.listdir(tmp_path)) == ["file", "loop", "pipe", "socket"]


def test_a_file_that_may_not_be_changed_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *given: False)  # root may everything
    with pytest.raises(PermissionError, match="no permission to change it"):
        write(path)
    assert path.read_text() == "old"


def test_a_folder_that_may_not_be_changed_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError, match=r"new cannot be written: you have no p"):
        check_output(path.with_name("new"))


def test_trying_a_path_leaves_nothing(tmp_path: Path) -> None:
    check_output(tmp_path / "later")
    assert not os.listdir(tmp_path)
