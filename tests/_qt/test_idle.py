"""Work in the background: it waits, gives way, and is done in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from qtpy.QtTest import QTest

from napari_segdino._qt.worker import idle as idle_module
from napari_segdino._qt.worker.idle import IdleTask
from napari_segdino._qt.worker.runner import Job
from napari_segdino.progress import Progress


class Task:
    """Counts how often it begins and ends."""

    def __init__(self) -> None:
        self.gate, self.at_work = threading.Event(), threading.Event()
        self.begun, self.done = 0, 0

    def job(self) -> Job:
        return Job("task", self.steps, on_done=self._done)

    def steps(self) -> Any:
        self.begun += 1
        for step in range(3):
            yield Progress(step, 3, "at work")
            self.at_work.set()
            self.gate.wait(5)

    def _done(self, _: Any) -> None:
        self.done += 1


@pytest.fixture
def scene(user: Any, plane: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(idle_module, "REST", 0.05)
    user.open(plane)
    user.segment()
    user.idle = IdleTask(user.dock.controller, user.dock)
    yield user
    user.idle.close()


def test_one_after_the_other(scene: Any) -> None:
    first, second = Task(), Task()
    first.gate.set()
    scene.idle.ask("first", first.job)
    scene.idle.ask("second", second.job)
    scene.wait(second.at_work.is_set)
    assert first.done == 1
    assert not scene.dock.controller.busy, "nobody has to wait for it"
    second.gate.set()
    scene.wait(lambda: second.done == 1)
    assert (first.begun, second.begun) == (1, 1)


@pytest.mark.parametrize("what", ["stroke", "slider", "segment", "live"])
def test_it_gives_way_and_is_done_in_the_end(scene: Any, what: str) -> None:
    task = Task()
    scene.idle.ask("task", task.job)
    scene.wait(task.at_work.is_set)
    disturb: dict[str, Callable[[], Any]] = {
        "stroke": lambda: scene.annotation.mask.paint((5, 5), 1),
        "slider": lambda: scene.viewer.dims.events.current_step(),
        "segment": scene.dock.segment,
        "live": lambda: paint_live(scene),
    }
    disturb[what]()
    task.gate.set()
    if what == "segment":
        scene.wait(lambda: len(scene.segmenter.calls) == 2)
    if what == "live":
        scene.wait(lambda: scene.segmenter.is_fitted)
    scene.wait(lambda: task.done == 1)
    assert task.begun == 2, "stopped, then begun anew"


def paint_live(user: Any) -> None:
    user.dock.actions.live.setChecked(True)
    user.annotation.mask.brush_size = 3
    user.annotation.mask.paint((50, 60), 1)
    user.annotation.mask.paint((25, 25), 0)


def test_what_is_not_needed_any_more_is_not_begun(scene: Any) -> None:
    task = Task()
    task.gate.set()
    scene.idle.ask("none", lambda: None)
    scene.idle.ask("dropped", task.job, delay=0.05)
    scene.idle.drop("dropped")
    after = Task()
    after.gate.set()
    scene.idle.ask("after", after.job, delay=0.1)
    scene.wait(lambda: after.done == 1)
    assert task.begun == 0


def test_asked_again_while_at_work(scene: Any) -> None:
    old, new = Task(), Task()
    scene.idle.ask("task", old.job)
    scene.wait(old.at_work.is_set)
    scene.idle.ask("task", new.job)
    old.gate.set()
    new.gate.set()
    scene.wait(lambda: new.done == 1)
    assert new.begun == 1, "asked for once, done once"


def test_a_failure_is_logged_and_the_next_begins(
    scene: Any, caplog: pytest.LogCaptureFixture, no_popups: list[str]
) -> None:
    def fail() -> Any:
        yield Progress(0, 1, "x")
        raise RuntimeError("inside")

    after = Task()
    after.gate.set()
    marked = scene.status
    scene.idle.ask("bad", lambda: Job("bad", fail))
    scene.idle.ask("after", after.job)
    scene.wait(lambda: after.done == 1)
    assert "inside" in caplog.text
    assert no_popups == []
    assert scene.status == marked


def test_it_waits_for_a_stroke_to_end(scene: Any) -> None:
    task = Task()
    task.gate.set()
    scene.annotation.mask_sync.tracker.stroking = True
    scene.idle.ask("task", task.job)
    QTest.qWait(150)
    assert task.begun == 0
    scene.annotation.mask_sync.tracker.stroking = False
    scene.wait(lambda: task.done == 1)
