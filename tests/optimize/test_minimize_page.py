"""`docs/minimize.md`: its programs run, and SciPy does what its table says."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import rosen, rosen_der, rosen_hess, rosen_hess_prod

import thalweg as tw
from thalweg.optimize import METHODS

PAGE = (Path(__file__).parents[2] / "docs" / "minimize.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE[PAGE.index("| method |") :].splitlines()
    if line.startswith("|")
]
TABLE = {row[0]: dict(zip(ROWS[0][1:], row[1:], strict=True)) for row in ROWS[2:17]}
START = [1.5, 2.0]


def call(minimize: Any, method: str, **given: Any) -> tuple[Any, str]:
    """Minimize with what the method needs; return the result and the warnings."""
    if TABLE[method]["gradient"] == "yes":
        given.setdefault("jac", rosen_der)
    if method.startswith(("trust-", "dogleg")) and "hessp" not in given:
        given.setdefault("hess", rosen_hess)
    few = {"maxfun": 9} if method == "TNC" else {"maxiter": 5}
    given.setdefault("options", few)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = minimize(rosen, START, method=method, **given)
    return result, " ".join(str(each.message) for each in caught)


def test_every_method_has_a_row():
    assert TABLE.keys() == {method.label for method in METHODS.values()}


@pytest.mark.parametrize("method", TABLE)
@pytest.mark.parametrize(
    ("column", "given", "warning"),
    [
        ("gradient", {"jac": rosen_der}, "gradient information"),
        ("hess", {"hess": rosen_hess}, "Hessian information"),
        ("hessp", {"hess": rosen_hess, "hessp": rosen_hess_prod}, "Hessian-vector"),
        ("bounds", {"bounds": [(0, 3)] * 2}, "cannot handle bounds"),
        ("constraints", {"constraints": {"type": "ineq", "fun": lambda x: 9 - x @ x}},
         "cannot handle constraints"),
    ],
)  # fmt: skip
def test_what_a_method_takes(method: str, column: str, given: Any, warning: str):
    _, theirs = call(optimize.minimize, method, **given)
    _, ours = call(tw.minimize, method, check="off", **given)
    assert (warning not in theirs) == (TABLE[method][column] == "yes")
    assert ours == theirs


@pytest.mark.parametrize("method", TABLE)
def test_callbacks(method: str):
    seen: list[Any] = []

    def record(intermediate_result: Any) -> None:
        seen.append(isinstance(intermediate_result, optimize.OptimizeResult))

    call(optimize.minimize, method, callback=record)
    assert all(seen) == (TABLE[method]["record"] == "yes")
    seen.clear()
    call(tw.minimize, method, callback=record)
    assert all(seen)
    assert len(seen) > 0

    def stop(*x: Any) -> None:
        raise StopIteration

    ours, _ = call(tw.minimize, method, callback=stop)
    assert ours.stop_reason == "callback"
    assert len(ours.history) == 1
    if TABLE[method]["StopIteration"] == "yes":
        theirs, _ = call(optimize.minimize, method, callback=stop)
        assert (ours.status, ours.message) == (theirs.status, theirs.message)
    else:
        with pytest.raises(StopIteration):
            call(optimize.minimize, method, callback=stop)


@pytest.mark.parametrize("method", TABLE)
def test_maxiter(method: str):
    most = 5 if method == "COBYLA" else 3  # it needs some to begin with
    options = {"maxiter": most}
    theirs, said = call(optimize.minimize, method, options=options)
    ours, _ = call(tw.minimize, method, options=options)
    counted = {"iterations": "nit", "evaluations": "nfev", "ours": "nit"}
    count = counted[TABLE[method]["maxiter"]]
    assert ours[count] == most
    assert not ours.success
    if TABLE[method]["maxiter"] == "ours":
        assert "Unknown solver options: maxiter" in said
        assert theirs.nit > most
    else:
        assert (ours[count], ours.message) == (theirs[count], theirs.message)


def test_the_programs_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    said = capsys.readouterr().out
    assert "a penalty reaches the biases only in the cost" in said
    assert "Cost and gradient agree on 5 directions." in said
    assert (tmp_path / "cost.png").exists()
    assert names["result"].success
    found = names["sigmoid"](
        np.c_[np.ones(80), names["sigmoid"](
            np.c_[np.ones(80), names["X"]] @ names["split"](names["result"].x)[0].T
        )] @ names["split"](names["result"].x)[1].T
    )  # fmt: skip
    assert ((found[:, 0] > 0.5) == names["y"]).mean() > 0.6
