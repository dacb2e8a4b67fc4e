"""Writes scikit-learn's digits as a CSV file: 64 pixels per row, then the target.

``python examples/digits.py digits.csv``
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def main(path: Path) -> None:
    """Write the table to `path`."""
    pixels, digit = load_digits(return_X_y=True)
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    table = np.column_stack([pixels, digit])
    header = ",".join([*names, "target"])
    np.savetxt(path, table, fmt="%d", delimiter=",", header=header, comments="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
