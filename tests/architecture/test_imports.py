"""What import-linter cannot say about the package's imports.

Its contracts in pyproject.toml hold rule 1 of docs/architecture.md: packages import
only to the left. Here stand rule 2, that a package is imported and never a file inside
it; that no imports go round in a circle; and that heavy packages wait until they are
needed.
"""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import thalweg

ROOT = Path(__file__).parents[2] / "src" / "thalweg"
FILES = {
    ".".join(("thalweg", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): path
    for path in sorted(ROOT.rglob("*.py"))
}
PACKAGES = {name.split(".")[1] for name in FILES if name.count(".") > 1}

# Imported inside the function that needs them, so that nobody else waits.
HEAVY = {
    *("matplotlib", "plotly", "jinja2", "pandas", "optuna", "keras", "onnx"),
    *("dask", "ray", "torch", "pyarrow", "skl2onnx", "mlflow", "tensorboardX"),
}


class Import(NamedTuple):
    """One imported module, and the circumstances that the rules ask about."""

    name: str
    line: int
    lazy: bool  # inside a function
    typing: bool  # for type checkers only


def bound(module: str) -> set[str]:
    """Return the names that a module binds by importing them."""
    path = FILES.get(module)
    tree = ast.parse(path.read_text()) if path else ast.Module([], [])
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the modules that a statement imports, absolute.

    A name that a package binds is that, though a file may have the same name.
    """
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    source = node.module or ""
    inside = {alias.name for alias in node.names} - bound(source)
    whole = [
        (f"{source}.{name}", name in inside) for name in (a.name for a in node.names)
    ]
    return [name if free and name in FILES else source for name, free in whole]


def imports(
    node: ast.AST, *, lazy: bool = False, typing: bool = False
) -> Iterator[Import]:
    """Walk a syntax tree."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for name in imported_names(child):
                yield Import(name, child.lineno, lazy, typing)
            continue
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        checked = (
            isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        )
        yield from imports(child, lazy=lazy or function, typing=typing or checked)


def complaints(module: str, source: str) -> list[str]:
    """Return a sentence for each import that breaks a rule."""
    own = module.split(".")[1] if "." in module else ""
    found = []
    for each in imports(ast.parse(source)):
        top, *rest = each.name.split(".")
        if top == "thalweg" and len(rest) > 1 and rest[0] in PACKAGES - {own}:
            found.append(
                f"{module}:{each.line} imports {each.name}, a file inside another "
                f"package; import what it needs from thalweg.{rest[0]}"
            )
        if top in HEAVY and not (each.lazy or each.typing):
            found.append(
                f"{module}:{each.line} imports {top} at the top; import it in the "
                "function that needs it"
            )
    return found


@pytest.mark.parametrize("module", FILES)
def test_imports_stop_at_packages_and_are_light(module: str):
    assert complaints(module, FILES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("thalweg.training.fit", "from thalweg.core.plan import Plan", "core.plan"),
        ("thalweg.cli.app", "def f():\n    import thalweg.report.page", "report.page"),
        ("thalweg.core.plan", "import pandas as pd", "in the function that needs it"),
        ("thalweg.plots.layers", "from matplotlib import figure", "matplotlib"),
    ],
)
def test_what_is_forbidden(module: str, source: str, reason: str):
    (sentence,) = complaints(module, source)
    assert reason in sentence


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("thalweg.core.plan", "from thalweg.core.registry import choose"),
        ("thalweg.training.fit", "from thalweg.core import Plan"),
        ("thalweg.training.fit", "from thalweg import engines"),
        ("thalweg.tuning.search", "def f():\n    import optuna"),
    ],
)
def test_what_is_allowed(module: str, source: str):
    assert complaints(module, source) == []


def test_no_imports_go_round_in_a_circle():
    """Those inside functions count as well; those for type checkers do not."""
    graph = {
        module: {
            each.name
            for each in imports(ast.parse(path.read_text()))
            if each.name in FILES and not each.typing and each.name != module
        }
        for module, path in FILES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"Modules import each other in a circle: {error.args[1]}")


def test_type_checkers_see_the_public_names_where_they_are():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    homes = {
        alias.name: (node.module or "").removeprefix("thalweg.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (node.module or "").startswith("thalweg.")
    }
    assert homes == thalweg._HOMES  # pyright: ignore[reportPrivateUsage]


@pytest.mark.slow
def test_a_public_function_hides_a_file_of_its_name():
    """`thalweg.training.fit` is the function, whatever was imported before."""
    code = (
        "import thalweg.training.fit, thalweg.diagnosis.diagnose\n"
        "import thalweg.comparison.compare, thalweg.tuning.search\n"
        "import thalweg.optimize.minimize, thalweg as tw\n"
        "for package, name in (('training', 'fit'), ('diagnosis', 'diagnose'),\n"
        "                      ('comparison', 'compare'), ('tuning', 'search'),\n"
        "                      ('optimize', 'minimize')):\n"
        "    found = getattr(getattr(tw, package), name)\n"
        "    assert found is getattr(tw, name) and callable(found), name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_importing_the_package_loads_nothing_heavy_and_is_quick():
    code = (
        "import time; begun = time.perf_counter()\n"
        "import sys, thalweg; print(time.perf_counter() - begun, *sys.modules)"
    )
    command = [sys.executable, "-c", code]
    taken = []
    for _ in range(3):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, *modules = done.stdout.split()
        taken.append(float(seconds))
        heavy = {"jax", "optax", "sklearn", "keras", "matplotlib", "optuna", "pandas"}
        assert heavy & set(modules) == set()
    assert statistics.median(taken) < 0.8
