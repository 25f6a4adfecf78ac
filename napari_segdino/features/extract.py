"""From planes to features: scale, show, encode, keep."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import Encoder
from napari_segdino.encoders.device import upload
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.grid import FeatureGrid, grid_step
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.local import local_features, smooth_colour
from napari_segdino.features.views import LEAST_SIDE, View, grows, show, view_size
from napari_segdino.images.neighbours import Neighbours
from napari_segdino.images.planes import Planes

if TYPE_CHECKING:
    import torch

LAYOUT = 1
"""Raised when the same content would give other features than before."""


Views = tuple[View, ...]
"""Sizes of one tile whose features are read side by side."""


def views_of(settings: FeatureSettings) -> tuple[Views, ...]:
    """All that the settings ask for: sides times flips, each at all factors.

    Parameters
    ----------
    settings : FeatureSettings
        Sizes and flips.
    """
    mirrors = (False, True) if settings.flips else (False,)
    return tuple(
        tuple(
            View(side, factor, flip_x=m, squash=settings.squash)
            for factor in settings.factors
        )
        for side in settings.sides
        for m in mirrors
    )


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
    neighbours : int
        Planes on either side of each whose channels come along: the encoder sees
        them all, local features are the plane's own.
    coarse : bool
        Whether only the smallest view is encoded, whose features stand in for those
        of the others: what is drawn of them is provisional.
    """

    encoder: Encoder
    levels: tuple[int, ...]
    cache: FeatureCache
    neighbours: int = 0
    coarse: bool = False
    _ahead: dict[tuple[str, View], list[torch.Tensor]] = field(
        default_factory=dict, compare=False, repr=False
    )
    """Levels of tiles that were encoded with others and not asked for yet."""

    def seeing(self, image: Planes) -> Self:
        """Return one that knows which channels of an image are neighbours.

        Parameters
        ----------
        image : Planes
            As the encoder sees it.
        """
        count = image.count if isinstance(image, Neighbours) else 0
        return self if count == self.neighbours else replace(self, neighbours=count)

    def key(self, tile: NDArray[Any], intensity: Intensity, views: Views) -> str:
        """Name the features of a tile by all that they depend on.

        Parameters
        ----------
        tile, intensity, views
            See :meth:`grid`.

        Returns
        -------
        str
            Probe files hold it too: what it is made of may be added to and never be
            changed.
        """
        digest = hashlib.blake2b(np.ascontiguousarray(tile).data, digest_size=16)
        parts = (LAYOUT, digest.hexdigest(), tile.shape, tile.dtype.str, intensity)
        seen = (views, self.encoder.key, self.levels)
        shape = tile.shape[0], tile.shape[1]
        more: list[object] = []
        if any(grows(shape, view) for view in views):
            more.append(LEAST_SIDE)
        # What was added later is named only where it is not as it always was.
        more += filter(None, (self.neighbours, views[0].squash))
        return repr((*parts, *seen, *more))

    def grid(
        self, tile: NDArray[Any], intensity: Intensity, views: Views
    ) -> FeatureGrid:
        """Return the features of a tile, encoding it if it is new.

        Parameters
        ----------
        tile : numpy.ndarray, shape (Y, X, C)
            Raw pixels.
        intensity : Intensity
            The range of its image.
        views : tuple of View
            How the encoder sees it.

        Returns
        -------
        FeatureGrid
            Levels are mirrored back, so that they lie as the tile does.
        """
        key = self.key(tile, intensity, views)
        if (found := self.cache.get(key)) is not None:
            return found
        import torch

        image = torch.from_numpy(intensity.apply(tile))
        pixels = upload(image, self.encoder.device)
        smallest = _smallest(views)
        # In the cache it has the key of a tile of that view alone. What stands in for
        # all has the tile's, so that marks of the tile are found.
        own = self.key(tile, intensity, (smallest,))
        first = self.cache.get(own)
        if first is None:
            first = self._make(image, pixels, smallest, key)
            first = replace(first, key=own)
        if self.coarse:
            self.cache.put(first)
            stand_in = first.levels * len(views)
            return replace(first, levels=stand_in, key=key)
        levels = tuple(
            level
            for view in views
            for level in (
                first.levels if view == smallest else self._encode(pixels, view, key)
            )
        )
        grid = replace(first, levels=levels, key=key)
        self.cache.drop(own)
        self.cache.put(grid)
        return grid

    def _make(
        self, image: torch.Tensor, pixels: torch.Tensor, view: View, key: str
    ) -> FeatureGrid:
        """Encode one view of a scaled tile, shape (C, Y, X), and all beside it.

        The tile is given twice, on the CPU and on the device of the encoder.
        """
        channels = len(image) // (2 * self.neighbours + 1)
        # Channels of neighbouring planes stand before and behind the plane's own.
        own, there = (
            each[channels * self.neighbours :][:channels] for each in (image, pixels)
        )
        step = grid_step((image.shape[1], image.shape[2]))
        return FeatureGrid(
            tuple(self._encode(pixels, view, key)),
            local_features(there).half().cpu(),
            smooth_colour(there, step).half().cpu(),
            own.mean(0).half(),
            key,
        )

    def at_once(self, tile: NDArray[Any], views: Views) -> int:
        """Return how many tiles of a kind the encoder takes at once with profit.

        Parameters
        ----------
        tile, views
            See :meth:`grid`.
        """
        shape, multiple = (tile.shape[0], tile.shape[1]), self.encoder.spec.multiple
        used = [_smallest(views)] if self.coarse else views
        planes = (self.encoder.at_once(view_size(shape, v, multiple)) for v in used)
        return max(1, min(planes) // -(-int(tile.shape[2]) // 3))

    def prepare(
        self, tiles: Sequence[NDArray[Any]], intensity: Intensity, views: Views
    ) -> None:
        """Encode tiles of one shape together; :meth:`grid` then finds them encoded.

        Parameters
        ----------
        tiles : sequence of numpy.ndarray, each (Y, X, C)
            Those that are asked for next. What was prepared before is forgotten.
        intensity, views
            See :meth:`grid`.
        """
        import torch

        self._ahead.clear()
        new = {}
        for tile in tiles:
            key = self.key(tile, intensity, views)
            if self.cache.get(key) is None:
                new[key] = torch.from_numpy(intensity.apply(tile))
        for view in [_smallest(views)] if self.coarse else views:
            shown = [
                self._shown(upload(i, self.encoder.device), view) for i in new.values()
            ]
            if not shown:
                return
            encoded = self.encoder.encode(torch.cat(shown), self.levels)
            each = zip(*(level.split(len(shown[0])) for level in encoded), strict=True)
            for key, levels in zip(new, each, strict=True):
                self._ahead[key, view] = _joined(levels, view)

    def _encode(self, image: torch.Tensor, view: View, key: str) -> list[torch.Tensor]:
        """Encode all channels of a tile, shape (C, Y, X), in one view."""
        ahead = self._ahead.pop((key, view), None)
        if ahead is not None:
            return ahead
        encoded = self.encoder.encode(self._shown(image, view), self.levels)
        return _joined(encoded, view)

    def _shown(self, image: torch.Tensor, view: View) -> torch.Tensor:
        """All channels of a tile as a batch for the encoder, in one view."""
        import torch

        multiple = self.encoder.spec.multiple
        return torch.stack([show(t, view, multiple) for t in triples(image)])


def _smallest(views: Views) -> View:
    return min(views, key=lambda view: view.factor)


def _joined(levels: Sequence[torch.Tensor], view: View) -> list[torch.Tensor]:
    """Lay groups of three channels one behind another in the level's channels."""
    return [level.flatten(0, 1).flip(view.flips).contiguous() for level in levels]


def tile_of(key: str) -> str:
    """Return what the keys of one tile in several views have in common.

    Parameters
    ----------
    key : str
        See :meth:`Extractor.key`.
    """
    return key.partition(", (View(")[0]


def kind_of(key: str) -> str:
    """Return what the keys of tiles that differ in their pixels only have in common.

    Parameters
    ----------
    key : str
        See :meth:`Extractor.key`.
    """
    # A key begins with the layout and the digest of the pixels: see `Extractor.key`.
    return key.split(", ", 2)[-1]


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
    return list(padded.split(3))
