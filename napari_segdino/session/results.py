"""What jobs yield beside progress and predictions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.compressed import Compressed

FULL = 255
"""Uncertainty is kept in 8 bits; this is 1."""


@dataclass(frozen=True)
class Learned:
    """Yielded when the probe has learned the marks of an image.

    Parameters
    ----------
    image : hashable
        Names the image in the session.
    checksums : dict of int to int
        Checksums of the marks it learned, by plane; 0 where they are gone.
    """

    image: Hashable
    checksums: dict[int, int]


@dataclass(frozen=True)
class LeftOut:
    """Yielded when images have marks that a probe cannot learn with the others.

    Parameters
    ----------
    images : tuple of hashable
        They have other channels than the one that is drawn.
    """

    images: tuple[Hashable, ...]


@dataclass(frozen=True)
class Trained:
    """Yielded when learning is over.

    Parameters
    ----------
    before, after : dict of str to object
        What the segmenter was and is, by
        :func:`napari_segdino.session.probe_state.fitted_state`.
    """

    before: dict[str, Any]
    after: dict[str, Any]


@dataclass(frozen=True)
class Switched:
    """Yielded when another segmenter is ready to take the place of the present one.

    Parameters
    ----------
    segmenter : Segmenter
        Its encoder is loaded, and it has learned the marks there are.
    changes : mapping of str to object
        Settings that it was made with.
    """

    segmenter: Any
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class NothingFound:
    """Yielded when a box was drawn in which no pixel is of its class."""


@dataclass(frozen=True)
class PlaneUpdate:
    """Yielded after the prediction of a plane: its mask before and after.

    Parameters
    ----------
    plane : int
        Flat index over the leading axes.
    before, after : Compressed
        The mask (Y, X).
    """

    plane: int
    before: Compressed
    after: Compressed


@dataclass(frozen=True)
class UncertainPart:
    """Yielded after the prediction of a plane: where the probe is uncertain.

    Parameters
    ----------
    plane : int
        Flat index over the leading axes.
    uncertainty : numpy.ndarray, shape (Y, X), uint8
        Entropy, 0 to 255.
    """

    plane: int
    uncertainty: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mask that no probe has drawn: it stays until the user changes or accepts it.

    Parameters
    ----------
    plane : int
        Flat index over the image's leading axes.
    labels : numpy.ndarray of int, shape (Y, X)
        0 background, 1.. classes.
    """

    plane: int
    labels: NDArray[np.unsignedinteger]


def in_bytes(uncertainty: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return uncertainty in 8 bits.

    Parameters
    ----------
    uncertainty : numpy.ndarray of float32, any shape
        0 to 1.

    Returns
    -------
    numpy.ndarray of uint8, same shape
        0 to :data:`FULL`.
    """
    return np.round(uncertainty * FULL).astype(np.uint8)
