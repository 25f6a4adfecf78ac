"""Spatial regularisation: probabilities flow along the image, not over its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segdino.encoders.device import upload
from napari_segdino.features.grid import FeatureGrid, grid_step
from napari_segdino.features.local import on_grid
from napari_segdino.inference.diffusion import (
    diffuse,
    marks_on_cells,
    put_marks,
    trust_in,
)
from napari_segdino.inference.smoothing import kernel

if TYPE_CHECKING:
    import torch

RADIUS, EPSILON = 3, 1e-3
"""Guided filter: radius in pixels, and variance that counts as an edge."""

SIGMA_SIDE = 512
"""Longer side of the tile in whose pixels the width of :func:`smooth` is given."""


def refine(
    probabilities: torch.Tensor,
    grid: FeatureGrid,
    marks: torch.Tensor | None = None,
    flow: bool = True,
    edges: float | None = None,
) -> torch.Tensor:
    """Bring probabilities from the regular grid to pixels, along edges.

    A sparse linear system (:mod:`~napari_segdino.inference.diffusion`) lets sure cells
    and strokes speak for their neighbours, and a fast guided filter [1]_ carries the
    result to full resolution.

    Parameters
    ----------
    probabilities : torch.Tensor, shape (K, gy, gx), float32
        On the tile's regular grid.
    grid : FeatureGrid
        The tile.
    marks : torch.Tensor of int, shape (Y, X), optional
        What is painted on the tile: 0 unlabelled, 1 background, 2.. classes.
    flow : bool
        False only brings them to full resolution.
    edges : float, optional
        Mean squared difference of neighbouring cells that counts as usual; None
        is the tile's own.

    Returns
    -------
    torch.Tensor, shape (K, Y, X), float32
        Not negative; they sum to 1. On the device of the probabilities.

    References
    ----------
    .. [1] K. He and J. Sun, Fast guided filter, arXiv 1505.00996, 2015.
    """
    import torch
    from torch.nn import functional

    if not flow:
        step = grid_step(grid.shape)
        fine = functional.interpolate(
            probabilities[None], scale_factor=step, mode="bilinear"
        )[0, :, : grid.shape[0], : grid.shape[1]]
        return fine / fine.sum(0)
    evidence, device = probabilities.clone(), probabilities.device
    trust = trust_in(evidence)
    if marks is not None:
        marked = marks_on_cells(upload(marks, device), grid_step(grid.shape))
        put_marks(evidence, trust, marked)
    free = slice(1, None) if len(evidence) == 2 else slice(None)
    colour = upload(grid.colour, device).float()
    flowed = diffuse(colour, evidence[free], trust, edges)
    fine = guide(flowed, upload(grid.grey, device)).clamp_(0, 1)
    if len(evidence) == 2:
        fine = torch.cat([1 - fine, fine])
    # The filter takes each class by itself, so they need not sum to 1 any more.
    return fine / fine.sum(0).clamp_min(1e-6)


def smooth(probabilities: torch.Tensor, sigma: float) -> torch.Tensor:
    """Smooth the probabilities of a tile with a Gaussian.

    Parameters
    ----------
    probabilities : torch.Tensor, shape (K, Y, X), float32
        They sum to 1 over K.
    sigma : float
        Its width in pixels of a tile whose longer side is :data:`SIGMA_SIDE`; 0
        changes nothing.

    Returns
    -------
    torch.Tensor, shape (K, Y, X), float32
    """
    import torch

    # In proportion to the tile, so that an image at twice the resolution is smoothed
    # the same.
    width = sigma * max(probabilities.shape[1:]) / SIGMA_SIDE
    if not width:
        return probabilities
    weights = kernel(width).tolist()
    reach, maps = len(weights) // 2, probabilities
    for axis in (1, 2):
        size = maps.shape[axis]
        # Borders repeat. Sums of shifted copies and no convolution, which CUDA rounds
        # to ten bits.
        at = torch.arange(-reach, size + reach, device=maps.device).clamp(0, size - 1)
        wide = maps.index_select(axis, at)
        maps = torch.zeros_like(maps)
        for shift, weight in enumerate(weights):
            maps.add_(wide.narrow(axis, shift, size), alpha=weight)
    return maps


def guide(
    coarse: torch.Tensor, grey: torch.Tensor, radius: int | None = None
) -> torch.Tensor:
    """Carry maps to pixels along a grey tile's edges.

    The radius is in cells; None is :data:`RADIUS` pixels.

    Parameters
    ----------
    coarse : torch.Tensor, shape (K, gy, gx)
        Maps on the regular grid.
    grey : torch.Tensor, shape (Y, X)
        The tile.
    radius : int, optional
        Of the filter, in cells; None is :data:`RADIUS` pixels.

    Returns
    -------
    torch.Tensor, shape (K, Y, X), float32
        It may leave the range of the maps a little.
    """
    import torch
    from torch.nn import functional

    shape = grey.shape[0], grey.shape[1]
    step = grid_step(shape)
    grey = grey.float()
    small = on_grid(grey, step)
    slope, offset = _guided(small, coarse, radius or max(1, round(RADIUS / step)))
    if step > 1:
        both = torch.cat([slope, offset])[None]
        both = functional.interpolate(
            both, scale_factor=step, mode="bilinear", align_corners=False
        )[0, :, : shape[0], : shape[1]]
        slope, offset = both.chunk(2)
    return slope * grey + offset


def _guided(
    grey: torch.Tensor, maps: torch.Tensor, radius: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients of a guided filter: maps are ``slope * grey + offset``."""
    import torch

    radius = min(radius, (min(grey.shape) - 1) // 2)
    if radius < 1:
        return torch.zeros_like(maps), maps
    # One pass over all planes that are averaged.
    means = _box(torch.cat([grey[None], grey[None] ** 2, maps, grey * maps]), radius)
    k = len(maps)
    mean, square, of_maps, product = means.split([1, 1, k, k])
    # Where grey varies less than EPSILON the slope goes to 0 and the filter is a plain
    # mean.
    slope = (product - mean * of_maps) / (square - mean**2 + EPSILON)
    slope, offset = _box(torch.cat([slope, of_maps - slope * mean]), radius).chunk(2)
    return slope, offset


def _box(planes: torch.Tensor, radius: int) -> torch.Tensor:
    """Mean over a square, shape (D, Y, X); borders count fewer pixels."""
    from torch.nn import functional

    side = 2 * radius + 1
    # Along one axis and then the other: a square mean of 2 n and not n^2 terms.
    rows = functional.avg_pool2d(
        planes[None], (side, 1), 1, (radius, 0), count_include_pad=False
    )
    return functional.avg_pool2d(
        rows, (1, side), 1, (0, radius), count_include_pad=False
    )[0]
