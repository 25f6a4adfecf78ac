"""Earlier corrections asked again: whether a new probe still follows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_segdino.heads.probe.samples import is_weak
from napari_segdino.marks import strokes_of

if TYPE_CHECKING:
    from napari_segdino.heads.base import Head

RIGHT = 0.5
"""A stroke is satisfied when at least this share of it is classified as marked."""


@dataclass(frozen=True, slots=True)
class StrokeScore:
    """How well one correction is followed.

    Parameters
    ----------
    tile : str
        Key of its tile in the probe's memory; empty for one of an array.
    code : int
        Its mark: 1 background, 2.. classes.
    y, x : int
        One of its pixels, in the tile.
    pixels : int
        How many it has.
    share : float
        Share of them classified as marked, 0 to 1.
    """

    tile: str
    code: int
    y: int
    x: int
    pixels: int
    share: float

    @property
    def satisfied(self) -> bool:
        """Whether most of it is classified as marked."""
        return self.share >= RIGHT


@dataclass(frozen=True, slots=True)
class Guard:
    """Earlier corrections before and after learning.

    Parameters
    ----------
    before, after : tuple of StrokeScore
        The same strokes in the same order.
    """

    before: tuple[StrokeScore, ...]
    after: tuple[StrokeScore, ...]

    @property
    def regressed(self) -> tuple[StrokeScore, ...]:
        """Strokes that were satisfied and are no more, as they are now."""
        pairs = zip(self.before, self.after, strict=True)
        return tuple(new for old, new in pairs if old.satisfied and not new.satisfied)


def recheck(
    head: Head,
    model: Any,
    samples: Mapping[str, Any],
    earlier: Mapping[str, Any] | None = None,
) -> list[StrokeScore]:
    """Ask a probe again about all corrections that were learned from.

    It is asked at the pixels that were kept of each stroke, without
    regularisation along the image and without the marks as sources. No image has
    to be open, and no encoder runs. The unsupervised mask, which no user made, is left
    out.

    Parameters
    ----------
    head : Head
        What trained it.
    model : object
        A trained probe, ``Segmenter.model_``.
    samples : mapping of str to object
        Marked tiles by key, ``Segmenter.samples_``.
    earlier : mapping of str to object, optional
        Only strokes that this earlier memory held as well, whole or in part.

    Returns
    -------
    list of StrokeScore
        By tile, class and stroke. Of a whole mask all regions of a class share
        one score.
    """
    scores = []
    for key, kept in samples.items():
        old = kept if earlier is None else earlier.get(key)
        if old is None or is_weak(key):
            continue
        marks, earlier_marks = kept.marks.numpy(), old.marks.numpy().ravel()
        strokes = list(strokes_of(marks))
        shares = head.stroke_accuracy(model, key, kept, strokes)
        for (code, pixels), share in zip(strokes, shares, strict=True):
            # A stroke may have grown or been cut since: any pixel that was there makes
            # it the same.
            if (earlier_marks[pixels] == code).any():
                # A pixel of the stroke itself; the mean of a curved one may lie beside
                # it.
                y, x = divmod(int(pixels[len(pixels) // 2]), marks.shape[1])
                scores.append(StrokeScore(key, code, y, x, len(pixels), share))
    return scores


def guard(
    head: Head,
    model: Any,
    samples: Mapping[str, Any],
    new_model: Any,
    new_samples: Mapping[str, Any],
) -> Guard:
    """Compare two probes on the corrections that the first had learned from.

    Parameters
    ----------
    head : Head
        What trained both.
    model, samples : object and mapping
        ``Segmenter.model_`` and ``Segmenter.samples_`` before learning.
    new_model, new_samples : object and mapping
        The same after; what was taken back since does not count.

    Returns
    -------
    Guard
    """
    return Guard(
        tuple(recheck(head, model, new_samples, samples)),
        tuple(recheck(head, new_model, new_samples, samples)),
    )
