"""Long work that can be cancelled, also where a call cannot."""

import threading

import pytest

from napari_segdino.progress import Progress, drive, relay, run_in_thread

STEP = Progress(1, 2, "slow")


def test_what_a_call_returns_is_returned():
    assert drive(run_in_thread(lambda: 42, STEP)) == 42


def test_what_a_call_raises_is_raised():
    def call():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        drive(run_in_thread(call, STEP))


def test_a_call_that_cannot_be_interrupted_is_left_behind():
    gate, over = threading.Event(), threading.Event()

    def call():
        gate.wait(20)
        over.set()

    steps = run_in_thread(call, STEP)
    assert [next(steps), next(steps)] == [STEP, STEP]
    steps.close()
    assert not over.is_set()
    gate.set()
    assert over.wait(20)


def test_a_relayed_task_yields_what_is_made_of_its_steps():
    def task():
        yield 1
        yield 2
        return "whole"

    seen = []
    assert drive(relay(task(), lambda step: [step] * step), seen.append) == "whole"
    assert seen == [1, 2, 2]


def test_closing_a_relay_closes_the_task():
    ended = []

    def task():
        try:
            yield 1
        finally:
            ended.append(True)

    steps = relay(task(), lambda step: [step])
    next(steps)
    steps.close()
    assert ended == [True]
