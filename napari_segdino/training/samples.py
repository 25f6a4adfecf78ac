"""Which marked pixels a probe learns from, and their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_segdino.features.grid import FeatureGrid

if TYPE_CHECKING:
    import torch

PER_STROKE = 64
"""Pixels taken from one stroke: more of the same tell nothing new."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What is kept of one marked tile.

    Parameters
    ----------
    features : torch.Tensor, shape (N, D), float16
        All levels and local features at N marked pixels.
    codes : torch.Tensor, shape (N,), uint8
        Marks: 1 background, 2.. classes.
    weights : torch.Tensor, shape (N,), float32
        One over the number of pixels taken from the same stroke.
    """

    features: torch.Tensor
    codes: torch.Tensor
    weights: torch.Tensor


def pick_pixels(
    marks: NDArray[Any], per_stroke: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Choose marked pixels, the same number from every stroke.

    Parameters
    ----------
    marks : numpy.ndarray of int, shape (Y, X)
        0 not said, 1 background, 2.. classes.
    per_stroke : int
        At most this many pixels of each connected stroke.
    seed : int
        The same seed picks the same pixels.

    Returns
    -------
    rows, columns : numpy.ndarray, shape (N,)
        Positions.
    weights : numpy.ndarray, shape (N,), float32
        They sum to 1 over each stroke.
    """
    rng = np.random.default_rng(seed)
    chosen, weights = [], []
    for code in np.unique(marks[marks > 0]):
        strokes, count = ndimage.label(marks == code, np.ones((3, 3)))
        flat = np.flatnonzero(strokes)
        flat = flat[np.argsort(strokes.ravel()[flat], kind="stable")]
        sizes = np.bincount(strokes.ravel()[flat], minlength=count + 1)[1:]
        for pixels in np.split(flat, np.cumsum(sizes)[:-1]):
            if len(pixels) > per_stroke:
                pixels = rng.choice(pixels, per_stroke, replace=False)
            chosen.append(pixels)
            weights.append(np.full(len(pixels), 1 / len(pixels), np.float32))
    if not chosen:
        empty = np.zeros(0, np.intp)
        return empty, empty, np.zeros(0, np.float32)
    rows, columns = np.unravel_index(np.concatenate(chosen), marks.shape)
    return rows, columns, np.concatenate(weights)


def gather(
    grid: FeatureGrid, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> torch.Tensor:
    """Read features at pixels, bilinearly between cells.

    Parameters
    ----------
    grid : FeatureGrid
        Features of the tile.
    rows, columns : numpy.ndarray, shape (N,)
        Pixels of the tile.

    Returns
    -------
    torch.Tensor, shape (N, D), float32
        Levels in order, then local features.
    """
    import torch
    from torch.nn import functional

    y = (torch.from_numpy(rows).float() + 0.5) * 2 / grid.shape[0] - 1
    x = (torch.from_numpy(columns).float() + 0.5) * 2 / grid.shape[1] - 1
    at = torch.stack([x, y], -1)[None, None]
    parts = [
        functional.grid_sample(
            level[None].float(), at, padding_mode="border", align_corners=False
        )[0, :, 0].T
        for level in grid.levels
    ]
    parts.append(grid.local[:, rows, columns].float().T)
    return torch.cat(parts, 1)


def take_sample(grid: FeatureGrid, marks: NDArray[Any], seed: int) -> Sample:
    """Keep of a marked tile what a probe learns from.

    Parameters
    ----------
    grid : FeatureGrid
        Features of the tile.
    marks : numpy.ndarray of int, shape (Y, X)
        0 not said, 1 background, 2.. classes.
    seed : int
        Seed of the choice of pixels.

    Returns
    -------
    Sample
    """
    import torch

    rows, columns, weights = pick_pixels(marks, PER_STROKE, seed)
    return Sample(
        gather(grid, rows, columns).half(),
        torch.from_numpy(marks[rows, columns].astype(np.uint8)),
        torch.from_numpy(weights),
    )
