"""Which pixels a probe learns from, and their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_segdino.features.grid import FeatureGrid
from napari_segdino.marks import strokes_of

if TYPE_CHECKING:
    import torch

PIXELS_PER_STROKE = 8
"""Pixels taken from one stroke: they are nearly copies of each other."""

WHOLE_MASK = 0.5
"""A tile marked on this share of its pixels counts as a whole mask."""

PIXELS_PER_CLASS = 400
"""Pixels taken from each class of a whole mask."""

MASK_WEIGHT = 10.0
"""A whole mask weighs as much as this many strokes."""

CONTEXT_PIXELS = 1024
"""Pixels of a tile, marked or not, that the basis is fitted to."""

BACKGROUND = 1
"""Mark of background."""

UNSUPERVISED = "first guess"
"""Key of the sample of a mask found without labels; probe files hold it."""

BOX = "box of "
"""Before the key of a tile: the key of what boxes on it leave to learn from."""

MASK = "mask of "
"""Before the key of a tile: the key of what a mask of another tool leaves."""


class Place(NamedTuple):
    """Where a tile lies in its image.

    Parameters
    ----------
    slice, slices : float
        Number of its slice, and how many lie behind one another: 1 in a picture.
    top, bottom, left, right : float
        Its borders, in sides of the slice.
    """

    slice: float
    slices: float
    top: float
    bottom: float
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What is stored of one marked tile.

    Parameters
    ----------
    marks : torch.Tensor, shape (Y, X), uint8
        0 unlabelled, 1 background, 2.. classes.
    features : torch.Tensor, shape (N, D), float16
        All blocks side by side at the pixels that were taken.
    codes : torch.Tensor, shape (N,), uint8
        Marks of these pixels.
    weights : torch.Tensor, shape (N,), float32
        They sum to 1 over each stroke, or to :data:`MASK_WEIGHT` over a whole mask,
        in all views, tiles and cuts together; see
        :mod:`~napari_segdino.heads.probe.stroke_parts`.
    strokes : torch.Tensor, shape (N,), int64
        Number of the stroke of each pixel; -1 in a whole mask.
    parts : torch.Tensor, shape (N,), float32
        How much of what was painted the stroke of each pixel is here, or the whole
        mask.
    context : torch.Tensor, shape (M, D), float16
        The same features at pixels spread over the tile.
    widths : torch.Tensor, shape (B,), int64
        Width of each block; they add up to D.
    image : torch.Tensor, shape (), int64, optional
        Number of the image that the tile is of, a volume's for all its slices. None in
        files of earlier versions, and where it is of none.
    boxes : torch.Tensor, shape (B, 9), float32, optional
        Boxes on the tile, where it is of what they left to learn from; see
        :mod:`~napari_segdino.heads.probe.box_prior`.
    place : torch.Tensor, shape (6,), float32, optional
        The tile's :class:`Place`. None in files of earlier versions.
    """

    marks: torch.Tensor
    features: torch.Tensor
    codes: torch.Tensor
    weights: torch.Tensor
    strokes: torch.Tensor
    parts: torch.Tensor
    context: torch.Tensor
    widths: torch.Tensor
    image: torch.Tensor | None = None
    boxes: torch.Tensor | None = None
    place: torch.Tensor | None = None

    @property
    def whole(self) -> bool:
        """Whether it was taken from a whole mask."""
        return bool((self.strokes < 0).any())


@dataclass(frozen=True, slots=True)
class Parts:
    """How much of what was painted the marks of a tile are, and of which image.

    Parameters
    ----------
    counts : numpy.ndarray of float64, shape (Y, X)
        Part of its stroke that a marked pixel's stroke is here.
    weights : numpy.ndarray of float64, shape (Y, X)
        What this stroke weighs.
    image : int
        Number of the image.
    place : Place, optional
        Where the tile lies, if that is known.
    """

    counts: NDArray[np.float64]
    weights: NDArray[np.float64]
    image: int
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Picked:
    """Pixels taken from marks: flat indices, weights and strokes, each (N,)."""

    pixels: NDArray[np.intp]
    weights: NDArray[np.float32]
    strokes: NDArray[np.int64]


def is_weak(key: str) -> bool:
    """Return whether a sample is of what nobody painted.

    Parameters
    ----------
    key : str
        Its key.
    """
    return key == UNSUPERVISED or key.startswith((BOX, MASK))


def is_whole(marks: NDArray[Any]) -> bool:
    """Whether the marks of a tile are a whole mask.

    Parameters
    ----------
    marks : numpy.ndarray of int, shape (Y, X)
        0 unlabelled.
    """
    return bool(np.count_nonzero(marks) >= WHOLE_MASK * marks.size)


def pick_from_strokes(
    marks: NDArray[Any], per_stroke: int = PIXELS_PER_STROKE
) -> Picked:
    """Take the same number of pixels from every stroke, evenly spread.

    Parameters
    ----------
    marks : numpy.ndarray of int, shape (Y, X)
        0 unlabelled, 1 background, 2.. classes.
    per_stroke : int
        At most this many pixels of each connected stroke.

    Returns
    -------
    Picked
        Weights sum to 1 over each stroke.
    """
    chosen = [np.zeros(0, np.intp)]
    for _, pixels in strokes_of(marks):
        if len(pixels) > per_stroke:
            # Evenly and not by chance: the same stroke always gives the same samples.
            even = np.linspace(0, len(pixels) - 1, per_stroke).astype(int)
            pixels = pixels[even]
        chosen.append(pixels)
    sizes = [len(pixels) for pixels in chosen]
    strokes = np.repeat(np.arange(len(chosen)) - 1, sizes)
    weights = np.repeat([1 / max(1, n) for n in sizes], sizes)
    return Picked(np.concatenate(chosen), weights.astype(np.float32), strokes)


def pick_from_mask(
    marks: NDArray[Any], seed: int, per_class: int = PIXELS_PER_CLASS
) -> Picked:
    """Draw pixels of each class of a whole mask.

    A class weighs as the root of its share of the marked pixels: between
    weighing all the same, which paints too much of a rare one, and the true
    shares, which forget it.

    Parameters
    ----------
    marks : numpy.ndarray of int, shape (Y, X)
        0 unlabelled, 1 background, 2.. classes.
    seed : int
        The same seed takes the same pixels.
    per_class : int
        At most this many pixels of each class.

    Returns
    -------
    Picked
        Weights sum to :data:`MASK_WEIGHT`.
    """
    random = np.random.default_rng(seed)
    codes, counts = np.unique(marks[marks > 0], return_counts=True)
    roots = np.sqrt(counts) / np.sqrt(counts).sum()
    chosen, weights = [], []
    for code, root in zip(codes, roots, strict=True):
        pixels = np.flatnonzero(marks == code)
        if len(pixels) > per_class:
            pixels = np.sort(random.choice(pixels, per_class, replace=False))
        chosen.append(pixels)
        weights.append(np.full(len(pixels), MASK_WEIGHT * root / len(pixels)))
    flat = np.concatenate(chosen)
    return Picked(
        flat,
        np.concatenate(weights).astype(np.float32),
        np.full(len(flat), -1, np.int64),
    )


def take_sample(
    grid: FeatureGrid,
    marks: NDArray[Any],
    seed: int,
    context: torch.Tensor | None = None,
    parts: Parts | None = None,
) -> Sample:
    """Keep of a marked tile what a probe learns from.

    Parameters
    ----------
    grid : FeatureGrid
        Features of the tile.
    marks : numpy.ndarray of int, shape (Y, X)
        0 unlabelled, 1 background, 2.. classes.
    seed : int
        Seed of what is drawn.
    context : torch.Tensor, optional
        That of an earlier sample of this tile with the same seed, which it would be.
    parts : Parts, optional
        How much of what was painted the marks are; None is all of it.

    Returns
    -------
    Sample
    """
    import torch

    whole = is_whole(marks)
    picked = pick_from_mask(marks, seed) if whole else pick_from_strokes(marks)
    blocks = read_pixels(grid, picked.pixels)
    weights = torch.from_numpy(picked.weights)
    counts, image, place = torch.ones_like(weights), None, None
    if parts is not None:
        image = torch.tensor(parts.image)
        if parts.place is not None:
            place = torch.tensor(parts.place, dtype=torch.float32)
        counts *= torch.from_numpy(parts.counts.ravel()[picked.pixels])
        weights *= torch.from_numpy(parts.weights.ravel()[picked.pixels])
    return Sample(
        torch.from_numpy(np.ascontiguousarray(marks, np.uint8)),
        # Levels are float16 in the cache already; a float32 copy would only double the
        # file.
        torch.cat(blocks, 1).half(),
        torch.from_numpy(marks.ravel()[picked.pixels].astype(np.uint8)),
        weights,
        torch.from_numpy(picked.strokes),
        counts,
        _context(grid, seed) if context is None else context,
        torch.tensor([b.shape[1] for b in blocks]),
        image,
        place=place,
    )


def share_right(
    predicted: NDArray[Any], sample: Sample, strokes: Sequence[tuple[int, Any]]
) -> list[float]:
    """Return what share of each stroke is classified as it is marked.

    Parameters
    ----------
    predicted : numpy.ndarray of int, shape (N,)
        Codes that a model gives the sampled pixels.
    sample : Sample
        Of one tile.
    strokes : sequence of (code, pixels)
        As :func:`strokes_of` finds them; regions of a whole mask share one value.
    """
    codes, numbers = sample.codes.numpy(), sample.strokes.numpy()
    right = predicted == codes
    if sample.whole:
        return [float(right[codes == code].mean()) for code, _ in strokes]
    return [float(right[numbers == i].mean()) for i in range(len(strokes))]


def _context(grid: FeatureGrid, seed: int) -> torch.Tensor:
    """Features at pixels spread over a tile."""
    import torch

    random = np.random.default_rng(seed)
    # In random order, so that the first few of them are spread over the tile as well.
    spread = random.permutation(grid.shape[0] * grid.shape[1])[:CONTEXT_PIXELS]
    return torch.cat(read_pixels(grid, spread), 1).half()


def read_pixels(grid: FeatureGrid, pixels: NDArray[np.intp]) -> list[torch.Tensor]:
    """Read all blocks of features at pixels.

    Parameters
    ----------
    grid : FeatureGrid
        Features of the tile.
    pixels : numpy.ndarray of int, shape (N,)
        Flat indices of its pixels.

    Returns
    -------
    list of torch.Tensor, each (N, D), float32
    """
    import torch

    from napari_segdino.heads.probe.basis import gather

    y, x = (torch.from_numpy(i) for i in np.unravel_index(pixels, grid.shape))
    return gather(grid, y, x)
