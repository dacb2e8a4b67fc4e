"""What a model file holds of a fitted MLP: what it predicts with, and its history.

Weights and statistics are arrays, the rest is JSON. The state of the optimizer and of
the generator of random numbers are not kept: a loaded estimator predicts the same, and
a further fit starts the optimizer anew (pickle keeps these too).
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from thalweg.core import Array, History
from thalweg.estimators.persistence import (
    Persistent,
    parameters_from_json,
    parameters_to_json,
)
from thalweg.estimators.typed_json import from_json, to_json

_PLAIN = (
    "n_features_in_", "n_outputs_", "out_activation_", "n_layers_", "n_iter_", "t_",
    "loss_", "best_loss_", "loss_curve_", "validation_scores_",
    "best_validation_score_", "stop_reason_", "engine_",
)  # fmt: skip
_LABELS = {"weights": "coef", "bias": "intercept"}  # in the file
_SCALER = ("mean_", "var_", "scale_")


class PersistentMLP(Persistent):
    """The `save` and `load` of both MLPs."""

    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays."""
        fitted: Any = self
        content = {
            "settings": parameters_to_json(self),
            "plain": {name: to_json(name, getattr(self, name)) for name in _PLAIN},
            "names": list(getattr(self, "feature_names_in_", ())),
            "history": fitted.history_.to_json(),
        }
        if hasattr(self, "classes_"):
            content["classes"] = to_json("classes", np.asarray(fitted.classes_))
            content["target"] = fitted._label_binarizer.y_type_
        return content, _arrays(self)

    @classmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""
        estimator: Any = cls(**parameters_from_json(content["settings"]))
        for name, value in content["plain"].items():
            setattr(estimator, name, from_json(value))
        estimator.history_ = History.from_json(content["history"])
        estimator._no_improvement_count = 0
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


def _restore_arrays(estimator: Any, arrays: Mapping[str, Array]) -> None:
    names = {label: name for name, label in _LABELS.items()}
    numbers = {label.partition(".")[0] for label in arrays}
    count = sum(number.isdecimal() for number in numbers)
    if count != estimator.n_layers_ - 1:
        raise ValueError(f"{count} layers for n_layers_={estimator.n_layers_!r}")
    layers: list[dict[str, Array]] = [{} for _ in range(count)]
    for label, value in arrays.items():
        number, _, rest = label.partition(".")
        if number.isdecimal():
            name = names.get(rest, rest.removeprefix("normal."))
            layers[int(number)][name] = value
    estimator._keep(layers)
    if estimator.scale_inputs:
        from sklearn.preprocessing import StandardScaler  # slow to import

        scaler: Any = StandardScaler()
        estimator.scaler_ = scaler
        for name in _SCALER:
            setattr(scaler, name, arrays[f"scaler.{name}"])
        scaler.n_features_in_ = estimator.n_features_in_


def _restore_classes(estimator: Any, content: Mapping[str, Any]) -> None:
    classes = from_json(content["classes"])
    if "class_dtype" in content:  # formats 1 and 2
        classes = np.array(classes, np.dtype(content["class_dtype"]))
    estimator.classes_ = classes
    from sklearn.preprocessing import LabelBinarizer  # slow to import

    estimator._label_binarizer = binarizer = LabelBinarizer()
    binarizer.classes_, binarizer.y_type_ = classes, content["target"]
    binarizer.sparse_input_ = False
