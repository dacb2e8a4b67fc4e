"""The base of all displays, and figures for files."""

from typing import Any

import numpy as np

from thalweg.core import Array, need


def new_figure(
    rows: int = 1, columns: int = 1, width: float = 6.0, height: float = 4.0
) -> tuple[Any, Array]:
    """Make a figure to save to a file; pyplot does not know it and no window shows it.

    Parameters
    ----------
    rows, columns : int
        Number of rows and columns of panels.
    width, height : float
        Size in inches. An inch has 100 pixels.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Its ``savefig`` needs no screen and does not change the user's backend.
    axes : ndarray of Axes, shape (rows, columns)
    """
    figure = need("matplotlib.figure", "plots need matplotlib", "plots").Figure(
        figsize=(width, height), dpi=100, layout="constrained"
    )
    return figure, figure.subplots(rows, columns, squeeze=False)


class Display:
    """The base of all displays.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of them
        What was drawn on. Only after ``plot``.
    figure_ : matplotlib Figure
        The figure of `ax_`. Only after ``plot``.
    """

    ax_: Any
    figure_: Any

    def make_grid(self, rows: int, columns: int, height: float) -> Array:
        """Make a figure that pyplot knows, and so a notebook shows; return its axes.

        Parameters
        ----------
        rows, columns : int
        height : float
            Inches; the width is 6.

        Returns
        -------
        ndarray of Axes, shape (rows, columns)
        """
        plt = need("matplotlib.pyplot", "plots need matplotlib", "plots")
        self.figure_, grid = plt.subplots(
            rows, columns, squeeze=False, figsize=(6.0, height), layout="constrained"
        )
        return grid

    def take(self, ax: Any, count: int = 1) -> list[Any]:
        """Return `count` axes to draw on: the given ones, or those of a new figure.

        Raises
        ------
        ValueError
            If the number of axes in `ax` is not `count`.
        """
        if ax is None:
            columns = min(count, 2)
            rows = -(-count // columns)
            grid = self.make_grid(rows, columns, 4.0 if rows == 1 else 2.6 * rows + 0.6)
            for spare in grid.ravel()[count:]:
                spare.remove()
            ax = grid.ravel()[:count]
        axes = list(np.ravel(ax))
        if len(axes) != count:
            raise ValueError(
                f"plot got {len(axes)} axes for {count} panels. Give one for each "
                "panel, or ax=None for a new figure."
            )
        self.figure_ = axes[0].figure
        self.ax_ = axes[0] if count == 1 else np.array(axes)
        return axes
