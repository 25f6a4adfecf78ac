"""Goes back and forth in the history of the probe, the masks with it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_segdino._qt.worker import Job
from napari_segdino._qt.writer import Piece
from napari_segdino.session.tasks import iter_unpack

if TYPE_CHECKING:
    from napari_segdino._qt.annotation import Annotation
    from napari_segdino._qt.engine import Engine
    from napari_segdino.session.probe_history import MaskUpdate


class Walker(QObject):  # type: ignore[misc]
    """Puts probes of earlier rounds back, and has the probe follow undo and redo.

    Parameters
    ----------
    engine : Engine
        Of the window.
    """

    walked = Signal()
    """The probe of another round is there."""

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        engine.annotations.travelled.connect(self._on_travelled)

    def walk(self, by: int) -> None:
        """Go to the probe before (-1) or after (1), and to the masks it had.

        The masks are drawn as one step that can be undone; what was painted
        since stays painted.
        """
        self._engine.when_free(partial(self._walk, by))

    def _walk(self, by: int) -> None:
        engine = self._engine
        walked = engine.rounds.walk(by)
        if walked is None:
            return
        redraw, masks = walked
        annotations = {w.key: w for w in engine.annotations}
        here = {name: mask for name, mask in masks.items() if name[0] in annotations}

        def draw(step: tuple[Any, int, Any]) -> None:
            key, plane, labels = step
            annotations[key].writer.add(Piece(plane, labels, redraw))

        def done(_: Any) -> None:
            for key in {key for key, _ in here}:
                annotations[key].writer.finish()
            engine.message.emit(self._where())

        steps = partial(iter_unpack, here)
        engine.runner.start(Job("History", steps, on_step=draw, on_done=done))
        self.walked.emit()

    def _on_travelled(
        self, annotation: Annotation, redraw: MaskUpdate, back: bool
    ) -> None:
        """Have the probe follow when a redraw is undone or redone."""
        index = self._engine.rounds.find(annotation.key, redraw, back)
        if index is not None:
            self._engine.when_free(partial(self._put_back, index))

    def _put_back(self, index: int) -> None:
        self._engine.rounds.go(index)
        self._engine.message.emit(self._where())
        self.walked.emit()

    def _where(self) -> str:
        place, count = self._engine.rounds.place
        if self._engine.session.is_fitted:
            return f"Probe {place} of {count} is back, with its mask."
        if place == 1:
            return "Back before the first Retrain: mask and probe are as they were."
        return "The new probe is back: Retrain learns from all marks that are there."
