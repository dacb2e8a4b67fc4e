"""Which network: dense layers as frozen data, or two functions of the user's own.

A `Network` is a pair of pure functions of JAX arrays, for all that is not dense. A
`DenseNetwork` only describes: NumPy draws its initial weights here, and the engines
compute with it. One layer does, in this order::

    z = x @ weights + bias          (weights its own, or shared with another layer)
    z = normalization(z)            (batch or layer normalization, if asked for)
    z = z + shortcut                (the input of a layer further back, if asked for)
    a = dropout(activation(z))      (dropout only while training)

The shortcut is added before the activation, as in He et al. (2016), "Deep residual
learning", eq. 1. Normalizing is scale·(z − m)/√(v + epsilon) + shift. Batch
normalization takes m and v (divided by n, not n − 1) over the rows of the batch while
training, unweighted, and the running ones afterwards; a running value keeps the share
min(momentum, t/(t+1)) of itself at step t (from 0), so that the first batch sets it. A
frozen layer normalizes as after training, and its running values stay.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np

from thalweg.core.checks import check_flag, check_whole, naming
from thalweg.core.embeddings import (
    Embedding,
    as_embeddings,
    is_trained,
    parameter_name,
)
from thalweg.core.initializers import INITIALIZERS, as_random_state, first_values
from thalweg.core.registry import (
    Choice,
    ChoiceField,
    Interval,
    Spec,
    Table,
    check_number,
    choose,
    shown,
    tabulate,
)
from thalweg.core.serialization import Record
from thalweg.core.types import Array, Parameters

_NAMES = (
    "identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu",
    "mish", "softplus", "softsign", "hard_logistic", "hard_tanh", "hard_silu", "relu6",
)  # fmt: skip
_CONSTANTS = {"leaky_relu": {"slope": 0.01}, "elu": {"alpha": 1.0}}
ACTIVATIONS = tabulate(
    {name: _CONSTANTS.get(name, {}) for name in _NAMES},
    slope="(-inf, inf)",
    alpha="(0, inf)",
)
"""Activations by name. Their formulas are in the engines and in the user guide:
``gelu`` is the exact x·Φ(x); ``hard_logistic`` is clip(x/6 + 1/2, 0, 1), and
``hard_silu`` is x times that (Howard et al., 2019)."""

ACTIVATION_ALIASES = {"sigmoid": "logistic", "swish": "silu"}
"""Other names of activations, which are common too."""

NORMALIZATIONS = tabulate(
    {
        "none": {},
        "batch": {"epsilon": 1e-5, "momentum": 0.9, "warmup": True},
        "layer": {"epsilon": 1e-5},
    },
    epsilon="(0, inf)",
    momentum="[0, 1)",
)
"""Normalizations by name (Ioffe & Szegedy, 2015; Ba et al., 2016). ``momentum`` is the
weight that running statistics keep at each step; without ``warmup`` from the first one
on, so that the 0 and 1 they begin with count for long, as in Keras and PyTorch."""

CONSTRAINTS = tabulate(
    {"none": {}, "max_norm": {"limit": 3.0}, "unit_norm": {}, "non_negative": {}},
    limit="(0, inf)",
)
"""What a layer's weights are projected on after each update; norms are of the incoming
weights of one unit, a column of the matrix."""


def canonical_activation(spec: Any) -> Any:
    """Return an activation's choice with its name as `ACTIVATIONS` spells it."""
    if isinstance(spec, str):
        return ACTIVATION_ALIASES.get(spec, spec)
    if isinstance(spec, tuple | list) and len(spec) == 2 and isinstance(spec[0], str):
        return (canonical_activation(spec[0]), spec[1])
    return spec


def _activation(spec: Spec) -> Choice:
    named = canonical_activation(spec)
    return choose("activation", named, ACTIVATIONS, owner="Dense")


def _initial(name: str, spec: Spec | Array) -> Choice | Array:
    """Return the initializer that a spec stands for; given weights are themselves."""
    if isinstance(spec, np.ndarray):
        return spec
    return choose(name, spec, INITIALIZERS, owner="Dense")


def _named(name: str, table: Table, spec: Spec) -> Choice:
    """Return a choice that no function of the user's can stand for."""
    if callable(spec):
        raise TypeError(f"Dense takes {name} by name only, not as a function.")
    return choose(name, spec, table, owner="Dense")


@dataclass(frozen=True)
class Dense(Record):
    """One dense layer, as data.

    Parameters
    ----------
    units : int
        Width of the layer's output.
    activation : str, (str, dict) or callable
        One of `ACTIVATIONS`, or a function of a jax.numpy array, elementwise.
    init : str, (str, dict), callable or ndarray of shape (fan_in, units)
        One of `INITIALIZERS`, a function ``(rng, fan_in, fan_out) -> array``, or the
        initial weights themselves. It does not count for equality.
    bias_init : str, (str, dict), callable or ndarray of shape (units,)
        The same for the biases; they begin at zero by default.
    dropout : float
        Share of the layer's outputs that are zeroed at each training step; the others
        are divided by ``1 - dropout`` (Srivastava et al., 2014).
    normalization : str or (str, dict)
        ``"none"``, ``"batch"`` or ``"layer"``.
    residual : int
        How many layers a shortcut spans: 1 adds this layer's own input to its
        pre-activation, 2 the input of the layer before, and so on; 0 for none.
    frozen : bool
        True keeps the layer's parameters as they are.
    shares : int or None
        Number (from 0) of an earlier layer whose weight matrix this one uses; its
        bias and normalization stay its own.
    transposed : bool
        True uses the shared matrix transposed, as a tied auto-encoder does.
    constraint : str or (str, dict)
        One of `CONSTRAINTS`.
    """

    units: int
    activation: ChoiceField[Spec, Choice] = ChoiceField("relu", _activation)
    init: ChoiceField[Spec | Array, Choice | Array] = field(
        default=ChoiceField("auto", partial(_initial, "init")), compare=False
    )
    bias_init: ChoiceField[Spec | Array, Choice | Array] = field(
        default=ChoiceField("zeros", partial(_initial, "bias_init")), compare=False
    )
    dropout: float = 0.0
    normalization: ChoiceField[Spec, Choice] = ChoiceField(
        "none", partial(_named, "normalization", NORMALIZATIONS)
    )
    residual: int = 0
    frozen: bool = False
    shares: int | None = None
    transposed: bool = False
    constraint: ChoiceField[Spec, Choice] = ChoiceField(
        "none", partial(_named, "constraint", CONSTRAINTS)
    )

    def __post_init__(self) -> None:
        _check_count("units", self.units, 1)
        _check_count("residual", self.residual, 0)
        check_number("dropout", self.dropout, Interval("[0, 1)"), owner="Dense")
        for name in ("frozen", "transposed"):
            check_flag(name, getattr(self, name), owner="Dense")
        if self.shares is not None:
            check_whole("shares", self.shares, "(-inf, inf)", owner="Dense")

    @property
    def normalized(self) -> str:
        """``"none"``, ``"batch"`` or ``"layer"``."""
        return self.normalization.label

    def to_json(self) -> dict[str, Any]:
        """Plain values; initial weights given as arrays or functions become zeros."""
        gone = {
            name: "zeros"  # after the draw
            for name in ("init", "bias_init")
            if not isinstance(getattr(getattr(self, name), "name", None), str)
        }
        return super(Dense, replace(self, **gone)).to_json()


@dataclass(frozen=True)
class DenseNetwork(Record):
    """A feed-forward network of dense layers.

    Parameters
    ----------
    n_inputs : int
        Columns of X.
    layers : sequence of Dense
        From the first hidden layer to the output layer. The last one's activation is
        applied too: leave it ``"identity"`` for losses that take logits.
    input_noise : float
        Standard deviation of Gaussian noise added to the inputs while training.
    raw_outputs : bool
        Whether `predict` gives the outputs as they are, whatever the loss: those of a
        Keras model are what the model gives. It is not kept in files.
    embedding : Embedding or sequence of Embedding
        Input columns of which the first layer reads learned features instead: behind
        the other columns, in this order. Their parameters are frozen with the first
        layer's and have its learning rate. Categories get no input noise.
    """

    n_inputs: int
    layers: tuple[Dense, ...]
    input_noise: float = 0.0
    raw_outputs: bool = field(default=False, repr=False, compare=False)
    embedding: tuple[Embedding, ...] = ()

    # Its parameters are nobody else's.
    adapter: ClassVar[None] = None

    def __post_init__(self) -> None:
        several = isinstance(self.layers, Sequence) and not isinstance(self.layers, str)
        if not several or not all(isinstance(each, Dense) for each in self.layers):
            raise TypeError(
                f"DenseNetwork got layers={shown(self.layers)}; it must be a sequence "
                "of thalweg.Dense."
            )
        object.__setattr__(self, "layers", tuple(self.layers))
        _check_count("n_inputs", self.n_inputs, 1)
        noise, allowed = self.input_noise, Interval("[0, inf)")
        check_number("input_noise", noise, allowed, owner="DenseNetwork")
        check_flag("raw_outputs", self.raw_outputs, owner="DenseNetwork")
        embedding = as_embeddings(self.embedding, int(self.n_inputs))
        object.__setattr__(self, "embedding", embedding)
        if not self.layers:
            raise ValueError(
                "DenseNetwork got no layers; it needs at least the output layer, "
                "for example layers=[Dense(1, 'identity')]."
            )
        for index in range(len(self.layers)):
            self._check_layer(index)

    @classmethod
    def from_sizes(
        cls,
        sizes: Sequence[int],
        *,
        output_activation: Spec = "identity",
        input_noise: float = 0.0,
        embedding: Embedding | Sequence[Embedding] = (),
        **hidden: Any,
    ) -> "DenseNetwork":
        """Build from widths, ``(n_inputs, hidden..., n_outputs)``.

        Parameters
        ----------
        sizes : sequence of int
            At least the number of inputs and of outputs.
        output_activation : str, (str, dict) or callable
            The output layer's activation.
        input_noise : float
        embedding : Embedding or sequence of Embedding
            As in the class.
        **hidden
            Fields of `Dense`, the same for each hidden layer. ``init``,
            ``bias_init`` and ``constraint`` hold for the output layer too.

        Examples
        --------
        >>> network = DenseNetwork.from_sizes((4, 16, 16, 3), activation="tanh")
        >>> network.n_parameters
        403
        """
        several = not isinstance(sizes, str) and np.ndim(sizes) == 1
        if not several or len(sizes) < 2:
            given = tuple(sizes) if several else sizes
            raise ValueError(
                f"DenseNetwork.from_sizes got sizes={shown(given)}; it needs at "
                "least two: the number of inputs and of outputs."
            )
        shared = {
            k: hidden[k] for k in ("init", "bias_init", "constraint") if k in hidden
        }
        layers = [Dense(units, **hidden) for units in sizes[1:-1]]
        output = Dense(sizes[-1], output_activation, **shared)
        given: Any = embedding
        return cls(sizes[0], (*layers, output), input_noise, embedding=given)

    @property
    def n_outputs(self) -> int:
        """Width of the output layer."""
        return self.layers[-1].units

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of what the first layer reads and of what each layer gives."""
        embedded = sum(each.width for each in self.embedding)
        first = self.n_plain + embedded
        return (first, *(layer.units for layer in self.layers))

    @property
    def plain_columns(self) -> tuple[int, ...]:
        """Numbers of the input columns that are not embedded."""
        taken = {column for each in self.embedding for column in each.columns}
        return tuple(column for column in range(self.n_inputs) if column not in taken)

    @property
    def n_plain(self) -> int:
        """Number of the input columns that are not embedded."""
        return self.n_inputs - sum(len(each.columns) for each in self.embedding)

    @property
    def n_parameters(self) -> int:
        """How many numbers are trained, frozen layers included."""
        return sum(
            int(np.prod(shape))
            for shapes in self.shapes()
            for name, shape in shapes.items()
            if is_trained(name)
        )

    @property
    def noisy(self) -> bool:
        """Whether a training step draws random numbers: dropout or input noise."""
        return self.input_noise > 0 or any(layer.dropout for layer in self.layers)

    def shapes(self) -> tuple[dict[str, tuple[int, ...]], ...]:
        """Name and shape of each layer's parameters, in the order they are stored."""
        return tuple(self._layer_shapes(i) for i in range(len(self.layers)))

    def draw(
        self,
        random_state: int | np.random.RandomState | None = None,
        dtype: Any = np.float64,
    ) -> Parameters:
        """Draw the initial weights with NumPy.

        Parameters
        ----------
        random_state : int, RandomState or None
            A seed, or the generator to go on with; None for fresh entropy.
        dtype : dtype
            Floating type of the result; everything is drawn in float64 first.

        Returns
        -------
        tuple of dict of str to ndarray
            One dict a layer, as `shapes` describes.
        """
        with naming("dtype", owner="DenseNetwork.draw"):
            dtype = np.dtype(dtype)
        rng = as_random_state(random_state)
        layers = [self._draw_layer(i, rng) for i in range(len(self.layers))]
        return tuple({k: v.astype(dtype) for k, v in own.items()} for own in layers)

    def initial_parameters(
        self,
        parameters: Parameters | None,
        random_state: int | np.random.RandomState | None,
        dtype: Any,
    ) -> Parameters:
        """Return the initial parameters: those given, checked, or drawn ones."""
        if parameters is None:
            return self.draw(random_state, dtype)
        self.check(parameters)
        return tuple(
            {name: np.asarray(own[name], dtype) for name in own} for own in parameters
        )

    def check(self, parameters: Parameters) -> None:
        """Raise ValueError unless `parameters` has this network's names and shapes."""
        several = isinstance(parameters, tuple | list)
        if not several or not all(isinstance(own, Mapping) for own in parameters):
            raise TypeError(
                f"parameters is {shown(parameters)}; it must be a sequence with one "
                "dict of arrays a layer, as network.draw() gives."
            )
        if len(parameters) != len(self.layers):
            raise ValueError(
                f"parameters has {len(parameters)} layers, the network has "
                f"{len(self.layers)}. Give one dict a layer, as network.draw() does."
            )
        for index, (shapes, given) in enumerate(
            zip(self.shapes(), parameters, strict=True)
        ):
            found = {name: np.shape(value) for name, value in given.items()}
            if found != shapes:
                raise ValueError(
                    f"parameters of layer {index} have shapes {found}; the network "
                    f"needs {shapes}. network.draw() gives an example."
                )

    def __str__(self) -> str:
        notes = "; ".join(map(str, self.embedding))
        parts = [f"{self.n_inputs} ({notes})" if notes else str(self.n_inputs)]
        for layer in self.layers:
            notes = [layer.activation.label]
            notes += [f"{layer.normalized} norm"] if layer.normalized != "none" else []
            notes += [f"dropout {layer.dropout:g}"] if layer.dropout else []
            parts.append(f"{layer.units} ({', '.join(notes)})")
        return f"{' → '.join(parts)}; {self.n_parameters:,} parameters"

    def to_json(self) -> dict[str, Any]:
        """Plain values; without embeddings as before there were any."""
        content = super().to_json()
        if not self.embedding:
            del content["embedding"]
        return content

    def _check_layer(self, index: int) -> None:
        layer, widths = self.layers[index], self.widths
        if layer.residual:
            start = index + 1 - layer.residual
            if start < 0 or widths[start] != layer.units:
                found = "before the input" if start < 0 else f"{widths[start]} wide"
                raise ValueError(
                    f"layer {index} got residual={layer.residual}, whose shortcut "
                    f"begins {found}; it must begin at a layer as wide as this one "
                    f"({layer.units})."
                )
        if layer.shares is not None:
            self._check_shared(index)

    def _check_shared(self, index: int) -> None:
        layer, widths = self.layers[index], self.widths
        source = layer.shares
        if not isinstance(source, int) or not 0 <= source < index:
            raise ValueError(
                f"layer {index} got shares={source!r}; it must be the number of an "
                f"earlier layer, 0 to {index - 1}."
            )
        if _name(layer.constraint) != "none":
            raise ValueError(
                f"layer {index} got a constraint and shares={source}; constrain layer "
                f"{source}, whose weights they are."
            )
        if self.layers[source].shares is not None:
            raise ValueError(
                f"layer {index} shares the weights of layer {source}, which are not "
                f"its own. Share those of layer {self.layers[source].shares}."
            )
        theirs = (widths[source], widths[source + 1])
        theirs = theirs[::-1] if layer.transposed else theirs
        if theirs != (widths[index], layer.units):
            raise ValueError(
                f"layer {index} needs weights of shape {(widths[index], layer.units)}, "
                f"but those of layer {source}"
                f"{' transposed' if layer.transposed else ''} have shape {theirs}."
            )

    def _layer_shapes(self, index: int) -> dict[str, tuple[int, ...]]:
        layer = self.layers[index]
        shapes: dict[str, tuple[int, ...]] = {}
        if layer.shares is None:
            shapes["weights"] = (self.widths[index], layer.units)
        names = ["bias"]
        names += ["scale", "shift"] if layer.normalized != "none" else []
        names += ["mean", "variance"] if layer.normalized == "batch" else []
        shapes |= dict.fromkeys(names, (layer.units,))
        return shapes | (self._embedding_shapes() if index == 0 else {})

    def _embedding_shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            parameter_name(number, name): shape
            for number, each in enumerate(self.embedding)
            for name, shape in each.shapes().items()
        }

    def _draw_layer(self, index: int, rng: np.random.RandomState) -> dict[str, Array]:
        layer, fan_in = self.layers[index], self.widths[index]
        constant = {"scale": 1.0, "variance": 1.0, "shift": 0.0, "mean": 0.0}
        about = _name(layer.activation), fan_in, layer.units
        drawn: dict[str, Array] = {}
        if index == 0:
            for number, each in enumerate(self.embedding):
                own = each.draw(rng)
                drawn |= {parameter_name(number, name): own[name] for name in own}
        for name, shape in self._layer_shapes(index).items():
            if name in drawn:
                continue
            if name in constant:
                drawn[name] = np.full(shape, constant[name])
            else:
                init = layer.init if name == "weights" else layer.bias_init
                drawn[name] = first_values(init, rng, *about, shape)
            if drawn[name].shape != shape:
                raise ValueError(
                    f"the first {name} of layer {index} have shape "
                    f"{drawn[name].shape}; the layer needs {shape}."
                )
        return drawn


@dataclass(frozen=True, eq=False)
class FitRequest:
    """What `thalweg.fit` was asked to do; an adapter completes it.

    Parameters
    ----------
    network : Network or DenseNetwork
    settings : mapping
        Fields of `Plan`, and what only the adapter knows.
    X, y, plan, sample_weight, class_weight, validation, scoring, parameters, callbacks
        As `thalweg.fit` has them.
    rng : RandomState or None
        Source of what an adapter draws.
    """

    network: "Network | DenseNetwork"
    settings: Mapping[str, Any]
    X: Any = None
    y: Any = None
    plan: Any = None
    sample_weight: Any = None
    class_weight: Any = None
    validation: Any = None
    scoring: Any = None
    parameters: Any = None
    callbacks: Any = ()
    rng: Any = None


class NetworkAdapter(Protocol):
    """Whose parameters a `Network` trains, such as a Keras model's."""

    @property
    def compiled(self) -> bool:
        """Whether the model has a loss and an optimizer of its own."""
        ...

    def reading(self) -> "NetworkAdapter":
        """Return the same adapter, which leaves the model as it is after a fit."""
        ...

    def prepare(self, request: FitRequest) -> FitRequest:
        """Return what to train, and how."""
        ...

    def begin(self, session: Any) -> None:
        """Let the session go on from what the model's optimizer remembers."""
        ...

    def finish(self, run: Any, session: Any) -> Any:
        """Put what was trained into the model; return the run."""
        ...

    def predict(self, run: Any, X: Any) -> Any:
        """Compute what the model predicts with the weights of a run."""
        ...


@dataclass(frozen=True, eq=False)
class Network:
    """A network of your own: two pure functions of JAX arrays.

    Parameters
    ----------
    init : callable
        ``init(seed) -> params``, the initial weights for an int: lists, tuples, dicts
        and registered classes of floating arrays, nested as you like.
    apply : callable
        ``apply(params, X) -> outputs``, with rows along the first axis of every array
        of `X` and `outputs`, each of which may be one array or several, nested. What
        else it needs it names among its arguments, and gets by keyword:

        ``state``
            What one step hands on to the next without its being trained, such as
            running statistics. Then ``init(seed) -> (params, state)``, and
            ``apply(params, X, state=...) -> (outputs, state)``.
        ``training``
            Whether this is a step of training.
        ``key``
            A key of `jax.random`, another at each step; None when not training.
    project : callable, optional
        ``project(params) -> params``, done after each update of a first-order method.
    settle : callable, optional
        ``settle(params, state, X) -> state`` with the statistics of all rows, for a
        full-batch method; a pass with ``training=True`` if None.
    adds_loss : bool
        Whether `apply` returns one thing more, at the end: a number that is added to
        the objective while training.
    dtype : {"float32", "float64"} or None
        What it computes in, where it can do but one.
    adapter : NetworkAdapter, optional
        Whose parameters are trained, such as a Keras model's.

    Notes
    -----
    Penalties and decay act on arrays of two axes or more: kernels, not biases. Without
    `training`, a row's outputs must not depend on the other rows.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import numpy as np
    >>> import thalweg as tw
    >>> line = tw.Network(
    ...     lambda seed: {"slope": jnp.zeros((2, 1)), "start": jnp.zeros(1)},
    ...     lambda params, X: X @ params["slope"] + params["start"],
    ... )
    >>> X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    >>> run = tw.fit(line, X, [1.0, 3, 2, 4], optimizer="lbfgs")
    >>> run.parameters["slope"].round(3).tolist()
    [[1.0], [2.0]]
    """

    init: Callable[[int], Any]
    apply: Callable[..., Any]
    project: Callable[[Any], Any] | None = None
    settle: Callable[[Any, Any, Any], Any] | None = None
    adds_loss: bool = False
    dtype: str | None = None
    adapter: NetworkAdapter | None = None
    programs: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    # Its layers and noise, if any, are `apply`'s own affair.
    layers: ClassVar[tuple[Dense, ...]] = ()
    input_noise: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        for name in ("init", "apply"):
            if not callable(getattr(self, name)):
                raise TypeError(
                    f"Network got {name}={getattr(self, name)!r}; it must be a "
                    "function: init(seed) -> params, apply(params, X) -> outputs."
                )
        check_flag("adds_loss", self.adds_loss, owner="Network")
        if self.dtype is not None:
            with naming("dtype", owner="Network"):
                object.__setattr__(self, "dtype", str(np.dtype(self.dtype)))

    def takes(self, name: str) -> bool:
        """Whether `apply` names an argument."""
        return name in inspect.signature(self.apply).parameters

    @property
    def noisy(self) -> bool:
        """Whether a training step draws random numbers: `apply` takes a key."""
        return self.takes("key")

    @property
    def stateful(self) -> bool:
        """Whether the parameters are a pair, of what is trained and what is not."""
        return self.takes("state")

    def draw(
        self, random_state: int | np.random.RandomState | None = None, dtype: Any = None
    ) -> Any:
        """Return initial weights, in whatever dtype `init` makes them."""
        return self.init(int(as_random_state(random_state).randint(2**31)))

    def __str__(self) -> str:
        return f"Network({getattr(self.apply, '__name__', 'apply')})"


def with_dropout(network: DenseNetwork, factor: float) -> DenseNetwork:
    """Return the same network with each layer's dropout times a factor.

    Raises
    ------
    ValueError
        If nothing would be left of a layer.
    """
    shares = [layer.dropout * factor for layer in network.layers]
    if max(shares) >= 1:
        raise ValueError(
            f"dropout_schedule gives the factor {factor:g}, by which a layer's dropout "
            f"is {max(shares):g}; it must stay below 1."
        )
    pairs = zip(network.layers, shares, strict=True)
    layers = tuple(replace(layer, dropout=share) for layer, share in pairs)
    return replace(network, layers=layers)


def without_noise(network: Any) -> Any:
    """Return the same network with no dropout and no input noise."""
    if isinstance(network, Network):
        return network
    layers = tuple(replace(layer, dropout=0.0) for layer in network.layers)
    return replace(network, layers=layers, input_noise=0.0)


def _name(spec: Any) -> str:
    return spec.label


def _check_count(name: str, value: Any, least: int) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or int(value) < least:
        raise ValueError(
            f"{name} is {value!r}; it must be a whole number of at least {least}."
        )
