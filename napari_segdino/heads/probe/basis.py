"""Reading features at positions, and a short vector of them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch.nn import functional

from napari_segdino.encoders.device import upload
from napari_segdino.features.grid import FeatureGrid, grid_step
from napari_segdino.heads.on_device import DeviceCopy

CHUNK = 8192
"""Cells that are read at once."""

STORED_BYTES = 384 << 20
"""Bytes of the vectors that are stored: 100 planes of 256 x 256 pixels, and more."""

FEW_BYTES = STORED_BYTES // 8
"""The same of a volume whose vectors do not fit."""


def gather(grid: FeatureGrid, y: torch.Tensor, x: torch.Tensor) -> list[torch.Tensor]:
    """Read features at positions, bilinearly between cells.

    Parameters
    ----------
    grid : FeatureGrid
        Features of the tile.
    y, x : torch.Tensor, shape (N,)
        Positions in pixels; pixel centres are whole numbers.

    Returns
    -------
    list of torch.Tensor, each (N, D), float32
        Levels in order, then local features.
    """
    return [_corners(level, y, x, extent) for level, extent in _blocks(grid)]


def _corners(
    block: torch.Tensor, y: torch.Tensor, x: torch.Tensor, extent: tuple[float, float]
) -> torch.Tensor:
    """Interpolate between the four cells around each position.

    What :func:`_sample` does, without a float copy of the whole block: a few
    positions of a large one are read hundreds of times faster.
    """
    h, w = block.shape[1:]
    # Cell centres lie half a cell inside, as for grid_sample with align_corners=False.
    down = ((y + 0.5) * (h / extent[0]) - 0.5).clamp(0, h - 1)
    right = ((x + 0.5) * (w / extent[1]) - 0.5).clamp(0, w - 1)
    top, left = down.long(), right.long()
    bottom, after = (top + 1).clamp_max(h - 1), (left + 1).clamp_max(w - 1)
    dy, dx = down - top, right - left
    upper = block[:, top, left].float() * (1 - dx) + block[:, top, after].float() * dx
    lower = (
        block[:, bottom, left].float() * (1 - dx) + block[:, bottom, after].float() * dx
    )
    return (upper * (1 - dy) + lower * dy).T


def _blocks(
    grid: FeatureGrid,
) -> list[tuple[torch.Tensor, tuple[float, float]]]:
    """Levels and local features with the pixels (Y, X) that they span."""
    step = grid_step(grid.shape)
    whole = float(grid.shape[0]), float(grid.shape[1])
    # Local features reach over the border where the step does not divide the tile.
    over = float(grid.cells[0] * step), float(grid.cells[1] * step)
    return [*((level, whole) for level in grid.levels), (grid.local, over)]


def _sample(
    block: torch.Tensor, y: torch.Tensor, x: torch.Tensor, extent: tuple[float, float]
) -> torch.Tensor:
    at = torch.stack([(x + 0.5) * 2 / extent[1] - 1, (y + 0.5) * 2 / extent[0] - 1], -1)
    return functional.grid_sample(
        block[None].float(), at[None, None], padding_mode="border", align_corners=False
    )[0, :, 0].T


def cell_positions(grid: FeatureGrid) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of the cells of the regular grid, in pixels, row by row.

    Parameters
    ----------
    grid : FeatureGrid
        Features of the tile.

    Returns
    -------
    y, x : torch.Tensor, shape (gy * gx,)
    """
    step = grid_step(grid.shape)
    y, x = (torch.arange(n) * step + (step - 1) / 2 for n in grid.cells)
    return y.repeat_interleave(len(x)), x.repeat(len(y))


@dataclass(frozen=True, slots=True)
class Basis:
    """Linear map of all blocks to a vector; every block counts the same.

    Parameters
    ----------
    means : tuple of torch.Tensor, each (D,)
        Mean of each block.
    maps : tuple of torch.Tensor, each (D, J)
        Map of each block, ``(features - mean) @ map``.
    stacked : bool
        Whether the blocks' vectors stand side by side, else they are summed.
    """

    means: tuple[torch.Tensor, ...]
    maps: tuple[torch.Tensor, ...]
    stacked: bool

    def fits(self, grid: FeatureGrid) -> bool:
        """Whether a tile has the widths that this basis was made for.

        Parameters
        ----------
        grid : FeatureGrid
            Features of the tile.
        """
        widths = [len(block) for block, _ in _blocks(grid)]
        return widths == [len(mean) for mean in self.means]

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Bring gathered features to vectors.

        Parameters
        ----------
        features : torch.Tensor, shape (N, D)
            All blocks side by side, as a :class:`Sample` stores them; any float type.

        Returns
        -------
        torch.Tensor, shape (N, J), float32
        """
        blocks = features.split([len(mean) for mean in self.means], 1)
        parts = zip(blocks, self.means, self.maps, strict=True)
        return self._join([(b.float() - m) @ p for b, m, p in parts])

    def vectors(self, grid: FeatureGrid) -> torch.Tensor:
        """Vectors of all cells of a tile's regular grid.

        The map is linear and so is interpolation: each block is mapped at its
        own resolution before it is read between cells.

        Parameters
        ----------
        grid : FeatureGrid
            Features of the tile.

        Returns
        -------
        torch.Tensor, shape (gy * gx, J), float32
            On the device of the basis.
        """
        device = self.means[0].device
        y, x = (at.to(device) for at in cell_positions(grid))
        parts = []
        for (block, extent), mean, matrix in zip(
            _blocks(grid), self.means, self.maps, strict=True
        ):
            block = upload(block, device)
            # The mean is taken off after the map, so that no centred copy of a whole
            # level is made.
            flat = matrix.T @ block.flatten(1).float() - (mean @ matrix)[:, None]
            mapped = flat.unflatten(1, block.shape[1:])
            read = [
                _sample(mapped, y[rows], x[rows], extent)
                for rows in torch.arange(len(y)).split(CHUNK)
            ]
            parts.append(torch.cat(read))
        return self._join(parts)

    def _join(self, parts: list[torch.Tensor]) -> torch.Tensor:
        if self.stacked:
            return torch.cat(parts, 1)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total


class VectorStore:
    """Vectors of the last tiles, at most `STORED_BYTES`, for one basis at a time.

    Tiles come by in the order of their volume. Where not all fit, each would be gone
    before it comes by again: from then on only the last few are kept.
    """

    def __init__(self) -> None:
        self._basis: Basis | None = None
        self._sent: DeviceCopy[Basis] = DeviceCopy()
        self._device: torch.device | str = "cpu"
        self._stored: OrderedDict[str, torch.Tensor] = OrderedDict()
        self._limit = STORED_BYTES

    def vectors(
        self, basis: Basis, grid: FeatureGrid, device: torch.device | str
    ) -> torch.Tensor:
        """Vectors of a tile, made anew when the basis is another.

        Parameters
        ----------
        basis : Basis
            Compared by identity: a basis is made anew only for other tiles.
        grid : FeatureGrid
            Features of the tile.
        device : torch.device or str
            Where they are made and stored.

        Returns
        -------
        torch.Tensor, shape (gy * gx, J), float32
        """
        if basis is not self._basis or device != self._device:
            self._stored.clear()
            self._basis, self._device = basis, device
            self._limit = STORED_BYTES
        if grid.key not in self._stored:
            there = self._sent.of(basis, device)
            # Features have half precision as well: no mask changes by it.
            self._stored[grid.key] = there.vectors(grid).half()
        self._stored.move_to_end(grid.key)
        found = self._stored[grid.key]
        # Tiles of one image are of about one size: counting them is near enough. The
        # last one stays, however large.
        while len(self._stored) * found.nbytes > self._limit and len(self._stored) > 1:
            self._limit = FEW_BYTES
            self._stored.popitem(last=False)
        return found.float()
