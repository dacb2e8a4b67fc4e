"""The table of features tells the truth as far as a machine can see."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "features.md"
ROW = re.compile(r"^\| (\d+) \| (?P<feature>[^|]+) \| (?P<ours>[^|]+) \|", re.MULTILINE)
LINK = re.compile(r"\[[YP]\]\(\.\./(?P<file>tests/[\w/]+\.py)#(?P<test>test_\w+)\)")


def rows() -> dict[str, str]:
    """Features and our marks."""
    found = ROW.finditer(TABLE.read_text())
    return {row["feature"]: row["ours"] for row in found}


def test_every_yes_links_a_test_that_exists() -> None:
    for feature, ours in rows().items():
        if ours in ("N", "P"):
            continue
        link = LINK.fullmatch(ours)
        assert link, f"{feature}: {ours} is neither N, P nor a link to a test"
        source = (ROOT / link["file"]).read_text()
        assert f"\ndef {link['test']}(" in source, f"{feature}: {ours}"


def test_every_feature_of_the_groups_is_there() -> None:
    numbers = [int(row[1]) for row in ROW.finditer(TABLE.read_text())]
    assert numbers == [*range(1, 122)]


def test_most_features_are_there() -> None:
    marks = Counter(ours.strip("[")[0] for ours in rows().values())
    assert marks["Y"] > 100
    assert marks["Y"] + marks["P"] + marks["N"] == 121
