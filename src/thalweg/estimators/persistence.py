"""Read a model file of any kind."""

from typing import Any

from thalweg.estimators.mlp.classifier import MLPClassifier
from thalweg.estimators.mlp.regressor import MLPRegressor
from thalweg.estimators.tabular.estimators import Classifier, Regressor
from thalweg.io import PathLike, load_run, read_model_file


def load(path: PathLike) -> Any:
    """Read any model file: an estimator's, or the `Run` of a fit.

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If it is not a whole model file.
    """
    kind, _, _ = read_model_file(path)
    for each in (Classifier, Regressor, MLPClassifier, MLPRegressor):
        if each.__name__ == kind:
            return each.load(path)
    return load_run(path)
