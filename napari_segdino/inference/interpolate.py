"""The slices between two masks, from their shapes and from the image.

References
----------
S. P. Raya and J. K. Udupa, "Shape-based interpolation of multidimensional objects",
IEEE Transactions on Medical Imaging 9(1), 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.inference.predict import label_dtype

Map = NDArray[np.float32]

UNSURE = 0.08
"""Half-width of the border on which the image decides, halfway between two masks, in
diameters of the object."""


def interpolate_shape(
    first: NDArray[Any],
    last: NDArray[Any],
    share: float,
    scale: Sequence[float] = (1.0, 1.0),
) -> Map:
    """Blend the signed distances of two masks, class by class.

    Objects move on a straight line from centre to centre while they change their
    shape. A class that only one mask has shrinks and is gone halfway.

    Parameters
    ----------
    first, last : numpy.ndarray of int, shape (Y, X)
        Masks: 0 background, 1.. classes.
    share : float
        Of the way from the first to the last, 0 to 1.
    scale : sequence of float
        Size of a pixel along y and x.

    Returns
    -------
    numpy.ndarray, shape (K, Y, X), float32
        Signed distance to the border of each class, positive inside, in units of
        `scale`; the first is background.

    Raises
    ------
    InputError
        If the masks have other shapes than each other.
    """
    if first.shape != last.shape:
        raise InputError(f"Slices of {first.shape} and {last.shape} do not fit.")
    top = int(max(first.max(initial=0), last.max(initial=0)))
    found: Map = np.full((top + 1, *first.shape), -np.inf, np.float32)
    for label in range(1, top + 1):
        ends = [mask == label for mask in (first, last)]
        if any(end.any() for end in ends):
            found[label] = _blend(ends, share, scale)
    # Background is as far away as the nearest class is near.
    found[0] = -found[1:].max(0, initial=-np.inf)
    return found


def interpolate_mask(
    first: NDArray[Any],
    last: NDArray[Any],
    share: float,
    probabilities: Map | None = None,
    scale: Sequence[float] = (1.0, 1.0),
) -> NDArray[np.unsignedinteger]:
    """Draw a slice between two masks.

    Parameters
    ----------
    first, last, share, scale
        See :func:`interpolate_shape`.
    probabilities : numpy.ndarray, shape (K, Y, X), optional
        What a probe says of the slice. It decides near the border of the
        interpolated shape, in a band that is widest halfway between the masks.

    Returns
    -------
    numpy.ndarray, shape (Y, X), uint8 or uint16
    """
    score = interpolate_shape(first, last, share, scale)
    if probabilities is not None:
        size = max(_diameter(first, scale), _diameter(last, scale))
        # At least half a pixel: on the masks themselves the band would have no width to
        # divide by.
        band = max(0.5 * min(scale), UNSURE * size * 2 * min(share, 1 - share))
        score = _with_image(score / band, probabilities)
    mask: NDArray[np.unsignedinteger] = score.argmax(0).astype(label_dtype(len(score)))
    return mask


def _with_image(shape: Map, probabilities: Map) -> Map:
    """Add the log odds of the shape, in bands, and those of a probe."""
    both = min(len(shape), len(probabilities))
    score: Map = np.clip(shape, -4, 4)
    # Two bands from the border, odds of 49 to 1 no longer change the class.
    score[:both] += np.log(np.clip(probabilities[:both], 0.02, 0.98))
    return score


def _signed_distance(inside: NDArray[np.bool_], scale: Sequence[float]) -> Map:
    """Distance to the border, positive inside; half a pixel beside it."""
    from scipy.ndimage import distance_transform_edt

    half = 0.5 * min(scale)
    if not inside.any():
        nowhere: Map = np.full(inside.shape, -np.inf, np.float32)
        return nowhere
    within = distance_transform_edt(np.pad(inside, 1), scale)[1:-1, 1:-1] - half
    beyond = distance_transform_edt(~inside, scale) - half
    signed: Map = np.where(inside, within, -beyond).astype(np.float32)
    return signed


def _blend(
    ends: Sequence[NDArray[np.bool_]], share: float, scale: Sequence[float]
) -> Map:
    """Blend two signed distances whose shapes are moved onto one centre."""
    from scipy.ndimage import center_of_mass, shift

    inside = [_signed_distance(end, scale) for end in ends]
    if not (ends[0].any() and ends[1].any()):
        there, near = (inside[0], 1 - share) if ends[0].any() else (inside[1], share)
        # Its deepest point reaches 0 halfway, so that the object shrinks to nothing
        # there.
        gone = -float(there.max())
        alone: Map = near * there + (1 - near) * np.float32(gone)
        return alone
    centres = [np.array(center_of_mass(end)) for end in ends]
    centre = (1 - share) * centres[0] + share * centres[1]
    # The distances move and not the masks: a shifted mask would be blurred.
    moved = [
        shift(one, centre - own, order=1, mode="nearest")
        for one, own in zip(inside, centres, strict=True)
    ]
    blended: Map = (1 - share) * moved[0] + share * moved[1]
    return blended


def _diameter(mask: NDArray[Any], scale: Sequence[float]) -> float:
    """Diameter of a disc that is as large as the objects of a mask together."""
    area = np.count_nonzero(mask) * float(np.prod(scale))
    return 2 * float(np.sqrt(area / np.pi))
