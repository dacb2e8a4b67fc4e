"""A fitted MLP estimator as one model file: what it predicts with, and its history.

Weights and statistics are tensors, the rest is JSON. The optimizer's state and the
random state are not kept: a loaded estimator predicts the same, and a further fit
begins the optimizer anew (pickle keeps that too).
"""

import math
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer, StandardScaler
from sklearn.utils.validation import check_is_fitted

from thalweg.core import Array, History
from thalweg.io import PathLike, read_model_of_kind, understood_model, write_model_file

_PLAIN = (
    "n_features_in_", "n_outputs_", "out_activation_", "n_layers_", "n_iter_", "t_",
    "loss_", "best_loss_", "loss_curve_", "validation_scores_",
    "best_validation_score_", "stop_reason_", "engine_",
)  # fmt: skip
_LABELS = {"weights": "coef", "bias": "intercept"}  # in the file
_SCALER = ("mean_", "var_", "scale_")


def write(estimator: Any, path: PathLike) -> None:
    """Write a fitted estimator.

    Raises
    ------
    ValueError
        Where a parameter is a function of the user's, which no file can hold.
    """
    check_is_fitted(estimator)
    settings = {
        name: _plain(name, value)
        for name, value in estimator.get_params(deep=False).items()
        if name not in ("callbacks", "random_state")
    }
    content = {
        "settings": settings,
        "plain": {k: _plain(k, getattr(estimator, k)) for k in _PLAIN},
        "names": list(getattr(estimator, "feature_names_in_", ())),
        "history": estimator.history_.to_json(),
    }
    if hasattr(estimator, "classes_"):
        content["classes"] = _bare(estimator.classes_)
        content["class_dtype"] = np.asarray(estimator.classes_).dtype.str
        content["target"] = estimator._label_binarizer.y_type_
    write_model_file(path, type(estimator).__name__, content, _arrays(estimator))


def read(kind: type, path: PathLike) -> Any:
    """Read what `write` wrote of an estimator of this class.

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If it is not a whole model file, or holds another kind of model.
    """
    content, arrays = read_model_of_kind(kind.__name__, path)
    with understood_model(path):
        estimator = kind(**{k: _again(v) for k, v in content["settings"].items()})
        for name, value in content["plain"].items():
            setattr(estimator, name, _again(value))
        estimator.history_ = History.from_json(content["history"])
        if content["names"]:
            estimator.feature_names_in_ = np.array(content["names"], object)
        if "classes" in content:
            _restore_classes(estimator, content)
        _restore_arrays(estimator, arrays)
    return estimator


def _arrays(estimator: Any) -> dict[str, Array]:
    arrays = {
        f"{number}.{_LABELS.get(name, f'normal.{name}')}": value
        for number, own in enumerate(estimator._parameters())
        for name, value in own.items()
    }
    if estimator.scale_inputs:
        scaler = estimator.scaler_
        arrays |= {f"scaler.{name}": getattr(scaler, name) for name in _SCALER}
    return arrays


def _restore_arrays(estimator: Any, arrays: dict[str, Array]) -> None:
    names = {label: name for name, label in _LABELS.items()}
    layers: list[dict[str, Array]] = [{} for _ in range(estimator.n_layers_ - 1)]
    for label, value in arrays.items():
        number, _, rest = label.partition(".")
        if number.isdecimal():
            name = names.get(rest, rest.removeprefix("normal."))
            layers[int(number)][name] = value
    estimator._keep(layers)
    if estimator.scale_inputs:
        scaler: Any = StandardScaler()
        estimator.scaler_ = scaler
        for name in _SCALER:
            setattr(scaler, name, arrays[f"scaler.{name}"])
        scaler.n_features_in_ = estimator.n_features_in_


def _restore_classes(estimator: Any, content: dict[str, Any]) -> None:
    classes = np.array(content["classes"], np.dtype(content["class_dtype"]))
    estimator.classes_ = classes
    estimator._label_binarizer = binarizer = LabelBinarizer()
    binarizer.classes_, binarizer.y_type_ = classes, content["target"]
    binarizer.sparse_input_ = False


def _bare(value: Any) -> Any:
    """Turn NumPy's numbers into JSON's."""
    return value.tolist() if hasattr(value, "tolist") else value


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_plain(name, each) for each in value]}
    if isinstance(value, dict):
        pairs = [[_bare(k), _plain(name, v)] for k, v in value.items()]
        return {"dict": pairs}
    value = _bare(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}  # which JSON does not know
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(
        f"save got an estimator with {name}={value!r}; a file holds names and numbers, "
        "not functions. Name it, or keep the estimator with pickle."
    )


def _again(value: Any) -> Any:
    """Undo `_plain`."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind == "dict":
        return {k: _again(v) for k, v in content}
    return {"tuple": tuple, "list": list}[kind](map(_again, content))
