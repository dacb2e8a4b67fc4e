"""What trains on a table: thalweg, and what people would use instead.

Each function takes the training rows, the targets and the test rows, as tables, and
returns what fits and what predicts: probabilities of the sorted classes, or values. A
rival has its library's default settings, and what its documentation asks for: CatBoost
and scikit-learn are told which columns are categories, and the linear model's penalty
is chosen by cross-validation, which is what a careful user does.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Method = Callable[[Any, Any, Any, str], tuple[Callable[[], Any], Callable[[], Any]]]
"""``(train, target, test, task)`` -> what fits, and what predicts afterwards."""


def texts_of(frame: Any) -> list[str]:
    """Name the columns that hold categories."""
    import pandas as pd

    numeric = pd.api.types.is_numeric_dtype
    return [name for name in frame if not numeric(frame[name])]


def ours(train: Any, target: Any, test: Any, task: str, **settings: Any) -> Any:
    """Prepare our `Classifier` or `Regressor`, given the table as it is."""
    from thalweg.estimators.tabular.estimators import Classifier, Regressor

    kind = Classifier if task == "classification" else Regressor
    model = kind(random_state=0, **settings)
    return lambda: model.fit(train, target), lambda: _of_classes(model, test, task)


def one(train: Any, target: Any, test: Any, task: str) -> Any:
    """Prepare ours with a single network."""
    return ours(train, target, test, task, members=1)


def hist(train: Any, target: Any, test: Any, task: str) -> Any:
    """scikit-learn's histogram gradient boosting, with categories as codes."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import (
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    texts = texts_of(train)
    kinds: Any = HistGradientBoostingClassifier, HistGradientBoostingRegressor
    kind = kinds[task == "regression"]
    few = [k for k, name in enumerate(texts) if train[name].nunique() <= 250]
    coder = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan,
        encoded_missing_value=np.nan,
    )  # fmt: skip
    model = make_pipeline(
        make_column_transformer((coder, texts), remainder="passthrough"),
        kind(random_state=0, categorical_features=few),
    )
    train, test = _plain(train, texts), _plain(test, texts)
    return lambda: model.fit(train, target), lambda: _of_classes(model, test, task)


def linear(train: Any, target: Any, test: Any, task: str) -> Any:
    """Ridge or logistic regression, its penalty chosen by cross-validation."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    texts = texts_of(train)
    numbers = [name for name in train if name not in texts]
    if task == "regression":
        last: Any = RidgeCV(np.logspace(-3, 4, 15))
    else:
        kind: Any = LogisticRegressionCV
        last = kind(
            Cs=np.logspace(-3, 2, 6), scoring="neg_log_loss", max_iter=1000,
            l1_ratios=(0,), use_legacy_attributes=False,
        )  # fmt: skip
    model = make_pipeline(
        make_column_transformer(
            (
                make_pipeline(
                    SimpleImputer(strategy="median", add_indicator=True),
                    StandardScaler(),
                ),
                numbers,
            ),
            (OneHotEncoder(handle_unknown="ignore", min_frequency=3), texts),
        ),
        last,
    )
    train, test = _plain(train, texts), _plain(test, texts)
    return lambda: model.fit(train, target), lambda: _of_classes(model, test, task)


def catboost(train: Any, target: Any, test: Any, task: str) -> Any:
    """CatBoost's defaults: 1000 trees, categories named."""
    from catboost import (  # pyright: ignore[reportMissingImports]
        CatBoostClassifier,
        CatBoostRegressor,
    )

    texts = texts_of(train)
    train, test = _plain(train, texts, "nan"), _plain(test, texts, "nan")
    kind = CatBoostClassifier if task == "classification" else CatBoostRegressor
    model = kind(
        verbose=False, thread_count=1, random_seed=0, cat_features=texts,
        allow_writing_files=False,
    )  # fmt: skip
    return lambda: model.fit(train, target), lambda: _of_classes(model, test, task)


def xgboost(train: Any, target: Any, test: Any, task: str) -> Any:
    """XGBoost's defaults: 100 trees, with its own treatment of categories."""
    import pandas as pd
    import xgboost as library  # pyright: ignore[reportMissingImports]

    texts = texts_of(train)
    train, test = _plain(train, texts, "nan"), _plain(test, texts, "nan")
    for name in texts:
        kind = pd.CategoricalDtype(sorted(train[name].unique()))
        train[name], test[name] = train[name].astype(kind), test[name].astype(kind)
    labels, codes = np.unique(target, return_inverse=True)
    settings: dict[str, Any] = {"nthread": 1, "seed": 0}
    if task == "classification":
        settings |= {"objective": "multi:softprob", "num_class": len(labels)}
        if len(labels) == 2:
            settings = {"nthread": 1, "seed": 0, "objective": "binary:logistic"}
    given = np.asarray(target, float) if task == "regression" else codes
    kept: list[Any] = []

    def fit() -> None:
        rows = library.DMatrix(train, given, enable_categorical=True, nthread=1)
        kept.append(library.train(settings, rows, 100))

    def predict() -> Any:
        rows = library.DMatrix(test, enable_categorical=True, nthread=1)
        found = kept[0].predict(rows)
        two = task == "classification" and len(labels) == 2
        return np.column_stack([1 - found, found]) if two else found

    return fit, predict


def realmlp(train: Any, target: Any, test: Any, task: str) -> Any:
    """RealMLP with its tuned defaults, by pytabkit."""
    import pytabkit  # pyright: ignore[reportMissingImports]

    ending = "Classifier" if task == "classification" else "Regressor"
    return _pytabkit(
        getattr(pytabkit, f"RealMLP_TD_{ending}"), train, target, test, task
    )


def tabm(train: Any, target: Any, test: Any, task: str) -> Any:
    """TabM with its defaults, by pytabkit."""
    import pytabkit  # pyright: ignore[reportMissingImports]

    ending = "Classifier" if task == "classification" else "Regressor"
    return _pytabkit(getattr(pytabkit, f"TabM_D_{ending}"), train, target, test, task)


def trivial(train: Any, target: Any, test: Any, task: str) -> Any:
    """Predict the shares of the classes, or the mean."""
    del train

    def predict() -> Any:
        if task == "regression":
            return np.full(len(test), np.mean(np.asarray(target, float)))
        _, counts = np.unique(target, return_counts=True)
        return np.tile(counts / counts.sum(), (len(test), 1))

    return lambda: None, predict


METHODS: dict[str, Method] = {
    "thalweg": ours, "one network": one, "HistGB": hist, "linear": linear,
    "CatBoost": catboost, "XGBoost": xgboost, "RealMLP": realmlp, "TabM": tabm,
    "trivial": trivial,
}  # fmt: skip


def _of_classes(model: Any, test: Any, task: str) -> Any:
    return (
        model.predict_proba(test) if task == "classification" else model.predict(test)
    )


def _plain(frame: Any, texts: list[str], missing: Any = None) -> Any:
    """Return a table whose categories are Python's texts, with one missing value."""
    frame = frame.copy()
    for name in texts:
        values = frame[name].astype(object)
        known = values.notna()
        frame[name] = values.where(known, missing).map(
            lambda value: value if value is missing else str(value)
        )
    return frame


def _pytabkit(kind: Any, train: Any, target: Any, test: Any, task: str) -> Any:
    texts = texts_of(train)
    train, test = _plain(train, texts, "nan"), _plain(test, texts, "nan")
    model = kind(device="cpu", random_state=0, n_threads=1, verbosity=0)
    return (
        lambda: model.fit(train, target, cat_col_names=texts),
        lambda: _of_classes(model, test, task),
    )
