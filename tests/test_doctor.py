"""The doctor on whole programs: what it names, what it proves, what it leaves alone."""

from pathlib import Path

import numpy as np

import thalweg as tw

TABLE = Path(__file__).parents[1] / "examples" / "infrared.csv"


def infrared():
    table = np.genfromtxt(TABLE, delimiter=",", skip_header=1)
    return table[:, :5], table[:, 5].astype(int)


def test_the_infrared_table():
    X, y = infrared()
    network = tw.DenseNetwork.from_sizes((5, 25, 4), activation="logistic")
    run = tw.fit(
        network,
        X,
        y,
        loss="cross_entropy",
        optimizer="tnc",
        epochs=500,
        random_state=0,
    )
    found = tw.diagnose(run, X, y)
    first, second, *_, last = found.findings
    assert (first.code, first.status) == ("unscaled-input", "confirmed by trial")
    assert second.code == "sentinel-value"
    assert "65535" in second.cause
    assert last.code == "few-rows"
    assert last.value == 12
    assert len(found.alarms) == 1
    treated, difference = found.treat()
    assert difference == {"scale": True}
    assert np.mean(treated.fit(X, y).predict(X).argmax(axis=1) == y) == 1.0
