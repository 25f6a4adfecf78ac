"""Ctrl-Z on the slice that is seen: nothing is taken back out of sight.

napari keeps one history for a layer, whatever plane is on screen. It is read and
put in another order by two private names, ``_undo_history`` and
``_redo_history``; a test fails loudly if they go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from app_model.types import KeyCode, KeyMod
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_segdino._qt.layers.screen import go_to, plane_name

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_segdino._qt.layers.annotation import Annotation


def stack_of(layer: Labels, redo: bool) -> Any:
    """Return the steps to undo or to redo, the next one last.

    Parameters
    ----------
    layer : napari.layers.Labels
        Mask or marks.
    redo : bool
        Steps to redo, else to undo.
    """
    return layer._redo_history if redo else layer._undo_history


def planes_of(step: Sequence[Any], lead_shape: tuple[int, ...]) -> set[int]:
    """Return the planes that a step changes, as flat indices.

    Parameters
    ----------
    step : sequence
        Of napari's history: each item is a tuple (indices, before, after) or has a
        ``slice_key`` with a ``mask`` inside of it.
    lead_shape : tuple of int
        Shape of the layer without its last two axes.
    """
    if not lead_shape:
        return {0}
    found: set[int] = set()
    for atom in step:
        key = getattr(atom, "slice_key", None)
        if key is None:
            found |= _at(atom[0][: len(lead_shape)], lead_shape)
        else:
            found |= _within(key, atom.mask, lead_shape)
    return found


def _at(indices: Sequence[Any], lead_shape: tuple[int, ...]) -> set[int]:
    """Planes of pixels at these positions along the leading axes."""
    # A stroke may have a hundred thousand pixels, mostly on one plane: no need to find
    # the plane of each.
    ends = [(int(np.min(i)), int(np.max(i))) for i in indices]
    if all(low == high for low, high in ends):
        return {int(np.ravel_multi_index([low for low, _ in ends], lead_shape))}
    flat = np.ravel_multi_index(tuple(np.asarray(i) for i in indices), lead_shape)
    return set(np.unique(flat).tolist())


def _within(
    key: Sequence[slice], mask: NDArray[np.bool_] | None, lead_shape: tuple[int, ...]
) -> set[int]:
    """Planes of a box, of which only the pixels of the mask count."""
    count = len(lead_shape)
    ranges = [range(*k.indices(n)) for k, n in zip(key, lead_shape, strict=False)]
    at = np.array(list(product(*ranges)), int).reshape(-1, count)
    if mask is not None:
        # The box of a step may reach over slices on which it changes nothing.
        at = at[mask.reshape(len(at), -1).any(axis=1)]
    flat = np.ravel_multi_index(tuple(at.T), lead_shape)
    return {int(i) for i in flat}


def find_step(stack: Sequence[Any], plane: int, lead_shape: tuple[int, ...]) -> int:
    """Return which step to take while a plane is on screen.

    Parameters
    ----------
    stack : sequence of steps
        Of :func:`stack_of`; not empty.
    plane : int
        On screen.
    lead_shape : tuple of int
        As for :func:`planes_of`.

    Returns
    -------
    int
        The last step that changes the plane, if those after it changed none of
        its planes; else the last of all, which has to be taken first.
    """
    after: set[int] = set()
    for at in range(len(stack) - 1, -1, -1):
        planes = planes_of(stack[at], lead_shape)
        if plane in planes:
            return len(stack) - 1 if planes & after else at
        after |= planes
    return len(stack) - 1


def bring_forward(stack: Any, at: int) -> None:
    """Make a step the next one; the others stay in order.

    Parameters
    ----------
    stack : list or deque of steps
        Of :func:`stack_of`, whose last one is the next; it is changed.
    at : int
        Place of the step, from 0.
    """
    step = stack[at]
    del stack[at]
    stack.append(step)


@contextmanager
def keeping_redo(
    layer: Labels, plane: int, lead_shape: tuple[int, ...]
) -> Iterator[None]:
    """Keep what can be redone on other planes while this one is drawn in.

    napari forgets all of it with every edit.

    Parameters
    ----------
    layer : napari.layers.Labels
        That is drawn in.
    plane : int
        Flat index over the leading axes of the image.
    lead_shape : tuple of int
        As for :func:`planes_of`.
    """
    stack = stack_of(layer, redo=True)
    blocked, kept = {plane}, list[Any]()
    for step in reversed(stack):
        planes = planes_of(step, lead_shape)
        # A step that shares a plane with one that is lost cannot be redone either.
        if planes & blocked:
            blocked |= planes
        else:
            kept.append(step)
    yield
    # Something is left where nothing was drawn after all.
    if not stack:
        stack.extend(reversed(kept))


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
    annotation : Annotation
        The image.
    """

    message = Signal(str)
    """Emitted with the slice that was undone, unless it is the one on screen."""

    def __init__(self, annotation: Annotation) -> None:
        super().__init__(annotation)
        self._annotation = annotation
        for layer in (annotation.mask, annotation.marks):
            layer.bind_key(UNDO, self._undo, overwrite=True)
            layer.bind_key(REDO, self._redo, overwrite=True)

    def close(self) -> None:
        """Give the keys back."""
        for layer in (self._annotation.mask, self._annotation.marks):
            # None unbinds.
            layer.bind_key(UNDO, None)
            layer.bind_key(REDO, None)

    def _undo(self, layer: Labels) -> None:
        self._step(layer, redo=False)

    def _redo(self, layer: Labels) -> None:
        self._step(layer, redo=True)

    def _step(self, layer: Labels, redo: bool) -> None:
        mask_sync = self._annotation.mask_sync
        # A writer in the middle of its step closes it: that step is undone first.
        mask_sync.pressed.emit()
        own = layer is self._annotation.mask and mask_sync.intact
        # napari knows nothing of strokes that changed marks only.
        if own and mask_sync.step_confirm(redo):
            return
        if mask_sync.intact:
            if not stack_of(layer, redo):
                self.message.emit(NOTHING[redo])
            elif self._go(layer, redo) and own and mask_sync.step_confirm(redo):
                return
        if own:
            mask_sync.step(redo)
        else:
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
