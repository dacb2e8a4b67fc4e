"""What `thalweg gallery` does: run the examples that draw, and keep their pictures.

The examples are scripts in the form of sphinx-gallery: the first line of the docstring
says what the pictures show.
"""

import ast
import contextlib
import io
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from thalweg.core import need
from thalweg.io import atomic_write

_WIDTH = 600  # pixels


@dataclass(frozen=True)
class Picture:
    """A picture that an example drew.

    Parameters
    ----------
    path : Path
        The PNG file.
    caption : str
        What it shows.
    """

    path: Path
    caption: str


def draw_gallery(out: Path, mnist: Path | None = None) -> Iterator[Picture]:
    """Run one example after the other, and save what it draws.

    Parameters
    ----------
    out : Path
        Folder for the PNG files, each 600 pixels wide; made if need be.
    mnist : Path, optional
        Folder of MNIST's files; without it images are scikit-learn's digits.

    Yields
    ------
    Picture

    Raises
    ------
    ValueError
        If matplotlib is not installed: how to install it.
    FileNotFoundError
        If the examples are not installed.
    """
    need("matplotlib", "plots need matplotlib", "plots").use("agg")
    plt = need("matplotlib.pyplot", "plots need matplotlib", "plots")
    out.mkdir(parents=True, exist_ok=True)
    for script in find_examples():
        plt.close("all")
        _run(script, mnist)
        numbers = plt.get_fignums()
        for number in numbers:
            name = script.stem.removeprefix("plot_")
            path = out / f"{name}{f'_{number}' * (len(numbers) > 1)}.png"
            figure = plt.figure(number)
            with atomic_write(path) as draft:
                figure.savefig(draft, dpi=_WIDTH / figure.get_figwidth())
            yield Picture(path, _caption(script))
    plt.close("all")


def find_examples() -> list[Path]:
    """Return the scripts that draw: of this source tree, or as they were installed."""
    found = list((Path(__file__).parents[3] / "examples").glob("plot_*.py"))
    if not found:
        installed = metadata.files("thalweg") or []
        found = [
            Path(str(file.locate()))
            for file in installed
            if file.match("thalweg/examples/plot_*.py")
        ]
    if not found:
        raise FileNotFoundError(
            "the examples that draw the gallery are not installed. Install thalweg "
            "anew, or run the command from its source tree."
        )
    return sorted(found)


def _run(script: Path, mnist: Path | None) -> None:
    """Run a script as ``python script [mnist]`` would, without what it prints."""
    before = sys.argv
    sys.argv = [str(script), *([str(mnist)] if mnist else [])]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(script))
    finally:
        sys.argv = before


def _caption(script: Path) -> str:
    text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0]
