"""Long work: a generator that yields :class:`Progress` and returns a result.

The command line drives it with a progress bar, the dock with a worker, tests
and scripts with :func:`drive`. Closing the generator cancels the work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

PAUSE = 0.05
"""Seconds after which a task that waits for a call looks up."""

THREAD = "segdino-call"
"""Name of the threads of :func:`run_in_thread`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task has come.

    Parameters
    ----------
    done, total : int
        Steps finished and steps in all; ``total`` 0 means not known.
    text : str
        What is being done, for people.
    """

    done: int
    total: int
    text: str = ""


Steps = Generator[Any, None, T]
"""A task that yields :class:`Progress` (or finished parts) and returns T."""


def drive(steps: Steps[T], on_step: Callable[[Any], None] | None = None) -> T:
    """Run a task to its end in this thread.

    Parameters
    ----------
    steps : generator
        The task.
    on_step : callable, optional
        Called with each thing the task yields.

    Returns
    -------
    object
        What the task returns.
    """
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            if on_step is not None:
                on_step(step)
    finally:
        steps.close()


def relay(steps: Steps[T], each: Callable[[Any], Iterable[Any]]) -> Steps[T]:
    """Run a task within another one and replace what it yields.

    Parameters
    ----------
    steps : generator
        The task; closed with this.
    each : callable
        Takes a step and returns what to yield for it: nothing, one thing or more.

    Returns
    -------
    object
        What the task returns.
    """
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            yield from each(step)
    finally:
        steps.close()


def run_in_thread(call: Callable[[], T], step: Progress) -> Steps[T]:
    """Run a call that cannot be interrupted, so that the task still can.

    It runs in a thread of its own. Closing this generator leaves it behind: it
    runs to its end, and what comes of it is dropped, so it must change nothing
    that others use.

    Parameters
    ----------
    call : callable
        What to run.
    step : Progress
        Yielded now and then meanwhile.

    Returns
    -------
    object
        What the call returns; what it raises is raised.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            answer.set_exception(error)

    Thread(target=run, name=THREAD, daemon=True).start()
    while not wait([answer], PAUSE).done:
        yield step
    return answer.result()
