"""The errors that users meet: one sentence each, saying what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What comes of a file that is not as it was written."""


class SegDINOError(Exception):
    """Base of every error this package raises on purpose.

    Its text is one sentence that a user can act on; the dock and the command
    line show it as it is. Details go to the log.
    """


class InputError(SegDINOError, ValueError):
    """An image, a mask, marks or a setting cannot be used as given."""


class ChannelsError(InputError):
    """An image has other channels than those a probe learned from."""


class NotFittedError(SegDINOError):
    """Something was asked of a probe that has not learned anything yet."""


class WeightsError(SegDINOError):
    """Encoder weights cannot be found, fetched, read or matched."""


class ModelFileError(SegDINOError):
    """A probe file cannot be read, written or used with this encoder."""


class ScanError(SegDINOError):
    """A scan or mask file cannot be read or written."""


class ProjectError(SegDINOError):
    """A project cannot be read or written."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> str:
    """Say that there is no such thing, what there is, and which was perhaps meant.

    Parameters
    ----------
    kind : str
        What is looked for, such as ``"head"``.
    name : object
        What was given.
    known : iterable of str
        What there is, in the order in which it is listed.

    Returns
    -------
    str
        One sentence.

    Examples
    --------
    >>> unknown_name("head", "prob", ["probe", "segdino"])
    "There is no head named 'prob' (did you mean 'probe'?): there are probe, segdino."
    """
    names = list(known)
    listed = f"there are {', '.join(names)}" if names else "there is none"
    return f"There is no {kind} named {name!r}{close_name(name, names)}: {listed}."


def close_name(name: object, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'probe'?)"``, or nothing where no name is close.

    Parameters
    ----------
    name : object
        What was given.
    known : iterable of str
        What there is.

    Returns
    -------
    str
        With the space before it, to be appended.
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def one_line(error: BaseException, more: str = "") -> str:
    """Say what an error is in one line.

    Parameters
    ----------
    error : BaseException
        A :class:`SegDINOError` is already a sentence; of others the first line is
        taken.
    more : str
        Follows what this package does not raise on purpose.

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
    return f"{type(error).__name__}: {first.strip()}{more}"
