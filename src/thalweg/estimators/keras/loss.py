"""What a model was compiled with, as a loss of whole batches: `CompiledLoss`.

Keras's own functions compute the forward pass, the loss and the metrics of a batch, as
`model.fit` has them computed. So a loss is never copied, translated or cut into rows:
reductions, masks, `add_loss`, `compute_loss` and weights of any shape mean what they
mean in Keras.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from thalweg.estimators.keras.fast_layers import as_products, changed

TARGETS, WEIGHTS = "targets", "sample_weight"
"""Keys of what `CompiledLoss` takes as y; both may be missing."""


class CompiledLoss:
    """The loss and metrics that a model was compiled with.

    Parameters
    ----------
    model : keras.Model
        Compiled and built.
    trained, kept : list of str
        Names of the variables, in the order of the model.
    by_weights : bool
        Whether a batch's loss is divided by the sum of the sample weights. Keras
        divides by the number of rows.
    """

    validation_batch: int | None = None

    def __init__(
        self, model: Any, trained: list[str], kept: list[str], by_weights: bool
    ) -> None:
        self.model, self.trained, self.kept = model, trained, kept
        self.by_weights = by_weights
        self.compiled = model._compile_loss, model._compile_metrics
        self.takes_training = model._call_has_training_arg
        self.__name__ = str(getattr(model.loss, "name", model.loss))

    def is_of(self, model: Any, by_weights: bool) -> bool:
        """Tell whether the model is still compiled with this loss."""
        same = self.compiled == (model._compile_loss, model._compile_metrics)
        return same and self.by_weights == by_weights

    def of_batch(
        self, trained: Any, kept: Any, measured: Any, X: Any, y: Any, *, training: bool
    ) -> tuple[Any, Any, Any, Any]:
        """Return the loss, the outputs, and `kept` and `measured` after the batch."""
        model = self.model
        target, weights = unpacked(y)
        if self.by_weights and weights is not None:
            weights = weights * (weights.size / weights.sum())
        variables = [trained[name] for name in self.trained]
        others = [kept[name] for name in self.kept]
        metrics = measured or [each.value for each in model.metrics_variables]
        optimizer = [each.value for each in getattr(model.optimizer, "variables", [])]
        with changed(as_products(model)):
            try:
                _, found = model.compute_loss_and_updates(
                    variables, others, metrics, X, target, weights,
                    training=training, optimizer_variables=optimizer,
                )  # fmt: skip
            finally:  # an error in it would leave tracers behind
                model._losses_override.clear()
        value, outputs, others, metrics = found
        if measured:
            import jax

            # Keras differentiates the pass, which drops masks: its metrics of training
            # see the masked places too, those of validation do not.
            seen = jax.tree.map(jax.numpy.copy, outputs) if training else outputs
            given = metrics, value, X, target, seen, weights
            _, measured = model._update_metrics_variables(*given)
        return value, outputs, dict(zip(self.kept, others, strict=True)), measured

    def nothing_measured(self) -> list[Any]:
        """Return the metrics before the first batch; empty if only the loss is one."""
        model = self.model
        if all(metric is model._loss_tracker for metric in model.metrics):
            return []
        model.reset_metrics()
        return [each.value for each in model.metrics_variables]

    def results(self, measured: Any) -> dict[str, float]:
        """Return what the metrics say, by Keras's names."""
        for variable, value in zip(self.model.metrics_variables, measured, strict=True):
            variable.assign(value)
        return _as_numbers(self.model.get_metrics_result())

    def labels(self, y: Any) -> Any:
        """Return the targets within what `of_batch` takes."""
        return unpacked(y)[0]

    def __call__(self, outputs: Any, y: Any) -> Any:
        """Compute the loss of each row by itself, for a Gauss-Newton matrix."""
        import jax

        def alone(output: Any, target: Any) -> Any:
            one = jax.tree.map(lambda v: v[None], (output, target))
            truth, weight = unpacked(one[1])
            return self.model._compile_loss(truth, one[0], weight)

        return jax.vmap(alone)(outputs, y)


def unpacked(y: Any) -> tuple[Any, Any]:
    """Return targets and sample weights; either may be None."""
    if not isinstance(y, Mapping):  # from a file, whose columns have no weights
        return y, None
    return y.get(TARGETS), y.get(WEIGHTS)


def packed(targets: Any, weights: Any) -> dict[str, Any]:
    """Put targets and sample weights together; what is None is left out."""
    both = {TARGETS: targets, WEIGHTS: weights}
    return {name: value for name, value in both.items() if value is not None}


def _as_numbers(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Return logs as numbers, or arrays of them, where a metric may have several."""
    found: dict[str, Any] = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            found |= _as_numbers(value)
        else:
            array = np.asarray(value, float)
            found[name] = float(array.reshape(())) if array.size == 1 else array
    return found
