"""What all displays share: figures, and where they are drawn."""

from typing import Any

import numpy as np

from thalweg.core import Array, need


def new_figure(
    rows: int = 1, columns: int = 1, width: float = 6.0, height: float = 4.0
) -> tuple[Any, Array]:
    """Make a figure that belongs to no window, for drawing to a file.

    Parameters
    ----------
    rows, columns : int
        Panels.
    width, height : float
        Inches; the figure is as many hundred pixels wide.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Its ``savefig`` needs no screen and leaves the user's back-end alone.
    axes : ndarray of Axes, shape (rows, columns)
    """
    figure = need("matplotlib.figure", "pictures need matplotlib", "plots").Figure(
        figsize=(width, height), dpi=100, layout="constrained"
    )
    return figure, figure.subplots(rows, columns, squeeze=False)


class Display:
    """What the displays share: where they are drawn, once they are.

    Attributes
    ----------
    ax_ : matplotlib Axes, or ndarray of them
    figure_ : matplotlib Figure
    """

    ax_: Any
    figure_: Any

    def take(self, ax: Any, count: int = 1) -> list[Any]:
        """Return `count` axes to draw on: those given, or new ones side by side.

        Raises
        ------
        ValueError
            If `ax` holds another number of axes.
        """
        if ax is None:
            plt = need("matplotlib.pyplot", "pictures need matplotlib", "plots")
            columns = min(count, 2)
            rows = -(-count // columns)
            height = 4.0 if rows == 1 else 2.6 * rows + 0.6
            size = {"figsize": (6.0, height), "layout": "constrained"}
            _, grid = plt.subplots(rows, columns, squeeze=False, **size)
            for spare in grid.ravel()[count:]:
                spare.remove()
            ax = grid.ravel()[:count]
        axes = list(np.ravel(ax))
        if len(axes) != count:
            raise ValueError(
                f"plot got {len(axes)} axes for {count} panels. Give one for each, or "
                "none."
            )
        self.figure_ = axes[0].figure
        self.ax_ = axes[0] if count == 1 else np.array(axes)
        return axes
