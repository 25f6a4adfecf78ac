"""Hands the results of a drawing job to the mask, the session and the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_segdino._qt.layers.mask_writer import Piece
from napari_segdino.session.probe_history import MaskUpdate, ProbeHistory
from napari_segdino.session.results import (
    Learned,
    NothingFound,
    PlaneUpdate,
    Proposal,
    Switched,
    Trained,
    UncertainPart,
)

if TYPE_CHECKING:
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino.inference.predict import PartResult, PlaneResult
    from napari_segdino.session.session import Session


class Drawing:
    """Takes what a Segment or Retrain yields, on the main thread.

    Parameters
    ----------
    annotation : Annotation
        Whose mask is drawn.
    session : Session
        Gets what was learned.
    history : ProbeHistory
        Gets the probes, and the masks before and after.

    Attributes
    ----------
    trained : Trained or None
        What the probe knew before and after; None for Segment.
    parts : list of PlaneUpdate
        Masks before and after, by plane.
    uncertain_parts : list of UncertainPart
        Where the probe is uncertain, if somebody wanted to know.
    found : bool
        False once a box turned out to hold nothing of its class.
    """

    def __init__(
        self, annotation: Annotation, session: Session, history: ProbeHistory
    ) -> None:
        self.annotation = annotation
        self.trained: Trained | None = None
        self.parts: list[PlaneUpdate] = []
        self.uncertain_parts: list[UncertainPart] = []
        self.found = True
        self._session, self._history = session, history
        self._update: MaskUpdate | None = None
        # What was learned until now belongs to the state before.
        history.begin()
        self._probe = history.present

    def take(self, result: Any) -> None:
        """Draw it, or note it.

        Parameters
        ----------
        result : object
            Any of :mod:`napari_segdino.session.results`, or a plane or part; others are
            dropped.
        """
        from napari_segdino.inference.predict import PartResult, PlaneResult

        match result:
            case PlaneResult():
                self._draw(result)
            case PartResult():
                self._draw(result, at=(result.y0, result.x0), completes_plane=False)
            case Learned():
                self._session.note_learned(result.image, result.checksums)
            case Switched():
                self._history.switch(result.segmenter, **result.changes)
                # Planes that come from now on are drawn by the new probe.
                self._probe = self._history.present
            case Trained():
                self.trained = result
                self._update = self._history.trained(self.annotation.key, result)
                self._probe = self._update.after
            case Proposal():
                # Of no probe: it does not get out of date when one learns.
                self.annotation.writer.add(Piece(result.plane, result.labels))
            case PlaneUpdate():
                self.parts.append(result)
            case NothingFound():
                self.found = False
            case UncertainPart():
                self.uncertain_parts.append(result)

    def _draw(self, result: PartResult | PlaneResult, **where: Any) -> None:
        piece = Piece(result.index, result.labels, self._update, self._probe, **where)
        self.annotation.writer.add(piece)

    def end(self, cancelled: bool) -> None:
        """Note the masks; forget what has not been drawn if it was cancelled.

        Parameters
        ----------
        cancelled : bool
            What is left is not wanted any more.
        """
        # Also where it was cancelled: what it has drawn by then can be gone back over.
        if self._update is not None:
            self._history.add_masks(self.annotation.key, self._update, self.parts)
        if cancelled:
            self.annotation.writer.drop()
