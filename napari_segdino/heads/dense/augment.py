"""Augmented copies of an image, made before encoding so that they can be stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHANCE = 0.5
"""Of each flip, of the rotation and of the colours (arXiv 2606.17972's code)."""

MAX_ANGLE = 15.0
"""Degrees."""

BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.2, 0.2, 0.1, 0.05

_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def augmented(
    image: NDArray[np.floating], marks: NDArray[Any], n: int, seed: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[Any]]]:
    """Make augmented copies of an image and its marks.

    Each copy is mirrored in y, mirrored in x, turned by up to 15 degrees and
    shifted in colour, each by a chance of one half.

    Parameters
    ----------
    image : numpy.ndarray, shape (Y, X, C)
        Intensities in [0, 1].
    marks : numpy.ndarray of int, shape (Y, X)
        0 unlabelled, 1 background, 2.. classes.
    n : int
        Number of copies.
    seed : int
        The same seed gives the same copies, and a larger `n` the same first.

    Yields
    ------
    image : numpy.ndarray, shape (Y, X, C), float32
        Reflected where a turn looks past the border.
    marks : numpy.ndarray of int, shape (Y, X)
        0 where a turn looks past the border (our reading; the source fills
        images and masks with 0, which means background there).
    """
    for copy in range(n):
        # A generator a copy: asking for more copies leaves the first ones as they are.
        rng = np.random.default_rng((seed, copy))
        changed, marked = image.astype(np.float32), marks
        for axis in (0, 1):
            if rng.random() < CHANCE:
                changed, marked = np.flip(changed, axis), np.flip(marked, axis)
        if rng.random() < CHANCE:
            angle = rng.uniform(-MAX_ANGLE, MAX_ANGLE)
            changed, marked = turn(changed, marked, angle)
        if rng.random() < CHANCE:
            changed = jitter(changed, rng)
        yield np.ascontiguousarray(changed), np.ascontiguousarray(marked)


def turn(
    image: NDArray[np.float32], marks: NDArray[Any], degrees: float
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Turn an image about its middle, bilinearly, and its marks, by nearest.

    Parameters
    ----------
    image : numpy.ndarray, shape (Y, X, C)
        Intensities.
    marks : numpy.ndarray of int, shape (Y, X)
        Marks.
    degrees : float
        The angle, from y to x.

    Returns
    -------
    image, marks : numpy.ndarray
        Of the same shapes.
    """
    from scipy import ndimage

    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.array([[cos, -sin], [sin, cos]])
    # affine_transform turns about the corner; the offset moves that to the middle.
    middle = (np.array(marks.shape) - 1) / 2
    offset = middle - matrix @ middle
    channels = [
        ndimage.affine_transform(c, matrix, offset, order=1, mode="reflect")
        for c in np.moveaxis(image, -1, 0)
    ]
    marked = ndimage.affine_transform(marks, matrix, offset, order=0, cval=0)
    return np.stack(channels, -1).astype(np.float32), marked


def jitter(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Shift brightness, contrast, saturation and hue, in a random order.

    Parameters
    ----------
    image : numpy.ndarray, shape (Y, X, C)
        In [0, 1]; only three channels have a saturation and a hue.
    rng : numpy.random.Generator
        Draws the amounts: factors in 1 ± 0.2, 1 ± 0.2, 1 ± 0.1, and ± 0.05 of
        a turn of hue.

    Returns
    -------
    numpy.ndarray, shape (Y, X, C), float32
        In [0, 1].
    """
    amounts = [rng.uniform(-a, a) for a in (BRIGHTNESS, CONTRAST, SATURATION, HUE)]
    # In random order, as torchvision's ColorJitter.
    for kind in rng.permutation(4):
        amount = amounts[kind]
        if kind == 0:
            image = image * (1 + amount)
        elif kind == 1:
            image = _away_from(_grey(image).mean(), image, amount)
        elif image.shape[-1] == 3:
            if kind == 2:
                image = _away_from(_grey(image), image, amount)
            else:
                image = _shift_hue(image, amount)
        image = np.clip(image, 0, 1).astype(np.float32)
    return image


def _grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    if image.shape[-1] == 3:
        return np.asarray(image @ _GREY)[..., None]
    return np.asarray(image.mean(-1, keepdims=True))


def _away_from(middle: Any, image: NDArray[np.float32], amount: float) -> Any:
    return middle + (1 + amount) * (image - middle)


def _shift_hue(image: NDArray[np.float32], turns: float) -> NDArray[np.float32]:
    from skimage.color import hsv2rgb, rgb2hsv

    hsv = rgb2hsv(image)
    hsv[..., 0] = (hsv[..., 0] + turns) % 1
    shifted: NDArray[np.float32] = hsv2rgb(hsv)
    return shifted
