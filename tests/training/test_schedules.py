"""Weight decay and dropout that change between epochs, held against the slow reference.

The reference trains one epoch after the other, each with its own decay and dropout, by
plain descent, which remembers nothing. Both compute in float64 with the same numbers;
some tens of steps enlarge the rounding of 1e-16 to far below 1e-10.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from tests.helpers import draw_data, draw_parameters
from tests.reference import networks as references
from thalweg.core.networks import DenseNetwork
from thalweg.core.plan import Plan
from thalweg.core.types import Parameters

N_ROWS, BATCH, EPOCHS = 11, 4, 5
PER_EPOCH = 3
NETWORK = DenseNetwork.from_sizes((3, 6, 5, 2), activation="tanh", dropout=0.4)


def half_cosine(epoch: int, floor: float = 0.0) -> float:
    return floor + (1 - floor) * (1 + np.cos(np.pi * epoch / EPOCHS)) / 2


SCHEDULES: list[tuple[Any, Any]] = [
    (("step", {"every": 2, "factor": 0.5}), lambda epoch: 0.5 ** (epoch // 2)),
    (("cosine", {"floor": 0.2}), lambda epoch: half_cosine(epoch, 0.2)),
    (("linear", {"floor": 0.0}), lambda epoch: 1 - epoch / EPOCHS),
    (lambda step: float(step >= 6), lambda epoch: float(epoch >= 2)),  # none at first
]


def trained(engine: str, plan: Plan, first: Parameters) -> tw.Run:
    data = draw_data(NETWORK, plan, N_ROWS)
    return tw.fit(
        NETWORK, data.X, data.y, plan=plan, sample_weight=data.weights,
        parameters=first, random_state=3, engine=engine,
    )  # fmt: skip


@pytest.mark.parametrize("engine", ["native", "jax"])
@pytest.mark.parametrize("number", range(len(SCHEDULES)))
def test_each_epoch_has_its_own_strength(engine: str, number: int) -> None:
    spec, factor = SCHEDULES[number]
    other, factor_of_other = SCHEDULES[number - 1]
    plan = Plan(
        loss="log_cosh", optimizer="sgd", learning_rate=0.3, epochs=EPOCHS,
        batch_size=BATCH, shuffle=False, weight_decay=0.2,
        dropout_schedule=spec, weight_decay_schedule=other,
    )  # fmt: skip
    first, data = draw_parameters(NETWORK), draw_data(NETWORK, plan, N_ROWS)
    seed = int(np.random.RandomState(3).randint(2**32, dtype=np.uint32))
    expected, losses = first, []
    for epoch in range(EPOCHS):
        layers = tuple(
            replace(layer, dropout=layer.dropout * factor(epoch))
            for layer in NETWORK.layers
        )
        done = references.train(
            replace(NETWORK, layers=layers),
            replace(plan, weight_decay=0.2 * factor_of_other(epoch)),
            data, expected, None, np.full(PER_EPOCH, 0.3),
            seed=seed, first_step=epoch * PER_EPOCH,
        )  # fmt: skip
        expected, losses = done.parameters, [*losses, *done.loss]
    run = trained(engine, plan, first)
    references.assert_close(run.parameters, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(run.history.loss, losses, rtol=1e-10)


def test_a_constant_schedule_changes_no_bit() -> None:
    first = draw_parameters(NETWORK)
    plan = Plan(loss="log_cosh", epochs=EPOCHS, weight_decay=0.2)
    same = replace(
        plan, dropout_schedule=lambda step: 1.0, weight_decay_schedule=lambda step: 1.0
    )
    plain, scheduled = (trained("native", each, first) for each in (plan, same))
    for own, other in zip(plain.parameters, scheduled.parameters, strict=True):
        for name in own:
            np.testing.assert_array_equal(own[name], other[name])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"dropout_schedule": "plateau"}, "dropout_schedule='plateau'"),
        ({"weight_decay_schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"dropout_schedule": "cosine", "optimizer": "lbfgs"}, "dropout_schedule"),
        ({"weight_decay_schedule": "cosine", "optimizer": "bfgs"}, "no decay"),
        ({"dropout_schedule": lambda step: -1.0}, "dropout_schedule that gives -1"),
        ({"weight_decay_schedule": lambda step: np.nan}, "gives nan for update 0"),
        ({"dropout_schedule": lambda step: 3.0}, "must stay below 1"),
    ],
)
def test_what_is_wrong_is_said(settings: dict[str, Any], sentence: str) -> None:
    data = draw_data(NETWORK, Plan(), N_ROWS)
    with pytest.raises(ValueError, match=sentence):
        tw.fit(NETWORK, data.X, data.y, epochs=2, **settings)


def test_a_population_has_them_too() -> None:
    data = draw_data(NETWORK, Plan(), N_ROWS)
    settings: dict[str, Any] = {"epochs": 3, "dropout_schedule": "linear"}
    members = [{"random_state": seed} for seed in range(2)]
    runs = tw.fit_population(NETWORK, data.X, data.y, members, **settings)
    lone = tw.fit(NETWORK, data.X, data.y, random_state=1, **settings)
    np.testing.assert_array_equal(runs[1].history.loss, lone.history.loss)


@pytest.mark.parametrize("average", ["ema", ("polyak", {"start": 0.25})])
def test_a_table_may_have_the_average_of_the_weights(average: Any) -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    y = X[:, 0] - X[:, 1] ** 2
    own_settings: dict[str, Any] = {"max_epochs": 4, "random_state": 0, "members": 1}
    model = tw.Regressor((5,), average=average, **own_settings).fit(X, y)
    run = model.run_
    lone = tw.fit(
        run.network, model.encode(X), model.target_.encode(pd.Series(y)), plan=run.plan,
        random_state=0,
    )  # fmt: skip
    plain = tw.Regressor((5,), **own_settings).fit(X, y)
    for own, same, other in zip(
        run.parameters, lone.parameters, plain.run_.parameters, strict=True
    ):
        np.testing.assert_array_equal(own["weights"], same["weights"])
        assert (own["weights"] != other["weights"]).any()
    np.testing.assert_array_equal(run.history.loss, plain.run_.history.loss)


def test_a_table_does_not_take_a_function_for_an_average() -> None:
    X = np.zeros((9, 1))
    with pytest.raises(ValueError, match="average"):
        tw.Regressor(average=lambda step: 1.0).fit(X, X[:, 0])
