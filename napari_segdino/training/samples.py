"""Which pixels a probe learns from, and their features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.mvr import gather

if TYPE_CHECKING:
    import torch

PER_STROKE = 8
"""Pixels taken from one stroke: they are nearly copies of each other."""

CONTEXT = 1024
"""Pixels of a tile, marked or not, that say how features are spread."""

Positions = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True, slots=True)
class Sample:
    """What is kept of one marked tile.

    Parameters
    ----------
    marks : torch.Tensor, shape (Y, X), uint8
        0 not said, 1 background, 2.. classes.
    features : torch.Tensor, shape (N, D), float16
        All blocks side by side at the pixels taken from strokes.
    codes : torch.Tensor, shape (N,), uint8
        Marks of these pixels.
    weights : torch.Tensor, shape (N,), float32
        They sum to 1 over each stroke.
    context : torch.Tensor, shape (M, D), float16
        The same features at pixels spread over the tile.
    widths : torch.Tensor, shape (B,), int64
        Width of each block; they add up to D.
    """

    marks: torch.Tensor
    features: torch.Tensor
    codes: torch.Tensor
    weights: torch.Tensor
    context: torch.Tensor
    widths: torch.Tensor


def strokes_of(marks: NDArray[Any]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Connected strokes of marks.

    Parameters
    ----------
    marks : numpy.ndarray of int, shape (Y, X)
        0 not said, 1 background, 2.. classes.

    Yields
    ------
    code : int
        The mark.
    pixels : numpy.ndarray, shape (N,)
        Flat indices of the stroke's pixels, row by row.
    """
    for code in np.unique(marks[marks > 0]):
        labelled, count = ndimage.label(marks == code)
        flat = np.flatnonzero(labelled)
        number = labelled.ravel()[flat]
        order = np.argsort(number, kind="stable")
        ends = np.cumsum(np.bincount(number, minlength=count + 1)[1:])[:-1]
        for pixels in np.split(flat[order], ends):
            yield int(code), pixels


def pick_pixels(
    marks: NDArray[Any], per_stroke: int
) -> tuple[Positions, NDArray[np.float32]]:
    """Choose marked pixels, the same number from every stroke.

    Parameters
    ----------
    marks : numpy.ndarray of int, shape (Y, X)
        0 not said, 1 background, 2.. classes.
    per_stroke : int
        At most this many pixels of each connected stroke, evenly spread.

    Returns
    -------
    (rows, columns) : tuple of numpy.ndarray, each (N,)
        Positions.
    weights : numpy.ndarray, shape (N,), float32
        They sum to 1 over each stroke.
    """
    chosen = [np.zeros(0, np.intp)]
    weights = [np.zeros(0, np.float32)]
    for _, pixels in strokes_of(marks):
        if len(pixels) > per_stroke:
            even = np.linspace(0, len(pixels) - 1, per_stroke).astype(int)
            pixels = pixels[even]
        chosen.append(pixels)
        weights.append(np.full(len(pixels), 1 / len(pixels), np.float32))
    rows, columns = np.unravel_index(np.concatenate(chosen), marks.shape)
    return (rows, columns), np.concatenate(weights)


def take_sample(grid: FeatureGrid, marks: NDArray[Any], seed: int) -> Sample:
    """Keep of a marked tile what a probe learns from.

    Parameters
    ----------
    grid : FeatureGrid
        Features of the tile.
    marks : numpy.ndarray of int, shape (Y, X)
        0 not said, 1 background, 2.. classes.
    seed : int
        Seed of the choice of context.

    Returns
    -------
    Sample
    """
    import torch

    (rows, columns), weights = pick_pixels(marks, PER_STROKE)
    blocks = gather(grid, torch.from_numpy(rows), torch.from_numpy(columns))
    random = np.random.default_rng(seed)
    spread = random.permutation(marks.size)[:CONTEXT]
    y, x = (torch.from_numpy(i) for i in np.unravel_index(spread, marks.shape))
    return Sample(
        torch.from_numpy(np.ascontiguousarray(marks, np.uint8)),
        torch.cat(blocks, 1).half(),
        torch.from_numpy(marks[rows, columns].astype(np.uint8)),
        torch.from_numpy(weights),
        torch.cat(gather(grid, y, x), 1).half(),
        torch.tensor([b.shape[1] for b in blocks]),
    )
