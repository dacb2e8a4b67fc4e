"""The command that keeps the pictures of the examples."""

import shutil
from pathlib import Path

import pytest

from thalweg.cli import gallery
from thalweg.cli.app import main

EXAMPLES = Path(__file__).parents[2] / "examples"
TWO_PICTURES = '''"""
A line and a point
==================
"""
import sys
import matplotlib.pyplot as plt
print("never seen")
plt.figure(figsize=(3, 2))
plt.plot([1, 2])
plt.figure(figsize=(6, 4))
plt.title(" ".join(sys.argv[1:]))
'''


def test_the_examples_of_the_source_tree_are_found():
    found = [path.name for path in gallery.find_examples()]
    assert found == sorted(path.name for path in EXAMPLES.glob("plot_*.py"))


def test_installed_examples_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the wheel has them: listed in the metadata, outside the package."""
    home = tmp_path / "share" / "thalweg" / "examples"
    home.mkdir(parents=True)
    shutil.copy(EXAMPLES / "plot_bowl.py", home)
    (home / "digits.py").touch()
    info = tmp_path / "lib" / "thalweg-9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: thalweg\nVersion: 9\n")
    names = ("plot_bowl.py", "digits.py")
    listed = [f"../share/thalweg/examples/{name},,\n" for name in names]
    (info / "RECORD").write_text("".join(listed))
    monkeypatch.setattr(gallery, "__file__", str(tmp_path / "lib/thalweg/cli/x.py"))
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    (found,) = gallery.find_examples()
    assert found.samefile(home / "plot_bowl.py")


def test_without_examples_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gallery, "__file__", "/nowhere/lib/thalweg/cli/gallery.py")
    monkeypatch.setattr(gallery.metadata, "files", lambda name: None)
    with pytest.raises(FileNotFoundError, match="Install thalweg anew"):
        gallery.find_examples()


def test_each_picture_of_an_example_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    script = tmp_path / "plot_two.py"
    script.write_text(TWO_PICTURES)
    monkeypatch.setattr(gallery, "find_examples", lambda: [script])
    drawn = list(gallery.draw_gallery(tmp_path / "new" / "out", Path("data")))
    assert [each.path.name for each in drawn] == ["two_1.png", "two_2.png"]
    assert {each.caption for each in drawn} == {"A line and a point"}
    for each in drawn:
        data = each.path.read_bytes()
        assert data[:4] == b"\x89PNG"
        assert int.from_bytes(data[16:20], "big") == 600
    assert capsys.readouterr().out == ""


def test_the_command_names_each_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(gallery, "find_examples", lambda: [EXAMPLES / "plot_bowl.py"])
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["gallery", str(tmp_path / "new" / "out")])
    assert not ended.value.code
    path = tmp_path / "new" / "out" / "bowl.png"
    assert capsys.readouterr().out == f"{path}  Four optimizers in one bowl\n"
    assert path.stat().st_size > 5000
