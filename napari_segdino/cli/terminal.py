"""Output of commands: progress, warnings, and one sentence where one fails."""

from __future__ import annotations

import errno
import io
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click

from napari_segdino.errors import SegDINOError, one_line
from napari_segdino.progress import Progress, Steps, drive

if TYPE_CHECKING:
    from napari_segdino.encoders.weights import Source

_log = logging.getLogger(__name__)

T = TypeVar("T")

SECONDS_IN_A_LOG = 30.0
"""Between lines of progress where nobody watches, as they go to a file."""


DETAILS = " (-v shows details)"
"""Stands after what no one expected."""


class Shower(Protocol):
    """What shows progress."""

    def __call__(self, step: Progress) -> None:
        """Show it."""

    def line(self, text: str) -> None:
        """Show a line that stays.

        Parameters
        ----------
        text : str
            Without its line's end.
        """


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
        # tqdm does not count backwards by itself.
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

    Whoever sits before it is asked before weights are downloaded.

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
    # A bar in a file is thousands of lines.
    if not sys.stderr.isatty():
        return drive(steps, _shown_by(_Log(), on_result, name))
    from tqdm import tqdm

    from napari_segdino.encoders.consent import asker

    # Answers may come from a pipe although somebody watches.
    before = asker.set(_ask_download if sys.stdin.isatty() else None)
    try:
        with tqdm(
            leave=False,
            file=sys.stderr,
            bar_format=(
                "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {remaining}"
            ),
        ) as bar:
            return drive(steps, _shown_by(_Bar(bar), on_result, name))
    finally:
        asker.reset(before)


def _ask_download(source: Source) -> Future[bool]:
    """Ask on the terminal, above the bar, whether weights may be downloaded."""
    from tqdm import tqdm

    from napari_segdino.encoders.consent import question

    answer: Future[bool] = Future()
    with tqdm.external_write_mode(file=sys.stderr):
        answer.set_result(click.confirm(question(source), default=True, err=True))
    return answer


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


class OneLineErrors(click.Group):
    """A group whose commands show what went wrong as one sentence.

    Status 1 is a failure, 2 a command that was typed wrongly. The traceback
    goes to the log, which ``-v`` shows.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; expected failures are told, bugs pass.

        Parameters
        ----------
        ctx : click.Context
            Of the group.

        Raises
        ------
        click.ClickException
            With one sentence, for what the user can do something about.
        """
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (SegDINOError, OSError, MemoryError, RuntimeError) as error:
            if getattr(error, "errno", None) == errno.EPIPE:
                raise  # `... | head` has read enough; click ends quietly
            _log.debug("the command failed", exc_info=True)
            raise click.ClickException(one_line(error, DETAILS)) from error


class _Short(logging.Formatter):
    """A warning is a line; its traceback is for ``-v``."""

    def format(self, record: logging.LogRecord) -> str:
        return f"Warning: {record.getMessage()}"


def take_any_name() -> None:
    """Have standard output take names of files that its encoding does not know.

    Windows writes to files and pipes in an encoding of its own; and on Linux a name may
    be none in UTF-8, which then goes out as it came in.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        known = sys.stdout.encoding.lower().startswith("utf")
        sys.stdout.reconfigure(
            errors="surrogateescape" if known else "backslashreplace"
        )


def log_to_stderr(verbose: bool) -> None:
    """Show the package's warnings, or with `verbose` all that it logs.

    Errors are left to the one sentence that ends the command, unless
    `verbose`. Warnings of libraries are shown with `verbose` only.

    Parameters
    ----------
    verbose : bool
        Whether ``-v`` was given.
    """
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").propagate = verbose
    if not verbose and not logging.getLogger("py.warnings").handlers:
        logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    log = logging.getLogger("napari_segdino")
    for old in [h for h in log.handlers if getattr(h, "of_cli", False)]:
        log.removeHandler(old)
    handler = logging.StreamHandler()
    # So that a second command in the same process replaces it.
    handler.of_cli = True  # type: ignore[attr-defined]
    if verbose:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    else:
        handler.setFormatter(_Short())
        handler.addFilter(lambda record: record.levelno == logging.WARNING)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
