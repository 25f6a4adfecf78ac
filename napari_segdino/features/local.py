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

Image = NDArray[np.float32]


def local_features(image: Image) -> Image:
    """Describe the middle pixel of each cell by what stands around it.

    Parameters
    ----------
    image : numpy.ndarray, shape (C, Y, X), float32
        Intensities in [0, 1].

    Returns
    -------
    numpy.ndarray, shape (D, gy, gx), float32
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
    step = grid_step((image.shape[1], image.shape[2]))
    grey = image.mean(0)
    planes = [on_grid(grey, step)]
    for sigma in SIGMAS:
        planes += _texture(grey, sigma, step)
    if len(image) == 1:
        return np.stack(planes + [np.zeros_like(planes[0])] * COLOUR_FEATURES)
    for channel in (image[0] - grey, image[-1] - grey):
        planes.append(on_grid(channel, step))
        planes += [_filtered(channel, s, step)[0] for s in SIGMAS]
    return np.stack(planes)


def smooth_colour(image: Image, step: int, least: float = 1.0) -> Image:
    """Smooth each channel by half a cell.

    Parameters
    ----------
    image : numpy.ndarray, shape (C, Y, X), float32
        Intensities in [0, 1].
    step : int
        Pixels per cell.
    least : float
        Smooth by at least so many pixels.

    Returns
    -------
    numpy.ndarray, shape (C, gy, gx), float32
        On the regular grid.
    """
    sigma = max(least, step / 2)
    return np.stack([_filtered(channel, sigma, step)[0] for channel in image])


def on_grid(plane: NDArray[np.generic], step: int) -> NDArray[np.generic]:
    """Read a plane at the middle pixel of each cell.

    Parameters
    ----------
    plane : numpy.ndarray, shape (Y, X)
        Any type.
    step : int
        Pixels a cell.

    Returns
    -------
    numpy.ndarray, shape (gy, gx)
    """
    rows, columns = (_middles(length, step) for length in plane.shape)
    return plane[rows[:, None], columns]


def _texture(grey: Image, sigma: float, step: int) -> list[Image]:
    """Smoothed brightness, gradient, Hessian eigenvalues, spread."""
    smoothed, *slopes, yy, xx, xy = _filtered(grey, sigma, step, DERIVATIVES)
    # Times sigma for each derivative, so that widths are comparable.
    down, right = (slope * sigma for slope in slopes)
    yy, xx, xy = (bend * sigma**2 for bend in (yy, xx, xy))
    # Eigenvalues of a symmetric 2 x 2 matrix in closed form.
    middle, half = (xx + yy) / 2, np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    variance = _filtered(grey * grey, sigma, step)[0] - smoothed * smoothed
    # Rounding can make the variance of a flat region negative.
    spread = np.sqrt(np.maximum(variance, 0))
    return [smoothed, np.hypot(down, right), middle + half, middle - half, spread]


def _filtered(
    plane: Image,
    sigma: float,
    step: int,
    orders: tuple[tuple[int, int], ...] = ((0, 0),),
) -> list[Image]:
    """Gaussian derivatives of a plane, on the grid; borders repeat.

    Computed for the middles of the cells only, as two small matrix products.
    """
    import torch

    height, width = plane.shape
    pixels = torch.from_numpy(np.ascontiguousarray(plane))
    rows = {y: _matrix(height, step, sigma, y) @ pixels for y in {y for y, _ in orders}}
    return [(rows[y] @ _matrix(width, step, sigma, x).T).numpy() for y, x in orders]


@lru_cache(maxsize=128)
def _matrix(length: int, step: int, sigma: float, order: int) -> torch.Tensor:
    """What makes cells of pixels along one axis, shape (cells, length)."""
    import torch
    from scipy import ndimage

    # Filtering the identity gives the filter as a matrix, borders included.
    each = np.eye(length, dtype=np.float32)
    filtered = ndimage.gaussian_filter1d(each, sigma, 0, order, mode="nearest")
    return torch.from_numpy(filtered[_middles(length, step)])


def _middles(length: int, step: int) -> NDArray[np.intp]:
    """Middle pixel of each cell; of one that reaches over the border the last."""
    middles = np.arange(-(-length // step)) * step + step // 2
    return np.minimum(middles, length - 1)
