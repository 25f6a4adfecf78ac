"""Where in a volume each class usually lies: a probabilistic atlas.

Scans of one kind are taken alike, so that an organ lies at about the same place of
each. Volumes that were marked whole say where, and volumes that are predicted later
are told; pictures are not, since their objects lie anywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from napari_segdino.heads.probe.samples import Place, Sample

CELLS = 24
"""Cells of an atlas along each axis."""

SIGMA = 0.07
"""How far what is marked speaks for its surroundings, in sides of the volume."""

FLOOR, CAP = 1.0, 12.0
"""Added to how many times as often as on average a class lies at a place, and the
most that this may be: nowhere is a class ruled out."""

WEIGHT = 0.5
"""Of the atlas against what the probe says of a pixel."""

LEAST_MARKED = 0.5
"""Share of a volume's slices that must be marked whole."""


@dataclass(frozen=True, slots=True)
class Atlas:
    """What the place in a volume says of each class.

    Parameters
    ----------
    factors : torch.Tensor, shape (K, CELLS, CELLS, CELLS), float32
        By which the probability of a class at a place is multiplied.
    """

    factors: torch.Tensor

    def apply(self, maps: torch.Tensor, index: int, depth: int) -> torch.Tensor:
        """Bring the place into the probabilities of a slice.

        Parameters
        ----------
        maps : torch.Tensor, shape (K, Y, X), float32
            Probabilities, on any device.
        index, depth : int
            Which slice of how many.

        Returns
        -------
        torch.Tensor, shape (K, Y, X), float32
            They sum to 1.
        """
        # Centres of slices and cells, as for interpolate with align_corners=False.
        at = min(max((index + 0.5) / depth * CELLS - 0.5, 0.0), CELLS - 1.0)
        below = int(at)
        above, share = min(below + 1, CELLS - 1), at - below
        here = self.factors[:, below] * (1 - share) + self.factors[:, above] * share
        size = maps.shape[1], maps.shape[2]
        here = here.to(maps.device)
        joint = maps * functional.interpolate(here[None], size, mode="bilinear")[0]
        return joint / joint.sum(0).clamp_min(1e-9)


def make_atlas(samples: Iterable[Sample], n_classes: int) -> Atlas | None:
    """Make an atlas of the volumes that were marked whole.

    Parameters
    ----------
    samples : iterable of Sample
        What is stored of marked tiles.
    n_classes : int
        Classes with background.

    Returns
    -------
    Atlas or None
        None where no volume is marked on :data:`LEAST_MARKED` of its slices, or where
        classes lie elsewhere in each.
    """
    volumes: dict[int, dict[int, list[tuple[Place, Sample]]]]
    volumes = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        if sample.whole and sample.place is not None and sample.image is not None:
            place = Place(*sample.place.tolist())
            if place.slices > 1:
                volumes[int(sample.image)][int(place.slice)].append((place, sample))
    maps = [
        _volume_map(slices, n_classes)
        for slices in volumes.values()
        if len(slices) >= LEAST_MARKED * next(iter(slices.values()))[0][0].slices
    ]
    if not maps or (len(maps) > 1 and not _agree(maps)):
        return None
    return Atlas(torch.from_numpy(_times_average(maps) ** WEIGHT))


def atlas_of(model: object) -> Atlas | None:
    """Return the atlas of a model; only probes may have one.

    Parameters
    ----------
    model : object
        What a head trained.
    """
    found: Atlas | None = getattr(model, "atlas", None)
    return found


def check_place(place: Place) -> None:
    """Raise ValueError where what was read from a file is no place in a volume.

    Parameters
    ----------
    place : Place
        As read.
    """
    inside = 0 <= place.top < place.bottom <= 1 and 0 <= place.left < place.right <= 1
    if not (inside and 0 <= place.slice < place.slices):
        raise ValueError(f"a tile lies in no volume: {place}")


def _volume_map(
    slices: dict[int, list[tuple[Place, Sample]]], n_classes: int
) -> NDArray[np.float32]:
    """Share of each class in the cells of a volume, (K, CELLS, CELLS, CELLS)."""
    marked = sorted(slices)
    planes = np.zeros((len(marked), n_classes, CELLS, CELLS), np.float32)
    for at, index in enumerate(marked):
        for place, sample in slices[index]:
            y, x = (
                slice(min(round(a * CELLS), CELLS - 1), max(round(b * CELLS), 1))
                for a, b in ((place.top, place.bottom), (place.left, place.right))
            )
            each = torch.arange(1, n_classes + 1)[:, None, None] == sample.marks
            size = y.stop - y.start, x.stop - x.start
            pooled = functional.adaptive_avg_pool2d(each.float(), size)
            planes[at, :, y, x] = pooled.numpy()
    depth = next(iter(slices.values()))[0][0].slices
    wanted = (np.arange(CELLS) + 0.5) / CELLS * depth - 0.5
    after = np.searchsorted(marked, wanted).clip(0, len(marked) - 1)
    before = (after - 1).clip(0)
    gap = np.maximum(np.subtract(*(np.take(marked, i) for i in (after, before))), 1)
    share = ((wanted - np.take(marked, before)) / gap).clip(0, 1)[:, None, None, None]
    cells = planes[before] * (1 - share) + planes[after] * share
    return np.moveaxis(cells.astype(np.float32), 1, 0)


def _times_average(maps: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """How many times as often as on average each class lies at a place, bounded."""
    mean = np.mean(maps, 0)
    smooth = np.stack([gaussian_filter(m, SIGMA * CELLS, mode="nearest") for m in mean])
    often = smooth / np.maximum(smooth.mean((1, 2, 3), keepdims=True), 1e-6)
    # A class that no volume has is neither likely nor unlikely anywhere.
    often[mean.sum((1, 2, 3)) == 0] = 1
    bounded: NDArray[np.float32] = (np.minimum(often, CAP) + FLOOR) / (1 + FLOOR)
    return bounded


def _agree(maps: Sequence[NDArray[np.float32]]) -> bool:
    """Whether the others of several volumes say where the classes of each lie."""
    gains = []
    for i, left_out in enumerate(maps):
        logs = np.log(_times_average([m for j, m in enumerate(maps) if j != i]))
        for share, log in zip(left_out[1:], logs[1:], strict=True):
            if share.any():
                gains.append(float((share * log).sum() / share.sum()))
    return bool(gains) and float(np.mean(gains)) > 0
