"""Keras models, trained by any of our optimizers: `from_keras`.

The Keras model keeps the weights. `fit` starts from them and puts the trained weights
back, so that `evaluate`, `predict` and `save` of Keras use them. During training the
model is a `Network` whose forward pass is Keras's own `stateless_call`. What the model
was compiled with trains as `model.fit` would train it: `CompiledLoss` and `KerasRule`.
A chain of dense layers is translated into a `DenseNetwork` where that computes the
same, and the native kernel trains it.
"""

import copy
import inspect
import operator as op
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from thalweg import engines
from thalweg.core import (
    Array,
    DenseNetwork,
    FitRequest,
    Network,
    Plan,
    Run,
    as_random_state,
    link,
    phases,
)
from thalweg.estimators.keras import callbacks as keras_callbacks
from thalweg.estimators.keras import data, dense
from thalweg.estimators.keras.dense import NotEquivalent
from thalweg.estimators.keras.fast_layers import as_products, changed, forgetful
from thalweg.estimators.keras.keywords import KERAS_KEYWORDS, Asked
from thalweg.estimators.keras.layer_state import (
    check_layers,
    check_some_loss,
    check_trained_in_call,
    layer_settings,
)
from thalweg.estimators.keras.loss import CompiledLoss
from thalweg.estimators.keras.metric_score import score_of, usual_score
from thalweg.estimators.keras.optimizer import KerasRule, has_parts
from thalweg.training import as_rows

_STRANGE_STEPS = ("train_step", "test_step")
_KERAS_BATCH = 32


def from_keras(model: Any) -> Network:
    """Make a Keras model trainable by `thalweg.fit`.

    Parameters
    ----------
    model : keras.Model
        Sequential, functional or a subclass, built, on the JAX back-end. If it is
        compiled, `fit` trains it as ``model.fit`` would: by its loss, its optimizer and
        its metrics, with batches of 32, and it keeps the last weights. A setting of
        `fit` changes each.

    Returns
    -------
    Network
        It starts from the weights of the model, and `fit` puts the trained weights
        back. Further calls return the same network with its compiled programs, until
        the model is compiled again or other weights become trainable.

    Raises
    ------
    TypeError
        If `model` is not a Keras model.
    ValueError
        If Keras runs on another back-end, the model has no weights yet, or the model
        has a step of its own or layers that `fit` would train otherwise.

    Examples
    --------
    >>> import os
    >>> os.environ["KERAS_BACKEND"] = "jax"
    >>> import keras
    >>> import numpy as np
    >>> import thalweg as tw
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> layers = [keras.layers.Dense(5, "tanh"), keras.layers.Dense(1)]
    >>> model = keras.Sequential([keras.Input((1,)), *layers])
    >>> run = tw.fit(tw.from_keras(model), X, np.sin(3 * X), optimizer="lbfgs")
    >>> float(abs(model.predict(X, verbose=0) - np.sin(3 * X)).max()) < 0.05
    True
    """
    import keras

    if not isinstance(model, keras.Model):
        raise TypeError(
            f"from_keras got {model!r}, which is not a Keras model. Give a keras.Model."
        )
    if keras.backend.backend() != "jax":
        raise ValueError(
            f"from_keras got a model on Keras's {keras.backend.backend()} back-end; it "
            "needs the JAX back-end. Set the environment variable KERAS_BACKEND=jax "
            "before Keras is imported (os.environ['KERAS_BACKEND'] = 'jax'), and start "
            "Python again."
        )
    if not (model.built and model.weights):
        raise ValueError(
            f"from_keras got {model.name!r}, which is not built: its weights do not "
            "exist yet. Call model.build(input_shape), or call the model on a few rows."
        )
    for name in _STRANGE_STEPS:
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise ValueError(
                f"from_keras got {model.name!r}, which overrides {name}; thalweg.fit "
                "would not call that method. Train the model with its own fit, or "
                "express the loss by add_loss, or override compute_loss and compile "
                "the model."
            )
    check_layers(model)
    held = vars(model).get("_thalweg")
    if held is None or not all(map(op.is_, held.made_of, _parts(model))):
        held = KerasAdapter(model)
        # Keras would take an attribute that is set otherwise for a part of the model.
        object.__setattr__(model, "_thalweg", held)
    return held.network


def _parts(model: Any) -> list[Any]:
    """List what programs depend on and what their weights are: others, another size."""
    names = ("optimizer", "_compile_loss", "_compile_metrics")
    made = [getattr(model, name, None) for name in names]
    kept = model.non_trainable_variables
    return [*made, *model.trainable_variables, None, *kept]


class KerasAdapter:
    """A Keras model that holds the weights of a `Network`."""

    writes = True

    def __init__(self, model: Any) -> None:
        self.model, self.made_of = model, _parts(model)
        self.trained = _named(model.trainable_variables)
        self.kept = _named(model.non_trainable_variables)
        # Of the last fit: the same ones find their programs compiled.
        self._loss: CompiledLoss | None = None
        self._rule: KerasRule | None = None
        self._settings = layer_settings(model)
        self._takes_training = "training" in inspect.signature(model.call).parameters
        self.network = Network(
            self.init,
            self.apply,
            project=self.project if self._constrained() else None,
            settle=self.settle,
            adds_loss=True,
            dtype=model.variable_dtype,
            adapter=self,
        )
        self._forget()

    def _forget(self) -> None:
        """Forget what a fit began."""
        self._unlike, self._rate = "", None
        self._callbacks: keras_callbacks.KerasCallbacks | None = None
        self._trains_by_rule, self._begun, self._began = False, False, 0

    @property
    def compiled(self) -> bool:
        """Whether the model has a loss and an optimizer of its own."""
        return bool(self.model.compiled)

    def reading(self) -> "KerasAdapter":
        """Return the same adapter, which leaves the model as it is after a fit."""
        other = copy.copy(self)
        other.writes = False
        return other

    # The network.

    def init(self, seed: int) -> Any:
        """Return the current weights; the seed has no effect."""
        return _values(self.trained), _values(self.kept)

    def apply(self, params: Any, X: Any, state: Any, training: bool) -> Any:
        """Compute the model; return ``(outputs, state, added loss)``."""
        weights = [params[name] for name in self.trained]
        others = [state[name] for name in self.kept]
        more = {"training": training} if self._takes_training else {}
        with changed(as_products(self.model)):
            outputs, after, losses = self.model.stateless_call(
                weights, others, X, return_losses=True, **more
            )
        added = sum(self.model._aggregate_additional_loss(each) for each in losses)
        return outputs, dict(zip(self.kept, after, strict=True)), added

    def project(self, params: Any) -> Any:
        """Project weights onto their constraints."""
        bounded = {k: v.constraint for k, v in self.trained.items() if v.constraint}
        return {**params, **{name: bounded[name](params[name]) for name in bounded}}

    def settle(self, params: Any, state: Any, X: Any) -> Any:
        """Return the state with the statistics of batch normalization for all rows."""
        with changed(forgetful(self.model)):
            return self.apply(params, X, state, training=True)[1]

    def _constrained(self) -> bool:
        return any(variable.constraint for variable in self.trained.values())

    def refresh(self) -> None:
        """Forget compiled programs if a setting of a layer has changed."""
        now = layer_settings(self.model)
        if now != self._settings:
            self.network.programs.clear()
            self._settings = now

    # Before a fit.

    def prepare(self, request: FitRequest) -> FitRequest:
        """Return what to train and how, by the model's settings where fit has none."""
        self._forget()
        self.refresh()
        settings, asked = _asked(request)
        theirs, ours = keras_callbacks.split(request.callbacks)
        watched = bool(theirs or asked.verbose)
        compiled, takes_loss = self.model.compiled, self._takes_loss(settings)
        by_theirs = compiled and "optimizer" not in settings and self.model.optimizer
        if compiled:
            settings = self._keras_defaults(settings)
        request = replace(
            request, plan=None, settings=settings, callbacks=ours,
            validation=asked.validation_of(request),
        )  # fmt: skip
        request = asked.cut(request, takes_loss)
        if not takes_loss:
            dense.refuse_twice(self.model, _loss_name(settings))
        try:
            if watched:
                raise NotEquivalent("callbacks of Keras")
            prepared = self._as_dense(request, takes_loss, bool(by_theirs), asked)
        except NotEquivalent as other:
            self._unlike = f"the native kernel has no equivalent of {other}"
            prepared = self._as_keras(request, takes_loss, bool(by_theirs), asked)
        if watched:
            self._watch(theirs, prepared, asked)
            also = [*prepared.callbacks, self._callbacks]
            prepared = replace(prepared, callbacks=also)
        return self._with_frequency(prepared, asked)

    @staticmethod
    def _with_frequency(request: FitRequest, asked: Asked) -> FitRequest:
        """Return the request, which validates only after the epochs asked for."""
        if asked.validation_freq == 1:
            return request
        chosen = keras_callbacks.SomeValidations(
            asked.validation_freq, asked.initial_epoch
        )
        return replace(request, callbacks=[*request.callbacks, chosen])

    def _takes_loss(self, settings: Mapping[str, Any]) -> bool:
        own = type(self.model).compute_loss is not _model_class().compute_loss
        if own and ("loss" in settings or not self.model.compiled):
            raise ValueError(
                f"fit got {self.model.name!r}, which overrides compute_loss, "
                f"{'and a loss' if 'loss' in settings else 'and is not compiled'}. "
                "Compile the model, and give no loss to fit."
            )
        return bool(self.model.compiled) and "loss" not in settings

    def _keras_defaults(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings with what Keras means where nothing is said."""
        own = {"restore_best": False, "batch_size": _KERAS_BATCH, **settings}
        if own["batch_size"] == "auto":
            own["batch_size"] = _KERAS_BATCH
        return own

    def _as_dense(
        self, request: FitRequest, takes_loss: bool, by_theirs: bool, asked: Asked
    ) -> FitRequest:
        """Return what the native kernel trains.

        Raises
        ------
        NotEquivalent
            If it would compute something else.
        """
        settings, model = dict(request.settings), self.model
        if request.parameters is not None or callable(settings.get("loss")):
            raise NotEquivalent("weights or a loss function passed to fit")
        weighted = request.sample_weight is not None or request.class_weight is not None
        valued = request.validation
        weighted |= isinstance(valued, tuple) and len(valued) > 2
        if takes_loss and weighted and not asked.by_weights:
            raise NotEquivalent("weights of rows that are divided by the rows")
        if takes_loss and model._compile_metrics is not None:
            raise NotEquivalent("metrics of Keras")
        if takes_loss and (request.y is None or data.is_batches(request.X)):
            raise NotEquivalent("batches that are read")
        if {"learning_rate", "schedule", "warmup"} & set(settings) and by_theirs:
            self._check_rate(settings)
        network, changes = dense.translate(model, takes_loss, by_theirs)
        if takes_loss and valued is not None and {"l1", "l2"} & set(changes):
            raise NotEquivalent("penalties within the validation loss")
        rate = settings.get("learning_rate") if by_theirs else None
        if rate is not None:
            self._rate = changes.pop("learning_rate")
        if set(changes) & set(settings):
            both = sorted(set(changes) & set(settings))
            raise NotEquivalent(f"{', '.join(both)} of the model itself")
        if takes_loss:
            settings.setdefault("monitor", "loss")
            scores = request.scoring is not None
            if settings["monitor"] == "score" and not scores:
                raise ValueError(_NO_METRIC.format(name=model.name))
            request = dense.as_labels(request, changes["loss"], network.n_outputs)
        self._trains_by_rule = by_theirs
        settings = {"dtype": "float32", **settings, **changes}
        return replace(
            request, network=network, settings=settings, parameters=dense.weights(model)
        )

    def _as_keras(
        self, request: FitRequest, takes_loss: bool, by_theirs: bool, asked: Asked
    ) -> FitRequest:
        """Return what Keras's own functions train, within our engine."""
        check_trained_in_call(self.model, request.X)
        settings = dict(request.settings)
        if by_theirs:
            settings |= self._by_rule(settings)
        if takes_loss:
            request = self._with_targets(request, asked)
            settings["loss"] = self._loss_of(asked)
            settings.setdefault("monitor", "loss")
            request = self._with_score(request, settings["monitor"])
        return replace(request, network=self.network, settings=settings)

    def _by_rule(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the compiled optimizer as settings."""
        self._check_rate(settings)
        model = self.model
        optimizer, variables = model.optimizer, model.trainable_variables
        if optimizer.built:
            inner = getattr(optimizer, "inner_optimizer", optimizer)
            known = list(inner._trainable_variables)
            if len(known) != len(variables) or not all(map(op.is_, known, variables)):
                raise ValueError(
                    f"fit got {model.name!r}, whose trainable weights have changed "
                    "since its optimizer was built. Call model.compile again."
                )
        else:
            optimizer.build(variables)
        if self._rule is None or self._rule.optimizer is not optimizer:
            self._rule = KerasRule(optimizer, list(self.trained))
        self._trains_by_rule = True
        self._began = int(np.asarray(optimizer.iterations))
        now = self._rule.rate
        if self._rule.scheduled:
            return {"optimizer": self._rule, "learning_rate": now}
        if settings.get("learning_rate") is not None:
            self._rate = now
            now = float(settings["learning_rate"])
        return {"optimizer": self._rule, "learning_rate": now}

    def _check_rate(self, settings: Mapping[str, Any]) -> None:
        """Refuse what would act on a learning rate that a schedule of Keras gives."""
        rate = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if hasattr(rate._learning_rate, "assign") and not has_parts(rate):
            return
        for name in ("learning_rate", "schedule", "warmup"):
            if settings.get(name):
                raise ValueError(
                    f"fit got {name}={settings[name]!r}, but {self.model.name!r} is "
                    "compiled with a learning-rate schedule or with several "
                    "optimizers. Compile it with one optimizer and a number as "
                    "learning_rate, or pass optimizer= too."
                )

    def _with_targets(self, request: FitRequest, asked: Asked) -> FitRequest:
        """Put targets and weights together, as Keras's functions want them."""
        weight, classes = request.sample_weight, request.class_weight

        def pack(y: Any, own: Any) -> Any:
            return data.as_targets(y, own, classes, self._n_classes())

        X, y = request.X, request.y
        if isinstance(X, str) or hasattr(X, "to_batches"):
            if weight is not None or classes is not None:
                raise ValueError(
                    "fit got weights with the columns of a file, and a loss that a "
                    "Keras model was compiled with. Read the file in batches "
                    "(X, y, sample_weight), or pass loss= to fit."
                )
            return request
        if data.is_batches(X) and y is None:
            seed = None
            if hasattr(X, "num_batches") and request.settings.get("shuffle", True):
                seed = int(as_random_state(request.rng).randint(2**31))
            batches = data.KerasBatches(X, pack, asked.steps_per_epoch, seed)
            self._build(*batches.first())
            ended = data.Ended(batches)
            request = replace(request, callbacks=[*request.callbacks, ended])
            X, y = (batches() if batches.once else batches), None
        else:
            X, y = data.arrays(X), pack(y, weight)
            check_some_loss(self.model, X)
            self._build(X, y)
        held = request.validation
        if isinstance(held, tuple):
            X_val, y_val, w_val = (*held, None, None)[:3]
            held = data.arrays(X_val), data.as_targets(y_val, w_val, None)
        return replace(
            request, X=X, y=y, sample_weight=None, class_weight=None, validation=held
        )

    def _n_classes(self) -> int | None:
        """Count the classes that the one output of the model tells apart."""
        shape = getattr(self.model, "output_shape", None)
        if isinstance(shape, tuple) and isinstance(shape[-1], int):
            return max(shape[-1], 2)
        return None

    def _build(self, X: Any, y: Any) -> None:
        """Let Keras make its loss and metrics for rows like these."""
        import jax

        some = jax.tree.map(lambda v: v[:2], (X, y))
        targets, weights = some[1].get("targets"), some[1].get("sample_weight")
        try:
            self.model._symbolic_build(data_batch=(some[0], targets, weights))
        except Exception as error:
            shapes = jax.tree.map(np.shape, (X, y))
            raise ValueError(
                f"the model {self.model.name!r}, with what it was compiled with, does "
                f"not take X and y of shapes {shapes[0]} and {shapes[1]}: {error}"
            ) from error

    def _loss_of(self, asked: Asked) -> CompiledLoss:
        if self._loss is None or not self._loss.is_of(self.model, asked.by_weights):
            names = list(self.trained), list(self.kept)
            self._loss = CompiledLoss(self.model, *names, asked.by_weights)
        self._loss.validation_batch = asked.validation_batch
        return self._loss

    def _with_score(self, request: FitRequest, monitor: str) -> FitRequest:
        """Return how validation data are scored."""
        given = request.scoring
        if given is not None:
            labels = self._loss_labels
            scoring = lambda predict, X, y: given(predict, X, labels(y))
            return replace(request, scoring=scoring)
        return replace(request, scoring=score_of(self.model, monitor) or usual_score)

    @staticmethod
    def _loss_labels(y: Any) -> Any:
        return y.get("targets") if isinstance(y, Mapping) else y

    def _watch(self, theirs: list[Any], request: FitRequest, asked: Asked) -> None:
        """Begin to call callbacks of Keras."""
        rule = self._rule if self._trains_by_rule else None
        keras_callbacks.check(theirs, rule)
        epochs, given = Plan().epochs, request.settings
        for plan in phases(None, given):
            if not plan.first_order:
                label = plan.optimizer.label
                raise ValueError(
                    f"fit got callbacks of Keras with optimizer={label!r}, which "
                    "trains without batches. Use callbacks that take an EpochRecord, "
                    "or a first-order optimizer such as 'adam'."
                )
        epochs = given.get("epochs", epochs)
        if isinstance(epochs, list):
            epochs = sum(epochs)
        some = keras_callbacks.SomeValidations(asked.validation_freq, 1)
        held = request.validation is not None
        validates = lambda epoch: held and some.validates_after(epoch)
        self._callbacks = keras_callbacks.KerasCallbacks(
            theirs, self.model, (list(self.trained), list(self.kept)), rule,
            epochs + asked.initial_epoch, asked.initial_epoch, asked.verbose,
            validates,
        )  # fmt: skip

    def ready(
        self, settings: Mapping[str, Any], *, as_dense: bool = True
    ) -> tuple[Any, Any, Plan]:
        """Return a network, parameters and a plan to predict with, as after a fit."""
        asked, _ = _asked(FitRequest(self.network, settings))
        takes_loss = self._takes_loss(asked)
        loss = asked.get("loss", Plan().loss)
        try:
            if callable(loss) or not as_dense:
                raise NotEquivalent("a loss function passed to fit")
            network, changes = dense.translate(self.model, takes_loss, False)
        except NotEquivalent:
            loss = self._loss_of(Asked()) if takes_loss else loss
            return self.network, self.init(0), Plan(loss=loss)
        plan = Plan(loss=changes["loss"] if takes_loss else loss)
        return network, dense.weights(self.model), plan

    # During a fit and after it.

    def begin(self, session: Any) -> None:
        """Let the session go on from what the optimizer remembers; begin callbacks."""
        if self._callbacks is not None and self._begun:
            self._callbacks.session = session
        if self._begun:
            return
        self._begun = True
        if self._trains_by_rule and hasattr(session, "change"):
            assert self._rule is not None
            rate = float(session.plan.rate) if self._rate is not None else None
            session.change(session.parameters(), self._rule.memory(rate))
        if self._callbacks is not None:
            self._callbacks.begin_session(session)

    def finish(self, run: Run, session: Any) -> Run:
        """Put the trained weights into the model, and what the optimizer remembers."""
        metrics = _metrics_of(run)
        history = replace(run.history, metrics=metrics)
        if isinstance(run.network, DenseNetwork):
            note = f"{run.engine}; the Keras model {self.model.name!r} is only dense"
            run = replace(run, engine=note, history=history)
            if self.writes:
                dense.assign(self.model, run.parameters)
                if self._trains_by_rule and session is not None:
                    dense.remember(self.model, session)
            return run
        run = replace(run, engine=f"{run.engine}; {self._unlike}", history=history)
        if not self.writes:
            return run
        self._assign(run.parameters)
        if self._trains_by_rule and session is not None:
            run = self._finish_rule(run, session)
        if self._callbacks is not None:
            self._callbacks.end()
        return replace(run, parameters=self.init(0))

    def _finish_rule(self, run: Run, session: Any) -> Run:
        assert self._rule is not None
        rule, iterations = self._rule, self._began
        rule.write_back(session.memory(), self._rate)
        rule.optimizer.finalize_variable_values(self.model.trainable_variables)
        if rule.scheduled and len(run.history):
            done = int(np.asarray(rule.optimizer.iterations)) - iterations
            ends = np.arange(1, len(run.history) + 1) * (done // len(run.history))
            rates = rule.rates(np.maximum(iterations + ends - 1, 0))
            run = replace(run, history=replace(run.history, rate=rates))
        return run

    def _assign(self, parameters: Any) -> None:
        pairs = zip((self.trained, self.kept), parameters, strict=True)
        for variables, values in pairs:
            for name, variable in variables.items():
                variable.assign(values[name])

    def predict(self, run: Run, X: Any) -> Any:
        """Compute what the model, or our loss, predicts with the weights of a run."""
        self.refresh()
        engine, _ = engines.pick("auto", run.network, run.plan)
        rows = as_rows(run.network, X, engine.floating_type(run.parameters))
        outputs = engine.outputs(run.network, run.parameters, rows)
        return link(run.plan.loss)(outputs)


_NO_METRIC = (
    "fit got monitor='score', but {name!r} is compiled without metrics. Compile it "
    "with metrics=[...], pass scoring=, or use monitor='loss'."
)


def _model_class() -> Any:
    import keras

    return keras.Model


def _asked(request: FitRequest) -> tuple[dict[str, Any], Asked]:
    """Return fields of `Plan` that were given, and what else Keras's fit knows."""
    given = dict(request.settings)
    own = {name: given.pop(name) for name in list(given) if name in KERAS_KEYWORDS}
    if request.plan is not None:
        usual = Plan()
        told = {f.name: getattr(request.plan, f.name) for f in fields(Plan)}
        given = {k: v for k, v in told.items() if v != getattr(usual, k)} | given
    asked = Asked(**own)
    return asked.settings(given), asked


def _loss_name(settings: Mapping[str, Any]) -> str:
    loss = settings.get("loss", Plan().loss.name)
    return str(Plan.of(None, loss=loss).loss.name)


def _metrics_of(run: Run) -> dict[str, Array]:
    """Return the metrics of a run as Keras's history has them."""
    history = run.history
    found = {"loss": history.loss, **history.metrics}
    if np.isfinite(history.validation_loss).any():
        own = {k: v for k, v in found.items() if not k.startswith("val_")}
        validated = {k: v for k, v in found.items() if k.startswith("val_")}
        found = {**own, "val_loss": history.validation_loss, **validated}
    return found


def _named(variables: list[Any]) -> dict[str, Any]:
    """Return variables by their paths, numbered if a subclass gives one twice."""
    named: dict[str, Any] = {}
    for variable in variables:
        name, number = variable.path, 2
        while name in named:
            name, number = f"{variable.path} ({number})", number + 1
        named[name] = variable
    return named


def _values(variables: Mapping[str, Any]) -> dict[str, Array]:
    return {name: np.array(variable.value) for name, variable in variables.items()}
