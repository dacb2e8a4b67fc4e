"""Train neural networks with any optimizer, and learn why training fails.

The public names are resolved on first use (PEP 562), so that ``import thalweg``
costs almost nothing: JAX, scikit-learn and pandas load when something needs them.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thalweg.comparisons import Comparison as Comparison
    from thalweg.doctor import Doctor as Doctor
    from thalweg.doctor import diagnose as diagnose
    from thalweg.ensembles import Ensemble as Ensemble
    from thalweg.estimators import MLPClassifier as MLPClassifier
    from thalweg.estimators import MLPRegressor as MLPRegressor
    from thalweg.experiments import compare as compare
    from thalweg.findings import Diagnosis as Diagnosis
    from thalweg.gradients import check_gradient as check_gradient
    from thalweg.hidden_features import HiddenFeatures as HiddenFeatures
    from thalweg.hosts import fit_over_hosts as fit_over_hosts
    from thalweg.keras_estimators import KerasClassifier as KerasClassifier
    from thalweg.keras_estimators import KerasRegressor as KerasRegressor
    from thalweg.keras_models import from_keras as from_keras
    from thalweg.minimizing import minimize as minimize
    from thalweg.networks import Dense as Dense
    from thalweg.networks import DenseNetwork as DenseNetwork
    from thalweg.networks import Network as Network
    from thalweg.plan import Plan as Plan
    from thalweg.populations import fit_population as fit_population
    from thalweg.records import EpochRecord as EpochRecord
    from thalweg.records import GradientCheck as GradientCheck
    from thalweg.records import History as History
    from thalweg.records import Run as Run
    from thalweg.records import StopReason as StopReason
    from thalweg.saving import save as save
    from thalweg.searches import SearchResult as SearchResult
    from thalweg.tabular import Classifier as Classifier
    from thalweg.tabular import Regressor as Regressor
    from thalweg.tabular import load as load
    from thalweg.training import find_rate as find_rate
    from thalweg.training import fit as fit
    from thalweg.training import predict as predict
    from thalweg.tuning import search as search

    __version__: str

# Public name -> the module that holds it; the block above repeats it for type
# checkers, which cannot follow a dictionary.
_HOMES = {
    "Classifier": "tabular",
    "Comparison": "comparisons",
    "Dense": "networks",
    "DenseNetwork": "networks",
    "Ensemble": "ensembles",
    "Diagnosis": "findings",
    "Doctor": "doctor",
    "EpochRecord": "records",
    "GradientCheck": "records",
    "HiddenFeatures": "hidden_features",
    "History": "records",
    "KerasClassifier": "keras_estimators",
    "KerasRegressor": "keras_estimators",
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "Network": "networks",
    "Plan": "plan",
    "Regressor": "tabular",
    "Run": "records",
    "SearchResult": "searches",
    "StopReason": "records",
    "check_gradient": "gradients",
    "compare": "experiments",
    "diagnose": "doctor",
    "find_rate": "training",
    "fit": "training",
    "fit_over_hosts": "hosts",
    "fit_population": "populations",
    "from_keras": "keras_models",
    "load": "tabular",
    "minimize": "minimizing",
    "predict": "training",
    "save": "saving",
    "search": "tuning",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    elif name == "__version__":
        value = version(__name__)
    else:
        # `name` and the listing of __dir__ let Python suggest the nearest name.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
