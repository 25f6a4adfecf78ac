"""Local features: intensity and texture at several widths, on a tile's grid."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_segdino.features.grid import grid_step

if TYPE_CHECKING:
    import torch

SIGMAS = (0.7, 1.4, 2.8, 5.6, 11.2)
"""Widths in pixels: octaves from the pixel to about an encoder's cell."""

DERIVATIVES = ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (1, 1))
"""Orders along (y, x) that texture is made of."""

COLOUR_FEATURES = 2 * (1 + len(SIGMAS))
"""The last features: those that are 0 in a grey image."""

COUNT = 1 + 5 * len(SIGMAS) + COLOUR_FEATURES
"""Features of a cell."""


def local_features(image: torch.Tensor) -> torch.Tensor:
    """Describe the middle pixel of each cell by what stands around it.

    Parameters
    ----------
    image : torch.Tensor, shape (C, Y, X), float32
        Intensities in [0, 1], on the device that computes.

    Returns
    -------
    torch.Tensor, shape (D, gy, gx), float32
        On the regular grid of the tile: brightness; at each of :data:`SIGMAS` the
        smoothed brightness, its gradient magnitude, the two eigenvalues of its
        Hessian and its local standard deviation; then the difference of the first and
        last channel to the brightness, plain and smoothed, 0 where there is one
        channel: grey counts as RGB. Derivatives are scale-normalised [1]_.

    References
    ----------
    .. [1] T. Lindeberg, Feature detection with automatic scale selection, International
       Journal of Computer Vision 30, 1998.
    """
    import torch

    step = grid_step((image.shape[1], image.shape[2]))
    grey = image.mean(0)
    planes = [on_grid(grey, step)]
    for sigma in SIGMAS:
        planes += _texture(grey, sigma, step)
    if len(image) == 1:
        return torch.stack(planes + [torch.zeros_like(planes[0])] * COLOUR_FEATURES)
    for channel in (image[0] - grey, image[-1] - grey):
        planes.append(on_grid(channel, step))
        planes += [_filtered(channel, s, step)[0] for s in SIGMAS]
    return torch.stack(planes)


def smooth_colour(image: torch.Tensor, step: int, least: float = 1.0) -> torch.Tensor:
    """Smooth each channel by half a cell.

    Parameters
    ----------
    image : torch.Tensor, shape (C, Y, X), float32
        Intensities in [0, 1], on the device that computes.
    step : int
        Pixels per cell.
    least : float
        Smooth by at least so many pixels.

    Returns
    -------
    torch.Tensor, shape (C, gy, gx), float32
        On the regular grid.
    """
    import torch

    sigma = max(least, step / 2)
    return torch.stack([_filtered(channel, sigma, step)[0] for channel in image])


def on_grid(plane: torch.Tensor, step: int) -> torch.Tensor:
    """Read a plane at the middle pixel of each cell.

    Parameters
    ----------
    plane : torch.Tensor, shape (Y, X)
        Any type.
    step : int
        Pixels a cell.

    Returns
    -------
    torch.Tensor, shape (gy, gx)
    """
    import torch

    for axis in (0, 1):
        middles = torch.from_numpy(_middles(plane.shape[axis], step))
        plane = plane.index_select(axis, middles.to(plane.device))
    return plane


def _texture(grey: torch.Tensor, sigma: float, step: int) -> list[torch.Tensor]:
    """Smoothed brightness, gradient, Hessian eigenvalues, spread."""
    smoothed, *slopes, yy, xx, xy = _filtered(grey, sigma, step, DERIVATIVES)
    # Times sigma for each derivative, so that widths are comparable.
    down, right = (slope * sigma for slope in slopes)
    yy, xx, xy = (bend * sigma**2 for bend in (yy, xx, xy))
    # Eigenvalues of a symmetric 2 x 2 matrix in closed form.
    middle, half = (xx + yy) / 2, ((xx - yy) ** 2 / 4 + xy**2).sqrt()
    variance = _filtered(grey * grey, sigma, step)[0] - smoothed * smoothed
    # Rounding can make the variance of a flat region negative.
    spread = variance.clamp_min(0).sqrt()
    return [smoothed, down.hypot(right), middle + half, middle - half, spread]


def _filtered(
    plane: torch.Tensor,
    sigma: float,
    step: int,
    orders: tuple[tuple[int, int], ...] = ((0, 0),),
) -> list[torch.Tensor]:
    """Gaussian derivatives of a plane, on the grid; borders repeat.

    Computed for the middles of the cells only, as two small matrix products.
    """
    height, width = plane.shape
    at = step, sigma, plane.device
    rows = {y: _matrix(height, y, *at) @ plane for y in {y for y, _ in orders}}
    return [rows[y] @ _matrix(width, x, *at).T for y, x in orders]


@lru_cache(maxsize=128)
def _matrix(
    length: int, order: int, step: int, sigma: float, device: torch.device
) -> torch.Tensor:
    """What makes cells of pixels along one axis, shape (cells, length)."""
    import torch
    from scipy import ndimage

    # Filtering the identity gives the filter as a matrix, borders included.
    each = np.eye(length, dtype=np.float32)
    filtered = ndimage.gaussian_filter1d(each, sigma, 0, order, mode="nearest")
    return torch.from_numpy(filtered[_middles(length, step)]).to(device)


def _middles(length: int, step: int) -> NDArray[np.intp]:
    """Middle pixel of each cell; of one that reaches over the border the last."""
    middles = np.arange(-(-length // step)) * step + step // 2
    return np.minimum(middles, length - 1)
