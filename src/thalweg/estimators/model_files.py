"""Write and read a model file of any kind: `thalweg.save` and `thalweg.load`."""

from typing import Any

from thalweg.core import Run
from thalweg.estimators.ensemble import KINDS
from thalweg.estimators.hidden_features import HiddenFeatures
from thalweg.estimators.persistence import Persistent
from thalweg.io import PathLike, check_output, read_model, save_run, unpack_run


def save(model: Any, path: PathLike) -> None:
    """Write a model to a file; nothing in it is code.

    The file appears under its name when it is complete. One model gives the same bytes
    each time.

    Parameters
    ----------
    model : Run or a fitted estimator of thalweg
        What `thalweg.fit` returned, or an estimator, as by its own `save` method.
    path : str or path-like
        An existing file is replaced.

    Raises
    ------
    OSError
        If the file cannot be written. The message says why.
    TypeError
        If the model is of another kind.
    ValueError
        If the network, the plan or a parameter is a function, which no file can keep.
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    """
    if isinstance(model, Run):
        save_run(model, path)
    elif isinstance(model, Persistent):
        model.save(path)
    else:
        check_output(path)
        inside = "Save the estimator at its end, or keep" if _holds(model) else "Keep"
        raise TypeError(
            f"save got model={_short(model)}, a {type(model).__name__}. A model file "
            "holds a Run of thalweg.fit or one of thalweg's own estimators. "
            f"{inside} the whole with pickle or skops."
        )


def load(path: PathLike) -> Any:
    """Read any model file: an estimator's, or that of a `Run`.

    Parameters
    ----------
    path : str or path-like
        What the `save` method of an estimator wrote, `thalweg.save`, or the command.

    Returns
    -------
    MLPClassifier, MLPRegressor, Classifier, Regressor, KerasClassifier, \
    KerasRegressor, Ensemble, HiddenFeatures or Run

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If the file is damaged, was written by a newer thalweg, or holds no model that
        this thalweg knows.
    """
    kinds = {kind.__name__: kind.from_document for kind in (*KINDS, HiddenFeatures)}
    return read_model(path, {"run": unpack_run, **kinds})


def _holds(model: Any) -> bool:
    """Whether a model is made of others, as a pipeline or a search is."""
    return any(hasattr(model, name) for name in ("steps", "estimator", "estimators"))


def _short(model: Any) -> str:
    text = " ".join(repr(model).split())
    return text if len(text) <= 80 else f"{text[:80]}..."
