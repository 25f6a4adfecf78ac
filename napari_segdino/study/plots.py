"""Plots of scores, in files and in the window, where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.files import atomic_path
from napari_segdino.metrics import Row

if TYPE_CHECKING:
    from napari_segdino.study.ablation import StepSummary
    from napari_segdino.study.shots import ShotSummary

MISSING = "Plots need matplotlib: pip install 'napari-segdino[plot]'."
DPI = 120
SCREEN_DPI = 100
INK = "#c8cdd6"
"""Of the window's curve: seen on the dark and on the light theme."""

_MEASURES = (("dice", "Dice"), ("iou", "IoU"), ("hd95", "HD95"))


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def check_plot(path: Path) -> None:
    """Say before long work that a plot cannot be drawn.

    Parameters
    ----------
    path : pathlib.Path
        Where the plot shall be; its suffix is the format.

    Raises
    ------
    InputError
        If matplotlib is missing or knows no such format.
    """
    _figure(1, path)


def _figure(columns: int, path: Path) -> tuple[Any, Any]:
    """Return a figure and its axes, without a window."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(MISSING) from error
    figure = Figure(figsize=(4 * columns, 3.6), layout="constrained")
    known = FigureCanvasAgg(figure).get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in known:
        raise InputError(f"{path.name} is no plot: {', '.join(known)} are known.")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def plot_scores(path: Path, rows: Sequence[Row]) -> None:
    """Draw Dice, IoU and HD95 of all cases, by class.

    Parameters
    ----------
    path : pathlib.Path
        A PNG, SVG or PDF file.
    rows : sequence of Row
        One a case and class; infinite distances are left out.

    Raises
    ------
    InputError
        If matplotlib is missing.
    ScanError
        If the file cannot be written.
    """
    figure, axes = _figure(len(_MEASURES), path)
    labels = sorted({row.label for row in rows})
    random = np.random.default_rng(0)
    for axis, (measure, title) in zip(axes, _MEASURES, strict=True):
        values = [_finite(rows, label, measure) for label in labels]
        axis.boxplot(values, showfliers=False, widths=0.5)
        for x, points in enumerate(values, 1):
            # Points of equal scores side by side.
            shift = random.uniform(-0.15, 0.15, len(points))
            axis.plot(x + shift, points, "o", alpha=0.4, markersize=3)
        axis.set_xticks(range(1, len(labels) + 1), [str(v) for v in labels])
        axis.set(title=title, xlabel="class")
        if measure != "hd95":
            axis.set_ylim(0, 1.02)
    _save(figure, path)


def _finite(rows: Sequence[Row], label: int, measure: str) -> list[float]:
    values = (float(getattr(r, measure)) for r in rows if r.label == label)
    return [v for v in values if np.isfinite(v)]


def plot_shots(path: Path, summaries: Sequence[ShotSummary]) -> None:
    """Draw Dice by number of cases, with its spread over the repeats.

    Parameters
    ----------
    path : pathlib.Path
        As for :func:`plot_scores`.
    summaries : sequence of ShotSummary
        One a number of cases.
    """
    figure, (axis,) = _figure(1, path)
    shots = [s.shots for s in summaries]
    means = [s.mean for s in summaries]
    # One repeat has no spread.
    spread = [0.0 if np.isnan(s.sd) else s.sd for s in summaries]
    axis.errorbar(shots, means, spread, marker="o", capsize=4)
    axis.set(xlabel="cases learned from", ylabel="Dice", xscale="log", ylim=(0, 1))
    axis.set_xticks(shots, [str(s) for s in shots], minor=False)
    axis.minorticks_off()
    _save(figure, path)


def plot_steps(path: Path, summaries: Sequence[StepSummary]) -> None:
    """Draw Dice of each step of an ablation.

    Parameters
    ----------
    path : pathlib.Path
        As for :func:`plot_scores`.
    summaries : sequence of StepSummary
        One a step.
    """
    figure, (axis,) = _figure(1, path)
    means = [s.mean for s in summaries]
    axis.plot(means, range(len(means)), "o")
    axis.set_yticks(range(len(means)), [s.name for s in summaries])
    axis.invert_yaxis()
    axis.set(xlabel="Dice")
    axis.grid(axis="x", alpha=0.3)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI)


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
        figsize=(width / SCREEN_DPI, height / SCREEN_DPI),
        dpi=SCREEN_DPI * ratio,
        layout="constrained",
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
    axis.set_ylabel("Overlap (Dice)", color=INK, fontsize=8)
    axis.tick_params(colors=INK, labelsize=7)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.grid(alpha=0.15)
    for side in axis.spines.values():
        side.set_color(INK)
        side.set_alpha(0.4)
    axis.legend(fontsize=7, labelcolor=INK, frameon=False, loc="lower right")
