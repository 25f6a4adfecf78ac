"""From planes to features: scale, show, encode, keep."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import Encoder
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.local import local_features
from napari_segdino.features.views import View, show

if TYPE_CHECKING:
    import torch

LAYOUT = 1
"""Raised when the same content would give other features than before."""


def views_of(settings: FeatureSettings) -> tuple[View, ...]:
    """All views that the settings ask for: sizes times flips."""
    mirrors = (False, True) if settings.flips else (False,)
    return tuple(View(side, flip_x=m) for side in settings.sides for m in mirrors)


@dataclass(frozen=True)
class Extractor:
    """Encodes tiles and keeps what it encoded.

    Parameters
    ----------
    encoder : Encoder
        The frozen network.
    levels : tuple of int
        Levels of the encoder to keep.
    cache : FeatureCache
        Where features are kept.
    local : bool
        Whether local features at full resolution are wanted too.
    """

    encoder: Encoder
    levels: tuple[int, ...]
    cache: FeatureCache
    local: bool = True

    def key(self, tile: NDArray[Any], intensity: Intensity, view: View) -> str:
        """Name the features of a tile by all that they depend on."""
        digest = hashlib.blake2b(np.ascontiguousarray(tile).data, digest_size=16)
        parts = (LAYOUT, digest.hexdigest(), tile.shape, tile.dtype.str, intensity)
        return repr((*parts, view, self.encoder.key, self.levels, self.local))

    def grid(
        self, tile: NDArray[Any], intensity: Intensity, view: View
    ) -> FeatureGrid:
        """Return the features of a tile, encoding it if it is new.

        Parameters
        ----------
        tile : numpy.ndarray, shape (Y, X, C)
            Raw pixels.
        intensity : Intensity
            The range of its image.
        view : View
            How the encoder sees it.

        Returns
        -------
        FeatureGrid
            Levels are mirrored back, so that they lie as the tile does.
        """
        key = self.key(tile, intensity, view)
        if (found := self.cache.get(key)) is not None:
            return found
        import torch

        image = torch.from_numpy(intensity.apply(tile))
        shown = torch.stack(
            [show(t, view, self.encoder.spec.multiple) for t in triples(image)]
        )
        encoded = self.encoder.encode(shown, self.levels)
        levels = tuple(
            level.flatten(0, 1).flip(view.flips).contiguous() for level in encoded
        )
        local = local_features(image) if self.local else torch.empty(0, 0, 0).half()
        y, x = tile.shape[:2]
        grid = FeatureGrid(levels, local, (y, x), key)
        self.cache.put(grid)
        return grid


def triples(image: torch.Tensor) -> Sequence[torch.Tensor]:
    """Split channels into the threes that an encoder takes.

    Parameters
    ----------
    image : torch.Tensor, shape (C, Y, X)
        One channel is repeated; more than three go in groups of three, the
        last one filled by repeating its last channel.

    Returns
    -------
    sequence of torch.Tensor, each (3, Y, X)
    """
    import torch

    count = -(-image.shape[0] // 3)
    missing = 3 * count - image.shape[0]
    padded = torch.cat([image, *[image[-1:]] * missing])
    return padded.split(3)
