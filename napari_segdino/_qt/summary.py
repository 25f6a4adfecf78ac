"""What is said once a mask is drawn, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segdino._qt import switch
from napari_segdino._qt.layers import title

if TYPE_CHECKING:
    from napari_segdino._qt.annotation import Annotation

NEXT_STEP = "Paint over what is wrong, erase what is too much, then press Retrain."


def summary(job: str, grouped: bool, fitted: bool) -> str:
    """Say what a job has drawn.

    Parameters
    ----------
    job : str
        Its name.
    grouped : bool
        There was no probe.
    fitted : bool
        There is one now.
    """
    if job == switch.TITLE:
        return switch.summary(fitted)
    if grouped:
        weak = "your strokes soon outweigh it"
        return f"A first guess, grouped without labels; {weak}. {NEXT_STEP}"
    if job == "Click":
        return "Drawn after your clicks. Click what is missing, or correct it by hand."
    if job == "Retrain":
        return f"Learned your corrections; Ctrl-Z undoes that. {NEXT_STEP}"
    return f"The probe was applied. {NEXT_STEP}"


def unseen(annotation: Annotation) -> str:
    """Say that the mask of an image is drawn that is not on screen."""
    name = title(annotation.image)
    return f"The mask of {name} is drawn: choose {name} in the list to see it."
