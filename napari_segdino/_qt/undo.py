"""Ctrl-Z on the slice that is seen: nothing is taken back out of sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app_model.types import KeyCode, KeyMod
from qtpy.QtCore import QObject, Signal

from napari_segdino._qt.review.travel import go_to, plane_name
from napari_segdino._qt.steps import bring_forward, find_step, planes_of, stack_of

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_segdino._qt.annotation import Annotation

UNDO = KeyMod.CtrlCmd | KeyCode.KeyZ
REDO = KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ

EARLIER = {
    False: "Taken back on this slice; what came later on other slices stays.",
    True: "Done again on this slice; what else was taken back stays so.",
}
ELSEWHERE = {
    False: "The last step was on {}, which is shown now: it was taken back.",
    True: "The next step was on {}, which is shown now: it was done again.",
}
NOTHING = {False: "There is nothing left to undo.", True: "There is nothing to redo."}


class UndoKeys(QObject):  # type: ignore[misc]
    """The keys for undo and redo, in the mask and in the marks of an image.

    napari has one history for a layer. What was done to the slice on screen is
    undone first; where it cannot be before a step on another slice is, or nothing
    was done to it, that slice is shown and the step undone there.

    Parameters
    ----------
    annotation : Work
        The image.
    """

    message = Signal(str)
    """On which slice it was, where that is not plain to see."""

    def __init__(self, annotation: Annotation) -> None:
        super().__init__(annotation)
        self._annotation = annotation
        for layer in (annotation.mask, annotation.marks):
            layer.bind_key(UNDO, self._undo, overwrite=True)
            layer.bind_key(REDO, self._redo, overwrite=True)

    def close(self) -> None:
        """Give the keys back."""
        for layer in (self._annotation.mask, self._annotation.marks):
            layer.bind_key(UNDO, None)
            layer.bind_key(REDO, None)

    def _undo(self, layer: Labels) -> None:
        self._step(layer, redo=False)

    def _redo(self, layer: Labels) -> None:
        self._step(layer, redo=True)

    def _step(self, layer: Labels, redo: bool) -> None:
        watch = self._annotation.watch
        watch.pressed.emit()
        own = layer is self._annotation.mask and watch.intact
        if own and watch.step_confirm(redo):
            return
        if watch.intact:
            if not stack_of(layer, redo):
                self.message.emit(NOTHING[redo])
            elif self._go(layer, redo) and own and watch.step_confirm(redo):
                return
        (layer.redo if redo else layer.undo)()

    def _go(self, layer: Labels, redo: bool) -> bool:
        """Make the step that is to be taken the next; return whether a slider moved."""
        annotation, stack = self._annotation, stack_of(layer, redo)
        plane, lead = annotation.shown(), annotation.planes.lead_shape
        at = find_step(stack, plane, lead)
        planes = planes_of(stack[at], lead)
        if planes and plane not in planes:
            there = min(planes, key=lambda p: abs(p - plane))
            go_to(annotation.viewer, annotation, there)
            self.message.emit(ELSEWHERE[redo].format(plane_name(annotation, there)))
            return True
        if at < len(stack) - 1:
            bring_forward(stack, at)
            self.message.emit(EARLIER[redo])
        return False
