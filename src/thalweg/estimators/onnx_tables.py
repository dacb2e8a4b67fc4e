"""Export of a table's model to ONNX: how its columns are encoded, and its members.

The columns come in as skl2onnx gives them: one input of all columns, or one for each.
What ONNX cannot do is refused in words: dates and numbers that are written as texts,
free texts, and categories that are hashed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thalweg.estimators.onnx_graph import Graph
from thalweg.estimators.tabular.boosted_trees import BoostedTrees
from thalweg.estimators.tabular.columns import MISSING, Column, truth_of_words, waves_of
from thalweg.estimators.tabular.targets import Classes
from thalweg.estimators.tabular.views import View

_FLOAT, _INT64, _DOUBLE = 1, 7, 11  # types of ONNX


class TableGraph:
    """The graph of a fitted `Classifier` or `Regressor`.

    Parameters
    ----------
    operator, container
        The arguments that skl2onnx passes to a converter.

    Raises
    ------
    ValueError
        If a column or the model cannot be exported. The message says what to do.
    """

    def __init__(self, operator: Any, container: Any) -> None:
        self.model = operator.raw_operator
        self.g = Graph(operator, container)
        self._inputs = operator.inputs

    def outputs(self) -> Any:
        """Add all members; return their mean, probabilities or scaled values."""
        g, model = self.g, self.model
        if isinstance(model.trees_, BoostedTrees):
            raise ValueError(
                f"{type(model).__name__} cannot be exported to ONNX. Export a "
                "Classifier or a Regressor, or scikit-learn's trees."
            )
        features = self._features()
        total = None
        members = model.trained_
        for run, weight, view in zip(
            members.runs, members.weights, members.views, strict=True
        ):
            if weight == 0:
                continue
            seen = self._seen(features, view)
            own = g.Mul(g.run(run, seen), g.number(weight))
            total = own if total is None else g.Add(total, own)
        if members.temperature == 1.0:
            return total
        powers = g.Pow(total, g.number(1 / members.temperature))
        return g.Div(powers, g.ReduceSum(powers, np.array([1], np.int64), keepdims=1))

    def _features(self) -> list[tuple[Any, int]]:
        """Return the encoded parts of the columns, and their widths."""
        found: list[tuple[Any, int]] = []
        for place, column in enumerate(self.model.columns_):
            if column.kind != "left out":
                found += self._encode(column, self._column(place, column))
        return found

    def _column(self, place: int, column: Column) -> tuple[Any, bool]:
        """Return the input of a column, (n_rows, 1), and whether it holds texts."""
        from skl2onnx.common.data_types import StringTensorType

        named = {each.raw_name: each for each in self._inputs}
        if column.name in named and len(self._inputs) > 1:
            variable, at, width = named[column.name], 0, 1
        else:
            variable, at, width = self._at(place, column)
        strings = isinstance(variable.type, StringTensorType)
        if width == 1:
            return variable, strings
        index = np.array([at], np.int64)
        return self.g.Gather(variable, index, axis=1), strings

    def _at(self, place: int, column: Column) -> tuple[Any, int, int]:
        """Return the input that holds the column of a number, and where in it."""
        start = 0
        for variable in self._inputs:
            width = variable.type.shape[1] if len(variable.type.shape) > 1 else 1
            if place < start + width:
                return variable, place - start, width
            start += width
        raise ValueError(
            f"the inputs of the ONNX model have no column {column.name!r}, which the "
            "model was fitted on. Give one input for each column, with its name, or "
            "one input of all columns in order."
        )

    def _encode(self, column: Column, given: tuple[Any, bool]) -> list[tuple[Any, int]]:
        if column.kind == "category":
            return self._category(column, *given)
        if column.kind == "boolean":
            return self._boolean(column, *given)
        if column.kind == "text":
            raise _refused(column, "holds free texts, whose words ONNX cannot hash")
        values, strings = given
        if strings and column.kind == "date":
            raise _refused(
                column,
                "holds dates, which ONNX cannot read. Give their days since 1970 as "
                "numbers (an input of FloatTensorType or DoubleTensorType)",
                advice=False,
            )
        if strings:
            raise _refused(
                column,
                "holds numbers that are written as texts. Give them as numbers (an "
                "input of FloatTensorType or DoubleTensorType)",
                advice=False,
            )
        parts = self._spread(column, values)
        if column.kind == "date":
            parts += self._waves(column, values)
        return parts

    def _numbers(self, values: Any) -> tuple[Any, Any]:
        """Return a column as numbers, 0 where missing, and where it is missing."""
        g = self.g
        double = g.Cast(values, to=_DOUBLE)
        missing = g.IsNaN(double)
        return g.Where(missing, np.zeros(1), double), missing

    def _spread(self, column: Column, values: Any) -> list[tuple[Any, int]]:
        """Add what `thalweg.estimators.tabular.columns.scale` computes."""
        g = self.g
        number, missing = self._numbers(values)
        z = g.Div(g.Sub(number, np.array([column.center])), np.array([column.scale]))
        root = g.Sqrt(g.Add(g.Mul(z, z), np.array([9.0])))
        bent = g.Div(g.Mul(z, np.array([3.0])), root)
        parts = [(bent, 1)]
        for knots in (column.knots, column.finer):
            if not knots:
                continue
            low, high = np.array(knots[:-1]), np.array(knots[1:])
            share = g.Div(g.Sub(number, low[None]), (high - low)[None])
            kept = g.Min(g.Max(share, np.zeros(1)), np.ones(1))
            climb = g.Sub(g.Mul(kept, np.array([2.0])), np.ones(1))
            parts.append((climb, len(low)))
        parts = [(g.Where(missing, np.zeros(1), each), n) for each, n in parts]
        if column.missing:
            parts.append((missing, 1))
        return [(self._cast(each), n) for each, n in parts]

    def _waves(self, column: Column, values: Any) -> list[tuple[Any, int]]:
        g = self.g
        number, missing = self._numbers(values)
        found: list[tuple[Any, int]] = []
        for period, wave in waves_of(column):
            # ONNX Runtime's sine is exact for small angles only.
            turns = g.Div(number, np.array([period]))
            turns = g.Sub(turns, g.Floor(turns))
            angle = self._cast(g.Mul(turns, np.array([2 * np.pi])))
            each = g.Sin(angle) if wave is np.sin else g.Cos(angle)
            found.append((g.Where(missing, g.number(0), each), 1))
        return found

    def _boolean(
        self, column: Column, values: Any, strings: bool
    ) -> list[tuple[Any, int]]:
        g = self.g
        if strings:
            words = {
                spelled: truth
                for word, truth in truth_of_words().items()
                for spelled in _spellings(word)
            }
            values = self._look_up(values, words, np.nan)
        number, missing = self._numbers(values)
        sign = g.Div(g.Sub(number, np.array([column.center])), np.array([column.scale]))
        parts = [self._cast(g.Where(missing, np.zeros(1), sign))]
        if column.missing:
            parts.append(self._cast(missing))
        return [(each, 1) for each in parts]

    def _category(
        self, column: Column, values: Any, strings: bool
    ) -> list[tuple[Any, int]]:
        if column.buckets:
            raise _refused(
                column,
                "holds so many rare categories that they are hashed, which ONNX cannot",
            )
        g, names = self.g, column.categories
        n_slots = len(names) + column.others + (column.missing > 0)
        rest = float(len(names) if column.others else n_slots)
        absent = float(n_slots - 1 if column.missing else n_slots)
        if strings:
            words = MISSING if column.absent is None else ("", *column.absent)
            slots = {each: absent for word in words for each in _spellings(word)}
            slots |= {
                each: float(slot)
                for slot, name in enumerate(names)
                for each in _variants(name)
            }
            slot = self._look_up(values, slots, rest)
        else:
            number, missing = self._numbers(values)
            slot = self._slot_of_numbers(column, number, rest)
            slot = g.Where(missing, np.array([absent]), slot)
        hot = g.Equal(slot, np.arange(float(n_slots))[None])
        return [(self._cast(hot), n_slots)]

    def _slot_of_numbers(self, column: Column, number: Any, rest: float) -> Any:
        """Return the slot of categories that are numbers or truth values."""
        g, slot = self.g, np.array([[rest]])
        truth = {"true": 1.0, "false": 0.0}
        for place, name in enumerate(column.categories):
            try:
                value = truth.get(name.lower())
                value = float(name) if value is None else value
            except ValueError:
                continue
            same = g.Equal(number, np.array([value]))
            slot = g.Where(same, np.array([[float(place)]]), slot)
        if isinstance(slot, np.ndarray):
            raise _refused(
                column,
                "holds categories that are texts, and the input holds numbers. Give an "
                "input of StringTensorType",
                advice=False,
            )
        return slot

    def _look_up(self, values: Any, table: dict[str, float], default: float) -> Any:
        """Return the numbers of texts, as floats."""
        from skl2onnx.algebra.onnx_ops import OnnxLabelEncoder  # pyright: ignore[reportAttributeAccessIssue]

        found = OnnxLabelEncoder(
            values,
            keys_strings=list(table),
            values_floats=list(table.values()),
            default_float=default,
            op_version=2,  # the newest that skl2onnx writes
        )
        return self.g.Cast(found, to=_DOUBLE)

    def _cast(self, values: Any) -> Any:
        """Return numbers in the precision of the network."""
        double = self.g.dtype == np.float64
        return self.g.Cast(values, to=_DOUBLE if double else _FLOAT)

    def _seen(self, features: Sequence[tuple[Any, int]], view: View) -> Any:
        """Return the inputs of one member."""
        g = self.g
        starts = np.cumsum([0, *(width for _, width in features[:-1])])
        mask = view.features
        seen = [
            each
            for (each, _), at in zip(features, starts, strict=True)
            if mask is None or mask[at]
        ]
        if view.places is not None and view.frequencies is not None:
            by_place = {
                int(at): each for (each, _), at in zip(features, starts, strict=True)
            }
            angles = [
                g.Mul(by_place[place], g.array(2 * np.pi * own[None]))
                for place, own in zip(
                    view.places.tolist(), view.frequencies, strict=True
                )
            ]
            joined = g.Concat(*angles, axis=1) if len(angles) > 1 else angles[0]
            seen += [g.Sin(joined), g.Cos(joined)]
        return g.Concat(*seen, axis=1) if len(seen) > 1 else seen[0]


def _refused(column: Column, why: str, advice: bool = True) -> ValueError:
    more = (
        " Leave the column out of the model (column_kinds={"
        f'{column.name!r}: "ignore"'
        "}), or predict with thalweg.load(path)."
        if advice
        else "."
    )
    end = "." if advice else ""
    return ValueError(
        f"the column {column.name!r} cannot be exported to ONNX: it {why}{end}{more}"
    )


def _spellings(word: str) -> list[str]:
    """Return the usual spellings of a word of any case."""
    ways = (word, word.lower(), word.upper(), word.capitalize(), word.title())
    return list(dict.fromkeys(ways))


def _variants(name: str) -> list[str]:
    """Return the texts of one category: "1" and "1.0", "true" and "True"."""
    if name.lower() in ("true", "false"):
        return _spellings(name)
    if name.lstrip("+-").isdecimal():
        return [name, f"{name}.0"]
    return [name]


def table_shapes(operator: Any) -> None:
    """Tell skl2onnx the types and shapes of a table's model."""
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    model = operator.raw_operator
    rows = operator.inputs[0].get_first_dimension()
    double = any(isinstance(each.type, DoubleTensorType) for each in operator.inputs)
    numbers = DoubleTensorType if double else FloatTensorType
    if isinstance(model.target_, Classes):
        label = (
            Int64TensorType if model.classes_.dtype.kind in "iufb" else StringTensorType
        )
        # ONNX Runtime's ZipMap, which skl2onnx adds by default, takes float32 alone.
        shares = numbers if model.dtype == "float64" else FloatTensorType
        operator.outputs[0].type = label([rows])
        operator.outputs[1].type = shares([rows, model.target_.n_outputs])
    else:
        operator.outputs[0].type = numbers([rows, model.target_.n_outputs])


def convert_table(scope: Any, operator: Any, container: Any) -> None:
    """Add a table's model to a graph of skl2onnx's."""
    table = TableGraph(operator, container)
    g, model = table.g, table.model
    outputs = table.outputs()
    if not isinstance(model.target_, Classes):
        scale, center = model.target_.scaling()
        scaled = g.Mul(outputs, g.array(scale[None]))
        value = g.Add(scaled, g.array(center[None]), output_names=operator.outputs)
        value.add_to(scope, container)
        return
    from skl2onnx.common.utils_classifier import get_label_classes

    label, probability = operator.outputs
    classes: Any = get_label_classes(scope, model)
    numbers = classes.dtype.kind in "iufb"
    classes = classes.astype(np.int64 if numbers else object)
    if model.threshold_ is None:
        best = g.ArgMax(outputs, axis=1, keepdims=0)
    else:
        positive = g.Gather(outputs, np.array(model.positive_, np.int64), axis=1)
        above = g.Not(g.Less(positive, g.number(model.threshold_)))
        places = np.array([model.positive_]), np.array([1 - model.positive_])
        best = g.Where(above, *places)
    g.Gather(classes, best, output_names=[label]).add_to(scope, container)
    single = model.dtype != "float64" or g.dtype == np.float32
    given = g.Cast(
        outputs, to=_FLOAT if single else _DOUBLE, output_names=[probability]
    )
    given.add_to(scope, container)
