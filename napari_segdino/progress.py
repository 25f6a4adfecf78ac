"""Long work: a generator that yields :class:`Progress` and returns a result.

The command line drives it with a progress bar, the dock with a worker, tests
and scripts with :func:`drive`. Closing the generator cancels the work.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


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
