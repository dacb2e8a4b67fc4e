"""What all plots share: the base of displays, colors, legends, axes, SVG."""

from thalweg.display.base import Display, new_figure
from thalweg.display.progress import Progress, usual_progress
from thalweg.display.style import (
    COLORS,
    axis_type,
    legend_above,
    legend_outside,
    line_style,
    marker,
    smooth,
    tidy,
)
from thalweg.display.svg import printable, render_svg, show_tip

__all__ = [
    "COLORS",
    "Display",
    "Progress",
    "axis_type",
    "legend_above",
    "legend_outside",
    "line_style",
    "marker",
    "new_figure",
    "printable",
    "render_svg",
    "show_tip",
    "smooth",
    "tidy",
    "usual_progress",
]
