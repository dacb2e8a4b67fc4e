"""Pictures over a plane: ways down a surface, and what is predicted where."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thalweg.core import Array, Paths
from thalweg.display import COLORS, Display, legend_outside, line_style, marker


@dataclass
class PathsDisplay(Display):
    """Ways of optimizers over the contours of a surface.

    Parameters
    ----------
    paths : Paths
    """

    paths: Paths

    @classmethod
    def from_paths(cls, paths: Paths, **options: Any) -> Self:
        """Draw what `thalweg.training.inspect.descend` found."""
        return cls(paths).plot(**options)

    def plot(self, *, ax: Any = None, apart: bool = False) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes or sequence of Axes, optional
        apart : bool
            Whether each way has a panel of its own.

        Returns
        -------
        self
        """
        names = list(self.paths.points)
        axes = self.take(ax, len(names) if apart else 1)
        for index, name in enumerate(names):
            own = axes[index if apart else 0]
            if apart or index == 0:
                self._ground(own)
            self._draw(own, name, index)
            if apart:
                own.set_title(name, fontsize=9)
        if not apart:
            legend_outside(axes[0])
        return self

    def _ground(self, ax: Any) -> None:
        paths = self.paths
        levels = np.quantile(paths.z, np.linspace(0.0, 1.0, 14)[1:-1] ** 2)
        ax.contour(
            paths.x, paths.y, paths.z, levels=levels, colors="0.8", linewidths=0.8
        )
        ax.set_xlabel("x", fontsize=9)
        ax.set_ylabel("y", fontsize=9)
        ax.tick_params(labelsize=8)

    def _draw(self, ax: Any, name: str, index: int) -> None:
        x, y = self.paths.points[name].T
        style = line_style(index)
        ax.plot(
            x, y, marker=marker(index), markersize=3, linewidth=1.2, label=name, **style
        )
        ax.plot(x[0], y[0], "o", color="black", markersize=5)


@dataclass
class BoundaryDisplay(Display):
    """What a classifier of two inputs says over the plane, with the rows on it.

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
                f"BoundaryDisplay got X of shape {self.X.shape}; a plane has two "
                "columns. Choose two, and fit on them alone."
            )

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **options: Any) -> Self:
        """Draw a fitted classifier."""
        return cls(X, y, estimator.predict_proba, estimator.classes_).plot(**options)

    @classmethod
    def from_predictor(
        cls, predict_proba: Callable[[Array], Array], X: Any, y: Any, **options: Any
    ) -> Self:
        """Draw a function, such as ``lambda rows: thalweg.predict(run, rows)``."""
        return cls(X, y, predict_proba, np.unique(y)).plot(**options)

    def plot(
        self, *, ax: Any = None, resolution: int = 200, legend: bool = True
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, optional
        resolution : int
            Points of the grid along each axis.
        legend : bool

        Returns
        -------
        self
        """
        self.take(ax)
        across, up, shares = self._grid(resolution)
        likeliest = shares.argmax(axis=-1)
        colors = [COLORS[k % len(COLORS)] for k in range(len(self.classes))]
        levels = np.arange(len(self.classes) + 1) - 0.5
        self.ax_.contourf(across, up, likeliest, levels, colors=colors, alpha=0.22)
        if shares.shape[-1] == 2:
            self.ax_.contour(across, up, shares[..., 1], [0.5], colors="black")
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
        across, up = np.meshgrid(*sides)
        points = np.column_stack([across.ravel(), up.ravel()]).astype(self.X.dtype)
        shares = np.asarray(self.predict_proba(points))
        return across, up, shares.reshape(*across.shape, -1)
