"""What the dock's buttons do: put together session, layers and worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt import messages
from napari_segdino._qt.controllers.probe_switch import ChannelKeeper
from napari_segdino._qt.layers.annotation import Annotation
from napari_segdino._qt.layers.annotations import Annotations
from napari_segdino._qt.layers.channels import bind, lead_of
from napari_segdino._qt.layers.files import mask_writer
from napari_segdino._qt.layers.image_layers import voxel_spacing
from napari_segdino._qt.layers.screen import Screen
from napari_segdino._qt.messages import NEXT_STEP, NO_IMAGE, summary, unseen
from napari_segdino._qt.widgets.dialogs import ask_download
from napari_segdino._qt.window_state import WindowState
from napari_segdino._qt.worker.drawing import Drawing
from napari_segdino._qt.worker.runner import Job, TaskRunner
from napari_segdino.errors import ChannelsError, InputError, SegDINOError
from napari_segdino.progress import Progress, Steps
from napari_segdino.session.eta import Notice
from napari_segdino.session.preload import start_for_layers
from napari_segdino.session.results import LeftOut

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_segdino.metrics import Row

EVENT_LOOP_PAUSE_MS = 20
"""Milliseconds for the window between two things that take it long."""


class SessionController(QObject):  # type: ignore[misc]
    """Does what the user asks for, one job at a time.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    state : WindowState
        What it knows.
    """

    message = Signal(str)
    """One sentence for the status line."""
    failed = Signal(str)
    """The sentence of an error that the user met."""
    busy_changed = Signal(bool)
    progressed = Signal(Progress)
    prepared = Signal()
    """The layers of an image are there, or cannot be made."""
    drawn = Signal()
    """A job has drawn all it had to draw."""
    trained = Signal(Drawing)
    """Retrain has learned and drawn; emitted after `drawn`."""

    def __init__(
        self, viewer: Viewer, state: WindowState, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.viewer, self.state = viewer, state
        self.session, self.history = state.session, state.history
        self.annotations = Annotations(viewer, state.session, state.masks, self)
        self.runner = TaskRunner(self)
        self.screen = Screen(viewer)
        self.uncertainty_wanted: Callable[[], bool] = lambda: False
        self._then: Callable[[], None] | None = None
        self._drawing: Drawing | None = None
        self._annotation: Annotation | None = None
        self._imports = start_for_layers()
        self._preparing: Image | None = None
        self._wanted: Callable[[Annotation], None] | None = None
        self._stopping = False
        self._retrain_wanted: Image | None = None
        self.runner.started.connect(lambda _: self.busy_changed.emit(True))
        self.runner.progressed.connect(self.progressed)
        self.runner.idle.connect(self._on_idle)
        self.annotations.settled.connect(self._on_settled)
        self.annotations.lost.connect(self._on_lost)
        self.runner.asked.connect(partial(ask_download, parent, self.busy_changed))
        self.channels = ChannelKeeper(self)
        self.annotations.told.connect(self.message)
        self.annotations.resume()

    # -- what buttons do ---------------------------------------------------

    def segment(self, image: Image | None) -> None:
        """Draw the mask of an image."""
        self._begin(image, self._segment)

    def retrain(self, image: Image | None) -> None:
        """Learn from the corrections, then draw the mask of an image."""
        self._begin(image, self._retrain)

    def start(self, image: Image | None) -> None:
        """Draw what looks like the marks of an image; with a probe, retrain."""
        fitted = self.session.is_fitted
        self._begin(image, self._retrain if fitted else self._start)

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        waiting = self._wanted is not None or self._retrain_wanted is not None
        return self.runner.busy or waiting

    def cancel(self) -> None:
        """Stop the present job; what it has drawn stays."""
        self._retrain_wanted = None
        self._stop_preparing()
        if self.runner.busy:
            self._stopping = True
            self.message.emit("Stopping...")
            self.runner.cancel()

    def when_free(self, act: Callable[[], None]) -> None:
        """Act when no job is at work; Segment or Retrain is stopped for it."""
        self.runner.cancel_background()
        self._retrain_wanted = None
        if not self.runner.busy:
            act()
            return
        self._then = act
        if self._drawing is not None:
            self.runner.cancel()

    def save_probe(self, path: str | Path) -> None:
        """Write the probe to a file."""
        done = f"The model was saved to {path}."
        save = partial(self.session.save, path)
        self._do("Save", save, lambda _: self.message.emit(done))

    def load_probe(self, path: str | Path) -> None:
        """Read a probe from a file and go on with it."""

        def done(segmenter: Any) -> None:
            self.session.adopt(segmenter)
            self.message.emit(messages.loaded(path, segmenter.encoder))

        self._do("Load", lambda: self.session.load(path), done)

    def export_mask(self, image: Image | None, path: str | Path) -> None:
        """Write the mask of an image to a file, with the image's geometry."""
        annotation = self.annotations.drawn(image)
        if annotation is None:
            self.refuse(self.annotations.lacking())
            return
        self._do(
            "Export",
            mask_writer(annotation.mask, path, annotation.drawn_by(self.session)),
            lambda _: self.message.emit(f"The mask was saved to {path}."),
        )

    def export_scores(self, rows: Sequence[Row], path: str | Path) -> None:
        """Write scores to a CSV file."""
        from napari_segdino.metrics import to_csv

        done = f"The scores were saved to {path}."
        self._do(
            "Export", partial(to_csv, path, rows), lambda _: self.message.emit(done)
        )

    def close(self) -> None:
        """Stop everything and let go of the window."""
        self._retrain_wanted = None
        self._stop_preparing()
        self.runner.cancel()
        self.annotations.close()

    # -- jobs --------------------------------------------------------------

    def prepare(self, image: Image | None) -> None:
        """Have an image's layers made ahead of the first Segment.

        napari takes 0.1 to 0.3 s to add a Labels layer, in which the window
        does not answer: too long once the user is at work.
        """
        if image is not None and not self.busy and self.annotations.get(image) is None:
            self._preparing = image
            QTimer.singleShot(0, self._add_mask)

    def _begin(self, image: Image | None, act: Callable[[Annotation], None]) -> None:
        """Do something with an image once it has its layers."""
        self._retrain_wanted = self._then = None
        if image is None or image not in self.viewer.layers:
            self.refuse(NO_IMAGE)
        elif (
            annotation := self.annotations.get(image)
        ) is not None and annotation.mask_sync.intact:
            bind(self.viewer, image)
            act(annotation)
        else:
            self._preparing, self._wanted = image, act
            self._add_mask()

    def _add_mask(self) -> None:
        """Make one layer, let the window breathe, then the other."""
        # napari imports what a Labels layer needs with the first one, on this thread.
        if self._imports.is_alive():
            QTimer.singleShot(EVENT_LOOP_PAUSE_MS, self._add_mask)
        else:
            self._make(self.annotations.add_mask, self._add_marks)

    def _add_marks(self) -> None:
        self._make(self.annotations.ensure, self._prepared)

    def _make(self, make: Callable[[Image], Any], then: Callable[[], None]) -> None:
        image = self._preparing
        if image is None or image not in self.viewer.layers:
            self._stop_preparing()
            return
        # A project that was opened meanwhile may have made it a channel.
        self._preparing = image = lead_of(self.viewer, image)
        try:
            make(image)
        except SegDINOError as error:
            if self._stop_preparing() is not None:
                self.refuse(str(error))
        else:
            # Unless another image is picked meanwhile: its layers are made then.
            QTimer.singleShot(
                EVENT_LOOP_PAUSE_MS,
                lambda: then() if self._preparing is image else None,
            )

    def _prepared(self) -> None:
        image, act = self._preparing, self._stop_preparing()
        annotation = None if image is None else self.annotations.get(image)
        if act is not None and annotation is not None:
            bind(self.viewer, annotation.image)
            act(annotation)

    def _stop_preparing(self) -> Callable[[Annotation], None] | None:
        """Return what was to be done next, if anything."""
        act, self._wanted, self._preparing = self._wanted, None, None
        self.prepared.emit()
        return act

    def _segment(self, annotation: Annotation) -> None:
        from napari_segdino.session.tasks import iter_segment

        wanted = annotation.wanted(self.session.settings.whole_volume)
        how = annotation.planes, wanted, self.session.n_groups, annotation.centre()
        spacing = voxel_spacing(annotation.mask)
        steps = partial(iter_segment, self.session.segmenter, *how, spacing)
        self.draw(annotation, "Segment", steps)

    def _start(self, annotation: Annotation) -> None:
        from napari_segdino.session.tasks import iter_start

        steps = partial(
            iter_start,
            self.session.segmenter,
            annotation.marked(),
            annotation.mask.data,
            annotation.wanted(self.session.settings.whole_volume),
            annotation.centre(),
        )
        self.draw(annotation, "Click", steps)

    def _retrain(self, annotation: Annotation) -> None:
        self._retrain_wanted = annotation.image
        annotation.mask_sync.sync_all()

    def _on_settled(self, annotation: Annotation) -> None:
        """Start the training once every plane has been looked at."""
        if self._retrain_wanted is not annotation.image:
            return
        from napari_segdino.session.tasks import iter_retrain

        self._retrain_wanted = None
        learned = self.session.learned
        marked = [w.marked(learned.get(w.key)) for w in self.annotations]
        steps = partial(
            iter_retrain,
            self.session.segmenter,
            marked,
            next(m for m in marked if m.image == annotation.key),
            annotation.mask.data,
            annotation.wanted(self.session.settings.whole_volume),
            annotation.centre(),
            self.uncertainty_wanted(),
        )
        self.draw(annotation, "Retrain", steps)

    def draw(
        self, annotation: Annotation, title: str, steps: Callable[[], Steps[None]]
    ) -> None:
        """Run a job that draws the mask of an image."""
        self._annotation = annotation
        # A job at work may be changing the probe: half a state is not noted.
        if not self.runner.busy:
            self.history.note()
        drawing = self._drawing = Drawing(annotation, self.session, self.history)
        grouped = not self.session.is_fitted and title == "Segment"
        self.message.emit(f"{title}: working...")
        self.runner.start(
            Job(
                title,
                steps,
                on_step=partial(self._take, drawing),
                on_done=lambda _: self._finish(drawing, title, grouped),
                on_error=partial(self._on_error, annotation),
                on_end=partial(self._end, drawing),
            )
        )

    def _end(self, drawing: Drawing, cancelled: bool) -> None:
        drawing.end(cancelled)
        if self._drawing is drawing:
            self._drawing = None

    def _take(self, drawing: Drawing, step: Any) -> None:
        if isinstance(step, Notice):
            self.message.emit(step.text)
        elif isinstance(step, LeftOut):
            self.channels.note_left_out(drawing.annotation, step)
        else:
            drawing.take(step)

    def _finish(self, drawing: Drawing, job: str, grouped: bool) -> None:
        writer = drawing.annotation.writer

        def finished() -> None:
            writer.finished.disconnect(finished)
            seen = self.screen.shows(drawing.annotation.image)
            how = grouped, self.session.is_fitted, drawing.found
            text = summary(job, *how) if seen else unseen(drawing.annotation)
            self.message.emit(self.channels.left_out() + text)
            self.drawn.emit()
            if drawing.trained is not None:
                self.trained.emit(drawing)

        # The job is over before its last planes are drawn: the sentence waits for them.
        writer.finished.connect(finished)
        writer.finish()

    def _do(
        self, title: str, action: Callable[[], Any], done: Callable[[Any], None]
    ) -> None:
        """Run something short in the worker."""

        def steps() -> Steps[Any]:
            yield Progress(0, 0, title)
            return action()

        self._annotation = None
        self.runner.start(Job(title, steps, on_done=done, on_error=self.alarm))

    # -- what happens ------------------------------------------------------

    def refuse(self, why: str) -> None:
        """Say in the status line why nothing was done."""
        self.failed.emit(why)

    def report(self, error: Exception) -> None:
        """Tell what became of a job: what cannot be used as given is refused."""
        if isinstance(error, InputError):
            self.refuse(str(error))
        else:
            self.alarm(error)

    def alarm(self, error: Exception) -> None:
        """Tell the user about a failure, wherever they are looking."""
        self.refuse(messages.report(error))

    def _on_error(self, annotation: Annotation, error: Exception) -> None:
        annotation.writer.finish()
        if isinstance(error, ChannelsError):
            self.channels.refuse(annotation, error)
            return
        if self.session.settings.live and isinstance(error, SegDINOError):
            # In live mode the marks may well not suffice yet.
            self.message.emit(str(error))
        else:
            self.report(error)

    def _on_idle(self) -> None:
        self.busy_changed.emit(False)
        then, self._then = self._then, None
        if then is not None:
            then()
        if self._stopping:
            self._stopping = False
            self.message.emit(f"Stopped; what was drawn stays. {NEXT_STEP}")

    def _on_lost(self, annotation: Annotation, why: str) -> None:
        if self.runner.busy and self._annotation is annotation:
            self.runner.cancel()
        self.refuse(why)
