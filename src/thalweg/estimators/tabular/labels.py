"""Class labels: which there are, which row has which, and how a file keeps them.

Labels come back as they were in the table: texts that are numbers stay texts, integers
in a column of objects stay integers, and dates, bytes and booleans stay what they are.
A text is one class with and without blanks around it.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from thalweg.core import Array, Series
from thalweg.estimators import typed_json
from thalweg.estimators.tabular.columns import (
    WORDLESS,
    kind_of,
    lower,
    plain,
    raw_texts,
    shorten,
    without_marks,
    write,
)
from thalweg.estimators.tabular.columns import texts as known_texts

_LONGEST = 32  # characters of a label in an array of fixed width
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)\.0+")  # numbers, as pandas writes whole ones
_NOTHING, _UNKNOWN = frozenset({"none", "null"}), frozenset({"na", "n/a", "nan"})
_MOST_INTEGER = 2**53  # floats hold whole numbers up to here


def lacks_target(target: Series, missing: Sequence[str] | None = None) -> Series:
    """Tell which rows of a table have no target.

    An empty text is none. Words such as "None" and "NA" are classes among texts, and
    missing values among numbers.

    Parameters
    ----------
    target : Series
    missing : sequence of str, optional
        Texts that stand for a missing target, in any case.

    Returns
    -------
    Series of bool
    """
    values = plain(target)
    if missing is not None:
        return known_texts(values, missing).isna()
    if values.dtype.kind in "biufmM" or not _has_texts(values):
        return values.isna()
    if kind_of(values) == "number":
        lacks = without_marks(values, None).isna()
        words = lower(raw_texts(values)).unique().tolist()
        # NA and None, and nothing else, are classes and no two ways to say missing.
        nothing, unknown = _NOTHING.intersection(words), _UNKNOWN.intersection(words)
        if not (lacks.all() and nothing and unknown):
            return lacks
    return known_texts(values, WORDLESS).isna()


def as_target(y: Any) -> Series:
    """Return targets as a Series in which each value has the type that it was given in.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Also a DataFrame of one column, a list of values of any type, or an array of
        Arrow's or polars'.
    """
    import pandas as pd

    if hasattr(y, "collect_schema") and hasattr(y, "collect"):  # lazy, of polars
        y = y.collect()
    name = target_name(y)
    if hasattr(y, "to_arrow"):  # of polars
        y = y.to_arrow()
    if getattr(y, "num_columns", 0) == 1:  # a table of Arrow's
        name, y = str(y.column_names[0]), y.column(0)
    if hasattr(y, "to_pandas"):  # of Arrow, whose type keeps integers beside nulls
        y = pd.Series(y, dtype=pd.ArrowDtype(y.type))
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        name, y = str(y.columns[0]), y.iloc[:, 0]
    if isinstance(y, pd.Series):
        target = pd.Series(y.array, name=name)
        target.attrs = y.attrs
        return target
    if isinstance(y, pd.api.extensions.ExtensionArray | pd.Index):
        return pd.Series(y, name=name)
    if np.ma.isMaskedArray(y):
        mask, y = np.ma.getmaskarray(y), np.array(y, object)
        y[mask] = None
    flat = isinstance(y, list | tuple) and not any(
        isinstance(each, list | tuple | np.ndarray) for each in y
    )
    # NumPy would make texts of 1 and "a", and cells as wide as the longest of texts.
    if flat and {type(each) for each in y} - {int, float, bool}:
        return pd.Series(list(y), name=name, dtype=object)
    if getattr(getattr(y, "dtype", None), "kind", "") == "c":
        raise ValueError(
            f"Complex data not supported: the target {name!r} holds complex numbers. "
            "Give their real part, imaginary part or size."
        )
    from sklearn.utils.validation import column_or_1d  # slow to import

    return pd.Series(column_or_1d(y, warn=True), name=name)


def known_rows(y: Any, missing: Sequence[str] | None = None) -> Array:
    """Return which rows have a target."""
    return ~lacks_target(as_target(y), missing).to_numpy(bool)


def target_name(y: Any) -> str:
    """Return the name of a target."""
    return str(getattr(y, "name", None) or "y")


def labels_of(target: Series) -> tuple[Array, Array]:
    """Return the different labels, sorted, and the number of each row's label.

    Returns
    -------
    labels : ndarray of shape (n_classes,)
    codes : ndarray of int, shape (n_rows,)

    Raises
    ------
    ValueError
        If a label is a number that is infinite or has a fraction, or labels are of
        several types.
    """
    import pandas as pd

    if str(target.dtype).startswith(("date32", "date64")):
        target = target.astype(object)  # Arrow's dates, without a time of the day
    values = plain(target)
    if isinstance(values.dtype, pd.CategoricalDtype):
        known = pd.Series(values.cat.categories, name=target.name)
        known, places = _labels(known)
        used, codes = np.unique(places[values.cat.codes], return_inverse=True)
        return known[used], codes
    return _labels(values)


def canonical_labels(target: Series, labels: Array) -> Array:
    """Return the label of each row in the type of `labels`, also of a new class."""
    found, codes = labels_of(target)
    places = match_labels(found, labels)
    if (places >= 0).all():
        return labels[places[codes]]
    known = labels.tolist()
    pairs = zip(places, found.tolist(), strict=True)
    return _narrow([known[k] if k >= 0 else new for k, new in pairs])[codes]


def match(target: Series, labels: Array) -> Array:
    """Return the number of each row's label among `labels`; -1 for none of them."""
    found, codes = labels_of(target)
    return match_labels(found, labels)[codes]


def match_labels(found: Array, labels: Array) -> Array:
    """Return the number of each label in `found` among `labels`; -1 for none."""
    places = {_same(label): place for place, label in enumerate(labels.tolist())}
    known = [places.get(_same(label), -1) for label in found.tolist()]
    if -1 in known:  # the same values in a table that keeps them as another type
        written = {_text(label): place for place, label in enumerate(labels.tolist())}
        pairs = zip(known, found.tolist(), strict=True)
        known = [
            written.get(_text(label), -1) if place == -1 else place
            for place, label in pairs
        ]
    return np.array(known, int)


def to_json(labels: Array) -> dict[str, Any]:
    """Return labels as values that JSON can hold.

    Raises
    ------
    ValueError
        If a file cannot keep labels of this type.
    """
    if labels.dtype.kind in "iufbU":
        return {"labels": labels.tolist(), "dtype": labels.dtype.str}
    try:
        return {"labels": typed_json.to_json("labels", labels), "dtype": "O"}
    except typed_json.CannotKeepError:
        first = labels.tolist()[0]
        raise ValueError(
            f"Unknown label type: {type(first).__name__}. The target has labels such "
            f"as {shorten(first)}, which a model file cannot keep. Use texts, whole "
            "numbers, booleans or dates as labels."
        ) from None


def from_json(content: Mapping[str, Any]) -> Array:
    """Read what `to_json` wrote."""
    labels = content["labels"]
    if isinstance(labels, dict):
        return typed_json.from_json(labels)
    return np.array(labels, dtype=content["dtype"])


def _has_texts(values: Series) -> bool:
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return any(isinstance(each, str | bytes) for each in values.cat.categories)
    return isinstance(values.dtype, pd.StringDtype) or any(
        isinstance(each, str | bytes) for each in values.array
    )


def _labels(values: Series) -> tuple[Array, Array]:
    import pandas as pd

    kind = values.dtype.kind
    if pd.api.types.is_numeric_dtype(values.dtype) or kind in "mM":
        array = _numeric(values)
        return np.unique(array, return_inverse=True)
    if isinstance(values.dtype, pd.StringDtype):
        return _text_labels(values)
    codes, distinct = pd.factorize(values, use_na_sentinel=False)
    found = [each.item() if isinstance(each, np.generic) else each for each in distinct]
    kinds = {_type_name(each) for each in found}
    if kinds == {"str"}:
        return _text_labels(values)
    if kinds <= {"int", "float", "bool"} and kinds != {"bool"} and "int" in kinds:
        _check_same_numbers(values, kinds)
    if kinds == {"int", "float"} or kinds == {"float"}:
        array = _numeric(pd.Series(found, dtype=float, name=values.name))
        labels, places = np.unique(array, return_inverse=True)
        return labels, places[codes]
    if len(kinds) > 1:
        shown = " and ".join(
            shorten(next(v for v in found if _type_name(v) == kind))
            for kind in sorted(kinds)[:2]
        )
        raise ValueError(
            f"the target {values.name!r} has labels of several types: {shown}. Convert "
            "them to one, e.g. with y.astype(str)."
        )
    try:
        order = sorted(range(len(found)), key=found.__getitem__)
    except TypeError as error:
        raise ValueError(
            f"Unknown label type: the target {values.name!r} holds "
            f"{shorten(found[0])}, which has no order. Use texts, whole numbers, "
            "booleans or dates as labels."
        ) from error
    places = np.empty(len(order), int)
    places[order] = np.arange(len(order))
    return _narrow([found[place] for place in order]), places[codes]


def _check_same_numbers(values: Series, kinds: set[str]) -> None:
    if "bool" in kinds:
        raise ValueError(
            f"the target {values.name!r} has labels of several types: booleans and "
            "numbers. Convert them to one, e.g. with y.astype(int)."
        )
    if "float" in kinds and any(
        isinstance(each, int) and abs(each) > _MOST_INTEGER for each in values.array
    ):
        raise ValueError(
            f"the target {values.name!r} has whole numbers above 2**53 among floats, "
            "which cannot hold them. Convert the labels to texts, with y.astype(str)."
        )


def _text_labels(values: Series) -> tuple[Array, Array]:
    """Group texts that differ in the blanks around them only, and "1" with "1.0"."""
    import pandas as pd

    bare_texts = raw_texts(values)
    words = bare_texts.unique().tolist()
    whole = {each: _text(each) for each in words}
    same = {each: one for each, one in whole.items() if one in whole and one != each}
    if same:
        bare_texts = values = bare_texts.replace(same)
    codes, distinct = pd.factorize(bare_texts)
    written = pd.Series(values.unique(), dtype=object)
    # A label that always has blanks around it keeps them.
    bare = set(written)
    first = {}
    for each in written:
        first.setdefault(each.strip(), each)
    shown = [each if each in bare else first[each] for each in distinct]
    order = sorted(range(len(shown)), key=shown.__getitem__)
    places = np.empty(len(order), int)
    places[order] = np.arange(len(order))
    return _narrow([shown[place] for place in order]), places[codes]


def _narrow(labels: list[Any]) -> Array:
    """Return an array of NumPy's own type where it holds the labels well."""
    kind = _kind(labels)
    # A trailing NUL is lost in an array of fixed width.
    if kind == "str" and not any(
        len(label) > _LONGEST or label.endswith("\0") for label in labels
    ):
        return np.array(labels)
    if kind == "bool":
        return np.array(labels)
    if kind == "int" and min(labels) >= -(2**63) and max(labels) < 2**63:
        return np.array(labels, np.int64)
    return _objects(labels)


def _numeric(values: Series) -> Array:
    """Return labels that are numbers, booleans, dates or durations as an array."""
    if values.dtype.kind == "M" and getattr(values.dtype, "tz", None) is not None:
        return values.to_numpy(object)
    array = np.asarray(values.to_numpy())
    if array.dtype == object:  # a nullable type, of which no value is missing
        array = values.to_numpy(values.dtype.numpy_dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(
            f"Input y contains infinity: the target {values.name!r} is infinite in row "
            f"{np.flatnonzero(np.isinf(array))[0] + 1}. Leave it empty there."
        )
    if array.dtype.kind == "f" and (array % 1).any():
        raise ValueError(
            f"Unknown label type: continuous. The target {values.name!r} holds numbers "
            "with fractions; use a Regressor, or round them to classes."
        )
    return array


def _kind(values: Sequence[Any]) -> str:
    kinds = {_type_name(value) for value in values}
    return kinds.pop() if len(kinds) == 1 else "several types"


def _type_name(value: Any) -> str:
    return "str" if isinstance(value, str) else type(value).__name__


def _same(label: Any) -> Any:
    """Return what is equal for one label in any of its types."""
    return label.strip() if isinstance(label, str) else (isinstance(label, bool), label)


def _text(label: Any) -> str:
    """Return the text of a label, "1" also for "1.0" but not for "01"."""
    text = write(label)
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def _objects(values: Sequence[Any]) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
