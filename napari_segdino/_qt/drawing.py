"""What comes of one drawing job, put where it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_segdino._qt.writer import Piece
from napari_segdino.inference.predict import PartResult, PlaneResult
from napari_segdino.session.probe_history import MaskUpdate, Rounds
from napari_segdino.session.results import (
    Known,
    Learned,
    PlaneUpdate,
    Switched,
    UncertainPart,
)

if TYPE_CHECKING:
    from napari_segdino._qt.annotation import Annotation
    from napari_segdino.session.session import Session


class Drawing:
    """Takes what a Segment or Retrain yields, on the main thread.

    Parameters
    ----------
    annotation : Work
        Whose mask is drawn.
    session : Session
        Gets what was learned.
    rounds : Rounds
        Gets the probes, and the masks before and after.

    Attributes
    ----------
    known : Known or None
        What the probe knew before and after; None for Segment.
    parts : list of Redrawn
        Masks before and after, by plane.
    uncertain_parts : list of UncertainPart
        Where the probe is uncertain, if somebody wanted to know.
    """

    def __init__(
        self, annotation: Annotation, session: Session, rounds: Rounds
    ) -> None:
        self.annotation = annotation
        self.known: Known | None = None
        self.parts: list[PlaneUpdate] = []
        self.uncertain_parts: list[UncertainPart] = []
        self._session, self._rounds = session, rounds
        self._redraw: MaskUpdate | None = None
        rounds.begin()
        self._probe = rounds.present

    def take(self, result: Any) -> None:
        """Draw it, or note it."""
        match result:
            case PlaneResult():
                self._draw(result)
            case PartResult():
                self._draw(result, at=(result.y0, result.x0), whole=False)
            case Learned():
                self._session.note_learned(result.image, result.checksums)
            case Switched():
                self._rounds.switch(result.segmenter, **result.changes)
                self._probe = self._rounds.present
            case Known():
                self.known = result
                self._redraw = self._rounds.learned(self.annotation.key, result)
                self._probe = self._redraw.after
            case PlaneUpdate():
                self.parts.append(result)
            case UncertainPart():
                self.uncertain_parts.append(result)

    def _draw(self, result: PartResult | PlaneResult, **where: Any) -> None:
        piece = Piece(result.index, result.labels, self._redraw, self._probe, **where)
        self.annotation.writer.add(piece)

    def end(self, cancelled: bool) -> None:
        """Note the masks; forget what has not been drawn if it was cancelled."""
        if self._redraw is not None:
            self._rounds.drew(self.annotation.key, self._redraw, self.parts)
        if cancelled:
            self.annotation.writer.drop()
