"""Local features: intensity and texture at several widths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_segdino.features.grid import grid_step

SIGMAS = (0.7, 1.4, 2.8, 5.6, 11.2)
"""Widths in pixels: octaves from the pixel to about an encoder's cell."""

Image = NDArray[np.float32]


def local_features(image: Image) -> Image:
    """Describe each pixel by what stands around it.

    Parameters
    ----------
    image : numpy.ndarray, shape (C, Y, X), float32
        Intensities in [0, 1].

    Returns
    -------
    numpy.ndarray, shape (D, Y, X), float32
        Brightness; at each of :data:`SIGMAS` the smoothed brightness, its
        gradient magnitude, the two eigenvalues of its Hessian and its local
        standard deviation; then, where there is more than one channel, the
        difference of the first and last channel to the brightness, plain
        and smoothed.
    """
    grey = image.mean(0)
    planes = [grey]
    for sigma in SIGMAS:
        planes += _texture(grey, sigma)
    if len(image) > 1:
        for channel in (image[0] - grey, image[-1] - grey):
            planes += [channel, *(_smooth(channel, s) for s in SIGMAS)]
    return np.stack(planes).astype(np.float32, copy=False)


def _smooth(plane: Image, sigma: float) -> Image:
    smoothed: Image = ndimage.gaussian_filter(plane, sigma, mode="nearest")
    return smoothed


def _texture(grey: Image, sigma: float) -> list[Image]:
    """Smoothed brightness, gradient, Hessian eigenvalues, spread."""
    smoothed = _smooth(grey, sigma)
    yy, xx, xy = (
        ndimage.gaussian_filter(grey, sigma, order, mode="nearest") * sigma**2
        for order in ((2, 0), (0, 2), (1, 1))
    )
    middle, half = (xx + yy) / 2, np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    gradient = ndimage.gaussian_gradient_magnitude(grey, sigma, mode="nearest")
    variance = _smooth(grey * grey, sigma) - smoothed * smoothed
    spread = np.sqrt(np.maximum(variance, 0))
    return [smoothed, gradient * sigma, middle + half, middle - half, spread]


def smooth_colour(image: Image) -> Image:
    """Smooth each channel by half a cell, at least by one pixel.

    Parameters
    ----------
    image : numpy.ndarray, shape (C, Y, X), float32
        Intensities in [0, 1].

    Returns
    -------
    numpy.ndarray, shape (C, Y, X), float32
    """
    sigma = max(1.0, grid_step((image.shape[1], image.shape[2])) / 2)
    return np.stack([_smooth(channel, sigma) for channel in image])


def on_grid(planes: Image) -> Image:
    """Read planes at the middle pixel of each cell of their regular grid.

    Parameters
    ----------
    planes : numpy.ndarray, shape (D, Y, X)
        Anything with one value a pixel.

    Returns
    -------
    numpy.ndarray, shape (D, gy, gx)
        The last row and column repeat the border where they reach over it.
    """
    height, width = planes.shape[-2:]
    step = grid_step((height, width))
    if step == 1:
        return planes
    rows = np.minimum(np.arange(step // 2, height + step - 1, step), height - 1)
    columns = np.minimum(np.arange(step // 2, width + step - 1, step), width - 1)
    rows, columns = rows[: -(-height // step)], columns[: -(-width // step)]
    return planes[:, rows[:, None], columns]
