"""Train neural networks with any optimizer, and learn why training fails.

The public names are resolved on first use (PEP 562), so that ``import thalweg``
costs almost nothing: JAX, scikit-learn and pandas load when something needs them.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

import thalweg.lazy_imports as lazy_imports

if TYPE_CHECKING:
    from thalweg import callbacks as callbacks
    from thalweg.comparison import Comparison as Comparison
    from thalweg.comparison import compare as compare
    from thalweg.core import Dense as Dense
    from thalweg.core import DenseNetwork as DenseNetwork
    from thalweg.core import Embedding as Embedding
    from thalweg.core import EpochRecord as EpochRecord
    from thalweg.core import History as History
    from thalweg.core import Network as Network
    from thalweg.core import Plan as Plan
    from thalweg.core import Run as Run
    from thalweg.core import StopReason as StopReason
    from thalweg.diagnosis import Diagnosis as Diagnosis
    from thalweg.diagnosis import Doctor as Doctor
    from thalweg.diagnosis import diagnose as diagnose
    from thalweg.estimators import Classifier as Classifier
    from thalweg.estimators import Ensemble as Ensemble
    from thalweg.estimators import HiddenFeatures as HiddenFeatures
    from thalweg.estimators import KerasClassifier as KerasClassifier
    from thalweg.estimators import KerasRegressor as KerasRegressor
    from thalweg.estimators import MLPClassifier as MLPClassifier
    from thalweg.estimators import MLPRegressor as MLPRegressor
    from thalweg.estimators import Regressor as Regressor
    from thalweg.estimators import from_keras as from_keras
    from thalweg.estimators import load as load
    from thalweg.estimators import save as save
    from thalweg.optimize import GradientCheck as GradientCheck
    from thalweg.optimize import approx_fprime as approx_fprime
    from thalweg.optimize import check_grad as check_grad
    from thalweg.optimize import check_gradient as check_gradient
    from thalweg.optimize import fmin as fmin
    from thalweg.optimize import fmin_bfgs as fmin_bfgs
    from thalweg.optimize import fmin_cg as fmin_cg
    from thalweg.optimize import fmin_cobyla as fmin_cobyla
    from thalweg.optimize import fmin_l_bfgs_b as fmin_l_bfgs_b
    from thalweg.optimize import fmin_ncg as fmin_ncg
    from thalweg.optimize import fmin_powell as fmin_powell
    from thalweg.optimize import fmin_slsqp as fmin_slsqp
    from thalweg.optimize import fmin_tnc as fmin_tnc
    from thalweg.optimize import least_squares as least_squares
    from thalweg.optimize import minimize as minimize
    from thalweg.training import find_rate as find_rate
    from thalweg.training import fit as fit
    from thalweg.training import fit_over_hosts as fit_over_hosts
    from thalweg.training import fit_population as fit_population
    from thalweg.training import predict as predict
    from thalweg.tuning import SearchResult as SearchResult
    from thalweg.tuning import search as search

    __version__: str

# Public name -> the package that holds it; the block above repeats it for type
# checkers, which cannot follow a dictionary.
_HOMES = {
    "Classifier": "estimators",
    "Comparison": "comparison",
    "Dense": "core",
    "DenseNetwork": "core",
    "Ensemble": "estimators",
    "Diagnosis": "diagnosis",
    "Doctor": "diagnosis",
    "Embedding": "core",
    "EpochRecord": "core",
    "GradientCheck": "optimize",
    "HiddenFeatures": "estimators",
    "History": "core",
    "KerasClassifier": "estimators",
    "KerasRegressor": "estimators",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "Network": "core",
    "Plan": "core",
    "Regressor": "estimators",
    "Run": "core",
    "SearchResult": "tuning",
    "StopReason": "core",
    "approx_fprime": "optimize",
    "check_grad": "optimize",
    "check_gradient": "optimize",
    "compare": "comparison",
    "diagnose": "diagnosis",
    "find_rate": "training",
    "fit": "training",
    "fit_over_hosts": "training",
    "fit_population": "training",
    "fmin": "optimize",
    "fmin_bfgs": "optimize",
    "fmin_cg": "optimize",
    "fmin_cobyla": "optimize",
    "fmin_l_bfgs_b": "optimize",
    "fmin_ncg": "optimize",
    "fmin_powell": "optimize",
    "fmin_slsqp": "optimize",
    "fmin_tnc": "optimize",
    "from_keras": "estimators",
    "least_squares": "optimize",
    "load": "estimators",
    "minimize": "optimize",
    "predict": "training",
    "save": "estimators",
    "search": "tuning",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        with lazy_imports.importing():
            value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name == "callbacks":
        with lazy_imports.importing():
            value = import_module("thalweg.callbacks")
    elif name == "__version__":
        value = version(__name__)
    else:
        # `name` and the listing of __dir__ let Python suggest the nearest name.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__", "callbacks"})
