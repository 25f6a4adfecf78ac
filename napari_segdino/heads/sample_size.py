"""How much memory the features of marked planes take, before they are encoded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.features.extract import views_of
from napari_segdino.features.tiles import cut_tiles
from napari_segdino.features.views import view_size
from napari_segdino.heads.base import Head

HALF = 2
"""Bytes of a float16."""


def kept_bytes(
    head: Head,
    spec: EncoderSpec,
    feature_settings: FeatureSettings,
    marks: NDArray[Any],
    channels: int,
) -> int:
    """Return the bytes of whole levels of features of one plane.

    What a decoder keeps; probes on pixels keep next to nothing.

    Parameters
    ----------
    head : Head
        One that :attr:`~napari_segdino.heads.base.Head.keeps_levels`.
    spec : EncoderSpec
        The encoder's row.
    feature_settings : FeatureSettings
        Tiles and views.
    marks : numpy.ndarray of int, shape (Y, X)
        Its marks; tiles without any are not kept.
    channels : int
        Of the image: each three of them are encoded.
    """
    y, x = (int(n) for n in marks.shape)
    total = 0
    for tile in cut_tiles((y, x), feature_settings.tile, feature_settings.overlap):
        marked = marks[tile.slices]
        if not marked.any():
            continue
        for views in views_of(feature_settings):
            for view in views:
                cells = np.prod(view_size(tile.shape, view, spec.multiple))
                of_levels = sum(
                    spec.channels[n] * cells / spec.strides[n] ** 2
                    for n in head.levels(spec)
                )
                total += int(of_levels * (1 + head.copies(marked)))
    return total * HALF * -(-channels // 3)
