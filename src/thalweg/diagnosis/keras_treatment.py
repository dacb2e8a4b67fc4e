"""Remedies applied to a Keras model or estimator, shown in Keras's own words."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone

from thalweg.diagnosis.keras_layers import read_layers
from thalweg.diagnosis.keras_reader import KerasProblem, change_layers
from thalweg.diagnosis.keras_recipe import KerasRecipe

_OF_FIT = ("epochs", "batch_size", "class_weight", "patience", "validation", "shuffle")
_COMPILED = ("learning_rate", "clip_norm", "optimizer", "loss")


def treated_model(
    problem: KerasProblem, changes: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Return a new compiled model with the changes, and the lines that differ.

    What belongs to `fit` (epochs, batches, weights of classes) becomes the default of
    the new model's `fit`.
    """
    changed = problem
    for name, value in changes.items():
        made = changed.changed(name, value)
        changed = made if isinstance(made, KerasProblem) else changed
    recipe: KerasRecipe = changed.recipe
    difference = difference_of(problem, changed, changes)
    if changes.get("scale"):
        inputs = problem.shaped(problem.prepared()[0])
        axes = tuple(range(inputs.ndim - 1))
        spread = inputs.std(axis=axes)
        recipe = replace(recipe, center=inputs.mean(axis=axes),
                         spread=np.where(spread > 0, spread, 1.0))  # fmt: skip
        difference["first layer"] = "Rescaling that standardizes the inputs"
    if changes.get("scale_target") or changed.scales_target:
        y = np.asarray(changed.y, float)
        recipe = replace(recipe, target=(float(y.mean()), float(y.std() or 1.0)))
        difference["last layer"] = "Rescaling to the unit of y; loss_weights to match"
    model = recipe.build(None, metrics=True)
    own = fit_options(problem, changed, changes)
    if own:
        # A plain attribute: Keras would track what it sets itself.
        object.__setattr__(model, "fit", partial(model.fit, **own))
    return model, difference


def fit_options(
    problem: KerasProblem, changed: KerasProblem, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of `model.fit` that training again needs."""
    own: dict[str, Any] = {}
    if "epochs" in changes or "epochs" in problem.known:
        own["epochs"] = changed.epochs
    if "batch_size" in changes or "batch" in problem.known:
        own["batch_size"] = changed.batch
    weight = changes.get("class_weight", problem.class_weight)
    if weight is not None and problem.labels is not None and problem.y.ndim == 1:
        own["class_weight"] = _weights(problem, weight)
    if "validation" in changes:
        own["validation_split"] = changes["validation"]
    return own


def _weights(problem: KerasProblem, weight: Any) -> Any:
    if isinstance(weight, Mapping):
        return dict(weight)
    counts = np.bincount(problem.y, minlength=len(problem.labels or ()))
    found = len(problem.y) / (np.maximum(counts, 1) * len(counts))
    return {k: float(w) for k, w in enumerate(found)}


def difference_of(
    problem: KerasProblem, changed: KerasProblem, changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what differs as Keras's code says it: layer and argument, compile, fit."""
    found: dict[str, Any] = {}
    views = {view.name: view for view in read_layers(problem.recipe.model)[0]}
    for name, own in changed.recipe.layers.items():
        kind = type(views[name].layer).__name__ if name in views else "layer"
        layer = problem.recipe.model.get_layer(name) if name not in views else (
            views[name].layer)  # fmt: skip
        now = layer.get_config()
        for argument, value in own.items():
            if _plain(now.get(argument)) != _plain(value):
                found[f"{kind} {name!r}: {argument}"] = value
    for name in sorted(changed.recipe.dropped - problem.recipe.dropped):
        found[f"layer {name!r}"] = "left out"
    for name in _COMPILED:
        if name in changes or (name == "loss" and "target" in changes):
            value = changed.recipe.loss if name == "loss" else changes[name]
            found[f"compile: {name}"] = value
    for name in _OF_FIT:
        if name in changes:
            found[f"fit: {name}"] = changes[name]
    return found


def _plain(value: Any) -> Any:
    """Return a setting in a form that can be compared."""
    if isinstance(value, Mapping):
        return _snake(str(value.get("class_name", value)))
    return _snake(value) if isinstance(value, str) else value


def _snake(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


@dataclass(eq=False)
class TreatedBuild:
    """A ``build_fn`` that builds the user's model with changes.

    Parameters
    ----------
    build_fn : callable or None
        The user's.
    changes : mapping
    """

    build_fn: Any
    changes: Mapping[str, Any]

    def __call__(self, shape: Any, n_outputs: int, **params: Any) -> Any:
        """Build the model and change it."""
        from thalweg.diagnosis.keras_reader import default_build

        build = self.build_fn or default_build()
        model = build(shape, n_outputs, **params)
        recipe = KerasRecipe.of(model)
        for name, value in self.changes.items():
            if name == "loss":
                recipe = replace(recipe, loss=value)
            elif name == "optimizer":
                recipe = replace(recipe, optimizer=None).with_optimizer(
                    class_name=value
                )
            elif name in ("learning_rate", "clip_norm"):
                theirs = "global_clipnorm" if name == "clip_norm" else name
                recipe = recipe.with_optimizer(**{theirs: float(value)})
            else:
                recipe = change_layers(recipe, name, value)
        return recipe.build(None, metrics=True) if model.compiled else recipe.bare()


def treated_estimator(
    problem: KerasProblem, last: Any, settings: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Return a clone of a Keras estimator with the changes, and the difference."""
    own = {k: v for k, v in settings.items()
           if k in ("epochs", "batch_size", "patience", "class_weight")}  # fmt: skip
    if "validation" in settings:
        own["validation_fraction"] = settings["validation"]
    known = {*own, "validation", "shuffle", "target"}
    rest = {k: v for k, v in settings.items() if k not in known}
    copy: Any = clone(last)
    changed = problem
    for name, value in settings.items():
        changed = changed.changed(name, value) or changed
    difference = difference_of(problem, changed, settings)
    if not problem.recipe.loss and "loss" in rest:
        rest.pop("loss")  # the estimator gives a model that is not compiled its loss
    in_settings = ("learning_rate", "clip_norm", "l2")
    bare = not problem.recipe.model.compiled
    plain = {k: v for k, v in rest.items() if bare and k in in_settings}
    built = {k: v for k, v in rest.items() if k not in plain}
    if plain:
        own["settings"] = {**(last.settings or {}), **plain}
    given = {k: v for k, v in (last.settings or {}).items() if k in built}
    if given:  # settings of fit would win over what is compiled
        own["settings"] = {k: v for k, v in last.settings.items() if k not in built}
    if built:
        own["build_fn"] = TreatedBuild(last.build_fn, built)
    return copy.set_params(**own), difference
