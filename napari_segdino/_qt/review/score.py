"""Scores the probe while the user rests, and the mask against a reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject

from napari_segdino._qt.layers import title
from napari_segdino._qt.review.curve import Line, draw_curve
from napari_segdino._qt.review.score_panel import CURVE, ScorePanel
from napari_segdino._qt.review.travel import go_to
from napari_segdino._qt.review.units import Spacing, spacing_of
from napari_segdino._qt.worker import Job
from napari_segdino.metrics import Row
from napari_segdino.progress import Progress, Steps
from napari_segdino.review.held_out import HeldOut
from napari_segdino.review.live_score import (
    LearningCurve,
    iter_cross_validate,
    score_reference,
)
from napari_segdino.study.plots import MISSING, can_plot

if TYPE_CHECKING:
    from napari_segdino._qt.drawing import Drawing
    from napari_segdino._qt.engine import Engine
    from napari_segdino._qt.idle import IdleWork
    from napari_segdino._qt.works import Work

PATIENCE = 1.5
"""Seconds of rest before held-out strokes are scored."""

HELD_OUT, REFERENCE = "#5b9bff", "#4fd08a"
NOT_YET = "Held-out strokes: Retrain first."
TOO_FEW = (
    "Held-out strokes: none can be held out yet. Paint each class in two places "
    "that are apart."
)

Scores = tuple[list[Row], list[Row]]


class ScoreReview(QObject):  # type: ignore[misc]
    """Keeps the scores of the window.

    Parameters
    ----------
    engine : Engine
        Has the probe and says when it has trained.
    idle : IdleWork
        Does the scoring.
    current : callable
        Returns the Work on the image that is picked, or None.
    """

    def __init__(
        self,
        engine: Engine,
        idle: IdleWork,
        current: Callable[[], Work | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.panel = ScorePanel(engine.viewer)
        self._engine, self._idle, self._current = engine, idle, current
        self._owner: Any = None
        self._start()
        self.panel.idle.toggled.connect(self.refresh)
        self.panel.reference.valueChanged.connect(self._on_reference)
        self.panel.picked.connect(self._go)
        engine.trained.connect(self._on_trained)
        engine.drawn.connect(self._ask_reference)
        engine.works.marks_changed.connect(self._ask_reference)

    def release(self) -> None:
        """Let go of the window."""
        self.panel.reference.release()

    def refresh(self, _: Any = None) -> None:
        """Score what has not been scored yet, if it is shown."""
        session = self._engine.session
        if session.is_fitted and not session.owns(self._owner):
            self._start()
            self._owner = session.segmenter
        shown = self.panel.isVisibleTo(self.panel.window())
        if self._due and self.panel.idle.isChecked() and shown:
            self._idle.ask("score", self._make_score, PATIENCE)

    def rows(self) -> list[Row]:
        """Return all scores there are, for a table."""
        whole, slices = self._reference
        return [*self._curve.rows(), *whole, *slices]

    def _start(self) -> None:
        """Begin anew with another probe."""
        self._curve = LearningCurve()
        self._held_out: list[tuple[int, float]] = []
        self._against: list[tuple[int, float]] = []
        self._reference: Scores = ([], [])
        self._round, self._due = 0, False
        self.panel.show_held_out(NOT_YET)
        self.panel.show_curve("" if can_plot() else MISSING)

    def _on_trained(self, drawing: Drawing) -> None:
        self.refresh()
        self._round += 1
        self._due = True
        self.refresh()

    # -- held-out strokes --------------------------------------------------

    def _make_score(self) -> Job | None:
        work = self._current()
        if work is None or not self._engine.session.is_fitted:
            return None
        spacing, now = spacing_of(work.mask), self._round
        steps = partial(
            iter_cross_validate,
            self._engine.session.segmenter,
            work.planes.array,
            work.marks.data,
            axes=work.planes.axes,
            spacing=spacing.steps[-2:],
            case=title(work.image),
        )

        def done(found: HeldOut | None) -> None:
            self._due = False
            self._curve.add(found)
            self.panel.show_held_out(held_out_text(found, spacing))
            if found is not None and not math.isnan(found.dice):
                self._held_out.append((now, found.dice))
                self._ask_curve()

        return Job("Scoring", steps, on_done=done)

    # -- the reference -----------------------------------------------------

    def _on_reference(self, layer: Any) -> None:
        self._reference = [], []
        self._against = []
        self.panel.show_rows([])
        self._ask_reference()

    def _ask_reference(self, _: Any = None) -> None:
        if self.panel.reference.value() is not None:
            self._idle.ask("reference", self._make_reference, PATIENCE / 2)

    def _make_reference(self) -> Job | None:
        work, layer = self._current(), self.panel.reference.value()
        if work is None or layer is None:
            return None
        if tuple(layer.data.shape) != work.planes.spatial_shape:
            self._engine.said.emit(
                f"{layer.name} has another shape than {title(work.image)}: it is no "
                "reference for it."
            )
            return None
        spacing, now = spacing_of(work.mask), self._round
        steps = partial(
            _iter_reference, work.mask.data, layer.data, spacing, title(work.image)
        )

        def done(found: Scores) -> None:
            self._reference = found
            self.panel.show_rows(_table(found, spacing))
            if found[0] and now:
                dice = float(np.mean([row.dice for row in found[0]]))
                before = [p for p in self._against if p[0] != now]
                self._against = [*before, (now, dice)]
                self._ask_curve()

        return Job("Scoring", steps, on_done=done)

    def _go(self, plane: int) -> None:
        work = self._current()
        if work is not None:
            go_to(self._engine.viewer, work, plane)

    # -- the curve ---------------------------------------------------------

    def _ask_curve(self) -> None:
        if can_plot():
            self._idle.ask("curve", self._make_curve)

    def _make_curve(self) -> Job | None:
        named = (
            Line("held-out strokes", HELD_OUT, tuple(self._held_out)),
            Line("reference", REFERENCE, tuple(self._against)),
        )
        lines = [line for line in named if line.points]
        width = max(CURVE.width(), self.panel.curve.width())
        ratio = self.panel.devicePixelRatioF()
        steps = partial(_iter_curve, lines, width, CURVE.height(), ratio)
        return Job("Drawing", steps, on_done=self.panel.show_curve) if lines else None


def held_out_text(found: HeldOut | None, spacing: Spacing) -> str:
    """Say how well held-out strokes are followed."""
    if found is None:
        return TOO_FEW
    text = f"{found.right:.0%} right"
    if not math.isnan(found.dice):
        text = f"Dice {found.dice:.2f}, HD95 {spacing.text(found.hd95)}"
    count = found.strokes + found.skipped
    return f"Held-out strokes: {text} ({found.strokes} of {count} strokes)"


def _table(scores: Scores, spacing: Spacing) -> list[tuple[int, tuple[str, ...]]]:
    """Rows of the table: the whole, then slices, the worst first."""
    whole, slices = scores
    found: list[tuple[int, tuple[str, ...]]]
    found = [(-1, ("all", *_texts(row, spacing))) for row in whole]
    for row in sorted(slices, key=lambda row: row.dice):
        plane = int(row.case.rpartition("z=")[2])
        found.append((plane, (str(plane), *_texts(row, spacing))))
    return found


def _texts(row: Row, spacing: Spacing) -> tuple[str, str, str]:
    return str(row.label), f"{row.dice:.3f}", spacing.text(row.hd95)


def _iter_reference(
    mask: Any, reference: Any, spacing: Spacing, case: str
) -> Steps[Scores]:
    yield Progress(0, 1, "Comparing with the reference")
    return score_reference(np.array(mask), np.asarray(reference), spacing.steps, case)


def _iter_curve(lines: Sequence[Line], width: int, height: int, ratio: float) -> Any:
    yield Progress(0, 1, "Drawing the curve")
    return draw_curve(lines, width, height, ratio)
