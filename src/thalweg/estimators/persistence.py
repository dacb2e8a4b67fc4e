"""Estimators in model files: saving and loading.

`Persistent` gives an estimator `save` and `load`. All that a class adds is a pair of
methods: `to_document` says what a fitted estimator is, as JSON values and named
arrays, and `from_document` rebuilds it. `thalweg.load` is in
`thalweg.estimators.model_files`, which knows every class.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from thalweg.core import Array
from thalweg.estimators.typed_json import from_json, to_json
from thalweg.io import PathLike, read_model, write_model_file


class Persistent(ABC, BaseEstimator):
    """An estimator that a model file can keep."""

    def save(self, path: PathLike) -> None:
        """Write the fitted estimator to a model file; nothing in it is code.

        The state of the optimizer is not kept: a loaded estimator predicts the same,
        and a further fit starts the optimizer anew. `callbacks` are not kept either.
        All other parameters are, with their types.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced.

        Raises
        ------
        ValueError
            If a parameter is a function of yours, which no file can hold.
        """
        check_is_fitted(self)
        write_model_file(path, type(self).__name__, *self.to_document())

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Read an estimator that `save` wrote.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        estimator
            Fitted; it predicts what the saved one predicted.

        Raises
        ------
        OSError
            If the file does not exist or cannot be opened.
        ValueError
            If the file is damaged, or holds a model of another kind.
        """
        return read_model(path, {cls.__name__: cls.from_document})

    @abstractmethod
    def to_document(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return the fitted estimator as values that JSON can hold, and arrays."""

    @classmethod
    @abstractmethod
    def from_document(
        cls, content: Mapping[str, Any], arrays: Mapping[str, Array]
    ) -> Self:
        """Rebuild the estimator that `to_document` took apart."""


def parameters_to_json(estimator: BaseEstimator) -> dict[str, Any]:
    """Write the parameters of an estimator so that their types come back.

    Raises
    ------
    ValueError
        If a parameter is a function or another object that no file can hold.
    """
    given = estimator.get_params(deep=False)
    return {
        name: to_json(name, value)
        for name, value in given.items()
        if name != "callbacks"
    }


def parameters_from_json(content: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `parameters_to_json` wrote."""
    return {name: from_json(value) for name, value in content.items()}


def nest(
    estimators: Sequence[Any], owner: str
) -> tuple[list[list[Any]], dict[str, Array]]:
    """Put the documents of estimators into one: a pair (kind, content) for each.

    Raises
    ------
    ValueError
        If one of them is not thalweg's own; `owner` is whose it is, for the message.
    """
    contents, arrays = [], {}
    for number, estimator in enumerate(estimators):
        if not isinstance(estimator, Persistent):
            raise ValueError(
                f"{owner} cannot save members of type {type(estimator).__name__}: "
                "only thalweg's own estimators have a file format. Use one of "
                f"them, or keep the {owner} with pickle."
            )
        content, own = estimator.to_document()
        contents.append([type(estimator).__name__, content])
        arrays |= {f"{number}.{name}": value for name, value in own.items()}
    return contents, arrays


def unnest(
    contents: Sequence[Sequence[Any]],
    arrays: Mapping[str, Array],
    kinds: Mapping[str, type[Persistent]],
) -> list[Any]:
    """Rebuild the estimators that `nest` put into one document."""
    own: list[dict[str, Array]] = [{} for _ in contents]
    for label, value in arrays.items():
        number, _, name = label.partition(".")
        own[int(number)][name] = value
    return [
        kinds[kind].from_document(content, its)
        for (kind, content), its in zip(contents, own, strict=True)
    ]


def template_to_json(estimator: Any) -> list[Any]:
    """Write an estimator that is not fitted, with the estimators among its parameters.

    Raises
    ------
    ValueError
        If a parameter is an object that no file can hold.
    """
    settings = {
        name: {"estimator": template_to_json(value)}
        if isinstance(value, Persistent)
        else to_json(name, value)
        for name, value in estimator.get_params(deep=False).items()
        if name != "callbacks"
    }
    return [type(estimator).__name__, settings]


def template_from_json(
    content: Sequence[Any], kinds: Mapping[str, type[Persistent]]
) -> Any:
    """Read what `template_to_json` wrote."""
    kind, settings = content
    given = {
        name: template_from_json(value["estimator"], kinds)
        if isinstance(value, dict) and "estimator" in value
        else from_json(value)
        for name, value in settings.items()
    }
    return kinds[kind](**given)
