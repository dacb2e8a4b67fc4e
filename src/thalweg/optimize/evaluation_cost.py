"""Whether a user's function takes far longer than its arithmetic needs."""

from thalweg.optimize.recorded_functions import EvaluationLog
from thalweg.optimize.user_function import UserFunction


def describe_slowness(log: EvaluationLog, function: UserFunction) -> list[str]:
    return []
