"""The rule that never lets a network pass that is far from what is reachable."""

from thalweg.diagnosis.facts.reach import ReachFacts
from thalweg.diagnosis.result import Finding, Limits, Prescription, Severity, suspected


def far_from_reachable(limits: Limits, reach: ReachFacts) -> Finding | None:
    """Compare with simple baselines on the same rows: Dacrema et al. (2019)."""
    if not reach.far:
        return None
    sentence = f"{reach.sentence[0].upper()}{reach.sentence[1:]}"
    return suspected(
        Severity.ADVICE, sentence, "", f"{reach.metric} below the best other model",
        reach.best - reach.score, reach.margin,
        Prescription(
            "Look at the suspicions in their order. The rows are good: "
            f"{reach.by} learns from them."
        ),
    )  # fmt: skip
