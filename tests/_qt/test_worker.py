"""One job at a time; every ending arrives, on the main thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from napari.utils import progress
from superqt.utils import GeneratorWorker

from napari_segdino._qt.worker.runner import Job, TaskRunner, TaskWorker
from napari_segdino.errors import InputError
from napari_segdino.progress import Progress


@pytest.fixture
def runner(qtbot: Any) -> Iterator[TaskRunner]:
    runner = TaskRunner()
    yield runner
    runner.cancel()
    qtbot.waitUntil(lambda: not runner.busy)


class Log:
    """Writes down what a job reports."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, Any]] = []

    def job(self, steps: Callable[[], Any], title: str = "job") -> Job:
        def write(word: str) -> Callable[[Any], None]:
            def note(value: Any) -> None:
                assert threading.current_thread() is threading.main_thread()
                self.notes.append((word, value))

            return note

        return Job(
            title, steps, write("step"), write("done"), write("error"), write("end")
        )

    @property
    def words(self) -> list[str]:
        return [word for word, _ in self.notes]


def counting(n: int, gate: threading.Event | None = None) -> Callable[[], Any]:
    def steps() -> Any:
        for i in range(n):
            yield Progress(i, n, "counting")
            if gate is not None:
                gate.wait(5)
            yield i
        return "result"

    return steps


def test_superqt_still_has_the_private_name() -> None:
    """TaskWorker closes ``_gen``: if this fails, look for its new name."""

    def steps() -> Any:
        yield 1

    generator = GeneratorWorker(steps)._gen
    assert next(generator) == 1


def test_all_arrives_in_order(runner: TaskRunner, qtbot: Any) -> None:
    log = Log()
    with qtbot.waitSignal(runner.idle):
        runner.start(log.job(counting(2)))
        assert runner.busy
    assert log.notes == [("step", 0), ("step", 1), ("done", "result"), ("end", False)]
    assert not runner.busy


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA out of memory"), ValueError("x"), InputError("y")]
)
def test_errors_end_the_job(runner: TaskRunner, qtbot: Any, error: Exception) -> None:
    """A RuntimeError is what superqt alone would swallow."""

    def steps() -> Any:
        yield 1
        raise error

    log = Log()
    with qtbot.waitSignal(runner.idle):
        runner.start(log.job(steps))
    assert log.notes == [("step", 1), ("error", error), ("end", False)]


def test_error_before_the_first_step(runner: TaskRunner, qtbot: Any) -> None:
    def steps() -> Any:
        raise RuntimeError("at once")
        yield

    log = Log()
    with qtbot.waitSignal(runner.idle):
        runner.start(log.job(steps))
    assert log.words == ["error", "end"]


def test_cancel_closes_the_generator_soon(runner: TaskRunner, qtbot: Any) -> None:
    closed: list[float] = []

    def steps() -> Any:
        try:
            while True:
                time.sleep(0.005)
                yield 1
        finally:
            closed.append(time.monotonic())

    log = Log()
    runner.start(log.job(steps))
    qtbot.waitUntil(lambda: len(log.notes) > 2)
    with qtbot.waitSignal(runner.idle):
        runner.cancel()
        count = len(log.notes)
        assert log.notes[-1] == ("end", True)
    assert closed, "its finally ran"
    assert len(log.notes) == count, "what came after Cancel was dropped"


def test_a_new_job_waits_for_the_old_to_stop(runner: TaskRunner, qtbot: Any) -> None:
    gate, running, most = threading.Event(), [], []

    def steps(name: str) -> Callable[[], Any]:
        def make() -> Any:
            running.append(name)
            most.append(len(running))
            try:
                for i in range(3):
                    gate.wait(5)
                    yield (name, i)
            finally:
                running.remove(name)
            return name

        return make

    first, second, third = Log(), Log(), Log()
    runner.start(first.job(steps("first")))
    qtbot.waitUntil(lambda: running == ["first"])
    runner.start(second.job(steps("second")))
    runner.start(third.job(steps("third")))
    gate.set()
    with qtbot.waitSignal(runner.idle):
        pass
    assert first.notes == [("end", True)]
    assert second.notes == [], "replaced before it began"
    assert third.words == ["step"] * 3 + ["done", "end"]
    assert max(most) == 1, "never two at work at once"


def test_a_background_job_gives_way(runner: TaskRunner, qtbot: Any) -> None:
    gate, waiting, asked = threading.Event(), Log(), Log()
    starts: list[str] = []
    runner.started.connect(starts.append)
    runner.start(replace(waiting.job(counting(9, gate), "waiting"), background=True))
    qtbot.wait(20)
    assert not runner.busy
    assert not runner.free
    assert not list(progress._all_instances), "no bar"
    runner.start(asked.job(counting(1), "asked"))
    assert runner.busy
    gate.set()
    with qtbot.waitSignal(runner.idle):
        pass
    assert waiting.words[-1] == "end"
    assert waiting.notes[-1] == ("end", True)
    assert asked.words == ["step", "done", "end"]
    assert starts == ["asked"]
    assert runner.free


def test_only_background_jobs_are_stopped_for_the_user(
    runner: TaskRunner, qtbot: Any
) -> None:
    loud, waiting = Log(), Log()
    runner.start(loud.job(counting(2)))
    runner.cancel_background()
    qtbot.waitUntil(lambda: runner.free)
    assert loud.words == ["step", "step", "done", "end"]
    gate = threading.Event()
    runner.start(replace(waiting.job(counting(2, gate)), background=True))
    runner.cancel_background()
    gate.set()
    qtbot.waitUntil(lambda: runner.free)
    assert waiting.notes == [("end", True)]


def bars_of(title: str) -> list[Any]:
    return [bar for bar in progress._all_instances if bar.desc.startswith(title)]


def test_napari_shows_a_bar_with_cancel(runner: TaskRunner, qtbot: Any) -> None:
    gate, seen = threading.Event(), []
    runner.progressed.connect(seen.append)
    runner.start(Log().job(counting(3, gate), "Grouping"))
    assert not bars_of("Grouping"), "drawing one takes longer than a short job"
    # The job says nothing more: what it said last is shown all the same.
    qtbot.waitUntil(lambda: len(bars_of("Grouping")) == 1)
    assert seen[-1] == Progress(0, 3, "counting")
    bars = bars_of("Grouping")
    bars[0].cancel()
    gate.set()
    qtbot.waitUntil(lambda: not runner.busy)
    assert bars[0] not in progress._all_instances


def test_quitting_while_at_work_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a RuntimeError says that Qt has gone: raising it would abort Python."""
    error = RuntimeError("wrapped C/C++ object has been deleted")

    def steps() -> Any:
        raise error
        yield

    with pytest.raises(RuntimeError, match="deleted"):
        TaskWorker(steps).work()
    monkeypatch.setattr(TaskWorker, "_is_deleted", lambda self: True)
    assert TaskWorker(steps).work() is error
