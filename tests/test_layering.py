"""The package's rings: who may import whom, how heavy and how large it may be.

A file imports only from lower rings, or from entries above its own in its ring.
The rule is checked by reading the imports, wherever in the file they stand; the
code itself is not run. An entry that is a package covers all its files, which may
import each other. Only methods called `plot` and `_repr_html_` reach up: to the
views.
"""

import ast
import io
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import thalweg

# Ring -> its entries, lowest first. A new module gets its line here.
RINGS = {
    "0": (
        "cores",
        "lookup",
        "records",
        "comparisons",
        "searches",
        "findings",
        "evaluations",
        "rules",
    ),
    "1": ("initializers", "networks", "choices", "plan"),
    "2": ("engines.native", "engines.xla", "engines.__init__", "saving"),
    "3": (
        "inputs",
        "watching",
        "levenberg",
        "line_searches",
        "descents",
        "fullbatch",
        "streams",
        "training",
        "hosts",
        "packing",
        "written",
        "rulers",
        "suspects",
        "gradients",
        "minimizing",
    ),
    "4": (
        "gathering",
        "side_by_side",
        "populations",
        "estimators",
        "bridges",
        "keras_dense",
        "keras_models",
        "keras_estimators",
        "columns",
        "tables",
        "targets",
        "heldout",
        "tabular",
        "ensembles",
    ),
    "5": (
        "datasets",
        "inspection",
        "hidden_features",
        "experiments",
        "spaces",
        "samplers",
        "trying",
        "studies",
        "driving",
        "tuning",
        "cases",
        "keras_cases",
        "subjects",
        "measure",
        "trials",
        "doctor",
        "summary",
    ),
    "view": ("plots", "report"),
    "top": ("gallery", "asking", "searching", "cli", "__init__"),
}

# Ring -> what it may import from outside, besides all that lower rings may.
OUTSIDE = {
    "0": {"numpy"},
    "1": set[str](),
    "2": {"scipy", "threadpoolctl", "safetensors"},
    "3": set[str](),
    "4": {"sklearn", "pandas", "keras", "onnx", "skl2onnx", "joblib", "ray"},
    "5": {"optuna"},
    "view": {"matplotlib", "plotly", "jinja2", "optuna"},
    "top": {"rich", "typer"},
}
# Entries with more: JAX and optax live in one place.
MORE_OUTSIDE = {
    "engines.xla": {"jax", "optax"},
    "comparisons": {"pandas"},
    "searches": {"pandas"},
    "streams": {"pyarrow"},
}

# Imported inside the function that needs them, so that nobody else waits.
HEAVY = {
    *("matplotlib", "plotly", "jinja2", "pandas", "optuna", "keras", "onnx"),
    *("dask", "ray", "torch", "pyarrow", "skl2onnx"),
}

VIEWS = RINGS["view"]
ENTRIES = [entry for ring in RINGS.values() for entry in ring]
RING_OF = {entry: ring for ring, entries in RINGS.items() for entry in entries}

ROOT = Path(__file__).parents[1] / "src" / "thalweg"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
}


class Import(NamedTuple):
    """One imported module, and the circumstances that the rules ask about."""

    name: str
    line: int
    lazy: bool  # inside a function, or for type checkers only
    drawing: bool  # inside a `plot` or `_repr_html_` method


def entry_of(module: str) -> str | None:
    """Return the table's entry that covers a module of the package."""
    for entry in ENTRIES:
        if module == entry or module.startswith(entry + "."):
            return entry
    return None


def module_of(name: str) -> str:
    """Return the package's own name for ``thalweg.a.b``, a file or a table entry."""
    inside = name.removeprefix("thalweg").removeprefix(".")
    package = f"{inside}.__init__".removeprefix(".")
    known = package in FILES or package in ENTRIES
    return package if known else inside


def is_module(name: str) -> bool:
    """Tell whether ``thalweg.a.b`` is a module, rather than a name inside one."""
    module = module_of(name)
    return module in FILES or module in ENTRIES


def imported_names(node: ast.stmt) -> list[str]:
    """Return the modules that a statement imports, absolute."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if node.level:
        return ["." * node.level]
    source = node.module or ""
    if source.split(".")[0] != "thalweg":
        return [source]
    whole = [f"{source}.{alias.name}" for alias in node.names]
    return [name if is_module(name) else source for name in whole]


def imports(
    node: ast.AST, *, lazy: bool = False, drawing: bool = False, owned: bool = False
) -> Iterator[Import]:
    """Walk a syntax tree; `owned` says that the node is a class's body."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for name in imported_names(child):
                yield Import(name, child.lineno, lazy, drawing)
            continue
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        draws = function and owned and child.name in ("plot", "_repr_html_")
        typing_only = (
            isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        )
        yield from imports(
            child,
            lazy=lazy or function or typing_only,
            drawing=drawing or draws,
            owned=isinstance(child, ast.ClassDef),
        )


def may_import_inside(entry: str, target: str, *, drawing: bool) -> bool:
    """Tell whether one entry of the table may import another."""
    ring, target_ring = RING_OF[entry], RING_OF[target]
    if entry == target:
        return True
    if {entry, target} == {"engines.native", "engines.xla"}:
        return False  # neither engine knows the other
    if target_ring == "view" and drawing:
        return True
    if ring == "view":
        return target_ring == "0" or target in VIEWS[: VIEWS.index(entry)]
    if target_ring == "view":
        return ring == "top"
    return ENTRIES.index(target) < ENTRIES.index(entry)


@cache
def allowed_outside(entry: str) -> frozenset[str]:
    """Return the packages that an entry's files may import."""
    ring, order = RING_OF[entry], list(RINGS)
    below = ["0"] if ring == "view" else order[: order.index(ring)]
    if ring == "top":
        below.remove("view")
    packages = [OUTSIDE[each] for each in (*below, ring)]
    return frozenset().union(*packages, MORE_OUTSIDE.get(entry, set()))


def complaint(entry: str, found: Import) -> str | None:
    """Return the sentence about one import, if it breaks a rule."""
    top = found.name.split(".")[0]
    ring = RING_OF[entry]
    if not top:
        return "imports relatively; write the module's whole name"
    if top == "thalweg":
        target = entry_of(module_of(found.name))
        if target is None:
            return f"imports {found.name}, which is not in this test's table RINGS"
        if may_import_inside(entry, target, drawing=found.drawing):
            return None
        return (
            f"imports {found.name} (ring {RING_OF[target]}) from ring {ring}; a file "
            "imports only from lower rings or from entries above it in its own: move "
            "what both need down, or pass it in"
        )
    if top not in sys.stdlib_module_names and top not in allowed_outside(entry):
        return (
            f"imports {top}, which ring {ring} may not; it may import "
            f"{', '.join(sorted(allowed_outside(entry)))} (see OUTSIDE in this test)"
        )
    if top in HEAVY and not found.lazy:
        return f"imports {top} at the top; import it in the function that needs it"
    return None


def violations(module: str, source: str) -> list[str]:
    """Return a sentence for every rule that a module's imports break."""
    entry = entry_of(module)
    if entry is None:
        return [
            f"{module} is in no ring: add it to RINGS in this test and to the design's "
            "table, as low as its imports allow, or move its content to a module there"
        ]
    found = [(each, complaint(entry, each)) for each in imports(ast.parse(source))]
    return [f"{module}:{each.line} {text}" for each, text in found if text]


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that are not blank, comment or docstring."""
    marks = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER)
    layout = (tokenize.INDENT, tokenize.DEDENT)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in (*marks, *layout):
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    text = source.splitlines()
    return {line for line in lines if text[line - 1].strip()}


def function_lengths(source: str) -> dict[str, int]:
    """Return the lines of code of each function, nested ones included."""
    lines = code_lines(source)
    return {
        f"{node.name}:{node.lineno}": len(
            lines & set(range(node.lineno, (node.end_lineno or 0) + 1))
        )
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("module", FILES)
def test_module_imports_only_what_its_ring_may(module: str):
    assert violations(module, FILES[module].read_text()) == []


def test_imports_have_no_cycle():
    graph = {
        module: {
            module_of(each.name)
            for each in imports(ast.parse(path.read_text()))
            if each.name.startswith("thalweg") and not each.drawing
        }
        for module, path in FILES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"Modules import each other in a circle: {error.args[1]}")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("records", "import numpy as np\nfrom thalweg.lookup import look_up"),
        ("plan", "from thalweg import lookup, networks"),
        ("engines.xla.steps", "import jax\nfrom thalweg.engines.xla import losses"),
        ("engines.__init__", "def f():\n    from thalweg.engines import native, xla"),
        ("estimators.base", "from thalweg.estimators.helpers import x\nimport sklearn"),
        ("tabular", "def f():\n    import pandas as pd"),
        ("tabular", "if TYPE_CHECKING:\n    import pandas as pd"),
        ("records", "class A:\n    def plot(self):\n        import thalweg.plots"),
        ("report", "from thalweg import plots"),
        ("cli", "import rich\nfrom thalweg import report, tabular"),
    ],
)
def test_what_the_rings_allow(module: str, source: str):
    assert violations(module, source) == []


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("metrics", "", "in no ring: add it to RINGS"),
        ("engines.common", "", "in no ring"),
        ("lookup", "from thalweg.records import Run", "move what both need down"),
        ("plan", "def f():\n    from thalweg import training", "from ring 1"),
        ("plan", "from thalweg import fit", "imports thalweg (ring top)"),
        ("plan", "import thalweg.metrics", "not in this test's table"),
        ("engines.xla.steps", "from thalweg.engines import native", "ring 2"),
        ("engines.xla.steps", "import thalweg.engines", "ring 2"),
        ("networks", "from . import lookup", "relatively"),
        ("networks", "import scipy.linalg", "imports scipy, which ring 1 may not"),
        ("training", "def f():\n    import optax", "imports optax"),
        ("training", "from sklearn.base import clone", "imports sklearn"),
        ("tabular", "import pandas as pd", "in the function that needs it"),
        ("experiments", "def plot():\n    import thalweg.plots", "ring view"),
        ("report", "from thalweg.networks import Dense", "from ring view"),
        ("plots", "from thalweg import report", "ring view"),
        ("cli", "def f():\n    import matplotlib", "imports matplotlib"),
    ],
)
def test_what_the_rings_forbid(module: str, source: str, reason: str):
    (sentence,) = violations(module, source)
    assert reason in sentence


def test_lines_are_counted_without_blanks_comments_and_docstrings():
    source = (
        '"""Top."""\n\n# why\ndef f():\n    """Say."""\n\n    return """a\n\nb"""\n'
    )
    assert code_lines(source) == {4, 7, 9}
    assert function_lengths(source) == {"f:4": 3}


def test_sizes_stay_within_their_budgets():
    sources = {module: path.read_text() for module, path in FILES.items()}
    sizes = {module: len(code_lines(source)) for module, source in sources.items()}
    lengths = [n for each in sources.values() for n in function_lengths(each).values()]
    assert {module: n for module, n in sizes.items() if n > 450} == {}
    assert sum(sizes.values()) <= 17_170
    assert statistics.median(lengths) <= 10


def test_no_module_shares_its_name_with_a_public_name():
    # Importing the module would put it in the public name's place.
    assert set(thalweg.__all__) & {module.split(".")[0] for module in FILES} == set()


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


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, thalweg; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"jax", "optax", "sklearn", "keras", "matplotlib", "optuna", "pandas"}
    assert heavy & set(done.stdout.split()) == set()
