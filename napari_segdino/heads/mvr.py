"""The probe of DINO-MVR, our reading: radial units on the last levels.

DINO-MVR (arXiv 2605.07221) trains small perceptrons with one hidden layer on the
last three blocks and does not say their width, units or loss. Ours is one hidden
layer of radial units, one for each marked pixel that was kept, so that it has a
unique optimum, refits in hundredths of a second and forgets no stroke.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.features.grid import FeatureGrid, grid_step

if TYPE_CHECKING:
    import torch

CHUNK = 8192
"""Cells that are read at once."""


def levels_of(spec: EncoderSpec) -> tuple[int, ...]:
    """Levels read: the last three blocks of a ViT, all of a pyramid."""
    if spec.family == "vit":
        return tuple(range(spec.depth - 3, spec.depth))
    return tuple(range(spec.depth))


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
    return [_sample(level, y, x, extent) for level, extent in _blocks(grid)]


def _blocks(
    grid: FeatureGrid,
) -> list[tuple[torch.Tensor, tuple[float, float]]]:
    """Levels and local features with the pixels (Y, X) that they span."""
    step = grid_step(grid.shape)
    whole = float(grid.shape[0]), float(grid.shape[1])
    over = float(grid.cells[0] * step), float(grid.cells[1] * step)
    return [*((level, whole) for level in grid.levels), (grid.local, over)]


def _sample(
    block: torch.Tensor, y: torch.Tensor, x: torch.Tensor, extent: tuple[float, float]
) -> torch.Tensor:
    import torch
    from torch.nn import functional

    at = torch.stack([(x + 0.5) * 2 / extent[1] - 1, (y + 0.5) * 2 / extent[0] - 1], -1)
    return functional.grid_sample(
        block[None].float(), at[None, None], padding_mode="border", align_corners=False
    )[0, :, 0].T


def cell_positions(grid: FeatureGrid) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of the cells of the regular grid, in pixels, row by row."""
    import torch

    step = grid_step(grid.shape)
    y, x = (torch.arange(n) * step + (step - 1) / 2 for n in grid.cells)
    return y.repeat_interleave(len(x)), x.repeat(len(y))


@dataclass(frozen=True, slots=True)
class Basis:
    """Linear map of all blocks to a short vector; every block counts the same.

    Parameters
    ----------
    means : tuple of torch.Tensor, each (D,)
        Mean of each block.
    maps : tuple of torch.Tensor, each (D, J)
        The vector is the sum over blocks of ``(features - mean) @ map``.
    """

    means: tuple[torch.Tensor, ...]
    maps: tuple[torch.Tensor, ...]

    def check(self, grid: FeatureGrid) -> bool:
        """Whether a tile has the widths that this basis was made for."""
        widths = [len(block) for block, _ in _blocks(grid)]
        return widths == [len(mean) for mean in self.means]

    def project(self, blocks: list[torch.Tensor]) -> torch.Tensor:
        """Bring gathered features, each (N, D), to vectors, shape (N, J)."""
        import torch

        parts = zip(blocks, self.means, self.maps, strict=True)
        return torch.stack([(b.float() - m) @ p for b, m, p in parts]).sum(0)

    def vectors(self, grid: FeatureGrid) -> torch.Tensor:
        """Vectors of all cells of a tile's regular grid.

        The map is linear and so is interpolation: each level is reduced at its
        own resolution before it is read between cells.

        Returns
        -------
        torch.Tensor, shape (gy * gx, J), float32
        """
        import torch

        y, x = cell_positions(grid)
        total = torch.zeros(len(y), self.maps[0].shape[1])
        parts = zip(_blocks(grid), self.means, self.maps, strict=True)
        for (block, extent), mean, projection in parts:
            depth, h, w = block.shape
            if projection.shape[1] < depth:
                flat = block.flatten(1).float()
                block = (projection.T @ flat - (mean @ projection)[:, None]).view(
                    -1, h, w
                )
                for rows in torch.arange(len(y)).split(CHUNK):
                    total[rows] += _sample(block, y[rows], x[rows], extent)
            else:
                for rows in torch.arange(len(y)).split(CHUNK):
                    read = _sample(block, y[rows], x[rows], extent)
                    total[rows] += (read - mean) @ projection
        return total


@dataclass(frozen=True, slots=True)
class Probe:
    """Radial units over the vectors of a basis, one contest a class.

    Parameters
    ----------
    basis : Basis
        Makes vectors of features.
    units : torch.Tensor, shape (N, J)
        Centres of the radial units.
    weight : torch.Tensor, shape (N, K)
        Weight of each unit for each class; zero columns for classes without
        marks.
    present : torch.Tensor, shape (K,), bool
        Classes with marks.
    length : float
        Width of the units.
    """

    basis: Basis
    units: torch.Tensor
    weight: torch.Tensor
    present: torch.Tensor
    length: float

    @property
    def n_classes(self) -> int:
        """Classes with background."""
        return len(self.present)

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Classify vectors.

        Parameters
        ----------
        vectors : torch.Tensor, shape (N, J)
            See :meth:`Basis.vectors`.

        Returns
        -------
        torch.Tensor, shape (N, K), float32
            They sum to 1; 0 for classes without marks.
        """
        import torch

        active = self.weight[:, self.present]
        scores = torch.cat(
            [
                radial(part, self.units, self.length) @ active
                for part in vectors.split(CHUNK)
            ]
        )
        won = torch.sigmoid(scores + active.sum(0))
        result = torch.zeros(len(vectors), self.n_classes)
        result[:, self.present] = won / won.sum(1, keepdim=True).clamp_min(1e-9)
        return result

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that is learned, by name, for a file."""
        import torch

        named = {
            "units": self.units,
            "weight": self.weight,
            "present": self.present,
            "length": torch.tensor(self.length, dtype=torch.float64),
        }
        for field in dataclasses.fields(Basis):
            for i, tensor in enumerate(getattr(self.basis, field.name)):
                named[f"{field.name}.{i}"] = tensor
        return named

    @classmethod
    def from_tensors(cls, named: dict[str, torch.Tensor]) -> Probe:
        """Make a probe from what :meth:`tensors` gave."""
        count = sum(name.startswith("maps.") for name in named)
        basis = Basis(
            tuple(named[f"means.{i}"] for i in range(count)),
            tuple(named[f"maps.{i}"] for i in range(count)),
        )
        return cls(
            basis,
            named["units"],
            named["weight"],
            named["present"],
            float(named["length"]),
        )


def radial(a: torch.Tensor, b: torch.Tensor, length: float) -> torch.Tensor:
    """Gaussian radial kernel of vectors (N, J) and (M, J): shape (N, M)."""
    import torch

    scale = 1 / length**2
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)
    return torch.addmm(squares, a, b.T, beta=-scale / 2, alpha=scale).clamp_max_(
        0
    ).exp_()
