"""Plots over a plane: paths of optimizers, and decision boundaries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thalweg.core import Array, Paths
from thalweg.display import COLORS, Display, legend_outside, line_style, marker


@dataclass
class PathsDisplay(Display):
    """Paths of optimizers over the contours of a function.

    Parameters
    ----------
    paths : Paths
    """

    paths: Paths

    @classmethod
    def from_paths(cls, paths: Paths, **options: Any) -> Self:
        """Plot the result of `thalweg.training.descend`."""
        return cls(paths).plot(**options)

    def plot(self, *, ax: Any = None, apart: bool = False) -> Self:
        """Draw the paths.

        Parameters
        ----------
        ax : Axes or sequence of Axes, optional
        apart : bool
            Whether each path has its own panel.

        Returns
        -------
        self
        """
        names = list(self.paths.points)
        axes = self.take(ax, len(names) if apart else 1)
        for index, name in enumerate(names):
            own = axes[index if apart else 0]
            if apart or index == 0:
                self._draw_contours(own)
            self._draw_path(own, name, index)
            if apart:
                own.set_title(name, fontsize=9)
        if not apart:
            legend_outside(axes[0])
        return self

    def _draw_contours(self, ax: Any) -> None:
        paths = self.paths
        levels = np.quantile(paths.z, np.linspace(0.0, 1.0, 14)[1:-1] ** 2)
        ax.contour(
            paths.x, paths.y, paths.z, levels=levels, colors="0.8", linewidths=0.8
        )
        ax.set_xlabel("x", fontsize=9)
        ax.set_ylabel("y", fontsize=9)
        ax.tick_params(labelsize=8)

    def _draw_path(self, ax: Any, name: str, index: int) -> None:
        x, y = self.paths.points[name].T
        style = line_style(index)
        ax.plot(
            x, y, marker=marker(index), markersize=3, linewidth=1.2, label=name, **style
        )
        ax.plot(x[0], y[0], "o", color="black", markersize=5)


@dataclass
class BoundaryDisplay(Display):
    """The decision regions of a classifier with two inputs, and the rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, 2)
    y : ndarray of shape (n_rows,)
    predict_proba : callable
        (n, 2) → (n, n_classes).
    classes : ndarray of shape (n_classes,)
    """

    X: Array
    y: Array
    predict_proba: Callable[[Array], Array]
    classes: Array

    def __post_init__(self) -> None:
        self.X, self.y = np.asarray(self.X), np.asarray(self.y)
        if self.X.ndim != 2 or self.X.shape[1] != 2:
            raise ValueError(
                f"BoundaryDisplay got X of shape {self.X.shape}. Give X with two "
                "columns, and a classifier that was fitted on these two."
            )

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **options: Any) -> Self:
        """Plot a fitted classifier."""
        return cls(X, y, estimator.predict_proba, estimator.classes_).plot(**options)

    @classmethod
    def from_predictor(
        cls, predict_proba: Callable[[Array], Array], X: Any, y: Any, **options: Any
    ) -> Self:
        """Plot a function, e.g. ``lambda rows: thalweg.predict(run, rows)``."""
        return cls(X, y, predict_proba, np.unique(y)).plot(**options)

    def plot(
        self, *, ax: Any = None, resolution: int = 200, legend: bool = True
    ) -> Self:
        """Draw the regions and the rows.

        Parameters
        ----------
        ax : Axes, optional
        resolution : int
            Number of grid points along each axis.
        legend : bool

        Returns
        -------
        self
        """
        self.take(ax)
        x, y, probabilities = self._grid(resolution)
        likeliest = probabilities.argmax(axis=-1)
        colors = [COLORS[k % len(COLORS)] for k in range(len(self.classes))]
        levels = np.arange(len(self.classes) + 1) - 0.5
        self.ax_.contourf(x, y, likeliest, levels, colors=colors, alpha=0.22)
        if probabilities.shape[-1] == 2:
            self.ax_.contour(x, y, probabilities[..., 1], [0.5], colors="black")
        for k, name in enumerate(self.classes):
            rows = self.X[self.y == name]
            self.ax_.plot(
                *rows.T, marker(k), color=colors[k], markersize=3.5, label=str(name),
                markeredgecolor="white", markeredgewidth=0.4, linestyle="none",
            )  # fmt: skip
        self.ax_.set_xlabel("first input", fontsize=9)
        self.ax_.set_ylabel("second input", fontsize=9)
        self.ax_.tick_params(labelsize=8)
        if legend:
            legend_outside(self.ax_, title="class")
        return self

    def _grid(self, resolution: int) -> tuple[Array, Array, Array]:
        low, high = self.X.min(axis=0), self.X.max(axis=0)
        margin = 0.08 * (high - low)
        sides = (
            np.linspace(a, b, resolution)
            for a, b in zip(low - margin, high + margin, strict=True)
        )
        x, y = np.meshgrid(*sides)
        points = np.column_stack([x.ravel(), y.ravel()]).astype(self.X.dtype)
        probabilities = np.asarray(self.predict_proba(points))
        return x, y, probabilities.reshape(*x.shape, -1)
