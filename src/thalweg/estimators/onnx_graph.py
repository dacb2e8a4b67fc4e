"""A graph of ONNX operators, and networks in it.

Batch normalization is folded into the weights before it, and activations that ONNX
runtimes lack in double precision are composed of operators that they have.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.core import Array, Dense, DenseNetwork, Parameters, Run


class Graph:
    """A graph of ONNX operators: each operator is a method with its name.

    Parameters
    ----------
    operator, container
        The arguments that skl2onnx passes to a converter.
    """

    def __init__(self, operator: Any, container: Any) -> None:
        from skl2onnx.common.data_types import DoubleTensorType

        self._input, self._opset = operator.inputs[0], container.target_opset
        double = any(isinstance(v.type, DoubleTensorType) for v in operator.inputs)
        self.dtype = np.dtype(np.float64 if double else np.float32)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from skl2onnx.algebra import onnx_ops

        make = getattr(onnx_ops, f"Onnx{name}")
        return lambda *inputs, **more: make(*inputs, op_version=self._opset, **more)

    def array(self, values: Any) -> Array:
        """Return a constant with the precision of the input."""
        return np.asarray(values, self.dtype)

    def number(self, value: float) -> Array:
        """Return a constant that broadcasts over everything."""
        return self.array([value])

    def outputs(self, estimator: Any) -> Any:
        """Add the network of an estimator with its output activation."""
        # 1 is float32, 11 float64.
        z = self.Cast(self._input, to=1 if self.dtype == np.float32 else 11)
        if estimator.scale_inputs:
            centered = self.Sub(z, self.array(estimator.scaler_.mean_))
            z = self.Div(centered, self.array(estimator.scaler_.scale_))
        z = self._layers(estimator._network(), estimator._parameters(), z)
        return _OUTPUTS[estimator.out_activation_](self, z)

    def run(self, run: Run, z: Any) -> Any:
        """Add a trained network with the link of its loss."""
        loss = run.plan.loss
        z = self._layers(run.network, run.parameters, z)
        link = _LINKS.get(loss.label, "identity")
        return _OUTPUTS[link](self, z)

    def _layers(self, network: DenseNetwork, parameters: Parameters, z: Any) -> Any:
        for layer, own in zip(network.layers, parameters, strict=True):
            z = _activate(self, layer, self._linear(layer, own, z))
        return z

    def _linear(self, layer: Dense, own: dict[str, Array], z: Any) -> Any:
        weights, bias = own["weights"], own["bias"]
        kind = layer.normalization
        constants: dict[str, Any] = dict(kind.constants)
        if kind.name == "batch":
            gain = own["scale"] / np.sqrt(own["variance"] + constants["epsilon"])
            weights, bias = weights * gain, (bias - own["mean"]) * gain + own["shift"]
        z = self.Add(self.MatMul(z, self.array(weights)), self.array(bias))
        if kind.name != "layer":
            return z
        mean = self.array(np.full((layer.units, 1), 1 / layer.units))
        z = self.Sub(z, self.MatMul(z, mean))
        variance = self.MatMul(self.Mul(z, z), mean)
        size = self.Sqrt(self.Add(variance, self.number(constants["epsilon"])))
        scaled = self.Mul(self.Div(z, size), self.array(own["scale"]))
        return self.Add(scaled, self.array(own["shift"]))


def _activate(graph: Graph, layer: Dense, z: Any) -> Any:
    activation = layer.activation
    if not isinstance(activation.name, str):
        raise ValueError(
            f"the activation {activation.label!r} is your own function, which cannot "
            "be exported to ONNX. Use one of thalweg.core.networks.ACTIVATIONS."
        )
    return _ACTIVATIONS[activation.label](graph, z, **dict(activation.constants))


def _within(g: Graph, z: Any, low: float, high: float) -> Any:
    return g.Min(g.Max(z, g.number(low)), g.number(high))


def _elu(g: Graph, z: Any, alpha: float, scale: float = 1.0) -> Any:
    below = g.Sub(g.Exp(g.Min(z, g.number(0))), g.number(1))
    above = g.Relu(z) if scale == 1 else g.Mul(g.Relu(z), g.number(scale))
    return g.Add(above, g.Mul(below, g.number(scale * alpha)))


def _selu(g: Graph, z: Any) -> Any:
    # Klambauer et al. (2017), eq. 14.
    return _elu(g, z, alpha=1.6732632423543772, scale=1.0507009873554805)


def _gelu(g: Graph, z: Any) -> Any:
    # ONNX Runtime has the error function in single precision only.
    scaled = g.Cast(g.Mul(z, g.number(np.sqrt(0.5))), to=1)
    error = g.CastLike(g.Erf(scaled), z)
    return g.Mul(g.Mul(z, g.number(0.5)), g.Add(error, g.number(1)))


def _softplus(g: Graph, z: Any) -> Any:
    rest = g.Log(g.Add(g.Exp(g.Neg(g.Abs(z))), g.number(1)))
    return g.Add(g.Relu(z), rest)


def _hard_logistic(g: Graph, z: Any) -> Any:
    return _within(g, g.Add(g.Mul(z, g.number(1 / 6)), g.number(0.5)), 0, 1)


def _leaky_relu(g: Graph, z: Any, slope: float) -> Any:
    below = g.Mul(g.Min(z, g.number(0)), g.number(slope))
    return g.Add(g.Relu(z), below)


_ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "identity": lambda g, z: z,
    "logistic": lambda g, z: g.Sigmoid(z),
    "tanh": lambda g, z: g.Tanh(z),
    "relu": lambda g, z: g.Relu(z),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "silu": lambda g, z: g.Mul(z, g.Sigmoid(z)),
    "mish": lambda g, z: g.Mul(z, g.Tanh(_softplus(g, z))),
    "softplus": _softplus,
    "softsign": lambda g, z: g.Div(z, g.Add(g.Abs(z), g.number(1))),
    "hard_logistic": _hard_logistic,
    "hard_tanh": lambda g, z: _within(g, z, -1, 1),
    "hard_silu": lambda g, z: g.Mul(z, _hard_logistic(g, z)),
    "relu6": lambda g, z: _within(g, z, 0, 6),
}

_LINKS = {
    "cross_entropy": "softmax",
    "focal": "softmax",
    "binary_cross_entropy": "logistic",
    "poisson": "exp",
}
"""The outputs of a network by its loss, as `thalweg.core.link` has them."""

_OUTPUTS: dict[str, Callable[[Graph, Any], Any]] = {
    "identity": lambda g, z: z,
    "softmax": lambda g, z: g.Softmax(z, axis=1),
    "logistic": lambda g, z: g.Sigmoid(z),
    "exp": lambda g, z: g.Exp(z),
}
