"""Long work off the GUI thread: one job at a time, with progress and Cancel.

superqt swallows a ``RuntimeError`` raised in a generator worker (the worker then
never ends) and leaves the generator open when it is told to quit. Torch's errors
are ``RuntimeError``, so :class:`TaskWorker` fixes both. It reads one private name
of superqt, ``_gen``; a test fails loudly if that goes.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from napari.utils import cancelable_progress
from qtpy.QtCore import QObject, QTimer, Signal
from superqt.utils import GeneratorWorker

from napari_segdino.progress import Progress, Steps
from napari_segdino.session.preload import preload

if TYPE_CHECKING:
    from napari_segdino.encoders.weights import Source

BAR_AFTER, REPORT_EVERY = 500, 100
"""Milliseconds until a job has a bar of napari's, and between two reports of how far it
is: the window draws itself anew for each, which takes longer than a short refit."""


class TaskWorker(GeneratorWorker):  # type: ignore[misc]
    """A generator worker that always ends, with ``errored`` if it failed."""

    def work(self) -> Any:
        """Run the generator; called by superqt in the worker's thread."""
        try:
            result = super().work()
        finally:
            # Locks and files of a job that was told to quit are let go here and now,
            # not when Python collects the generator.
            self._gen.close()
        if isinstance(result, RuntimeError) and not self._is_deleted():
            # Raised inside the generator: superqt handed it back, as if the
            # worker had been deleted.
            raise result
        return result

    def _is_deleted(self) -> bool:
        """Whether Qt has gone while this was at work, as when the user quits."""
        try:
            # The Python object outlives the C++ one, and whatever is asked of it then
            # raises.
            self.signals.objectName()
        except RuntimeError:
            return True
        return False


class TaskProgress(cancelable_progress):  # type: ignore[misc]
    """napari's progress bar, whose Cancel button stops the job at once."""

    def __init__(self, *args: Any, on_cancel: Callable[[], None], **kwargs: Any):
        self._on_cancel = on_cancel
        # tqdm, which is below, writes its bar here and not to the terminal.
        super().__init__(*args, file=io.StringIO(), **kwargs)

    def cancel(self) -> None:
        """Stop; napari calls this when the user presses Cancel."""
        super().cancel()
        self._on_cancel()


@dataclass(frozen=True)
class Job:
    """Work to do in the worker's thread, and what to do with what comes of it.

    Parameters
    ----------
    title : str
        For the progress bars.
    steps : callable
        Makes the generator; called in the worker's thread.
    on_step : callable, optional
        Gets everything the generator yields that is no progress.
    on_done : callable, optional
        Gets what the generator returns.
    on_error : callable, optional
        Gets the exception.
    on_end : callable, optional
        Called last, however it ended; gets whether it was cancelled.
    background : bool
        Nobody waits for it: it shows no bars, gives way to any other job, and
        does not make the runner busy.
    """

    title: str
    steps: Callable[[], Steps[Any]]
    on_step: Callable[[Any], None] | None = None
    on_done: Callable[[Any], None] | None = None
    on_error: Callable[[Exception], None] | None = None
    on_end: Callable[[bool], None] | None = None
    background: bool = False


@dataclass(frozen=True)
class DownloadQuestion:
    """Whether weights may be downloaded; a job waits for the answer.

    Parameters
    ----------
    source : Source
        What would be fetched.
    answer : concurrent.futures.Future of bool
        To be set.
    """

    source: Source
    answer: Future[bool]


def _run(
    steps: Callable[[], Steps[Any]], ask: Callable[[Source], Future[bool]]
) -> Generator[Any, None, Any]:
    from napari_segdino.encoders.consent import asker

    yield Progress(0, 0, "Starting")
    # Here and not in the window's thread, which would not answer meanwhile.
    preload()
    asker.set(ask)  # of this thread alone, anew for each job
    return (yield from steps())


class TaskRunner(QObject):  # type: ignore[misc]
    """Runs one job at a time; a new one cancels the one before.

    Everything it calls is called on the main thread. Whatever a cancelled job
    still has to say is dropped.
    """

    started = Signal(str)
    progressed = Signal(object)
    idle = Signal()
    """No job is left that anybody waited for."""
    background_done = Signal()
    """A background job has ended."""
    asked = Signal(DownloadQuestion)
    """A job waits to be told whether it may download something."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.generation = 0
        self._worker: TaskWorker | None = None
        self._job: Job | None = None
        self._next: Job | None = None
        self._background = False
        self._bar: TaskProgress | None = None
        self._latest: Progress | None = None
        self._launched_at = 0.0
        self._reporter = QTimer(self)
        self._reporter.setSingleShot(True)
        self._reporter.timeout.connect(self._report)

    @property
    def busy(self) -> bool:
        """Whether a worker is at work, be it one that was told to quit."""
        loud = self._worker is not None and not self._background
        return loud or self._next is not None

    @property
    def free(self) -> bool:
        """Whether nothing is at work or about to be, not even a background job."""
        return self._worker is None and self._next is None

    def start(self, job: Job) -> None:
        """Start a job, or have it start when the present one has stopped.

        Parameters
        ----------
        job : Job
            What to do; a background job gives way to any other one.
        """
        self.generation += 1
        if self._worker is None:
            self._next = None
            self._launch(job)
            return
        # What the worker still yields on its way to its next step is dropped by its
        # generation; the new job waits, since two never share a probe.
        # From here on `busy` speaks of the job that waits.
        self._next, self._background = job, job.background
        self._end(cancelled=True)
        self._worker.quit()

    def cancel(self) -> None:
        """Stop the job; it ends at its next step."""
        self._next = None
        if self._worker is None:
            return
        self.generation += 1
        self._end(cancelled=True)
        self._worker.quit()

    def cancel_background(self) -> None:
        """Stop the job if it is a background job."""
        if self._background and self._next is None:
            self.cancel()

    def _launch(self, job: Job) -> None:
        mine = self.generation
        self._job, self._background = job, job.background
        self._worker = worker = create_worker(
            _run,
            job.steps,
            partial(self._ask, job.background),
            _worker_class=TaskWorker,
            _ignore_errors=True,
        )
        with suppress(TypeError, RuntimeError):
            # napari's own slot takes no error (0.9.2, 0.10), and PySide6 gives it one.
            worker.errored.disconnect()
        # `mine` goes along, so that what is delivered late is known by its job.
        worker.yielded.connect(partial(self._on_yielded, mine))
        worker.returned.connect(partial(self._on_returned, mine))
        worker.errored.connect(partial(self._on_errored, mine))
        worker.finished.connect(self._on_finished)
        self._launched_at = time.monotonic()
        worker.start()
        if not job.background:
            self.started.emit(job.title)

    def _ask(self, background: bool, source: Source) -> Future[bool]:
        """Pass a question on to the main thread; called in the worker's."""
        # The job waits for a Future: a thread of Qt's pool runs no event loop, so that
        # no signal could bring it the answer.
        answer: Future[bool] = Future()
        if background:
            # Nobody asked for this job, so nobody is asked.
            answer.set_result(False)
        else:
            self.asked.emit(DownloadQuestion(source, answer))
        return answer

    def _on_yielded(self, generation: int, step: Any) -> None:
        job = self._job
        # Qt delivers what a worker said when the event loop comes to it, be it after
        # the job was cancelled or another one was begun.
        if generation != self.generation or job is None:
            return
        if isinstance(step, Progress):
            self._latest = step
            if not job.background and not self._reporter.isActive():
                self._reporter.start(REPORT_EVERY)
        elif job.on_step is not None:
            job.on_step(step)

    def _on_returned(self, generation: int, result: Any) -> None:
        job = self._job
        if generation == self.generation and job is not None and job.on_done:
            job.on_done(result)

    def _on_errored(self, generation: int, error: Exception) -> None:
        job = self._job
        if generation == self.generation and job is not None and job.on_error:
            job.on_error(error)

    def _on_finished(self) -> None:
        # A job that was cancelled has ended before: its `on_end` is not called again.
        self._end(cancelled=False)
        self._worker = None
        if self._next is None:
            (self.background_done if self._background else self.idle).emit()
        else:
            # superqt still has to clean up after the worker that emitted this.
            QTimer.singleShot(0, self._launch_next)

    def _launch_next(self) -> None:
        job, self._next = self._next, None
        if self._worker is not None:
            return
        if job is None:
            self.idle.emit()
        else:
            self._launch(job)

    def _end(self, cancelled: bool) -> None:
        job, self._job = self._job, None
        bar, self._bar = self._bar, None
        self._reporter.stop()
        self._latest = None
        if bar is not None:
            bar.close()
        if job is not None and job.on_end is not None:
            job.on_end(cancelled)

    def _report(self) -> None:
        """Say how far the job is, and show napari's bar."""
        step, job = self._latest, self._job
        if step is None or job is None:
            return
        self.progressed.emit(step)
        if self._bar is None:
            missing = BAR_AFTER - 1000 * (time.monotonic() - self._launched_at)
            if missing > 0:
                # Nothing may come for a while, as when weights are loaded.
                self._reporter.start(math.ceil(min(missing, REPORT_EVERY)))
                return
            self._bar = TaskProgress(total=0, desc=job.title, on_cancel=self.cancel)
        bar = self._bar
        if bar.total != step.total:
            bar.total = step.total
        bar.update(step.done - bar.n)
