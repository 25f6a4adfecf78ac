"""The probe of DINO-MVR: linear in features, so it is read before up-sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.features.grid import FeatureGrid

if TYPE_CHECKING:
    import torch


def levels_of(spec: EncoderSpec) -> tuple[int, ...]:
    """Levels read: the last three blocks of a ViT, all of a pyramid."""
    if spec.family == "vit":
        return tuple(range(spec.depth - 3, spec.depth))
    return tuple(range(spec.depth))


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear probe on all levels and local features.

    Parameters
    ----------
    weight : torch.Tensor, shape (K, D)
        One row a class, background first.
    bias : torch.Tensor, shape (K,)
        Minus infinity for a class without marks.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def logits(self, grid: FeatureGrid) -> torch.Tensor:
        """Score each pixel of a tile.

        Parameters
        ----------
        grid : FeatureGrid
            Features of the tile.

        Returns
        -------
        torch.Tensor, shape (K, Y, X), float32
        """
        from torch.nn import functional

        total = self.bias[:, None, None].expand(-1, *grid.shape).clone()
        start = 0
        for level in (*grid.levels, grid.local):
            depth, h, w = level.shape
            part = self.weight[:, start : start + depth]
            scores = (part @ level.flatten(1).float()).unflatten(1, (h, w))
            if (h, w) != grid.shape:
                scores = functional.interpolate(
                    scores[None], grid.shape, mode="bilinear", align_corners=False
                )[0]
            total += scores
            start += depth
        return total
