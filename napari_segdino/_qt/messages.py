"""Tell the user in one sentence; keep the details in the log."""

from __future__ import annotations

import logging

from napari.utils.notifications import show_error

from napari_segdino.errors import SegDINOError

_log = logging.getLogger("napari_segdino")


def sentence(error: BaseException) -> str:
    """Return what an error means, for people."""
    if isinstance(error, SegDINOError):
        return str(error)
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return "There is not enough memory: choose a smaller encoder or the CPU."
    first = str(error).strip().splitlines()[:1]
    detail = f": {first[0]}" if first else ""
    return f"Something went wrong ({type(error).__name__}{detail}); see the log."


def report(error: BaseException) -> str:
    """Log a failure and show its sentence as a notification.

    What was only refused is not for here: the status line says it, beside the
    button that was pressed.

    Returns
    -------
    str
        The sentence.
    """
    text = sentence(error)
    meant = isinstance(error, SegDINOError)
    _log.error("%s", text, exc_info=None if meant else error)
    alert(text)
    return text


def alert(text: str) -> None:
    """Show a sentence as a notification: the user has to do something about it."""
    show_error(text)
