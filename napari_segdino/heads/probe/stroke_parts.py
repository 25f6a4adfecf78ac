"""How much of a painted stroke each of its appearances is.

A stroke is learned in several views, in the tiles that overlap where it lies, and in
cuts across several axes. However often it appears, what was painted counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.features.tiles import Tile
from napari_segdino.heads.probe.samples import Parts, is_whole
from napari_segdino.images.neighbours import marks_of
from napari_segdino.images.planes import Planes
from napari_segdino.marks import strokes_of


@dataclass(frozen=True)
class CutShare:
    """What the marks on the planes of one cut count.

    Parameters
    ----------
    counts : bool
        Whether strokes are counted here: in one of several cuts.
    weights : mapping of int to float
        What a stroke of each code weighs; 1 where nothing is marked.
    """

    counts: bool
    weights: Mapping[int, float]


ALONE = CutShare(True, {})
"""There are no other cuts."""


def share_cuts(image: Planes, cuts: Mapping[str, Planes], marks: Any) -> list[CutShare]:
    """Return what marks count in each cut of a volume.

    All cuts together weigh what was painted on the volume's own planes; only the
    first one is counted.

    Parameters
    ----------
    image : Planes
        The volume as it lies.
    cuts : mapping of str to Planes
        See :func:`napari_segdino.images.reslice.cuts_of`.
    marks : array of int
        All marks of the volume.
    """
    # The volume as it lies: counting strokes would read all marks for nothing.
    if set(cuts) == {"Z"}:
        return [ALONE]
    painted = _count_by_code(image, marks)
    shares: list[CutShare] = []
    for cut in cuts.values():
        here = _count_by_code(cut, marks_of(cut, marks))
        weights = {c: painted[c] / count / len(cuts) for c, count in here.items()}
        # Counted in the first cut alone: `not shares` is true once.
        shares.append(CutShare(not shares, weights))
    return shares


def _count_by_code(image: Planes, marks: Any) -> Counter[int]:
    """Strokes of each code."""
    count: Counter[int] = Counter()
    for plane in range(len(image)):
        marked = np.asarray(marks[image.index(plane)])
        count.update(code for code, _ in strokes_of(marked))
    return count


def share_tiles(
    marked: NDArray[Any],
    tiles: Sequence[Tile],
    views: int,
    image: int,
    cut: CutShare = ALONE,
) -> list[Parts]:
    """Return what the marks of a plane count in each of its tiles.

    Parameters
    ----------
    marked : numpy.ndarray of int, shape (Y, X)
        Marks of the plane.
    tiles : sequence of Tile
        They may overlap.
    views : int
        In how many views each tile is learned.
    image : int
        Number of the image.
    cut : CutShare
        What the plane's cut counts.

    Returns
    -------
    list of Parts
        One a tile. All parts of a stroke sum to 1 over the tiles and views, and so do
        those of a whole mask.
    """
    whole = [tile for tile in tiles if is_whole(marked[tile.slices])]
    counts = _part_of_stroke(marked, [t for t in tiles if t not in whole]) / views
    weights = counts.copy()
    for code, weight in cut.weights.items():
        weights[marked == code] *= weight
    parts = []
    for tile in tiles:
        here, weighs = counts[tile.slices], weights[tile.slices]
        if tile in whole:
            codes = np.unique(marked[tile.slices])
            mean = np.mean([cut.weights.get(int(c), 1.0) for c in codes if c])
            here = np.full(tile.shape, 1 / views / len(whole))
            weighs = here * mean
        parts.append(Parts(here * cut.counts, weighs, image))
    return parts


def _part_of_stroke(marked: NDArray[Any], tiles: Sequence[Tile]) -> NDArray[np.float64]:
    """Return one over the pieces that the stroke of each pixel falls into, (Y, X)."""
    if len(tiles) < 2 or not marked.any():
        return np.ones(marked.shape)
    strokes = [pixels for _, pixels in strokes_of(marked)]
    number = np.zeros(marked.shape, np.intp)
    for i, pixels in enumerate(strokes):
        number.flat[pixels] = i
    pieces = np.zeros(len(strokes), np.intp)
    for tile in tiles:
        here = number[tile.slices].ravel()
        for _, pixels in strokes_of(marked[tile.slices]):
            # Connected pixels of a piece are of one stroke: its first pixel says which.
            pieces[here[pixels[0]]] += 1
    parts: NDArray[np.float64] = (1 / np.maximum(pieces, 1))[number]
    return parts
