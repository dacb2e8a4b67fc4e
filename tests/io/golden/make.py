"""Write model files as an older thalweg does, and what they predicted.

The files of this folder are never written again: they are what users have. To add those
of another version, run this script with the Python of an environment that holds it:

    python make.py FOLDER

Each model becomes ``NAME.thalweg``, and its rows and predictions ``NAME.json``.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253

import thalweg as tw

ROWS, SHOWN = 60, 8
RNG = np.random.default_rng(18)
PLAIN = RNG.normal(size=(ROWS, 3)).round(3)
SUM = PLAIN.sum(axis=1)


def mixed_table() -> pd.DataFrame:
    numbers = PLAIN[:, 0].copy()
    numbers[::9] = np.nan
    words = np.array(["oak", "elm", "ash", None], object)[RNG.integers(0, 4, ROWS)]
    days = pd.Timestamp("2024-02-27") + pd.to_timedelta(RNG.integers(0, 900, ROWS), "D")
    return pd.DataFrame(
        {
            "size": numbers,
            "count": RNG.integers(0, 9, ROWS),
            "tree": words,
            "day": days.astype("datetime64[ns]"),
            "wet": RNG.integers(0, 2, ROWS) == 1,
            "code": np.array(["007", "010", "9"])[RNG.integers(0, 3, ROWS)],
        }
    )


TABLE = mixed_table()
THREE = np.array(["no", "perhaps", "yes, señor"])[RNG.integers(0, 3, ROWS)]
TWO = (SUM > 0).astype(int)
MLP: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
TAB: dict[str, Any] = {"hidden_layer_sizes": (4,), "max_epochs": 3, "random_state": 0}


def mlp(**settings: Any) -> Any:
    return tw.MLPClassifier(**{**MLP, **settings})


def mlp_regressor(**settings: Any) -> Any:
    return tw.MLPRegressor(**{**MLP, **settings})


def classifier(**settings: Any) -> Any:
    return tw.Classifier(**{**TAB, **settings})


def regressor(**settings: Any) -> Any:
    return tw.Regressor(**{**TAB, **settings})


MODELS: dict[str, Any] = {
    "mlp_two_classes": lambda: mlp().fit(PLAIN, TWO),
    "mlp_names_scaled_batch_norm": lambda: mlp(
        scale_inputs=True, batch_norm=True, activation="tanh", solver="sgd"
    ).fit(PLAIN, THREE),
    "mlp_labels_layer_norm": lambda: mlp(layer_norm=True, dropout=0.25).fit(
        PLAIN, np.column_stack([TWO, 1 - TWO, TWO])
    ),
    "mlp_lbfgs_float32": lambda: mlp(solver="lbfgs", dtype="float32", alpha=0.1).fit(
        PLAIN, TWO == 1
    ),
    "mlp_lists_class_weight": lambda: mlp(
        hidden_layer_sizes=[4, 3],
        activation=["tanh", "gelu"],
        solver=["adam", "lbfgs"],
        class_weight={0: 1.0, 1: 2.5},
        early_stopping=True,
    ).fit(PLAIN, TWO),
    "mlp_frame": lambda: mlp(hidden_layer_sizes=()).fit(
        pd.DataFrame(PLAIN, columns=list("abc")), TWO
    ),
    "mlp_regressor_two_outputs": lambda: mlp_regressor(
        schedule=("cosine", {}), n_iter_no_change=np.inf
    ).fit(PLAIN, np.column_stack([SUM, -2 * SUM])),
    "mlp_regressor_huber": lambda: mlp_regressor(
        loss=("huber", {"delta": 0.5}), activation="logistic"
    ).fit(PLAIN, SUM),
    "classifier_mixed": lambda: classifier().fit(TABLE, THREE),
    "classifier_two_plain": lambda: classifier(piecewise=False, dtype="float64").fit(
        TABLE[["size", "count"]], TWO
    ),
    "classifier_bool_weighted": lambda: classifier(
        class_weight="balanced", optimizer=["adam", "lbfgs"], max_epochs=[2, 3]
    ).fit(TABLE, TWO == 1),
    "classifier_array_lbfgs": lambda: classifier(
        optimizer="lbfgs", activation=("leaky_relu", {"slope": 0.1})
    ).fit(PLAIN, THREE),
    "regressor_mixed": lambda: regressor().fit(TABLE, 1000 * SUM),
    "regressor_whole_numbers": lambda: regressor(
        loss="absolute", optimizer=("sgd", {}), schedule=("cosine", {})
    ).fit(TABLE, (10 * SUM).astype(int)),
    "ensemble_classifier": lambda: tw.Ensemble(classifier(), 2, random_state=0).fit(
        TABLE, THREE
    ),
    "ensemble_mlp_regressor": lambda: tw.Ensemble(
        mlp_regressor(), 2, random_state=0, bootstrap=True
    ).fit(PLAIN, SUM),
    "run_dense": lambda: tw.fit(
        tw.DenseNetwork.from_sizes((3, 4, 2), activation="tanh"),
        PLAIN,
        np.column_stack([SUM, SUM**2]),
        epochs=3,
        random_state=0,
    ),
}


def table_of(name: str) -> Any:
    if name == "mlp_frame":
        return pd.DataFrame(PLAIN, columns=list("abc"))
    if name == "classifier_two_plain":
        return TABLE[["size", "count"]]
    tables = "classifier_", "regressor_", "ensemble_classifier"
    if name.startswith(tables) and name != "classifier_array_lbfgs":
        return TABLE
    return PLAIN


def columns_of(table: Any) -> Any:
    """Write a table as JSON can: [kind, values] for each column."""
    if isinstance(table, np.ndarray):
        return table.tolist()
    columns = {}
    for name, values in table.items():
        kind = {"f": "float", "i": "int", "b": "bool", "M": "date"}.get(
            values.dtype.kind, "text"
        )
        plain = [
            None if pd.isna(v) else str(v) if kind == "date" else v
            for v in values.tolist()
        ]
        columns[name] = [kind, plain]
    return columns


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        model = make()
        table = table_of(name)[:SHOWN]
        if name.startswith("run_"):
            tw.save(model, folder / f"{name}.thalweg")
            expected = {"predict": tw.predict(model, table).tolist()}
        else:
            model.save(folder / f"{name}.thalweg")
            expected = {"predict": np.asarray(model.predict(table)).tolist()}
            if hasattr(model, "predict_proba"):
                expected["predict_proba"] = model.predict_proba(table).tolist()
        record = {"rows": columns_of(table), **expected}
        text = json.dumps(record, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
