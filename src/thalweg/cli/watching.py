"""What a command writes down of the training while it runs."""

from pathlib import Path
from typing import Annotated, Any

from thalweg.cli.options import File, option

TensorBoardFolder = Annotated[
    File,
    option(
        "Folder to write TensorBoard's event files of the training to.",
        "--tensorboard",
        of="DIR",
    ),
]
MLflowStore = Annotated[
    str | None,
    option(
        "Where MLflow keeps the runs of the training, e.g. sqlite:///mlflow.db or "
        "http://host:5000.",
        "--mlflow",
        of="URI",
    ),
]
LogFile = Annotated[
    File, option("File to write each epoch to, as CSV.", "--log", of="FILE")
]


def watching(
    tensorboard: Path | None, mlflow: str | None, log: Path | None, what: str
) -> list[Any]:
    """Return the callbacks that write down what is trained.

    `what` is the value of ``--model``.

    Raises
    ------
    ValueError
        If there are no epochs to write down, or a package is missing.
    OSError
        If a file or a folder cannot be written.
    """
    given = {"--tensorboard": tensorboard, "--mlflow": mlflow, "--log": log}
    asked = [flag for flag, value in given.items() if value]
    if not asked:
        return []
    if what in ("linear", "trees"):
        raise ValueError(
            f"{asked[0]} writes down the epochs of a network, and --model {what} "
            "trains none. Leave it out, or use --model network."
        )
    from thalweg import callbacks

    return [
        *([callbacks.TensorBoard(tensorboard)] if tensorboard else []),
        *([callbacks.MLflow(mlflow, experiment="thalweg")] if mlflow else []),
        *([callbacks.CSVLog(log)] if log else []),
    ]
