"""Progress on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from napari_segdino.progress import Progress, Steps, drive

T = TypeVar("T")

SECONDS_IN_A_LOG = 30.0
"""Between lines of progress where nobody watches, as they go to a file."""


class Shower(Protocol):
    """What shows progress."""

    def __call__(self, step: Progress) -> None:
        """Show it."""

    def line(self, text: str) -> None:
        """Show a line that stays."""


class _Bar:
    """A bar that moves, for people."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def __call__(self, step: Progress) -> None:
        """Move; a new phase of a task starts at its own beginning."""
        total = step.total or None
        if (step.text, total) != (self.bar.desc, self.bar.total):
            self.bar.set_description_str(step.text, refresh=False)
            self.bar.total = total
        if step.done < self.bar.n:
            self.bar.n = self.bar.last_print_n = 0
        self.bar.update(step.done - self.bar.n)

    def line(self, text: str) -> None:
        """Write above the bar."""
        self.bar.write(text, file=sys.stderr)


class _Log:
    """Now and then a line, for files."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def __call__(self, step: Progress) -> None:
        """Write a line if the last one is long ago."""
        if time.monotonic() - self.last >= SECONDS_IN_A_LOG:
            self.line(f"{step.text} {step.done}/{step.total or '?'}")
            self.last = time.monotonic()

    def line(self, text: str) -> None:
        """Write a line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def with_bar(
    steps: Steps[T], on_result: Callable[[Any], None] | None = None, name: str = ""
) -> T:
    """Run a task with a progress bar on standard error.

    Parameters
    ----------
    steps : generator
        The task. Strings that it yields are shown as lines.
    on_result : callable, optional
        Called with whatever else it yields besides :class:`Progress`.
    name : str
        Stands before what the task says, such as ``"[3/20]"``.

    Returns
    -------
    object
        What the task returns.
    """
    if not sys.stderr.isatty():
        return drive(steps, _shown_by(_Log(), on_result, name))
    from tqdm import tqdm

    with tqdm(
        leave=False,
        file=sys.stderr,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {remaining}",
    ) as bar:
        return drive(steps, _shown_by(_Bar(bar), on_result, name))


def _shown_by(
    shower: Shower, on_result: Callable[[Any], None] | None, name: str
) -> Callable[[Any], None]:
    def show(step: Any) -> None:
        if isinstance(step, Progress):
            shower(Progress(step.done, step.total, f"{name} {step.text}".strip()))
        elif isinstance(step, str):
            shower.line(step)
        elif on_result is not None:
            on_result(step)

    return show
