"""Plots of the inside of a network: values of its layers, weights as images."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from thalweg.core import Array, LayerValues, check_word
from thalweg.display import COLORS, Display

_WHAT = ("activations", "weights", "gradients")


@dataclass
class LayersDisplay(Display):
    """Histograms of a network's activations, weights or gradients, layer by layer.

    Parameters
    ----------
    values : LayerValues
        The result of `thalweg.training.look_inside`.
    """

    values: LayerValues

    @classmethod
    def from_values(cls, values: LayerValues, **options: Any) -> Self:
        """Plot the result of `thalweg.training.look_inside`."""
        return cls(values).plot(**options)

    def plot(
        self,
        what: str = "activations",
        *,
        ax: Any = None,
        bins: int = 30,
        span: tuple[float, float] | None = None,
    ) -> Self:
        """Draw one panel for each layer.

        Parameters
        ----------
        what : {"activations", "weights", "gradients"}
        ax : sequence of Axes, optional
            One for each layer.
        bins : int
        span : (float, float), optional
            Range of the values to show. By default each layer has its own.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `what` is unknown or was not recorded. The message says how to record it.
        """
        check_word("what", what, _WHAT, owner="plot")
        layers = getattr(self.values, what)
        if not layers:
            raise ValueError(
                f"plot got what={what!r}, which was not recorded. Call "
                "look_inside(run, X, y) with y to record it."
            )
        axes = self.take(ax, len(layers))
        self.ax_ = np.array(axes)
        for number, (each, layer) in enumerate(zip(axes, layers, strict=True), 1):
            self._draw(each, layer, bins, span)
            each.set_title(f"layer {number}", fontsize=8)
        axes[0].set_ylabel("share", fontsize=8)
        self.figure_.supxlabel(f"{what[:-1]} value", fontsize=9)
        return self

    def _draw(
        self, ax: Any, layer: Array, bins: int, span: tuple[float, float] | None
    ) -> None:
        flat = np.ravel(layer)
        known = flat[np.isfinite(flat)]
        shares = np.full(len(known), 1 / max(len(flat), 1))
        outside = 0.0 if span is None else np.mean((flat < span[0]) | (flat > span[1]))
        if outside > 0.01:
            ax.annotate(
                f"{outside:.0%} outside", (0.95, 0.85), xycoords="axes fraction",
                ha="right", fontsize=7,
            )  # fmt: skip
        ax.hist(known, bins=bins, range=span, weights=shares, color=COLORS[0])
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=7)
        ax.locator_params(nbins=3)


@dataclass
class WeightsDisplay(Display):
    """The weights of each unit in the first layer, as images.

    Parameters
    ----------
    weights : ndarray of shape (n_inputs, units)
    """

    weights: Array

    @classmethod
    def from_run(cls, run: Any, **options: Any) -> Self:
        """Plot the first layer of a `thalweg.Run`."""
        return cls(run.parameters[0]["weights"]).plot(**options)

    @classmethod
    def from_estimator(cls, estimator: Any, **options: Any) -> Self:
        """Plot a fitted estimator that has ``coefs_`` or ``run_``."""
        if hasattr(estimator, "run_"):
            return cls.from_run(estimator.run_, **options)
        return cls(estimator.coefs_[0]).plot(**options)

    def plot(
        self, *, shape: tuple[int, int] | None = None, most: int = 64, ax: Any = None
    ) -> Self:
        """Draw the images.

        Parameters
        ----------
        shape : (int, int), optional
            Rows and columns of each image. By default it is a square.
        most : int
            Maximum number of units, those with the largest weights first.
        ax : Axes, optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the shape does not match the number of inputs.
        """
        n_inputs = len(self.weights)
        side = round(np.sqrt(n_inputs))
        rows, columns = shape or (side, side)
        if rows * columns != n_inputs:
            raise ValueError(
                f"plot got shape={shape!r} for {n_inputs} inputs. Give (rows, columns) "
                "whose product is the number of inputs."
            )
        order = np.argsort(-np.linalg.norm(self.weights, axis=0), kind="stable")[:most]
        mosaic = _mosaic(self.weights[:, order].T.reshape(-1, rows, columns))
        self.take(ax)
        limit = float(np.nanmax(np.abs(mosaic))) or 1.0
        image = self.ax_.imshow(mosaic, cmap="PuOr", vmin=-limit, vmax=limit)
        bar = self.figure_.colorbar(image, ax=self.ax_, shrink=0.8)
        bar.set_label("weight", fontsize=9)
        bar.ax.tick_params(labelsize=8)
        self.ax_.set_axis_off()
        return self


def _mosaic(tiles: Array) -> Array:
    """Arrange tiles in rows with an empty pixel between them."""
    n, rows, columns = tiles.shape
    across = int(np.ceil(np.sqrt(n)))
    down = -(-n // across)
    sheet = np.full((down * (rows + 1) - 1, across * (columns + 1) - 1), np.nan)
    for i, tile in enumerate(tiles):
        top, left = i // across * (rows + 1), i % across * (columns + 1)
        sheet[top : top + rows, left : left + columns] = tile
    return sheet
