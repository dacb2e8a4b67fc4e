"""Callbacks of Keras, called while `fit` trains as `model.fit` would call them.

A callback sees the model through ``callback.model``, and Keras then puts the weights of
now into it (`jax_state_sync`). If it did so, the training goes on from the weights and
the optimizer that the callback left behind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from thalweg.core import EpochRecord

_OF_BATCHES = (
    "on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end",
)  # fmt: skip
_OF_TEST_BATCHES = ("on_test_batch_begin", "on_test_batch_end")
_INSTEAD = {
    False: "Save the model with ModelCheckpoint, and pass initial_epoch to go on.",
    True: "Pass average=('ema', {'decay': 0.99}) to fit, or compile with use_ema=True.",
}


class KerasCallbacks:
    """Some callbacks of Keras as one of ours: called with each `EpochRecord`.

    Parameters
    ----------
    callbacks : sequence of keras.callbacks.Callback
    model : keras.Model
    names : pair of list of str
        Names of the weights that are trained and of those that are not, in the order of
        the model.
    rule : KerasRule or None
        The optimizer of the model, if it is the one that trains.
    epochs, first_epoch : int
        The number of the last epoch, and that of the first, from 0.
    verbose : int or str
    validates : callable
        Whether validation follows an epoch, by its number from 0.
    """

    def __init__(
        self,
        callbacks: Sequence[Any],
        model: Any,
        names: tuple[Sequence[str], Sequence[str]],
        rule: Any,
        epochs: int,
        first_epoch: int,
        verbose: Any,
        validates: Callable[[int], bool],
    ) -> None:
        import keras

        self.model, self.rule = model, rule
        self.trained, self.kept = names
        self.epoch, self.epochs = first_epoch, epochs
        self.all: Any = keras.callbacks.CallbackList(
            list(callbacks), add_history=True, add_progbar=bool(verbose), model=model,
            verbose=2 if verbose == "auto" else verbose, epochs=epochs, steps=None,
        )  # fmt: skip
        self.session: Any = None
        self.validates = validates
        self.last: dict[str, Any] = {}
        self.by_batch = any(map(_watches_batches, self.all.callbacks))

    # What the monitor and the loop call.

    def begin_session(self, session: Any) -> None:
        """Begin the training and its first epoch."""
        self.session = session
        self.model.stop_training = False
        with _Shared(self):
            self.all.on_train_begin()
        self.begin_epoch()

    def resume_after(self, epochs: int) -> None:
        """Go on after the epochs of an earlier process, which a checkpoint had."""
        self.epoch += epochs
        if self.epoch < self.epochs:
            self.begin_epoch()

    def begin_epoch(self) -> None:
        """Begin an epoch."""
        with _Shared(self):
            self.all.on_epoch_begin(self.epoch)

    def begin_batch(self, number: int) -> None:
        """Begin a batch."""
        with _Shared(self):
            self.all.on_train_batch_begin(number)

    def end_batch(self, number: int, logs: Mapping[str, Any]) -> bool:
        """End a batch; True stops."""
        with _Shared(self):
            self.all.on_train_batch_end(number, dict(logs))
        return bool(self.model.stop_training)

    def __call__(self, record: EpochRecord) -> bool:
        """End an epoch, and begin the next one unless this was the last; True stops."""
        self.last = logs_of(record)
        with _Shared(self):
            if self.validates(self.epoch):
                self.all.on_test_begin()
                self.all.on_test_end(_validated(self.last))
            self.all.on_epoch_end(self.epoch, dict(self.last))
        self.epoch += 1
        if self.model.stop_training or self.epoch >= self.epochs:
            return bool(self.model.stop_training)
        self.begin_epoch()
        return False

    def end(self) -> None:
        """End the training."""
        self.all.on_train_end(dict(self.last))

    # What Keras's trainer keeps while it trains.

    def lend(self) -> None:
        """Let Keras fetch the state of now, if a callback asks for the model."""
        trained, kept = self.session.parameters()
        # JAX sorts the names, so they are no list in the model's order.
        state: dict[str, Any] = {
            "trainable_variables": [trained[name] for name in self.trained],
            "non_trainable_variables": [kept[name] for name in self.kept],
        }
        if self.rule is not None:
            state["optimizer_variables"] = self.session.memory()
        self.model._jax_state, self.model._jax_state_synced = state, False

    def take(self) -> None:
        """Go on from the state that callbacks left, if they asked for the model."""
        model, asked = self.model, self.model._jax_state_synced
        model._jax_state, model._jax_state_synced = None, True
        if not asked:
            return
        parameters = (
            dict(zip(self.trained, _values(model.trainable_variables), strict=True)),
            dict(zip(self.kept, _values(model.non_trainable_variables), strict=True)),
        )
        memory = self.session.memory()
        if self.rule is not None:
            memory = self.rule.memory()
        self.session.change(parameters, memory)


class SomeValidations:
    """Lets `fit` validate only after some epochs, as Keras's ``validation_freq`` says.

    Parameters
    ----------
    frequency : int or sequence of int
        Every so many epochs, or the numbers of the epochs, from 1.
    first_epoch : int
        The number of the first epoch, from 0.
    """

    every_epoch = False

    def __init__(self, frequency: Any, first_epoch: int) -> None:
        self.frequency, self.first = frequency, first_epoch

    def validates_after(self, epoch: int) -> bool:
        """Whether validation follows an epoch of this fit, by its number from 1."""
        number = epoch + self.first
        if isinstance(self.frequency, Sequence):
            return number in self.frequency
        return number % self.frequency == 0

    def __call__(self, record: EpochRecord) -> None:
        """Do nothing: the epochs are not its concern."""


class _Shared:
    """While this holds, callbacks may read and change the state of the model."""

    def __init__(self, callbacks: KerasCallbacks) -> None:
        self.callbacks = callbacks

    def __enter__(self) -> None:
        self.callbacks.lend()

    def __exit__(self, *error: object) -> None:
        self.callbacks.take()


def logs_of(record: EpochRecord) -> dict[str, Any]:
    """Return what Keras's callbacks are told of an epoch, by Keras's names."""
    logs: dict[str, Any] = {"loss": record.loss, **record.metrics}
    if record.validation_loss == record.validation_loss:
        own = [k for k in logs if not k.startswith("val_")]
        measured = {k: v for k, v in logs.items() if k.startswith("val_")}
        logs = {k: logs[k] for k in own}
        logs |= {"val_loss": record.validation_loss, **measured}
    return logs


def _validated(logs: Mapping[str, Any]) -> dict[str, Any]:
    return {k.removeprefix("val_"): v for k, v in logs.items() if k.startswith("val_")}


def split(callbacks: Any) -> tuple[list[Any], list[Any]]:
    """Part callbacks of Keras from others."""
    import keras

    single = callable(callbacks) or isinstance(callbacks, keras.callbacks.Callback)
    if single or (callbacks and not isinstance(callbacks, Iterable)):
        given = [callbacks]  # what is none is refused later, with a sentence
    else:
        given = list(callbacks or ())
    theirs = [each for each in given if isinstance(each, keras.callbacks.Callback)]
    return theirs, [each for each in given if each not in theirs]


def _watches_batches(callback: Any) -> bool:
    """Whether a callback has something to do at a batch."""
    return any(_does(callback, name) for name in _OF_BATCHES)


def _does(callback: Any, name: str) -> bool:
    """Whether a callback has a method of its own, not Keras's empty one."""
    return not getattr(getattr(callback, name), "_is_default", False)


def check(callbacks: Sequence[Any], rule: Any) -> None:
    """Raise ValueError for a callback that could not do here what it does in Keras."""
    import keras

    known = keras.callbacks
    for each in callbacks:
        kind = type(each).__name__
        if isinstance(each, known.BackupAndRestore | known.SwapEMAWeights):
            raise ValueError(
                f"fit got the callback {kind}, which acts within Keras's own trainer. "
                f"{_INSTEAD[isinstance(each, known.SwapEMAWeights)]}"
            )
        rates = isinstance(each, known.LearningRateScheduler | known.ReduceLROnPlateau)
        if rates and (rule is None or rule.scheduled):
            why = (
                "an optimizer of thalweg trains, or none was compiled"
                if rule is None
                else "the model is compiled with a learning-rate schedule"
            )
            raise ValueError(
                f"fit got the callback {kind}, but {why}. Compile the model with the "
                "optimizer and a number as learning_rate, or pass schedule= to fit."
            )
        own = not type(each).__module__.startswith("keras.")
        if own and any(_does(each, name) for name in _OF_TEST_BATCHES):
            raise ValueError(
                f"fit got the callback {kind}, which acts on batches of validation "
                "data; thalweg.fit validates without such calls. Use on_epoch_end."
            )


def _values(variables: Sequence[Any]) -> list[Any]:
    return [each.value for each in variables]
