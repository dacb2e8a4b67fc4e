"""Rules about the user's own code: a cost, its gradient, and recorded steps."""

from thalweg.diagnosis.facts.group import NotMeasured
from thalweg.diagnosis.facts.network import FirstStepFacts
from thalweg.diagnosis.facts.training import RunFacts
from thalweg.diagnosis.facts.user_function import GradientFacts, StepFacts
from thalweg.diagnosis.result import Finding, Limits, Prescription, Severity, suspected

_NAN = float("nan")


def _from_check(gradient: GradientFacts, *causes: str) -> Finding | None:
    """Take over what `thalweg.check_gradient` found."""
    if gradient.cause not in causes:
        return None
    return suspected(
        Severity.FATAL, gradient.message, gradient.where,
        "relative disagreement", gradient.error, 1e-4,
        Prescription("Correct this part of the gradient."),
    )  # fmt: skip


def wrong_gradient(limits: Limits, gradient: GradientFacts) -> Finding | None:
    """Nocedal & Wright (2006), section 8.1: central differences."""
    return _from_check(gradient, "factor", "transpose", "wrong-derivative")


def lost_penalty(limits: Limits, gradient: GradientFacts) -> Finding | None:
    """Regress the disagreement on the weights: the slope is then λ."""
    return _from_check(gradient, "missing-penalty", "extra-penalty", "penalty-on-bias")


def shape_trap(limits: Limits, gradient: GradientFacts) -> Finding | None:
    """NumPy user guide, "Broadcasting": (n, 1) against (n,) is (n, n)."""
    if gradient.cause == "shape":
        return _from_check(gradient, "shape")
    if not gradient.pairs_all:
        return None
    return suspected(
        Severity.FATAL,
        "The cost does not change when y is shuffled: an (n, 1) array meets an (n,) "
        "array, so that every row is compared with every other row",
        "y", "", _NAN, _NAN,
        Prescription("Give both arrays the same shape: y.reshape(-1, 1) or ravel()."),
    )  # fmt: skip


def ascent(
    limits: Limits, gradient: GradientFacts | None, steps: StepFacts | None,
    first_step: FirstStepFacts | None, run: RunFacts | None,
) -> Finding | NotMeasured | None:  # fmt: skip
    """Cauchy (1847): a small enough step against the gradient lowers the cost."""
    if gradient is not None and gradient.cause == "sign":
        return _from_check(gradient, "sign")
    climbs = first_step.climbs if first_step is not None else None
    if (steps is not None and steps.climbs) or climbs:
        return suspected(
            Severity.FATAL, "The updates go uphill: a tiny step raises the loss",
            "optimizer", "", _NAN, _NAN,
            Prescription("Reverse the sign of the update: w -= learning_rate * g."),
        )  # fmt: skip
    if gradient is None and steps is None and climbs is None and run is None:
        return NotMeasured(RunFacts)
    return None


def stale_gradient(limits: Limits, steps: StepFacts) -> Finding | None:
    """PyTorch documentation, Optimizer.zero_grad: gradients add up unless reset."""
    if steps.cosine >= limits["cosine"]:
        return None
    return suspected(
        Severity.SERIOUS,
        "The gradient that was used is not the gradient at these weights: old "
        "gradients add up",
        "gradient", "cosine with the right gradient", steps.cosine, limits["cosine"],
        Prescription("Set the gradient to zero before each step."),
    )  # fmt: skip
