"""Registration of neighbouring slices: what is marked on one is carried to the next.

References
----------
C. Zach, T. Pock and H. Bischof, "A duality based approach for realtime TV-L1 optical
flow", DAGM 2007.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_segdino.progress import Progress, Steps

if TYPE_CHECKING:
    import torch

SIDE = 96
"""Longest side at which slices are registered; at 160 it takes four times as long and
gains .002 to .003 Dice."""

WARPS, ITERATIONS = 3, 5
"""Of the optical flow; its own defaults take three times as long for as good masks."""

LOGIT = 3.7
"""What a marked pixel adds to the logit of its class where it was marked."""

DECAY = 0.88
"""Part of that which is left one slice further."""

USUAL_STRAIN, LARGE_STRAIN = 0.12, 0.18
"""Mean change of the displacement from pixel to pixel up to which slices belong
together, and from which on they are pictures that have nothing to do with each other:
neighbouring slices have .05 to .12, different pictures .18 to .22."""

LEAST_SHOWN = 0.02
"""No probability is less, so that what is carried can outvote it."""

STORED_PAIRS = 1024
"""Displacements in memory, 40 kB or less each: later rounds do not register again."""

TEXT = "Registering slices"


@dataclass(frozen=True)
class _Slice:
    """A slice as it is registered; two are equal if their checksums are."""

    pixels: NDArray[np.float16] = field(compare=False)
    checksum: bytes

    @classmethod
    def of(cls, cells: torch.Tensor) -> _Slice:
        """Reduce intensities (C, gy, gx) to a grey slice of at most SIDE."""
        from skimage.transform import resize

        grey = cells.mean(0).cpu().numpy()
        factor = SIDE / max(grey.shape)
        if factor < 1:
            shape = [max(1, round(n * factor)) for n in grey.shape]
            # Smaller: the flow's time grows with the pixels, and masks hardly gain from
            # more.
            grey = resize(grey, shape, order=1, anti_aliasing=True)
        # float16: the slice is part of the cache's key and stays as long as the
        # displacement does.
        pixels = np.ascontiguousarray(grey, np.float16)
        return cls(pixels, hashlib.blake2b(pixels.tobytes(), digest_size=16).digest())


@dataclass(frozen=True)
class _Registration:
    """Where each pixel of a slice lies in another one.

    Parameters
    ----------
    steps : numpy.ndarray, shape (2, Y, X)
        Displacement in pixels, down and right.
    fit : float
        1 where both slices show the same thing, 0 where they do not.
    """

    steps: NDArray[np.float16]
    fit: float


@lru_cache(maxsize=STORED_PAIRS)
def _register(reference: _Slice, moving: _Slice) -> _Registration:
    from skimage.registration import optical_flow_tvl1

    # A single row has no gradient along it; skimage fails there.
    if min(reference.pixels.shape) < 2:
        return _Registration(np.zeros((2, *reference.pixels.shape), np.float16), 0.0)
    steps = optical_flow_tvl1(
        reference.pixels.astype(np.float32),
        moving.pixels.astype(np.float32),
        num_warp=WARPS,
        num_iter=ITERATIONS,
    )
    # And not the correlation after registration: pictures that have nothing in common
    # are warped until they correlate, but by a displacement that is torn.
    strain = np.mean([np.abs(np.diff(steps, axis=axis)).mean() for axis in (1, 2)])
    fit = (LARGE_STRAIN - strain) / (LARGE_STRAIN - USUAL_STRAIN)
    return _Registration(steps.astype(np.float16), float(np.clip(fit, 0, 1)))


def _carry(maps: torch.Tensor, reference: _Slice, moving: _Slice) -> torch.Tensor:
    """Bring maps (K, gy, gx) of one slice to another one, with less weight."""
    import torch
    from torch.nn import functional

    found = _register(reference, moving)
    size = maps.shape[1], maps.shape[2]
    steps = torch.from_numpy(found.steps).to(maps.device).float()
    # Displacements are in pixels of the reduced slice.
    steps = functional.interpolate(steps[None], size, mode="bilinear")[0]
    places = []
    for axis in (1, 0):  # grid_sample asks for x before y
        scale = size[axis] / found.steps.shape[axis + 1]
        at = torch.arange(size[axis], device=maps.device, dtype=maps.dtype)
        at = at.view((-1, 1) if axis == 0 else (1, -1)) + steps[axis] * scale
        # Centres of the first and the last pixel are -1 and 1 on the device.
        places.append(at * (2 / max(1, size[axis] - 1)) - 1)
    grid = torch.stack(places, -1)[None]
    moved = functional.grid_sample(
        maps[None], grid, padding_mode="border", align_corners=True
    )
    return DECAY * found.fit * moved[0]


def iter_carry(
    maps: dict[int, torch.Tensor],
    marks: Mapping[int, torch.Tensor],
    span: range,
    cells: Callable[[int], torch.Tensor],
) -> Steps[None]:
    """Let what is marked on slices speak for those before and after them.

    Each slice hands on what is marked on it, and what came from the slice before it
    where it has no marks, moved as the image moves and with a little less weight. It
    is added to the logits of what the probe says.

    Parameters
    ----------
    maps : dict of int to torch.Tensor, shape (K, gy, gx)
        Probabilities of planes; changed in place.
    marks : mapping of int to torch.Tensor, shape (gy, gx)
        Marks on cells: 0 unlabelled, 1 background, 2.. classes.
    span : range
        Planes that lie behind one another.
    cells : callable
        Gives the intensities (C, gy, gx) of a plane, from 0 to 1.

    Yields
    ------
    Progress
    """
    # Beyond the last plane that is wanted nothing is carried to anybody.
    orders = range(span.start, max(maps) + 1), range(span.stop - 1, min(maps) - 1, -1)
    total, done = sum(map(len, orders)), 0
    slices: dict[int, _Slice] = {}
    for order in orders:
        carried: torch.Tensor | None = None
        last: _Slice | None = None
        for index in order:
            yield Progress(done, total, TEXT)
            done += 1
            if carried is None and index not in marks:
                continue
            if index not in slices:
                slices[index] = _Slice.of(cells(index))
            here = slices[index]
            if carried is not None and last is not None:
                # `here` is the reference: its pixels are looked up in the slice before.
                carried = _carry(carried, here, last)
                if index in maps:
                    maps[index] = _add(maps[index], carried)
            if index in marks:
                like = next(iter(maps.values()))
                carried = _overwrite(carried, marks[index], like)
            last = here


def _add(maps: torch.Tensor, carried: torch.Tensor) -> torch.Tensor:
    """Add to logits: of two classes, each gets half with its own sign."""
    return (maps.clamp_min(LEAST_SHOWN).log() + LOGIT / 2 * carried).softmax(0)


def _overwrite(
    carried: torch.Tensor | None, marks: torch.Tensor, like: torch.Tensor
) -> torch.Tensor:
    """Put marks in place of what was carried: 1 for a class, -1 for all others."""
    import torch

    if carried is None:
        carried = torch.zeros_like(like)
    codes = torch.arange(1, len(like) + 1, device=like.device)[:, None, None]
    signs = (marks == codes).to(like.dtype) * 2 - 1
    return torch.where(marks > 0, signs, carried)
