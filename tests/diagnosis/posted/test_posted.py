"""The records of the posted programs, and those programs that train in no time."""

from pathlib import Path

import pytest

from tests.diagnosis.posted.case import Case, Post, load
from tests.diagnosis.posted.verify import verify

LEARN = load(Path(__file__).parent / "learn")


def test_learning_half_has_thirty_programs_of_every_kind() -> None:
    assert len(LEARN) >= 30
    assert {case.post.kind for case in LEARN} == {
        "keras",
        "sklearn",
        "hand",
        "data",
        "history",
    }


@pytest.mark.parametrize("case", LEARN, ids=lambda case: case.name)
def test_record_says_what_was_posted_and_what_counts(case: Case) -> None:
    post = case.post
    assert isinstance(post, Post)
    assert post.margin > 0
    assert all([post.source, post.fault, post.remedy, *post.named_by])


@pytest.mark.parametrize(
    "case",
    [case for case in LEARN if case.post.kind in ("hand", "history")],
    ids=lambda case: case.name,
)
def test_written_by_hand_is_sick_and_its_twin_is_well(case: Case) -> None:
    holds, line = verify(case, range(1))
    assert holds, line
