"""What is wrong with a gradient that does not belong to its cost.

Single entries are differenced, and their errors are compared with the mistakes that
people make, the simplest first. With n the differences, a the user's gradient and x
the weights, wrong entries obey

- n = a/f where a factor or a sign is wrong,
- n = a + λx where a penalty is,
- n = a/f + λx where only the data's part has a wrong factor,

and n is a in another order where something is transposed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from thalweg.core import Array
from thalweg.optimize.argument_numbers import (
    common_factors,
    has_class_numbers,
    penalty_strengths,
    spell,
)
from thalweg.optimize.bias_arrays import only_biases_are_wrong
from thalweg.optimize.fault_location import describe_location
from thalweg.optimize.gradient_entries import Entries, Evidence
from thalweg.optimize.user_function import ONE_HOT_HINT


class GradientFault(NamedTuple):
    """A mistake.

    Parameters
    ----------
    cause : str
        Its code (see `thalweg.optimize.GradientCheck`).
    where : str
        What is wrong.
    factor : float
    message : str
        All of it in sentences, the first one without its capital letter.
    """

    cause: str
    where: str
    factor: float
    message: str


def explain(evidence: Evidence) -> GradientFault:
    """Name the mistake; if several arrays have different ones, that of the last."""
    fault = _first_that_explains(evidence)
    if fault is None and len(evidence.wrong_parts) > 1:
        # The backward pass begins at the last array: its mistake comes first.
        for part in reversed(evidence.wrong_parts):
            fault = fault or _first_that_explains(evidence.within(part))
    return fault or _wrong_derivative(evidence)


def _first_that_explains(evidence: Evidence) -> GradientFault | None:
    if not len(evidence.wrong.index):
        return None
    faults = (find_fault(evidence) for find_fault in _FINDERS)
    return next((fault for fault in faults if fault is not None), None)


# -------------------------------------------------------- factors, signs, and zeros


def _find_zero(evidence: Evidence) -> GradientFault | None:
    if evidence.wrong.analytic.any():
        return None
    where = describe_location(evidence)
    message = (
        f"the gradient of {where} is 0, but the cost depends on it. Look for a layer "
        "that the backward pass left out, or whose gradient is never filled in."
    )
    return GradientFault("wrong-derivative", where, 0.0, message)


def _find_factor(evidence: Evidence) -> GradientFault | None:
    wrong = evidence.wrong
    share = _fit_multiple(wrong.analytic, wrong.numeric)
    if not share or not wrong.is_explained(wrong.numeric - share * wrong.analytic):
        return None
    return _name_factor(evidence, 1 / share)


def _find_factor_beside_penalty(evidence: Evidence) -> GradientFault | None:
    share = _fit_beside_penalty(evidence.wrong, evidence.rng)
    if share is None:
        return None
    return _name_factor(evidence, 1 / share, " (the data's part of it)")


def _name_factor(evidence: Evidence, factor: float, of: str = "") -> GradientFault:
    where = describe_location(evidence)
    size = spell(abs(factor), common_factors(evidence.args))
    if factor < 0:
        scaled = "" if np.isclose(factor, -1, rtol=1e-3) else f" and is {size} times it"
        message = (
            f"the gradient of {where}{of} has the wrong sign{scaled}: it points "
            "uphill. Return +d(cost)/dx. For a log-likelihood, negate the cost and the "
            "gradient, or neither."
        )
        return GradientFault("sign", where, factor, message)
    message = (
        f"the gradient of {where}{of} is {size} times what the cost implies. Look for "
        "a forgotten ½ of a square, a sum in one and a mean in the other, or a "
        "division by the number of rows in only one of them."
    )
    return GradientFault("factor", where, factor, message)


def _fit_multiple(base: Array, multiple: Array) -> float:
    """Return the k of multiple ≈ k·base; 0 where it cannot be known."""
    square = float(base @ base)
    return float(base @ multiple) / square if len(base) > 1 and square else 0.0


def _fit_beside_penalty(wrong: Entries, rng: np.random.Generator) -> float | None:
    """Find α where each entry is n = αa + βx, or n = αa if it has no penalty."""
    if len(wrong.index) < 6:
        return None
    for _ in range(100):
        pair = wrong.select(rng.choice(len(wrong.index), 2, replace=False))
        system = np.stack([pair.analytic, pair.x], axis=1)
        if abs(np.linalg.det(system)) < 1e-12 * np.linalg.norm(system) ** 2:
            continue
        alpha, beta = np.linalg.solve(system, pair.numeric)
        without = wrong.numeric - alpha * wrong.analytic
        with_penalty = without - beta * wrong.x
        smaller = np.abs(with_penalty) < np.abs(without)
        residual = np.where(smaller, with_penalty, without)
        if wrong.is_explained(residual) and abs(alpha - 1) > 1e-3 and abs(alpha) > 1e-9:
            return float(alpha)
    return None


# ----------------------------------------------------------------------- penalties


def _find_penalty(evidence: Evidence) -> GradientFault | None:
    wrong = evidence.wrong
    for term, base in (("w", wrong.x), ("sign(w)", np.sign(wrong.x))):
        strength = _fit_multiple(base, wrong.error)
        if strength and wrong.is_explained(wrong.error - strength * base):
            return _name_penalty(evidence, strength, term)
    return None


def _name_penalty(evidence: Evidence, strength: float, term: str) -> GradientFault:
    """Put a penalty into words: ``strength·term`` is what the gradient lacks."""
    where = describe_location(evidence)
    size = spell(abs(strength), penalty_strengths(evidence.args))
    penalty = "(λ/2)·Σw²" if term == "w" else "λ·Σ|w|"
    if strength > 0:
        what = f"the gradient of {where} lacks {size}·{term}"
    else:
        what = f"the gradient of {where} has {size}·{term} too much"
    if only_biases_are_wrong(evidence):
        only_in = "cost" if strength > 0 else "gradient"
        message = (
            f"{what}, and that of the other weights is right: a penalty reaches the "
            f"biases only in the {only_in}. Leave the biases (the bias columns) out of "
            "both."
        )
        return GradientFault("penalty-on-bias", where, abs(strength), message)
    if strength > 0:
        message = (
            f"{what}: the cost has a penalty {penalty} that the gradient does not "
            "have, or not with the same factor (λ against λ/m, or a factor of 2). Add "
            f"λ·{term} to the gradient."
        )
        return GradientFault("missing-penalty", where, strength, message)
    message = (
        f"{what}: it has a penalty that the cost does not have, or not with the same "
        "factor (λ against λ/m, or a forgotten ½). Make the cost's "
        f"{penalty} and the gradient's λ·{term} agree."
    )
    return GradientFault("extra-penalty", where, -strength, message)


# --------------------------------------------------------------------------- order


def _find_transposed(evidence: Evidence) -> GradientFault | None:
    """Whether the right numbers all occur in the gradient, but elsewhere."""
    wrong = evidence.sample.select(evidence.sample.is_wrong)
    for part in evidence.wrong_parts:
        gradient = evidence.gradient[part.start : part.stop]
        if not _is_reordered(wrong.within(part), gradient):
            return None
    where = describe_location(evidence)
    message = (
        f"the gradient of {where} holds the right numbers in another order: it is "
        "transposed. Transpose it before you flatten it, or flatten the weights and "
        "the gradient with the same `order`."
    )
    return GradientFault("transpose", where, np.nan, message)


def _is_reordered(wrong: Entries, gradient: Array) -> bool:
    if len(wrong.index) < (2 if len(gradient) < 50 else 6):
        return False  # could be chance
    ordered = np.sort(gradient)
    above = np.clip(np.searchsorted(ordered, wrong.numeric), 1, len(ordered) - 1)
    distance = np.minimum(
        np.abs(ordered[above] - wrong.numeric),
        np.abs(ordered[above - 1] - wrong.numeric),
    )
    floor = 1e-7 * np.abs(wrong.numeric).max()
    near = distance <= 1e-5 * np.abs(wrong.numeric) + 3 * wrong.noise + floor
    return bool(near.mean() > 0.9)


# ----------------------------------------------------------------------- otherwise


def _wrong_derivative(evidence: Evidence) -> GradientFault:
    where, right = describe_location(evidence), evidence.right_parts
    if right and len(evidence.tree.parts) > 1:
        names = ", ".join(part.name for part in right)
        look = f"The gradient of {names} is right, so look"
    else:
        look = "Look"
    hint = f" {ONE_HOT_HINT}" if has_class_numbers(evidence.args) else ""
    message = (
        f"the gradient of {where} is not the derivative of the cost, and no single "
        f"factor, sign or penalty explains it. {look} at the derivative of the "
        "activation (as a function of the pre-activation z, or of the activation a: "
        "a(1-a), 1-a²), and whether the error sent back to a layer is multiplied by "
        f"it.{hint}"
    )
    return GradientFault("wrong-derivative", where, np.nan, message)


_FINDERS: tuple[Callable[[Evidence], GradientFault | None], ...] = (
    _find_zero,
    _find_factor,
    _find_penalty,
    _find_transposed,
    _find_factor_beside_penalty,
)
"""In the order of trying, the simplest mistake first."""
