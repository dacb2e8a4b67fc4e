"""Read a model file of any kind."""

from typing import Any

from thalweg.estimators.ensemble import KINDS
from thalweg.io import PathLike, read_model, unpack_run


def load(path: PathLike) -> Any:
    """Read any model file: an estimator's, or that of a `Run`.

    Parameters
    ----------
    path : str or path-like
        What the `save` method of an estimator wrote, `thalweg.save`, or the command.

    Returns
    -------
    MLPClassifier, MLPRegressor, Classifier, Regressor, Ensemble or Run

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If the file is damaged, was written by a newer thalweg, or holds no model that
        this thalweg knows.
    """
    kinds = {kind.__name__: kind.from_document for kind in KINDS}
    return read_model(path, {"run": unpack_run, **kinds})
