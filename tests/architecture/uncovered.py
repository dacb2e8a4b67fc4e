"""Prints each public function of thalweg that no test calls.

``python tests/architecture/uncovered.py coverage.json`` reads the report of
coverage.py. A function counts as called if one of its lines ran beside its first line,
which runs on import.
"""

import json
import sys
from pathlib import Path


def uncovered(report: Path) -> list[str]:
    """Return the public functions without a line that ran, as file::function."""
    found = list[str]()
    for file, measured in json.loads(report.read_text())["files"].items():
        place = file.partition("thalweg/")[2] if "/thalweg/" in file else file
        for name, function in measured.get("functions", {}).items():
            private = any(part.startswith("_") for part in name.split("."))
            empty = not function["summary"]["num_statements"]  # of a protocol
            if name and not (private or empty or function["executed_lines"]):
                found.append(f"{place}::{name}")
    return sorted(found)


def main(report: Path) -> None:
    names = uncovered(report)
    for name in names:
        print("not covered:", name)
    print(f"{len(names)} public functions are called by no test")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
