"""Strokes put into groups and folds, so that held-out ones are really unseen.

Pixels of a stroke, and strokes side by side or on neighbouring slices, are nearly
copies of each other: learning from one and scoring on the next would flatter the
probe. Such strokes form one group and are held out together: spatially blocked
cross-validation [1]_.

References
----------
.. [1] D. R. Roberts et al., Cross-validation strategies for data with temporal,
   spatial, hierarchical, or phylogenetic structure, Ecography 40, 2017,
   doi:10.1111/ecog.02881.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.marks import strokes_of

BLOCK = 0.03
"""Strokes of a class nearer than this share of the diagonal are one group."""

REACH = 2
"""Slices this far apart are neighbours."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """A connected stroke of a plane.

    Parameters
    ----------
    plane : int
        Flat index over the image's leading axes.
    code : int
        1 background, 2.. classes.
    pixels : numpy.ndarray of int, shape (N,)
        Flat indices in the plane.
    group : int
        Strokes of a group are held out together.
    """

    plane: int
    code: int
    pixels: NDArray[np.intp]
    group: int


def group_strokes(
    planes: Iterable[tuple[int, NDArray[Any]]], block: float = BLOCK
) -> list[Stroke]:
    """Find the strokes of an image and group those that are near.

    Parameters
    ----------
    planes : iterable of (index, marks)
        Marks (Y, X) of each marked plane, in rising order; 0 unlabelled,
        1 background, 2.. classes.
    block : float
        Strokes of a class that are nearer than this share of the diagonal, on
        a plane or on planes at most :data:`REACH` apart, are one group.

    Returns
    -------
    list of Stroke
        By plane, class and position.
    """
    found: list[tuple[int, int, NDArray[np.intp], int]] = []
    links: list[NDArray[np.int64]] = []
    recent: list[tuple[int, int, NDArray[np.int64]]] = []
    count = 0
    for index, marks in planes:
        recent = [one for one in recent if index - one[0] <= REACH]
        # Before this plane's own are added: a zone is not linked with itself.
        earlier = list(recent)
        for code in np.unique(marks[marks > 0]).tolist():
            zones, more = _zones(marks == code, block)
            zones[zones > 0] += count
            count += more
            links += [_overlaps(zones, z) for _, c, z in earlier if c == code]
            recent.append((index, code, zones))
            for _, pixels in strokes_of(np.where(marks == code, marks, 0)):
                zone = int(zones.ravel()[pixels[0]]) - 1
                found.append((index, code, pixels, zone))
    groups = _join(count, links)
    return [Stroke(i, c, pixels, int(groups[z])) for i, c, pixels, z in found]


def _zones(inside: NDArray[np.bool_], block: float) -> tuple[NDArray[np.int64], int]:
    """Number the surroundings of the strokes of a class, from 1; near ones join."""
    from scipy import ndimage

    # Half on each side: surroundings that touch are of strokes nearer than the whole.
    half = block * math.hypot(*inside.shape) / 2
    near = ndimage.distance_transform_edt(~inside) <= half
    zones, count = ndimage.label(near)
    return zones.astype(np.int64), int(count)


def _overlaps(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of numbers from 0, shape (N, 2), whose zones share a pixel."""
    both = (a > 0) & (b > 0)
    return np.unique(np.stack([a[both], b[both]], 1), axis=0) - 1


def _join(count: int, links: Sequence[NDArray[np.int64]]) -> NDArray[np.int32]:
    """Group of each zone, shape (count,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.concatenate([np.zeros((0, 2), np.int64), *links])
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(count, count))
    groups: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return groups


def make_folds(strokes: Sequence[Stroke], count: int, seed: int = 0) -> list[int]:
    """Share groups out to folds, class by class.

    Parameters
    ----------
    strokes : sequence of Stroke
        From :func:`group_strokes`.
    count : int
        At most so many folds, at least 2.
    seed : int
        The same seed gives the same folds.

    Returns
    -------
    list of int
        Fold of each stroke. -1 is never held out: its class has one group
        only, and without it the probe would not know the class.
    """
    random = np.random.default_rng(seed)
    fold_of: dict[int, int] = {}
    start = 0
    for code in sorted({s.code for s in strokes}):
        # Sorted, so that the seed alone decides about the permutation.
        groups = sorted({s.group for s in strokes if s.code == code})
        if len(groups) < 2:
            continue
        for i, group in enumerate(random.permutation(groups).tolist()):
            fold_of[group] = (start + i) % max(2, count)
        # The next class goes on where this one ended: folds stay of about one size.
        start += len(groups)
    return [fold_of.get(s.group, -1) for s in strokes]
