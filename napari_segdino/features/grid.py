"""What an encoder leaves of a tile: levels of features and local features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class FeatureGrid:
    """Features of one tile of a plane in one view.

    Parameters
    ----------
    levels : tuple of torch.Tensor, each (D, h, w), float16, on the CPU
        One per encoder level asked for. Each level spans the tile exactly,
        whatever its resolution, so that cell i covers the pixels from
        ``i * Y / h`` to ``(i + 1) * Y / h``.
    local : torch.Tensor, shape (D, Y, X), float16
        Intensity and texture at full resolution; D is 0 when not asked for.
    shape : tuple of int
        (Y, X) of the tile in pixels.
    key : str
        Content of the tile, view and encoder; equal keys, equal features.
    """

    levels: tuple[torch.Tensor, ...]
    local: torch.Tensor
    shape: tuple[int, int]
    key: str

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(t.numel() * t.element_size() for t in (*self.levels, self.local))
