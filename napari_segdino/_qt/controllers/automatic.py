"""What follows the user without a button: Live, Follow me and the strip of slices."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt.layers.annotation import is_accepted
from napari_segdino._qt.layers.image_layers import voxel_spacing
from napari_segdino._qt.layers.made_layers import read_plane
from napari_segdino._qt.layers.mask_writer import Piece
from napari_segdino._qt.layers.screen import go_to
from napari_segdino._qt.widgets.slice_strip import SliceStrip, State
from napari_segdino._qt.worker.runner import Job

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino._qt.worker.idle import IdleTask

RETRAIN_DELAY_MS = 350
"""Milliseconds without painting before it retrains."""


class LiveRetrain(QObject):  # type: ignore[misc]
    """Retrains when the hand rests; while a job runs, when that ends.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    def __init__(
        self, controller: SessionController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._image: Image | None = None
        self._timer = QTimer(self, singleShot=True, timeout=self._retrain)
        controller.annotations.marked.connect(self._on_marked)
        controller.runner.idle.connect(self._on_idle)

    def close(self) -> None:
        """Stop."""
        self._image = None
        self._timer.stop()

    def _on_marked(self, annotation: Annotation, plane: int) -> None:
        if self._controller.session.settings.live:
            self._image = annotation.image
            self._timer.start(RETRAIN_DELAY_MS)

    def _on_idle(self) -> None:
        if self._image is not None:
            self._timer.start(RETRAIN_DELAY_MS)

    def _retrain(self) -> None:
        controller, image = self._controller, self._image
        if image is None or controller.runner.busy:
            return
        annotation = controller.annotations.get(image)
        if annotation is not None and annotation.mask_sync.tracker.stroking:
            # A hand that holds still is still painting.
            self._timer.start(RETRAIN_DELAY_MS)
            return
        self._image = None
        if annotation is not None and controller.session.settings.live:
            controller.retrain(image)


DRAW_DELAY = 0.25
"""Seconds that a slice is on screen before it is drawn."""

EARLIER = "This slice was drawn with an earlier model."

LATER = "This slice was drawn with a later model."


class Follower(QObject):  # type: ignore[misc]
    """Keeps the slice on screen up to date with the probe, while the user rests.

    Where a probe is trained and the user goes to a slice that it has not drawn,
    the slice is drawn in the background, as one step that can be undone. What the
    user painted stays. A mask that came from elsewhere is left alone, and so is a
    slice where the user has undone what the same probe had drawn.

    Parameters
    ----------
    controller : SessionController
        Has the probe and the worker.
    idle : IdleTask
        Does the drawing.
    current : callable
        Returns the annotation of the image that is picked, or None.
    """

    noted = Signal(str)
    """What there is to say of the slice on screen; empty if nothing."""
    drew = Signal()
    """A slice was drawn."""

    def __init__(
        self,
        controller: SessionController,
        idle: IdleTask,
        current: Callable[[], Annotation | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller, self._idle, self._current = controller, idle, current
        self._soon = QTimer(self, singleShot=True, timeout=self._note)
        controller.viewer.dims.events.current_step.connect(self._on_moved)
        controller.annotations.mask_changed.connect(self.refresh)
        controller.drawn.connect(self._on_moved)
        controller.session.probe_changed.connect(self.refresh)

    def close(self) -> None:
        """Let go of the window."""
        self._soon.stop()
        self._idle.drop("follow")
        # The viewer and the session outlive the dock; the controller goes with it, and
        # with it what is connected to its signals.
        self._controller.viewer.dims.events.current_step.disconnect(self._on_moved)
        self._controller.session.probe_changed.disconnect(self.refresh)

    def refresh(self, *_: Any) -> None:
        """Look soon whether the slice on screen is up to date."""
        # A job changes many planes one after the other: one look for all of them.
        self._soon.start(0)

    def _on_moved(self, event: Any = None) -> None:
        self.refresh()
        self._idle.ask("follow", self._make, DRAW_DELAY)

    def _note(self) -> None:
        annotation, history = self._current(), self._controller.history
        if (
            annotation is None
            or not annotation.mask_sync.intact
            or not self._controller.session.is_fitted
        ):
            self.noted.emit("")
            return
        drawn, present = (
            annotation.mask_sync.drawn_with(annotation.shown()),
            history.present,
        )
        if (
            drawn is None
            or drawn == present
            or is_accepted(annotation, annotation.shown())
        ):
            self.noted.emit("")
        else:
            self.noted.emit(EARLIER if drawn < present or present < 0 else LATER)

    def _make(self) -> Job | None:
        """Draw the slice on screen, if that is wanted."""
        controller, annotation = self._controller, self._current()
        settings = controller.session.settings
        if annotation is None or not settings.follow or settings.whole_volume:
            return None
        # In 3D no slice is on screen.
        if not controller.session.is_fitted or annotation.viewer.dims.ndisplay != 2:
            return None
        # A probe that was loaded has no number before it is noted.
        controller.history.note()
        plane, probe = annotation.shown(), controller.history.present
        if not _is_due(annotation, plane, probe):
            return None
        steps = partial(
            controller.session.segmenter.iter_predict,
            annotation.planes.array,
            axes=annotation.planes.axes,
            planes=[plane],
            centre=annotation.centre(),
            spacing=voxel_spacing(annotation.image),
        )

        from napari_segdino.inference.predict import PlaneResult

        def take(step: Any) -> None:
            # Parts are not drawn: what is stopped leaves the slice as it was.
            if isinstance(step, PlaneResult) and annotation.mask_sync.intact:
                piece = Piece(plane, step.labels, probe=probe, background=True)
                annotation.writer.add(piece)

        def done(_: Any) -> None:
            annotation.writer.finish()
            self.drew.emit()

        return Job("Drawing the slice", steps, on_step=take, on_done=done)


LOOK_DELAY_MS = 120
"""Milliseconds after a change before slices are looked at."""

LOOK_SECONDS = 0.005
"""Seconds that slices are looked at in one go."""


class SliceOverview(QObject):  # type: ignore[misc]
    """Keeps the strip in step with the volume on screen.

    Slices are looked at a few milliseconds at a time, those that changed first.

    Parameters
    ----------
    strip : SliceStrip
        Shows them.
    controller : SessionController
        Of the window.
    current : callable
        Returns the annotation of the image that is picked, or None.
    uncertain : callable
        Returns the most uncertain planes of an annotation.
    """

    def __init__(
        self,
        strip: SliceStrip,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        uncertain: Callable[[Annotation], Collection[int]],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._strip, self._controller = strip, controller
        self._current, self._uncertain = current, uncertain
        self._of: Annotation | None = None
        self._states: dict[int, State] = {}
        self._waiting: deque[int] = deque()
        self._timer = QTimer(self, singleShot=True, timeout=self._look)
        strip.picked.connect(self._go_to)
        controller.viewer.dims.events.current_step.connect(self._on_moved)
        controller.annotations.mask_changed.connect(self._on_changed)
        controller.annotations.marked.connect(self._on_changed)
        controller.drawn.connect(self.refresh)
        controller.session.probe_changed.connect(self.refresh)

    def close(self) -> None:
        """Let go of the window."""
        self._timer.stop()
        self._controller.viewer.dims.events.current_step.disconnect(self._on_moved)
        self._controller.session.probe_changed.disconnect(self.refresh)

    def refresh(self) -> None:
        """Look at all slices of the image that is picked, soon."""
        self._waiting.clear()
        annotation = self._current()
        if annotation is not self._of:
            self._of, self._states = annotation, {}
        if annotation is None or not annotation.planes.lead_shape:
            self._of = None
            self._strip.setValue((), 0)
            return
        self._waiting.extend(range(len(annotation.planes)))
        self._timer.start(LOOK_DELAY_MS)

    def _on_changed(self, annotation: Annotation, plane: int) -> None:
        if annotation is self._of:
            # Before the rest: the user is looking at it.
            self._waiting.appendleft(plane)
            if not self._timer.isActive():
                self._timer.start(LOOK_DELAY_MS)

    def _on_moved(self, event: Any = None) -> None:
        if not self._timer.isActive():
            self._timer.start(0)

    def _look(self) -> None:
        annotation = self._of
        if annotation is None or annotation is not self._current():
            return
        if not annotation.mask_sync.intact:
            return
        # A volume may have a thousand slices, and the window has to answer.
        end = time.monotonic() + LOOK_SECONDS
        while self._waiting and time.monotonic() < end:
            plane = self._waiting.popleft()
            self._states[plane] = self._state(annotation, plane)
        self._show()
        if self._waiting:
            self._timer.start(0)

    def _state(self, annotation: Annotation, plane: int) -> State:
        index = annotation.planes.index(plane)
        marks = read_plane(annotation.marks, index)
        if marks.any():
            return "accepted" if marks.all() else "marked"
        drawn = annotation.mask_sync.drawn_with(plane)
        if drawn is None:
            return "drawn" if read_plane(annotation.mask, index).any() else "empty"
        return "drawn" if drawn == self._controller.history.present else "stale"

    def _show(self) -> None:
        annotation = self._of
        if annotation is None:
            return
        shown, depth = annotation.shown(), annotation.planes.lead_shape[-1]
        start = shown - shown % depth
        states = [self._states.get(start + k, "empty") for k in range(depth)]
        uncertain = {
            p - start for p in self._uncertain(annotation) if 0 <= p - start < depth
        }
        self._strip.setValue(states, shown - start, uncertain)

    def _go_to(self, number: int) -> None:
        annotation = self._of
        if annotation is not None:
            depth, shown = annotation.planes.lead_shape[-1], annotation.shown()
            go_to(annotation.viewer, annotation, shown - shown % depth + number)


def _is_due(annotation: Annotation, plane: int, probe: int) -> bool:
    """Whether a plane has to be drawn with a probe that the user did not refuse.

    Parameters
    ----------
    annotation : Annotation
        The image.
    plane : int
        Flat index over the leading axes.
    probe : int
        Number of the probe.
    """
    mask_sync, index = annotation.mask_sync, annotation.planes.index(plane)
    if (
        not mask_sync.intact
        or not annotation.planes.lead_shape
        or is_accepted(annotation, plane)
    ):
        return False
    drawn = mask_sync.drawn_with(plane)
    if drawn is None:
        mask, marks = (
            read_plane(annotation.mask, index),
            read_plane(annotation.marks, index),
        )
        # Without a number it came from a file, another plugin or the user's hand.
        return not mask[marks == 0].any()
    return drawn != probe and not mask_sync.took_back(plane, probe)
