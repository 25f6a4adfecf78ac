"""A first mask with nothing learned: frozen features grouped without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.mvr import Probe

if TYPE_CHECKING:
    import torch

COMPONENTS = 16
"""Principal components that are grouped."""

MAX_CELLS = 20_000
ROUNDS = 30
STARTS = 5


def cells_of(grid: FeatureGrid) -> torch.Tensor:
    """Features of a tile on one coarse grid, all levels side by side.

    Returns
    -------
    torch.Tensor, shape (h * w, D), float32
        Levels in order, then local features, at the resolution of the level
        in the middle.
    """
    import torch
    from torch.nn import functional

    size = grid.levels[len(grid.levels) // 2].shape[-2:]
    levels = [t for t in (*grid.levels, grid.local) if t.numel()]
    parts = [
        functional.interpolate(
            level[None].float(), size, mode="bilinear", antialias=True
        )[0]
        for level in levels
    ]
    return torch.cat(parts).flatten(1).T


def border_of(grid: FeatureGrid) -> torch.Tensor:
    """Which cells of :func:`cells_of` lie on the border of the tile.

    Returns
    -------
    torch.Tensor, shape (h * w,), bool
    """
    import torch

    inner = torch.ones(grid.levels[len(grid.levels) // 2].shape[-2:], dtype=torch.bool)
    inner[1:-1, 1:-1] = False
    return inner.flatten()


def cluster_probe(grids: Sequence[FeatureGrid], n_groups: int, seed: int) -> Probe:
    """Group cells by k-means and return the groups as a linear probe.

    Nearest-centre assignment is linear in the features, so the groups are
    drawn at full resolution by the same means as a trained probe. The group
    that holds most of the border becomes background; the others follow by
    falling size.

    Parameters
    ----------
    grids : sequence of FeatureGrid
        Features of one or more tiles.
    n_groups : int
        Background and classes, at least 2.
    seed : int
        The same seed gives the same groups.

    Returns
    -------
    Probe
    """
    import torch

    cells = torch.cat([cells_of(g) for g in grids])
    border = torch.cat([border_of(g) for g in grids])
    mean, spread = cells.mean(0), cells.std(0).clamp_min(1e-4)
    x = (cells - mean) / spread
    basis = _principal(x, COMPONENTS)
    low = x @ basis
    centres = _kmeans(low, n_groups, seed)
    nearest = torch.cdist(low, centres).argmin(1)
    order = _order(nearest, border, n_groups)
    centres = centres[order]
    sharpness = _sharpness(low, centres)
    weight = 2 * sharpness * centres @ basis.T / spread
    bias = -sharpness * (centres**2).sum(1) - weight @ mean
    return Probe(weight, bias)


def _principal(x: torch.Tensor, count: int) -> torch.Tensor:
    """Leading principal directions, shape (D, count)."""
    import torch

    count = min(count, *x.shape)
    covariance = x.T @ x / len(x)
    _, vectors = torch.linalg.eigh(covariance)
    return vectors[:, -count:].flip(1)


def _kmeans(x: torch.Tensor, groups: int, seed: int) -> torch.Tensor:
    """Centres with the least scatter over several seeded starts."""
    import torch

    random = torch.Generator().manual_seed(seed)
    if len(x) > MAX_CELLS:
        x = x[torch.randperm(len(x), generator=random)[:MAX_CELLS]]
    best, best_scatter = x[:groups], float("inf")
    for _ in range(STARTS):
        centres = _spread_out(x, groups, random)
        for _ in range(ROUNDS):
            nearest = torch.cdist(x, centres).argmin(1)
            members = torch.nn.functional.one_hot(nearest, groups).float()
            counts = members.sum(0).clamp_min(1)[:, None]
            centres = torch.where(
                members.sum(0)[:, None] > 0, members.T @ x / counts, centres
            )
        scatter = float(torch.cdist(x, centres).amin(1).square().sum())
        if scatter < best_scatter:
            best, best_scatter = centres, scatter
    return best


def _spread_out(
    x: torch.Tensor, groups: int, random: torch.Generator
) -> torch.Tensor:
    """Starting centres by k-means++ (Arthur and Vassilvitskii, 2007)."""
    import torch

    picks = [int(torch.randint(len(x), (1,), generator=random))]
    for _ in range(groups - 1):
        distance = torch.cdist(x, x[picks]).amin(1).square() + 1e-12
        picks.append(int(torch.multinomial(distance, 1, generator=random)))
    return x[picks].clone()


def _order(nearest: torch.Tensor, border: torch.Tensor, groups: int) -> list[int]:
    import torch

    on_border = torch.bincount(nearest[border], minlength=groups)
    size = torch.bincount(nearest, minlength=groups)
    background = int(on_border.argmax())
    rest = sorted(set(range(groups)) - {background}, key=lambda g: -int(size[g]))
    return [background, *rest]


def _sharpness(x: torch.Tensor, centres: torch.Tensor) -> float:
    """Scale of the soft assignment: within-group scatter per dimension."""
    import torch

    within = torch.cdist(x, centres).amin(1).square().mean() / x.shape[1]
    return float(0.5 / within.clamp_min(1e-6))
