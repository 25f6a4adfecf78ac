"""Goes back and forward in the history of the probe, the masks with it."""

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


class HistoryNavigator(QObject):  # type: ignore[misc]
    """Puts earlier probes back, and has the probe follow undo and redo.

    Parameters
    ----------
    engine : Engine
        Of the window.
    """

    moved = Signal()
    """The probe of another state is there."""

    def __init__(self, engine: Engine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._engine = engine
        engine.annotations.undone.connect(partial(self._follow, back=True))
        engine.annotations.redone.connect(partial(self._follow, back=False))

    def step(self, by: int) -> None:
        """Go to the probe before (-1) or after (1), and to the masks it had.

        The masks are drawn as one step that can be undone; what was painted
        since stays painted.
        """
        self._engine.when_free(partial(self._step, by))

    def _step(self, by: int) -> None:
        engine = self._engine
        found = engine.history.step(by)
        if found is None:
            return
        update, masks = found
        annotations = {w.key: w for w in engine.annotations}
        here = {name: mask for name, mask in masks.items() if name[0] in annotations}

        def draw(step: tuple[Any, int, Any]) -> None:
            key, plane, labels = step
            annotations[key].writer.add(Piece(plane, labels, update))

        def done(_: Any) -> None:
            for key in {key for key, _ in here}:
                annotations[key].writer.finish()
            engine.message.emit(self._where())

        steps = partial(iter_unpack, here)
        engine.runner.start(Job("History", steps, on_step=draw, on_done=done))
        self.moved.emit()

    def _follow(self, annotation: Annotation, update: MaskUpdate, back: bool) -> None:
        """Have the probe follow when a mask update is undone or redone."""
        index = self._engine.history.find(annotation.key, update, back)
        if index is not None:
            self._engine.when_free(partial(self._put_back, index))

    def _put_back(self, index: int) -> None:
        self._engine.history.go(index)
        self._engine.message.emit(self._where())
        self.moved.emit()

    def _where(self) -> str:
        place, count = self._engine.history.place
        if self._engine.session.is_fitted:
            return f"Probe {place} of {count} is back, with its mask."
        if place == 1:
            return "Back before the first Retrain: mask and probe are as they were."
        return "The new probe is back: Retrain learns from all marks that are there."
