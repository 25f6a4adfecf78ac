"""Long work that can be cancelled, also where a call cannot."""

import threading
import time

import pytest

from napari_segdino.progress import Progress, aside, drive

STEP = Progress(1, 2, "slow")


def test_what_a_call_returns_is_returned():
    assert drive(aside(lambda: 42, STEP)) == 42


def test_what_a_call_raises_is_raised():
    def call():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        drive(aside(call, STEP))


def test_a_call_that_cannot_be_interrupted_is_left_behind():
    gate, over = threading.Event(), threading.Event()

    def call():
        gate.wait(20)
        over.set()

    steps = aside(call, STEP)
    assert [next(steps), next(steps)] == [STEP, STEP]
    begun = time.perf_counter()
    steps.close()
    assert time.perf_counter() - begun < 1
    assert not over.is_set()
    gate.set()
    assert over.wait(20)
