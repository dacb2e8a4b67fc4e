"""`thalweg fit`: train a model on a table, score it, hand it over, examine it."""

from time import monotonic
from typing import Annotated, Any, Literal

import typer

from thalweg.cli.options import (
    File,
    Hidden,
    Ignore,
    ModelPath,
    Names,
    Seed,
    Target,
    Task,
    model_output,
    option,
    parse_widths,
    prepare,
    read_columns,
)
from thalweg.cli.printing import show_lines
from thalweg.cli.reading import (
    AS_FOUND,
    ReadingOptions,
    TablePaths,
    one_name,
    reads_table,
)
from thalweg.cli.results import write_results
from thalweg.cli.splitting import (
    ClassWeight,
    Group,
    KeepSplitColumns,
    Metric,
    Threshold,
    TimeColumn,
    divide_columns,
    parse_class_weight,
    parse_threshold,
    time_or_column,
)
from thalweg.cli.training import describe_table, examine, keep, show_result, train
from thalweg.cli.watching import LogFile, MLflowStore, TensorBoardFolder, watching


@reads_table(columns=True)
def fit(
    context: typer.Context,
    tables: TablePaths,
    target: Target,
    task: Task = "auto",
    output: ModelPath = None,
    report: Annotated[
        File, option("File to write a report to, as HTML.", of="FILE")
    ] = None,
    reading: ReadingOptions = AS_FOUND,
    ignore: Ignore = None,
    category: Annotated[
        Names,
        option(
            "Column whose numbers are codes of categories. Repeat the option for more "
            "columns.",
            "--category",
            of="COLUMN",
        ),
    ] = None,
    hidden: Hidden = "128,64",
    activation: Annotated[
        str,
        option("Activation of the hidden layers, e.g. relu, tanh, gelu.", of="NAME"),
    ] = "relu",
    dropout: Annotated[
        float | None,
        option(
            "Share of the units that each update leaves out. [default: 0.1]", of="SHARE"
        ),
    ] = None,
    optimizer: Annotated[
        str,
        option(
            "Optimizer, e.g. adam, sgd or lbfgs; adam,lbfgs uses one after the other.",
            of="NAME",
        ),
    ] = "adam",
    learning_rate: Annotated[
        float | None,
        option("Learning rate. [default: the optimizer's usual one]", of="RATE"),
    ] = None,
    schedule: Annotated[
        str,
        option(
            "How the learning rate changes, e.g. constant, cosine, one_cycle.",
            of="NAME",
        ),
    ] = "constant",
    epochs: Annotated[
        int | None,
        option("Maximum number of epochs. [default: by the number of rows]", of="N"),
    ] = None,
    batch_size: Annotated[
        int | None,
        option("Rows in a batch. [default: by the number of rows]", of="N"),
    ] = None,
    l2: Annotated[
        float, option("Strength of the L2 penalty on the weights.", of="STRENGTH")
    ] = 1.0,
    patience: Annotated[
        int,
        option("Epochs without improvement after which training stops.", of="N"),
    ] = 10,
    members: Annotated[
        int | None,
        option(
            "Networks that are trained and averaged; 1 for a single one. [default: by "
            "the number of rows, at most 8]",
            of="N",
        ),
    ] = None,
    time_limit: Annotated[
        str | None,
        option(
            "Time that all training may take: seconds, or e.g. 10m. More networks are "
            "trained for as long as that.",
            "--time-limit",
            of="TIME",
        ),
    ] = None,
    seed: Seed = 0,
    time: Annotated[
        str | None,
        option(
            "Time limit for all training and the doctor: seconds, or e.g. 10m. The "
            "name of a column is taken as --time-column.",
            of="TIME",
        ),
    ] = None,
    dtype: Annotated[
        Literal["float32", "float64"],
        option("Precision of the computation: float32 or float64.", of="DTYPE"),
    ] = "float32",
    model: Annotated[
        Literal["network", "linear", "trees", "auto"],
        option(
            "What is trained: network, linear, trees, or auto, which hands over the "
            "one with the best score.",
            of="MODEL",
        ),
    ] = "network",
    metric: Metric = None,
    class_weight: ClassWeight = None,
    threshold: Threshold = None,
    group: Group = None,
    time_column: TimeColumn = None,
    keep_split_columns: KeepSplitColumns = False,
    refit: Annotated[
        bool | None,
        option(
            "Whether the model is fitted on all rows after it was evaluated. "
            "[default: yes, unless under 5 % of the rows are test data]",
            "--refit/--no-refit",
        ),
    ] = None,
    checkpoint: Annotated[
        File,
        option(
            "File in which the training is kept. The same command again goes on from "
            "there after a kill or an interruption.",
            of="FILE",
        ),
    ] = None,
    checkpoint_every: Annotated[
        str | None,
        option(
            'How often the checkpoint is written, e.g. 60s, 10m or "5 epochs". '
            "[default: 30s]",
            of="TIME",
        ),
    ] = None,
    resume: Annotated[
        bool | None,
        option(
            "Whether to go on from the checkpoint: --resume demands one, --no-resume "
            "starts anew. [default: if there is one]",
            "--resume/--no-resume",
        ),
    ] = None,
    doctor: Annotated[
        bool,
        option(
            "Whether to look for faults in data and training, for at most as long as "
            "the training took, or 5 seconds.",
            "--doctor/--no-doctor",
        ),
    ] = True,
    results: Annotated[
        File, option("File to write the evaluation to, as JSON.", "--json", of="FILE")
    ] = None,
    tensorboard: TensorBoardFolder = None,
    mlflow: MLflowStore = None,
    log: LogFile = None,
) -> None:
    """Train a network on a table and write the model to a file.

    The columns may hold numbers, texts, dates, booleans and missing values. The score
    is measured on one fifth of the rows, which training does not use, beside those of a
    linear model and of boosted trees. With fewer than 200 rows it is measured by
    cross-validation. The model that is written is then fitted on all rows.

    For example:

    - `thalweg fit flowers.csv --target species`

    - `thalweg fit houses.csv.gz -t price --task regression --hidden 256,128`

    - `thalweg fit plants.csv -t yield --ignore name --optimizer sgd --time 60`

    - `thalweg fit flowers.csv -t species --report flowers.html`

    - `thalweg fit visits.csv -t readmitted --group patient --metric roc_auc`

    - `thalweg fit loans.csv -t default --class-weight balanced --threshold f1`
    """
    from thalweg.estimators import n_networks, refit_pays

    started = monotonic()
    output = model_output(output, tables)
    prepare(output, report, results, log, checkpoint, read=tables)
    watchers = watching(tensorboard, mlflow, log, model)
    kept = keep(checkpoint, checkpoint_every, resume)
    if report:
        from thalweg import report as report_page

        report_page.check()
    X, y = read_columns(tables, reading, target, ignore, category)
    seconds, time_column = time_or_column(time, time_column, X.columns)
    divided = divide_columns(X, group, time_column, keep_split_columns)
    X = divided.X
    choice, known, X = describe_table(tables, task, X, y, reading)
    n_rows = int(known.sum())
    refit = refit_pays(n_rows) if refit is None else refit
    crossed = n_networks(n_rows, time=time_column is not None, refit=False) > 1
    count = n_networks(n_rows, time=time_column is not None, refit=refit or crossed)
    estimator: Any = choice.model.set_params(
        hidden_layer_sizes=parse_widths(hidden),
        activation=activation,
        dropout=dropout,
        optimizer=optimizer.split(",") if "," in optimizer else optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        max_epochs=epochs,
        batch_size=batch_size,
        l2=l2,
        patience=patience,
        random_state=seed,
        max_time=seconds and seconds / count,
        members=members,
        time_limit=_seconds(time_limit, count),
        dtype=dtype,
        scoring=metric,
    )
    estimator.set_params(**_of_classes(estimator, y, class_weight, threshold))
    trained, evaluation = train(
        estimator, model, X, y, output,
        closely=report is not None or results is not None, refit=refit,
        divided=divided.of(slice(None)), kept=kept, callbacks=watchers,
    )  # fmt: skip
    show_result(
        trained, evaluation, X[known], y[known], output, refitted=refit and not crossed
    )
    write_results(evaluation, results)
    found = None
    if doctor and hasattr(trained, "run_"):
        taken = monotonic() - started
        limit = None if seconds is None else started + seconds
        found = examine(
            trained, X[known], y[known], output, evaluation, taken=taken, deadline=limit
        )
    if report:
        from thalweg import report as report_page

        summary = report_page.summarize(
            trained,
            evaluation,
            X,
            y,
            path=one_name(tables),
            task=choice.reason,
            command=context.obj,
            diagnosis=found,
        )
        report_page.write(summary, report)
        show_lines({"Report": str(report)})


def _seconds(given: str | None, count: int) -> float | None:
    """Return the time limit of each of `count` fits."""
    if given is None:
        return None
    from thalweg.cli.live_table import parse_duration

    seconds = parse_duration(given)
    return seconds and seconds / count


def _of_classes(
    estimator: Any, y: Any, class_weight: Names, threshold: str | None
) -> dict[str, Any]:
    """Return the settings that only a classifier has."""
    from thalweg.estimators import Classifier

    given = {"--class-weight": class_weight, "--threshold": threshold}
    if isinstance(estimator, Classifier):
        return {
            "class_weight": parse_class_weight(class_weight, y),
            "threshold": parse_threshold(threshold),
        }
    for flag, value in given.items():
        if value:
            raise ValueError(
                f"{flag} is for classes, but the target holds numbers. Leave it out, "
                "or use --task classification."
            )
    return {}
