"""What only a `Network` of the user's own needs: it is checked, cast, cut into batches.

Its rows may depend on each other while it trains (batch statistics, a penalty on what
it computes), so no batch is padded: the last rows of an epoch, where they fill none,
are a program of their own. XLA's convolutions are several times slower inside a loop
on a CPU; a network that has some makes one step a call there.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

from thalweg.core import (
    CLASSIFYING,
    Array,
    Data,
    Network,
    Plan,
    as_random_state,
    batch_rows,
)
from thalweg.engines.base import check_arrays
from thalweg.engines.jax import step
from thalweg.engines.jax.arrays import scoped
from thalweg.engines.jax.forward import Noise, merge, propagate, split

ROWS_AT_ONCE = 256
"""Rows whose outputs are computed at once: a convolution's insides are large."""

_SLOW_IN_LOOPS = ("conv_general_dilated", "reduce_window", "select_and_scatter")


def initial_parameters(
    network: Network, parameters: Any, rng: np.random.RandomState, dtype: Any
) -> Any:
    """Return the initial weights: those given, checked, or drawn ones.

    Raises
    ------
    ValueError
        Naming what `init` returned that is no weight, or how `parameters` differ.
    """
    seed = int(as_random_state(rng).randint(2**31)) if parameters is None else 0
    drawn = scoped(dtype, network.init, seed)
    if network.stateful and not (isinstance(drawn, tuple | list) and len(drawn) == 2):
        raise ValueError(
            "Network: apply takes state, so init(seed) must return (params, state); it "
            f"returned {type(drawn).__name__}."
        )
    drawn = _cast_all(network, drawn, dtype)
    if parameters is None:
        return drawn
    given = _cast_all(network, parameters, dtype)
    _compare(drawn, given, "parameters", "init returns")
    return given


def floating_type(parameters: Any) -> np.dtype[Any]:
    """Return the type of the first floating array; float32 if there is none."""
    types = (np.dtype(leaf.dtype) for leaf in jax.tree.leaves(parameters))
    return next((t for t in types if t.kind == "f"), np.dtype("float32"))


def host(tree: Any) -> Any:
    """Copy arrays to NumPy; keys of `jax.random` stay what they are."""

    def copy(leaf: Any) -> Any:
        return leaf if _is_key(leaf) else np.array(leaf)

    return jax.tree.map(copy, tree)


def as_arrays(tree: Any) -> list[Array]:
    """List the arrays of a tree for a file; keys of `jax.random` as their numbers."""

    def numbers(leaf: Any) -> Array:
        return np.array(jax.random.key_data(leaf) if _is_key(leaf) else leaf)

    return [numbers(leaf) for leaf in jax.tree.leaves(tree)]


def from_arrays(example: Any, arrays: Sequence[Array]) -> Any:
    """Undo `as_arrays`, for a tree like `example`; raises as `check_arrays`."""
    leaves, structure = jax.tree.flatten(example)
    check_arrays(as_arrays(example), arrays)

    def leaf(mine: Any, found: Array) -> Any:
        if not _is_key(mine):
            return found
        bits = jnp.asarray(found)
        return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(mine))

    return jax.tree.unflatten(structure, map(leaf, leaves, arrays))


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def examine(
    network: Network, plans: Sequence[Plan], data: Data, parameters: Any
) -> None:
    """Raise ValueError unless the network takes the data and the losses its outputs.

    Nothing is computed: shapes and types are followed through the functions.
    """
    rows = batch_rows(plans[0], data.n_rows)
    X, y = (_abstract(tree, rows) for tree in (data.X, data.y))
    trained, kept = split(network, parameters)
    leaves, structure = jax.tree.flatten((trained, kept, X))
    seen = structure, *((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    if seen not in network.programs:
        network.programs[seen] = _outputs_of(network, trained, kept, X, data.dtype)
    for plan in plans:
        _check_loss(plan, network.programs[seen], y, data, rows)


def _outputs_of(network: Network, trained: Any, kept: Any, X: Any, dtype: Any) -> Any:
    """Follow a pass; return what the outputs look like."""
    trace = jax.make_jaxpr(_training_pass(network), return_shape=True)
    try:
        program, (outputs, after) = scoped(dtype, trace, trained, kept, X)
    except Exception as error:
        shapes = jax.tree.map(lambda leaf: leaf.shape, X)
        raise ValueError(
            f"the network does not take X of shape {shapes}: {error}"
        ) from error
    if network.stateful:
        _compare(kept, after, "the state", "the state before is")
    found = any(name in str(program) for name in _SLOW_IN_LOOPS)
    network.programs.setdefault("convolves", found)
    return outputs


def convolves(network: Network) -> bool:
    """Tell whether a pass that was examined holds what a loop makes slow here."""
    found = network.programs.get("convolves", False)
    return found and jax.default_backend() == "cpu"


def remark(looped: bool, rest: int) -> str:
    """Say what is particular about the programs, for `Run.engine`."""
    said = "" if looped else "; one step a call, as convolutions are slow in loops here"
    if rest:
        said += f"; the {rest} rows left of an epoch are a program of their own"
    return said


def parts(orders: Array, size: int) -> Iterator[tuple[int, Array, slice]]:
    """Cut the row numbers of epochs into calls whose batches are all of one size.

    Yields the first epoch's number, row numbers (n_epochs, n_rows), and the steps.
    """
    n_epochs, n_rows = orders.shape
    full, rest = divmod(n_rows, size)
    per_epoch = full + (rest > 0)
    if not rest:
        yield 0, orders, slice(0, n_epochs * full)
        return
    for epoch in range(n_epochs):
        own, first = orders[epoch : epoch + 1], epoch * per_epoch
        if full:
            yield epoch, own[:, : full * size], slice(first, first + full)
        yield epoch, own[:, full * size :], slice(first + full, first + per_epoch)


def put_together(seen: Any, n_epochs: int) -> tuple[step.Sums, bool]:
    """Add up what calls saw, each ``(first epoch, sums, finite)``, to the first bad."""
    total = step.Sums(*(np.zeros(n_epochs) for _ in step.Sums._fields))
    for first, sums, finite in seen:
        count = int((sums.steps > 0).sum())
        epochs = slice(first, first + count)
        for mine, theirs in zip(total, sums, strict=True):
            mine[epochs] += theirs[:count]
        total.ratio[epochs] = sums.ratio[:count]
        if not finite:
            return total, False
    return total, True


class Leaves:
    """The arrays of a `Network` that are trained, as a list, and back.

    Parameters
    ----------
    network : Network
    parameters
        An example.
    """

    def __init__(self, network: Network, parameters: Any) -> None:
        self.network = network
        trained = split(network, parameters)[0]
        self.whole, self.part = map(jax.tree.structure, (parameters, trained))
        self.shapes = [leaf.shape for leaf in jax.tree.leaves(trained)]

    def of(self, parameters: Any) -> list[Array]:
        """List the arrays of parameters, or of something shaped like those trained."""
        if jax.tree.structure(parameters) == self.whole:
            parameters = split(self.network, parameters)[0]
        return jax.tree.leaves(parameters)

    def filled(self, leaves: list[Array]) -> Any:
        """Put arrays where they belong."""
        return jax.tree.unflatten(self.part, leaves)

    def joined(self, parameters: Any, trained: Any) -> Any:
        """Replace what is trained in `parameters`."""
        return merge(self.network, trained, split(self.network, parameters)[1])


def not_finite(tree: Any) -> list[str]:
    """List the places of arrays that are not finite throughout."""
    leaves = jax.tree.leaves_with_path(tree)
    bad = [place for place, leaf in leaves if not np.isfinite(leaf).all()]
    return [jax.tree_util.keystr(place) for place in bad]


def _training_pass(network: Network) -> Callable[..., Any]:
    def run(trained: Any, kept: Any, X: Any) -> Any:
        none = jnp.uint32(0), jnp.uint32(0)
        zero = jnp.zeros(())
        training = Noise(none, zero, zero, zero, zero)
        outputs, after, _ = propagate(network, trained, kept, X, training)
        return outputs[-1], after

    return run


def _abstract(tree: Any, rows: int) -> Any:
    def shape(leaf: Array) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((rows, *leaf.shape[1:]), leaf.dtype)

    return jax.tree.map(shape, tree)


def _cast_all(network: Network, parameters: Any, dtype: Any) -> Any:
    trained, kept = split(network, parameters)

    def cast(path: Any, leaf: Any, must_float: bool) -> Any:
        place = jax.tree_util.keystr(path)
        kind = getattr(leaf, "dtype", None)
        if kind is None and not isinstance(leaf, int | float | bool):
            raise ValueError(
                f"Network: the weights hold {leaf!r} at {place or 'the top'}; every "
                "leaf must be an array. Keep what is not trained inside apply."
            )
        if kind is not None and jnp.issubdtype(kind, jax.dtypes.prng_key):
            return leaf
        array = np.array(leaf)
        floating = jnp.issubdtype(array.dtype, jnp.floating)
        if must_float and not floating:
            raise ValueError(
                f"Network: params{place} is of type {array.dtype}, which cannot be "
                "trained. Make it floating, or part of the state."
            )
        return array.astype(dtype) if floating else array

    with_path = jax.tree.map_with_path
    trained = with_path(lambda path, leaf: cast(path, leaf, True), trained)
    kept = with_path(lambda path, leaf: cast(path, leaf, False), kept)
    return (trained, kept) if network.stateful else trained


def _compare(wanted: Any, found: Any, what: str, source: str) -> None:
    """Raise unless two trees have the same arrays in the same places."""
    first, second = (
        {
            jax.tree_util.keystr(path): (leaf.shape, str(leaf.dtype))
            for path, leaf in jax.tree.leaves_with_path(tree)
        }
        for tree in (wanted, found)
    )
    for place in [*first, *second]:
        if first.get(place) != second.get(place):
            ours, theirs = (_described(each.get(place)) for each in (first, second))
            raise ValueError(
                f"Network: {what} has {theirs} at {place or 'the top'}, where "
                f"{source} {ours}. They must be alike in places, shapes and types."
            )


def _described(leaf: Any) -> str:
    return "nothing" if leaf is None else f"{leaf[1]} of shape {leaf[0]}"


def _check_loss(plan: Plan, outputs: Any, y: Any, data: Data, rows: int) -> None:
    loss = plan.loss
    shapes = jax.tree.map(lambda leaf: leaf.shape, outputs)
    for leaf in jax.tree.leaves(outputs):
        if leaf.shape[:1] != (rows,):
            raise ValueError(
                f"the network gives outputs of shape {shapes} for {rows} rows; their "
                "first axis must be that of the rows."
            )
    if step.batch_loss(loss):
        return  # whose maker has checked it with rows
    if not callable(loss.name):
        _check_named_loss(loss.label, outputs, data.y, shapes)
    program = step.compiled(step.losses, loss.structure)
    try:
        losses = scoped(data.dtype, jax.eval_shape, program, loss.numbers, outputs, y)
    except Exception as error:
        raise ValueError(
            f"loss={loss.label!r} does not fit outputs of shape {shapes} and y of "
            f"shape {jax.tree.map(lambda leaf: leaf.shape, y)}: {error}"
        ) from error
    if getattr(losses, "shape", None) != (rows,):
        raise ValueError(
            f"loss={loss.label!r} gives {getattr(losses, 'shape', losses)} for {rows} "
            "rows; it must give one number for each, of shape (n_rows,)."
        )


def _check_named_loss(name: str, outputs: Any, y: Array, shapes: Any) -> None:
    if not hasattr(outputs, "shape"):
        raise ValueError(
            f"loss={name!r} takes one output; the network gives several, of shapes "
            f"{shapes}. Give a function (outputs, y) -> losses of shape (n_rows,)."
        )
    wide = outputs.shape[1:] or (1,)
    if name in CLASSIFYING and y.ndim == 1:
        if len(wide) != 1 or y.max() >= wide[0]:
            raise ValueError(
                f"y holds class numbers up to {y.max()}; the network's outputs of "
                f"shape {shapes} do not have so many classes in their second axis."
            )
    elif np.prod(y.shape[1:]) != np.prod(wide):
        raise ValueError(
            f"y has shape {y.shape}; for loss={name!r} and outputs of shape "
            f"{shapes} it must have as many numbers a row."
        )
