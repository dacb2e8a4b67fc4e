"""Export to ONNX.

`register_onnx` registers our estimators with skl2onnx, which then converts them alone
or inside pipelines. The scaling of inputs is exported as such, and a table's model with
the encoding of its columns.
"""

from typing import Any

import numpy as np

from thalweg.estimators.mlp.classifier import MLPClassifier
from thalweg.estimators.mlp.regressor import MLPRegressor
from thalweg.estimators.onnx_graph import Graph
from thalweg.estimators.onnx_tables import convert_table, table_shapes
from thalweg.estimators.tabular.estimators import Classifier, Regressor

_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "output_class_labels": [False, True],
    "nocl": [True, False],
}


def register_onnx() -> None:
    """Register our estimators with skl2onnx.

    These are `MLPClassifier`, `MLPRegressor`, `Classifier` and `Regressor`. It needs
    the extra ``thalweg[onnx]``. The models of tables are exported with the encoding of
    their columns and all their members. Give one input for each column, as skl2onnx
    makes of a DataFrame; an empty text is a missing one, NaN a missing number. Dates
    must come in as days since 1970, and free texts cannot be exported. A network with
    your own activation function cannot be converted. With the hinge loss or your own
    loss function, the second output of a classifier holds the outputs of the network
    instead of probabilities.

    Examples
    --------
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_iris
    >>> from thalweg import MLPClassifier
    >>> from thalweg.estimators import register_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(solver="lbfgs", scale_inputs=True, random_state=0)
    >>> clf = clf.fit(X, y)
    >>> register_onnx()
    >>> model = to_onnx(clf, X[:1], options={"zipmap": False})
    >>> [output.name for output in model.graph.output]
    ['label', 'probabilities']
    """
    from skl2onnx import update_registered_converter

    update_registered_converter(
        MLPClassifier,
        "ThalwegMLPClassifier",
        _classifier_shapes,
        _convert_classifier,
        options=_OPTIONS,
    )
    update_registered_converter(
        MLPRegressor, "ThalwegMLPRegressor", _regressor_shapes, _convert_regressor
    )
    update_registered_converter(
        Classifier, "ThalwegClassifier", table_shapes, convert_table, options=_OPTIONS
    )
    update_registered_converter(
        Regressor, "ThalwegRegressor", table_shapes, convert_table
    )


def _classifier_shapes(operator: Any) -> None:
    from skl2onnx.common import shape_calculator

    shape_calculator.calculate_linear_classifier_output_shapes(operator)
    estimator = operator.raw_operator
    if _has_labels(estimator):
        rows = operator.inputs[0].get_first_dimension()
        operator.outputs[0].type.shape = [rows, estimator.n_outputs_]


def _regressor_shapes(operator: Any) -> None:
    from skl2onnx.common import shape_calculator

    shape_calculator.calculate_linear_regressor_output_shapes(operator)
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type.shape = [rows, operator.raw_operator.n_outputs_]


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.utils_classifier import get_label_classes

    estimator = operator.raw_operator
    label, probability = operator.outputs
    graph = Graph(operator, container)
    outputs = graph.outputs(estimator)
    if _has_labels(estimator):
        above = graph.Greater(outputs, graph.number(0.5))
        labels = graph.Cast(above, to=7, output_names=[label])  # 7 is int64
    else:
        if estimator.n_outputs_ == 1:
            rest = graph.Sub(graph.number(1), outputs)
            outputs = graph.Concat(rest, outputs, axis=1)
        classes: Any = get_label_classes(scope, estimator)
        numbers = classes.dtype.kind in "iufb"
        classes = classes.astype(np.int64 if numbers else object)
        best = graph.ArgMax(outputs, axis=1, keepdims=0)
        labels = graph.Gather(classes, best, output_names=[label])
    graph.Identity(outputs, output_names=[probability]).add_to(scope, container)
    labels.add_to(scope, container)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(operator, container)
    outputs = graph.outputs(operator.raw_operator)
    graph.Identity(outputs, output_names=operator.outputs).add_to(scope, container)


def _has_labels(estimator: Any) -> bool:
    return estimator._label_binarizer.y_type_.startswith("multilabel")
