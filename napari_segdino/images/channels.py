"""Which images can share a probe: those with the same channels, grey as RGB."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_segdino.errors import ChannelsError
from napari_segdino.images.planes import Planes

GREY, RGB = 1, 3


def count_channels(image: Planes) -> int:
    """Return the channels of an image, 1 for grey, alpha left out.

    Parameters
    ----------
    image : Planes
        As it was given, without neighbouring slices.
    """
    if not image.axes.endswith("C"):
        return GREY
    count = int(image.array.shape[-1])
    # Four of 8 bits are RGBA; other channels in that shape were given 16 when read.
    return RGB if count == 4 and image.array.dtype == np.uint8 else count


def join_channels(one: int, other: int, neighbours: int) -> int | None:
    """Return the channels of a probe for two kinds of images, None if there is none.

    Parameters
    ----------
    one, other : int
        Channels.
    neighbours : int
        Slices on either side that come along as channels of grey planes; grey then
        has as many as RGB only if that is one, or none.
    """
    if one == other:
        return one
    return RGB if {one, other} == {GREY, RGB} and neighbours <= 1 else None


def check_channels(
    images: Sequence[Planes], known: int | None, neighbours: int
) -> int | None:
    """Return the channels of a probe once it has learned from some images.

    Parameters
    ----------
    images : sequence of Planes
        What it is to learn from, or to predict.
    known : int, optional
        Channels of what it learned from so far; None where that is nothing, or
        is not known.
    neighbours : int
        See :func:`join_channels`.

    Returns
    -------
    int or None
        RGB where grey and RGB were learned from.

    Raises
    ------
    ChannelsError
        If an image does not fit `known`, or the images differ.
    """
    other = "image 1 has" if known is None else "the model learned from"
    for number, image in enumerate(images):
        count = count_channels(image)
        joined = count if known is None else join_channels(known, count, neighbours)
        if joined is None:
            which = "This image" if len(images) == 1 else f"Image {number + 1}"
            raise ChannelsError(
                f"{which} has {_named(count)}, but {other} {_named(known)}: "
                "begin a new model for it."
            )
        known = joined
    return known


def _named(count: int | None) -> str:
    return f"{count} channel{'s' * (count != 1)}"
