"""The learning curve as a picture, made in the worker's thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DPI = 100
INK = "#c8cdd6"


@dataclass(frozen=True)
class Line:
    """Dice by round.

    Parameters
    ----------
    name : str
        For the legend.
    color : str
        ``"#rrggbb"``.
    points : tuple of (int, float)
        Number of the Retrain, and Dice.
    """

    name: str
    color: str
    points: tuple[tuple[int, float], ...]


def draw_curve(
    lines: Sequence[Line], width: int, height: int, ratio: float = 1.0
) -> NDArray[np.uint8]:
    """Draw lines of Dice over rounds.

    Parameters
    ----------
    lines : sequence of Line
        What to draw.
    width, height : int
        In the window's pixels.
    ratio : float
        The screen's pixels in one of those.

    Returns
    -------
    numpy.ndarray, shape (height * ratio, width * ratio, 4), uint8
        RGBA, transparent behind the lines.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(
        figsize=(width / DPI, height / DPI), dpi=DPI * ratio, layout="constrained"
    )
    figure.patch.set_alpha(0)
    # Not pyplot: its figures are global, and a window's backend may not be touched off
    # the GUI thread.
    canvas = FigureCanvasAgg(figure)
    axis = figure.add_subplot()
    for line in lines:
        x, y = zip(*line.points, strict=True)
        axis.plot(x, y, "o-", color=line.color, label=line.name, markersize=3.5)
    _dress(axis)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def _dress(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set_facecolor("none")
    axis.set_ylim(max(0.0, np.floor(axis.dataLim.y0 * 10 - 1) / 10), 1.03)
    axis.margins(x=0.08)
    axis.set_xlabel("Retrain", color=INK, fontsize=8)
    axis.set_ylabel("Dice", color=INK, fontsize=8)
    axis.tick_params(colors=INK, labelsize=7)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.grid(alpha=0.15)
    for side in axis.spines.values():
        side.set_color(INK)
        side.set_alpha(0.4)
    axis.legend(fontsize=7, labelcolor=INK, frameon=False, loc="lower right")
