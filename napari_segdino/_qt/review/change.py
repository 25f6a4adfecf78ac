"""Tells what each Retrain changed, and whether earlier corrections still hold."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_segdino._qt.review.change_panel import ChangePanel
from napari_segdino._qt.review.differ import Difference, Painted, iter_difference
from napari_segdino._qt.review.overlays import Overlay
from napari_segdino._qt.walker import Walker
from napari_segdino._qt.worker import Job

if TYPE_CHECKING:
    from napari_segdino._qt.drawing import Drawing
    from napari_segdino._qt.engine import Engine
    from napari_segdino._qt.idle import IdleWork
    from napari_segdino._qt.works import Work
    from napari_segdino.review.guard import Guard
    from napari_segdino.session import LabelClass

MORE, LESS = "#00ff6a", "#ff1f4b"
"""Mixed into a class's colour where it was gained and where it was lost."""


class ChangeReview(QObject):  # type: ignore[misc]
    """Compares the mask before and after each Retrain while the user rests.

    Parameters
    ----------
    engine : Engine
        Says when it has trained.
    idle : IdleWork
        Does the comparing.
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
        self.panel = ChangePanel()
        self.walker = Walker(engine, self)
        self._engine, self._idle, self._current = engine, idle, current
        self._drawing: Drawing | None = None
        self._told = False
        self._overlay = Overlay(engine, "changes", self)
        self.panel.overlay.toggled.connect(self._show_overlay)
        self.panel.back.clicked.connect(partial(self.walker.walk, -1))
        self.panel.forth.clicked.connect(partial(self.walker.walk, 1))
        self._overlay.gone.connect(partial(self.panel.overlay.setChecked, False))
        self.walker.walked.connect(self._forget)
        engine.trained.connect(self._on_trained)

    def release(self) -> None:
        """Take the layers away and let go of the window."""
        self._overlay.release()

    def refresh(self) -> None:
        """Show where in the history we are, and the picked image's overlay."""
        if self.panel.overlay.isChecked():
            self._show_overlay(True)
        self.panel.show_place(*self._engine.rounds.place)
        if self._engine.rounds.place == (0, 0):
            self._forget()

    def _on_trained(self, drawing: Drawing) -> None:
        self._forget()
        self._drawing = drawing
        self._idle.ask("compare", self._make)

    def _forget(self) -> None:
        """What was compared is no longer what is shown."""
        self._idle.drop("compare")
        if self._drawing is not None:
            self._overlay.clear(self._drawing.work)
        self._drawing, self._told = None, False
        self.panel.show_counts([])
        self.panel.show_verdict("")
        self.panel.show_place(*self._engine.rounds.place)

    def _show_overlay(self, on: bool) -> None:
        work = self._current()
        if not on or work is None:
            self._overlay.hide()
            return
        self._overlay.show(work)
        self._overlay.color(work, overlay_colors(self._engine.session.classes))
        if self._drawing is not None:
            self._idle.ask("compare", self._make)

    def _make(self) -> Job | None:
        drawing = self._drawing
        if drawing is None:
            return None
        paint = self.panel.overlay.isChecked()
        return Job(
            "Comparing",
            partial(iter_difference, tuple(drawing.parts), drawing.known, paint),
            on_step=partial(self._take, drawing.work),
            on_done=self._show,
        )

    def _take(self, work: Work, painted: Painted) -> None:
        self._overlay.draw(work, painted.plane, painted.labels)

    def _show(self, found: Difference) -> None:
        rows = [
            (
                escape(one.name),
                _mixed(one.color, MORE),
                _mixed(one.color, LESS),
                found.gained.get(one.label, 0),
                found.lost.get(one.label, 0),
            )
            for one in self._engine.session.classes
        ]
        self.panel.show_counts(rows)
        text, broken = verdict(found.guard)
        self.panel.show_verdict(text, broken)
        if broken and not self._told:
            self._told = True
            self._engine.said.emit(f"{text} Go back in the Review tab, or go on.")


def verdict(found: Guard | None) -> tuple[str, bool]:
    """Say in one sentence whether earlier corrections hold.

    Returns
    -------
    text : str
        Empty where there are none.
    broken : bool
        Whether some hold no more.
    """
    if found is None or not found.after:
        return "", False
    count, broken = len(found.after), len(found.broken)
    if broken:
        verb = "holds" if broken == 1 else "hold"
        return f"{broken} of {count} earlier corrections no longer {verb}.", True
    holding = sum(score.holds for score in found.after)
    amount = "All" if holding == count else f"{holding} of"
    return f"{amount} {count} earlier corrections hold.", False


def overlay_colors(classes: tuple[LabelClass, ...]) -> dict[int | None, Any]:
    """Return the colours of what classes gained (odd) and lost (even)."""
    colors: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    for one in classes:
        colors[2 * one.label - 1] = _mixed(one.color, MORE)
        colors[2 * one.label] = _mixed(one.color, LESS)
    return colors


def _mixed(color: str, other: str, share: float = 0.65) -> str:
    """Mix two colours ``"#rrggbb"``; `share` is that of the second."""
    pairs = [(int(color[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round((1 - share) * a + share * b):02x}" for a, b in pairs)
