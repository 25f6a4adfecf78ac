"""How commands fail: one sentence on standard error, and a status of 1."""

from __future__ import annotations

import errno
import logging
from typing import Any

import click

from napari_segdino.errors import SegDINOError

_log = logging.getLogger(__name__)


class OneLineErrors(click.Group):
    """A group whose commands show what went wrong as one sentence.

    Status 1 is a failure, 2 a command that was typed wrongly. The traceback
    goes to the log, which ``-v`` shows.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; expected failures are told, bugs pass."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (SegDINOError, OSError, MemoryError, RuntimeError) as error:
            if getattr(error, "errno", None) == errno.EPIPE:
                raise  # `... | head` has read enough; click ends quietly
            _log.debug("the command failed", exc_info=True)
            raise click.ClickException(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """Say what an error is in one line.

    Parameters
    ----------
    error : BaseException
        A :class:`~napari_segdino.errors.SegDINOError` is already a sentence;
        of others the first line is taken.

    Returns
    -------
    str
    """
    if isinstance(error, SegDINOError):
        return " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return "There is not enough memory."
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first.strip()} (-v shows details)"


class _Short(logging.Formatter):
    """A warning is a line; its traceback is for ``-v``."""

    def format(self, record: logging.LogRecord) -> str:
        return f"Warning: {record.getMessage()}"


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
    handler.of_cli = True  # type: ignore[attr-defined]
    if verbose:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    else:
        handler.setFormatter(_Short())
        handler.addFilter(lambda record: record.levelno == logging.WARNING)
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if verbose else logging.WARNING)
