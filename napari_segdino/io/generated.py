"""Microscopy images that are made, not taken: what is in them is known to the pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIDE = 256
SEED = 0


def nuclei() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Make stained nuclei, bright and dim, on a background that is uneven.

    Returns
    -------
    numpy.ndarray, shape (256, 256), uint8
        The image; the same at every call.
    numpy.ndarray, shape (256, 256), bool
        True in the nuclei.
    """
    rng = np.random.default_rng(SEED)
    image, truth = _haze(rng), np.zeros((SIDE, SIDE), bool)
    for inside in _ellipses(rng, 34):
        image[inside] += rng.uniform(35, 110) * _grain(rng)[inside]
        truth |= inside
    return _exposed(rng, image), truth


def stained_cells() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Make nuclei of which some carry a marker that lies outside of nuclei as well.

    Returns
    -------
    numpy.ndarray, shape (2, 256, 256), uint8
        Channels: nuclei and marker; the same at every call.
    numpy.ndarray, shape (256, 256), bool
        True in the nuclei with the marker, which no channel alone tells.
    """
    rng = np.random.default_rng(SEED)
    nuclear, marker = _haze(rng), _haze(rng)
    truth = np.zeros((SIDE, SIDE), bool)
    for number, inside in enumerate(_ellipses(rng, 34)):
        kind = number % 3
        if kind != 2:
            nuclear[inside] += rng.uniform(80, 110) * _grain(rng)[inside]
        if kind != 1:
            marker[inside] += rng.uniform(80, 110) * _grain(rng)[inside]
        if kind == 0:
            truth |= inside
    return np.stack([_exposed(rng, nuclear), _exposed(rng, marker)]), truth


def _haze(rng: np.random.Generator) -> NDArray[Any]:
    """Return a background that is brighter on one side, with faint clouds."""
    clouds = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 24, mode="wrap")
    haze: NDArray[Any] = 22 + 8 * clouds / clouds.std() + np.linspace(0, 18, SIDE)
    return haze


def _grain(rng: np.random.Generator) -> NDArray[Any]:
    """Return a texture as of chromatin, around 1."""
    noise = ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 1.8)
    grain: NDArray[Any] = 1 + 0.18 * noise / noise.std()
    return grain


def _exposed(rng: np.random.Generator, image: NDArray[Any]) -> NDArray[Any]:
    """Return an image as a microscope and its camera would have it."""
    light = rng.poisson(ndimage.gaussian_filter(image, 1.0).clip(0))
    seen: NDArray[Any] = (light + rng.normal(0, 2, image.shape)).clip(0, 255)
    return seen.astype(np.uint8)


def _ellipses(rng: np.random.Generator, count: int) -> Iterator[NDArray[np.bool_]]:
    """Yield ellipses that do not touch each other."""
    y, x = np.mgrid[:SIDE, :SIDE]
    taken = np.zeros((SIDE, SIDE), bool)
    while count:
        at = rng.uniform(14, SIDE - 14, 2)
        along, across = rng.uniform(10, 15), rng.uniform(8, 11)
        angle = rng.uniform(0, np.pi)
        u = (y - at[0]) * np.cos(angle) + (x - at[1]) * np.sin(angle)
        v = (x - at[1]) * np.cos(angle) - (y - at[0]) * np.sin(angle)
        inside = (u / along) ** 2 + (v / across) ** 2 < 1
        if (ndimage.binary_dilation(inside, iterations=4) & taken).any():
            continue
        taken |= inside
        count -= 1
        yield inside
