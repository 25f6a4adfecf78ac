"""Scores the probe while the user rests, and the mask against a reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_segdino._qt.layers.image_layers import Spacing, spacing_of, title
from napari_segdino._qt.layers.screen import go_to
from napari_segdino._qt.widgets.review_panels import CURVE, ScorePanel
from napari_segdino._qt.worker.runner import Job
from napari_segdino.progress import Progress, Steps
from napari_segdino.session.probe_state import UNKNOWN

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino._qt.worker.drawing import Drawing
    from napari_segdino._qt.worker.idle import IdleTask
    from napari_segdino.metrics import Row
    from napari_segdino.review.live_score import HeldOut
    from napari_segdino.study.plots import Line

    Scores = tuple[Sequence[Row], Mapping[int, Sequence[Row]]]


PATIENCE = 1.5
"""Seconds of rest before held-out strokes are scored."""

HELD_OUT, REFERENCE = "#5b9bff", "#4fd08a"

NOT_YET = "Strokes left out: Retrain first."

TOO_FEW = (
    "Strokes left out: none can be left out yet. Paint each class in two places "
    "that are apart."
)

ELSEWHERE = "Strokes left out: not measured on this image yet."


Table = Sequence[tuple[int, tuple[str, ...]]]


@dataclass
class Measured:
    """What was measured on one image.

    Parameters
    ----------
    text : str
        How held-out strokes were followed; empty where they were not asked.
    probe : int
        Number of the probe that was asked.
    scores : list of (int, HeldOut)
        Number of the Retrain, and how they were followed after it.
    against : list of (int, float)
        Number of the Retrain, and Dice against the reference.
    picture : array or str
        The curve; a sentence in its place.
    reference : tuple of (list of Row, dict of int to list of Row)
        Scores against the reference: of the whole, and by slice.
    table : list
        The same for people.
    stale : bool
        The mask has changed since.
    """

    text: str = ""
    probe: int = UNKNOWN
    scores: list[tuple[int, HeldOut]] = field(default_factory=list)
    against: list[tuple[int, float]] = field(default_factory=list)
    picture: NDArray[np.uint8] | str = ""
    reference: Scores = ((), MappingProxyType({}))
    table: Table = ()
    stale: bool = True


class ScoreReview(QObject):  # type: ignore[misc]
    """Keeps the scores of the window.

    Parameters
    ----------
    controller : SessionController
        Has the probe and says when it has trained.
    idle : IdleTask
        Does the scoring.
    current : callable
        Returns the annotation of the image that is picked, or None.
    """

    def __init__(
        self,
        controller: SessionController,
        idle: IdleTask,
        current: Callable[[], Annotation | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.panel = ScorePanel(controller.viewer)
        self._controller, self._idle, self._current = controller, idle, current
        self._owner: Any = None
        self._measured: dict[Any, Measured] = {}
        self._start()
        self.panel.idle.toggled.connect(self.refresh)
        self.panel.reference.valueChanged.connect(self._on_reference)
        self.panel.picked.connect(self._go)
        controller.trained.connect(self._on_trained)
        controller.drawn.connect(self._ask_reference)
        controller.annotations.mask_changed.connect(self._on_mask)

    def release(self) -> None:
        """Let go of the window."""
        self.panel.reference.release()

    def refresh(self, _: Any = None) -> None:
        """Show what was measured on this image; score what has not been scored yet."""
        session = self._controller.session
        if session.is_fitted and not session.owns(self._owner):
            self._start()
            self._owner = session.segmenter
        self._show()
        # Also while the window is minimised or behind another one.
        shown = self.panel.isVisibleTo(self.panel.window())
        self._ask_reference_of_this()
        if self._due and self.panel.idle.isChecked() and shown:
            self._idle.ask("score", self._make_score, PATIENCE)

    def rows(self) -> list[Row]:
        """Return all scores there are, for a table."""
        from napari_segdino.review.live_score import rows_by_round

        found: list[Row] = []
        for one in self._measured.values():
            whole, slices = one.reference
            found += [
                *rows_by_round([s for _, s in one.scores]),
                *whole,
                *chain(*slices.values()),
            ]
        return found

    def _start(self) -> None:
        """Begin anew with another probe."""
        self._measured.clear()
        self._round, self._learned = 0, UNKNOWN
        self._show()

    def _on_trained(self, drawing: Drawing) -> None:
        self.refresh()
        self._round += 1
        self._learned = self._controller.history.present
        self.refresh()

    def _of(self, annotation: Annotation) -> Measured:
        return self._measured.setdefault(annotation.key, Measured())

    @property
    def _due(self) -> bool:
        """Whether the image that is picked has not been asked about this round."""
        annotation, present = self._current(), self._controller.history.present
        if annotation is None or present == UNKNOWN:
            return False
        return present == self._learned != self._of(annotation).probe

    def _show(self) -> None:
        """Show what belongs to the image; grey out what another probe was told."""
        annotation = self._current()
        found = Measured() if annotation is None else self._of(annotation)
        elsewhere = any(one.text for one in self._measured.values())
        self.panel.held_out.setText(found.text or (ELSEWHERE if elsewhere else NOT_YET))
        present = self._controller.history.present
        self.panel.held_out.setEnabled(not found.text or found.probe == present)
        self.panel.show_curve(found.picture)
        self.panel.show_rows(found.table)
        self.panel.table.setEnabled(not found.stale)

    # -- held-out strokes --------------------------------------------------

    def _make_score(self) -> Job | None:
        annotation = self._current()
        if annotation is None or not self._controller.session.is_fitted:
            return None
        from napari_segdino.review.live_score import iter_cross_validate

        spacing, now = spacing_of(annotation.mask), self._round
        found, probe = self._of(annotation), self._controller.history.present
        steps = partial(
            iter_cross_validate,
            self._controller.session.segmenter,
            annotation.planes.array,
            annotation.marks.data,
            axes=annotation.planes.axes,
            spacing=spacing.steps[-2:],
            case=title(annotation.image),
        )

        def done(score: HeldOut | None) -> None:
            found.probe, found.text = probe, held_out_text(score, spacing)
            self._show()
            if score is not None:
                found.scores.append((now, score))
                self._ask_curve(found)

        return Job("Scoring", steps, on_done=done)

    # -- the reference -----------------------------------------------------

    def _on_reference(self, layer: Any) -> None:
        for one in self._measured.values():
            one.reference, one.table, one.against = ((), {}), (), []
            one.stale = True
        self._show()
        self._ask_reference()

    def _on_mask(self, annotation: Annotation, plane: int) -> None:
        """What was measured is no longer what is shown."""
        self._of(annotation).stale = True
        if annotation is self._current():
            self.panel.table.setEnabled(False)
            self._ask_reference()

    def _ask_reference(self, _: Any = None) -> None:
        if self.panel.reference.value() is not None:
            self._idle.ask("reference", self._make_reference, PATIENCE / 2)

    def _ask_reference_of_this(self) -> None:
        """Measure an image that was not picked when its mask changed."""
        annotation, layer = self._current(), self.panel.reference.value()
        if annotation is None or layer is None or not self._of(annotation).stale:
            return
        if tuple(layer.data.shape) == annotation.planes.spatial_shape:
            self._ask_reference()

    def _make_reference(self) -> Job | None:
        annotation, layer = self._current(), self.panel.reference.value()
        if annotation is None or layer is None:
            return None
        if tuple(layer.data.shape) != annotation.planes.spatial_shape:
            self._controller.message.emit(
                f"{layer.name} has another shape than {title(annotation.image)}: it is "
                "no reference for it."
            )
            return None
        spacing, now = spacing_of(annotation.mask), self._round
        one = self._of(annotation)
        steps = partial(
            _iter_reference,
            annotation.mask.data,
            layer.data,
            spacing,
            title(annotation.image),
        )

        def done(found: Scores) -> None:
            one.reference, one.table = found, table_rows(found, spacing)
            one.stale = False
            self._show()
            # Before the first Retrain there is no point on the curve to belong to.
            if found[0] and now:
                dice = float(np.mean([row.dice for row in found[0]]))
                # The mask is corrected between two Retrains: the last score stands.
                before = [p for p in one.against if p[0] != now]
                one.against = [*before, (now, dice)]
                self._ask_curve(one)

        return Job("Scoring", steps, on_done=done)

    def _go(self, plane: int) -> None:
        annotation = self._current()
        if annotation is not None:
            go_to(self._controller.viewer, annotation, plane)

    # -- the curve ---------------------------------------------------------

    def _ask_curve(self, found: Measured) -> None:
        from napari_segdino.study.plots import MISSING, can_plot

        if can_plot():
            self._idle.ask("curve", self._make_curve)
        else:
            found.picture = MISSING
            self._show()

    def _make_curve(self) -> Job | None:
        annotation = self._current()
        if annotation is None:
            return None
        from napari_segdino.study.plots import Line

        found = self._of(annotation)
        held_out = [(n, s.dice) for n, s in found.scores if not math.isnan(s.dice)]
        named = (
            Line("strokes left out", HELD_OUT, tuple(held_out)),
            Line("reference", REFERENCE, tuple(found.against)),
        )
        lines = [line for line in named if line.points]
        width = max(CURVE.width(), self.panel.curve.width())
        ratio = self.panel.devicePixelRatioF()
        steps = partial(_iter_curve, lines, width, CURVE.height(), ratio)

        def done(picture: NDArray[np.uint8]) -> None:
            found.picture = picture
            self._show()

        return Job("Drawing", steps, on_done=done) if lines else None


def held_out_text(found: HeldOut | None, spacing: Spacing) -> str:
    """Say how well held-out strokes are followed."""
    if found is None:
        return TOO_FEW
    text = f"{found.right:.0%} right"
    if not math.isnan(found.dice):
        distance = spacing.text(found.hd95)
        text = f"overlap (Dice) {found.dice:.2f}, distance (HD95) {distance}"
    count = found.strokes + found.skipped
    return f"Strokes left out: {text} ({found.strokes} of {count} strokes)"


def table_rows(scores: Scores, spacing: Spacing) -> Table:
    """Rows of the table: the whole, then slices, the worst first."""
    whole, slices = scores
    found: list[tuple[int, tuple[str, ...]]]
    found = [(-1, ("all", *_texts(row, spacing))) for row in whole]
    by_slice = ((plane, row) for plane, rows in slices.items() for row in rows)
    for plane, row in sorted(by_slice, key=lambda pair: pair[1].dice):
        found.append((plane, (str(plane), *_texts(row, spacing))))
    return found


def _texts(row: Row, spacing: Spacing) -> tuple[str, str, str]:
    return str(row.label), f"{row.dice:.3f}", spacing.text(row.hd95)


def _iter_reference(
    mask: Any, reference: Any, spacing: Spacing, case: str
) -> Steps[Scores]:
    from napari_segdino.review.live_score import score_reference

    yield Progress(0, 1, "Comparing with the reference")
    return score_reference(np.array(mask), np.asarray(reference), spacing.steps, case)


def _iter_curve(lines: Sequence[Line], width: int, height: int, ratio: float) -> Any:
    from napari_segdino.study.plots import draw_curve

    yield Progress(0, 1, "Drawing the curve")
    return draw_curve(lines, width, height, ratio)
