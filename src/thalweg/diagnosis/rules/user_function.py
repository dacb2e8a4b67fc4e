"""Rules about hand-written code: a cost, its gradient, and the steps taken with it."""

from thalweg.diagnosis.result import Facts, Finding, Prescription, Severity
from thalweg.diagnosis.result import suspected as found

Limits = dict[str, float]
NOTE, ADVICE, SERIOUS, FATAL = Severity
_NAN = float("nan")


def _from_check(facts: Facts, causes: tuple[str, ...]) -> Finding | None:
    """Take over what `thalweg.check_gradient` found."""
    if facts["written.cause"] not in causes:
        return None
    return found(
        FATAL, facts["written.message"], facts["written.where"],
        "relative disagreement", facts["written.error"], 1e-4,
        Prescription("Correct that line of the derivation."),
    )  # fmt: skip


def wrong_gradient(facts: Facts, limit: Limits) -> Finding | None:
    """Nocedal & Wright (2006), section 8.1: central differences."""
    return _from_check(facts, ("factor", "transpose", "wrong-derivative"))


def lost_penalty(facts: Facts, limit: Limits) -> Finding | None:
    """Regress the disagreement on the weights: the slope is then λ."""
    penalties = ("missing-penalty", "extra-penalty", "penalty-on-bias")
    return _from_check(facts, penalties)


def shape_trap(facts: Facts, limit: Limits) -> Finding | None:
    """NumPy user guide, "Broadcasting": (n, 1) against (n,) is (n, n)."""
    if facts["written.cause"] == "shape":
        return _from_check(facts, ("shape",))
    if not facts["written.pairs_all"]:
        return None
    return found(
        FATAL,
        "The cost stays the same when y is shuffled: (n, 1) meets (n,), and every row "
        "is compared with every other",
        "y", "", _NAN, _NAN,
        Prescription("Give both one shape: y.reshape(-1, 1) or ravel()."),
    )  # fmt: skip


def ascent(facts: Facts, limit: Limits) -> Finding | None:
    """Cauchy (1847): a small enough step against the gradient lowers the cost."""
    if "written.cause" in facts and facts["written.cause"] == "sign":
        return _from_check(facts, ("sign",))
    if facts.get("steps.climbs") or facts.get("rate.climbs"):
        return found(
            FATAL, "Updates go uphill: a tiny step raises the loss", "optimizer", "",
            _NAN, _NAN,
            Prescription("Turn the update's sign: w -= rate * g."),
        )  # fmt: skip
    known = ("written.cause", "steps.climbs", "rate.climbs", "run.finite")
    if not any(name in facts for name in known):
        raise KeyError("run.finite")
    return None


def stale_gradient(facts: Facts, limit: Limits) -> Finding | None:
    """PyTorch documentation, Optimizer.zero_grad: gradients add up unless reset."""
    cosine = facts["steps.cosine"]
    if cosine >= limit["cosine"]:
        return None
    return found(
        SERIOUS, "The gradient used is not that of the weights: old ones add up",
        "gradient", "cosine with the fresh one", cosine, limit["cosine"],
        Prescription("Set the gradient to zero before each step."),
    )  # fmt: skip
