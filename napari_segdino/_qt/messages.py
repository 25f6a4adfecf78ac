"""What the user is told, in one sentence; details go to the log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error

from napari_segdino._qt.layers.image_layers import title
from napari_segdino.errors import SegDINOError

if TYPE_CHECKING:
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino.session.session import Session

NO_IMAGE = "Open an image first: drop a file on the window, or press Try it."
_log = logging.getLogger("napari_segdino")


def sentence(error: BaseException) -> str:
    """Return what an error means, for people.

    Parameters
    ----------
    error : BaseException
        Of this program, whose text is a sentence already, or of any other.
    """
    if isinstance(error, SegDINOError):
        return str(error)
    # CUDA and MPS raise errors of their own, which have these words in common.
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return "There is not enough memory: choose a smaller encoder or the CPU."
    first = str(error).strip().splitlines()[:1]
    detail = f": {first[0]}" if first else ""
    return f"Something went wrong ({type(error).__name__}{detail}); see the log."


def report(error: BaseException) -> str:
    """Log a failure and show its sentence as a notification.

    What was only refused is not for here: the status line says it, beside the
    button that was pressed.

    Parameters
    ----------
    error : BaseException
        What stopped a job.

    Returns
    -------
    str
        The sentence.
    """
    text = sentence(error)
    meant = isinstance(error, SegDINOError)
    # A traceback only where the program did not expect it.
    _log.error("%s", text, exc_info=None if meant else error, extra={"error": error})
    alert(text)
    return text


def alert(text: str) -> None:
    """Show a sentence as a notification: the user has to do something about it.

    Parameters
    ----------
    text : str
        One sentence.
    """
    show_error(text)


SWITCH = "Change"
"""Title of the job that makes a probe for another encoder, head or view."""

NEXT_STEP = "Paint over what is wrong, erase what is too much, then press Retrain."


NOTHING_IN_BOX = (
    "Nothing was found in your box. Drag one with some background around the object, "
    "or paint a stroke inside the object and press Retrain."
)


def summary(job: str, grouped: bool, fitted: bool, found: bool = True) -> str:
    """Say what a job has drawn.

    Parameters
    ----------
    job : str
        Its name.
    grouped : bool
        There was no probe.
    fitted : bool
        There is one now.
    found : bool
        False where a box holds nothing of its class.
    """
    if job == SWITCH:
        if fitted:
            return (
                "Your marks were learned anew. Go back in Review brings the old model."
            )
        return "It is loaded. Press Segment for a mask, or paint and press Retrain."
    weak = "your strokes soon outweigh it"
    if grouped:
        return f"A first mask, from the image alone; {weak}. {NEXT_STEP}"
    if job == "Interpolate":
        return "Drawn between the accepted slices as a proposal: correct or accept it."
    if job == "Box" and not found:
        return NOTHING_IN_BOX
    if job == "Box":
        return "Drawn from your box. Correct it, drag another one, or press Retrain."
    if job == "Mask":
        return f"The layer is the mask now; {weak}. {NEXT_STEP}"
    if job == "Click":
        return "Drawn after your clicks. Click what is missing, or correct it by hand."
    if job == "Retrain":
        return f"Learned your corrections; Ctrl-Z undoes that. {NEXT_STEP}"
    return f"The model was applied. {NEXT_STEP}"


def unseen(annotation: Annotation) -> str:
    """Say that the mask of an image is drawn that is not on screen.

    Parameters
    ----------
    annotation : Annotation
        Of the image that was drawn.
    """
    name = title(annotation.image)
    return f"The mask of {name} is drawn: choose {name} in the list to see it."


def loaded(path: str | Path, encoder: str) -> str:
    """Say what to do with a probe file that was loaded, and what it needs.

    Parameters
    ----------
    path : path
        The file.
    encoder : str
        That the probe is bound to.
    """
    from napari_segdino.encoders.load import missing_source

    name = Path(path).name
    try:
        source = missing_source(encoder)
    except SegDINOError as error:
        return f"{name} is loaded. {error}"
    if source is None:
        return f"{name} is loaded: press Segment to use it."
    return (
        f"{name} is loaded. It needs {source.title}, which is not on this machine: "
        "Segment asks before it is downloaded."
    )


def welcome(image: bool, drawn: bool, marked: bool, session: Session) -> str:
    """Say what to do first.

    Parameters
    ----------
    image : bool
        There is one.
    drawn : bool
        It has a mask.
    marked : bool
        It has marks.
    session : Session
        Of the window.
    """
    if not image:
        return NO_IMAGE
    if drawn:
        return f"Go on where you stopped. {NEXT_STEP}"
    if session.is_fitted:
        return "Press Segment: the model draws the mask of this image."
    if marked:
        return "There are marks already: press Retrain to learn from them."
    return (
        "Press Segment for a first mask. Or paint a stroke inside the object, or drag "
        "a box around it."
    )
