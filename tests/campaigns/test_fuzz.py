"""The fuzz campaign: broken model files and odd parameters end in a sentence.

In full, 10,000 cases: ``THALWEG_CAMPAIGN=full pytest tests/campaigns/test_fuzz.py -s``.
A case that fails prints its number; its seed is that number.
"""

import json
import os
import random
import re
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.io.model_file import read_model_file, write_model_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
FULL = os.environ.get("THALWEG_CAMPAIGN") == "full"
GOLDEN = sorted((Path(__file__).parents[1] / "io" / "golden").glob("*/*.thalweg"))
BYTES, DOCUMENTS, PARAMETERS = (5000, 2500, 2500) if FULL else (150, 100, 60)
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 3, 2**63, 10**400, 0.5, -0.5, 1e-300, 1e308, -1e308,
    float("nan"), float("inf"), float("-inf"), "", "adam", "relu", "nonsense", "\0",
    b"bytes", [], [1], [1, 2], (), (3,), ("adam", {}), ("adam", {"beta_1": 2}), {},
    {0: 1.0}, {0: -1}, {"a": 1}, {1, 2}, object(), len, np.float32(0.1), np.int64(3),
    np.array([]), np.array([2, 3]), np.nan, np.array("x"), np.datetime64("NaT"),
    np.random.RandomState(0), "auto", "balanced", 1j, range(3),
]  # fmt: skip


def attempt(action: Callable[[], Any]) -> tuple[Any, str | None]:
    """Return what a call returned, or else the sentence that it refused with."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return action(), None
    except (ValueError, TypeError, OSError) as error:
        return None, str(error)


def fit(make: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    return make(**parameters).fit(X, Y)


def damage(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut, insert, repeat or swap some bytes."""
    mutable = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = rng.randrange(max(len(mutable), 1))
        end = place + rng.choice((1, 4, 64, 512))
        match rng.randrange(6):
            case 0:
                mutable[place:end] = rng.randbytes(len(mutable[place:end]))
            case 1:
                del mutable[place:]
            case 2:
                del mutable[place:end]
            case 3:
                mutable[place:place] = rng.randbytes(end - place)
            case 4:
                mutable[place:place] = mutable[place:end]
            case _:
                mutable[:8] = rng.randbytes(8)
    return bytes(mutable)


@pytest.mark.parametrize("kind", ["bytes"])
def test_damaged_files_are_refused(kind: str, tmp_path: Path) -> None:
    path, n_whole = tmp_path / "model", 0
    originals = [each.read_bytes() for each in GOLDEN]
    for number in range(BYTES):
        rng = random.Random(number)
        before = rng.choice(originals)
        after = damage(before, rng)
        path.write_bytes(after)
        _, refused = attempt(lambda: tw.load(path))
        if refused is None:
            n_whole += 1
            assert after == before or same_content(after, before), number
        else:
            assert str(path) in refused, (number, refused)
    print(f"{BYTES} damaged files, {n_whole} unharmed")  # noqa: T201


def same_content(after: bytes, before: bytes) -> bool:
    """Whether two files differ in nothing but spaces of the header."""

    def parts(data: bytes) -> Any:
        end = 8 + int.from_bytes(data[:8], "little")
        return json.loads(data[8:end]), data[end:]

    return parts(after) == parts(before)


def change(content: Any, rng: random.Random) -> Any:
    """Change one value somewhere in a document of JSON."""
    if isinstance(content, dict) and content and rng.random() < 0.9:
        key = rng.choice([*content])
        if rng.random() < 0.1:
            return {k: v for k, v in content.items() if k != key}
        return {**content, key: change(content[key], rng)}
    if isinstance(content, list) and content and rng.random() < 0.9:
        place = rng.randrange(len(content))
        if rng.random() < 0.1:
            return content[:place] + content[place + 1 :]
        return [*content[:place], change(content[place], rng), *content[place + 1 :]]
    plain = [None, True, 0, -1, 2**70, 1e308, "", "x", [], {}, [[]], {"list": 3}]
    kinds = ["tuple", "list", "dict", "float", "array", "bytes", "choice", "Timestamp"]
    return rng.choice([*plain, {rng.choice(kinds): rng.choice(plain)}])


@pytest.mark.parametrize("kind", ["documents"])
def test_changed_documents_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    path, n_read = tmp_path / "model", 0
    originals = [read_model_file(each) for each in GOLDEN]
    for number in range(DOCUMENTS):
        rng = random.Random(number)
        name, content, arrays = rng.choice(originals)
        write_model_file(path, name, change(content, rng), arrays)
        _, refused = attempt(lambda: tw.load(path))
        n_read += refused is None
        assert refused is None or str(path) in refused, (number, refused)
    print(f"{DOCUMENTS} changed documents, {n_read} still a model")  # noqa: T201


X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.arange(12) % 2
KINDS: dict[str, Callable[..., Any]] = {
    "MLPClassifier": tw.MLPClassifier,
    "MLPRegressor": tw.MLPRegressor,
    "Classifier": tw.Classifier,
    "Regressor": tw.Regressor,
}


def plausible(usual: Any, rng: random.Random) -> Any:
    """Return a value like the usual one, perhaps of another type."""
    if isinstance(usual, bool):
        return rng.choice((True, False, np.True_, np.False_))
    if isinstance(usual, int):
        return rng.choice((int, np.int64, np.int16, np.uint8))(rng.randint(1, 5))
    if isinstance(usual, float):
        return rng.choice((float, np.float32, np.float64))(rng.uniform(1e-6, 0.4))
    return usual


@pytest.mark.parametrize("kind", ["parameters"])
def test_odd_parameters_work_or_are_named(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    n_fitted = n_kept = 0
    for number in range(PARAMETERS):
        rng = random.Random(number)
        make = KINDS[rng.choice([*KINDS])]
        names = sorted(make().get_params(deep=False))
        usual = make().get_params(deep=False)
        given = {name: plausible(usual[name], rng) for name in rng.sample(names, 6)}
        if rng.random() < 0.6:
            given[rng.choice(names)] = rng.choice(ODD)
        few = {"callbacks": [lambda record: True], "hidden_layer_sizes": (2,)}
        path = tmp_path / f"{number}"
        model, refused = attempt(partial(fit, make, {**few, **given}))
        if refused is not None:
            assert any(re.search(rf"\b{name}\b", refused) for name in ALL_NAMES), (
                number, given, refused,
            )  # fmt: skip
            continue
        n_fitted += 1
        _, refused = attempt(partial(tw.save, model, path))
        if refused is not None:
            assert "cannot" in refused or "model file" in refused, (number, refused)
            assert not path.exists(), number
            continue
        n_kept += 1
        back = tw.load(path)
        np.testing.assert_array_equal(back.predict(X), model.predict(X))
    with capsys.disabled():
        print(  # noqa: T201
            f"{PARAMETERS} estimators with odd parameters: {n_fitted} fitted, "
            f"{n_kept} kept in files that load"
        )


ALL_NAMES = {
    *{name for make in KINDS.values() for name in make().get_params(deep=False)},
    # How a plan, a layer and the data call them.
    *("epochs", "units", "sizes", "weights", "optimizer", "X", "y", "l2", "engine"),
}
