"""Spatial regularisation: probabilities flow along the image, not over its edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.features.grid import FeatureGrid, grid_step
from napari_segdino.features.local import on_grid

if TYPE_CHECKING:
    import torch

SMOOTHNESS = 10.0
"""Weight of neighbours against a probe that is sure."""

EDGE = 4.0
"""How fast neighbours part, in the tile's mean squared difference."""

STEPS = 30
"""Conjugate-gradient steps; more change nothing visible."""

UNSURE = 0.02
"""Weight of a cell that the probe is undecided about; a sure one weighs 1."""

PAINTED = 10.0
"""Weight of a painted cell."""

RADIUS, EPSILON = 3, 1e-3
"""Guided filter: radius in pixels, and variance that counts as an edge."""

SIGMA_SIDE = 512
"""Longer side of the tile in whose pixels the width of :func:`smooth` is given."""

Map = NDArray[np.float32]


def refine(
    probabilities: torch.Tensor,
    grid: FeatureGrid,
    marks: torch.Tensor | None = None,
    flow: bool = True,
    edges: float | None = None,
) -> torch.Tensor:
    """Bring probabilities from the regular grid to pixels, along edges.

    A sparse linear system (as in random walks with a prior, Grady 2005) lets
    sure cells and strokes speak for their neighbours, and a fast guided filter
    (He and Sun 2015) carries the result to full resolution.

    Parameters
    ----------
    probabilities : torch.Tensor, shape (K, gy, gx), float32
        On the tile's regular grid.
    grid : FeatureGrid
        The tile.
    marks : torch.Tensor of int, shape (Y, X), optional
        What is painted on the tile: 0 unlabelled, 1 background, 2.. classes.
    flow : bool
        False only brings them to full resolution.
    edges : float, optional
        Mean squared difference of neighbouring cells that counts as usual; None
        is the tile's own.

    Returns
    -------
    torch.Tensor, shape (K, Y, X), float32
        Not negative; they sum to 1.
    """
    import torch
    from torch.nn import functional

    if not flow:
        step = grid_step(grid.shape)
        fine = functional.interpolate(
            probabilities[None], scale_factor=step, mode="bilinear"
        )[0, :, : grid.shape[0], : grid.shape[1]]
        return fine / fine.sum(0)
    evidence = probabilities.numpy().copy()
    order = np.sort(evidence, 0)
    trust = (order[-1] - order[-2]) ** 2 + np.float32(UNSURE)
    if marks is not None:
        painted = marks_on_cells(marks.numpy(), grid_step(grid.shape))
        marked = painted > 0
        evidence[:, marked] = (
            np.arange(1, len(evidence) + 1)[:, None] == painted[marked]
        )
        trust[marked] = PAINTED
    free = slice(1, None) if len(evidence) == 2 else slice(None)
    colour = grid.colour.float().numpy()
    flowed = torch.from_numpy(_diffuse(colour, evidence[free], trust, edges))
    fine = guide(flowed, grid.grey).clamp_(0, 1)
    if len(evidence) == 2:
        fine = torch.cat([1 - fine, fine])
    return fine / fine.sum(0).clamp_min(1e-6)


def smooth(probabilities: torch.Tensor, sigma: float) -> torch.Tensor:
    """Smooth the probabilities of a tile with a Gaussian.

    Parameters
    ----------
    probabilities : torch.Tensor, shape (K, Y, X), float32
        They sum to 1 over K.
    sigma : float
        Its width in pixels of a tile whose longer side is :data:`SIGMA_SIDE`; 0
        changes nothing.

    Returns
    -------
    torch.Tensor, shape (K, Y, X), float32
    """
    import torch
    from scipy.ndimage import gaussian_filter

    width = sigma * max(probabilities.shape[1:]) / SIGMA_SIDE
    if not width:
        return probabilities
    maps = gaussian_filter(probabilities.numpy(), (0, width, width), mode="nearest")
    return torch.from_numpy(maps)


def marks_on_cells(marks: NDArray[Any], step: int) -> NDArray[Any]:
    """Mark a cell where any of its pixels is marked: thin strokes count."""
    room = [(0, -size % step) for size in marks.shape]
    y, x = (-(-size // step) for size in marks.shape)
    cells: NDArray[Any] = np.pad(marks, room).reshape(y, step, x, step).max((1, 3))
    return cells


def _diffuse(colour: Map, evidence: Map, trust: Map, edges: float | None = None) -> Map:
    """Minimise trust-weighted distance to the evidence plus edge-weighted steps."""
    down = ((colour[:, 1:] - colour[:, :-1]) ** 2).sum(0)
    right = ((colour[:, :, 1:] - colour[:, :, :-1]) ** 2).sum(0)
    own = (down.sum() + right.sum()) / max(1, down.size + right.size)
    mean = (own if edges is None else edges) + 1e-12
    down, right = (
        (SMOOTHNESS * (np.exp(-EDGE * d / mean) + 1e-3)).astype(np.float32)
        for d in (down, right)
    )
    diagonal = trust.copy()
    diagonal[1:] += down
    diagonal[:-1] += down
    diagonal[:, 1:] += right
    diagonal[:, :-1] += right

    def apply(z: Map) -> Map:
        out = diagonal * z
        out[1:] -= down * z[:-1]
        out[:-1] -= down * z[1:]
        out[:, 1:] -= right * z[:, :-1]
        out[:, :-1] -= right * z[:, 1:]
        return out

    return np.stack([_solve(apply, diagonal, trust * e, e) for e in evidence])


def _solve(apply: Any, diagonal: Map, target: Map, start: Map) -> Map:
    """Conjugate gradients with the diagonal as preconditioner."""
    z = start.copy()
    residual = target - apply(z)
    scaled = residual / diagonal
    direction, size = scaled.copy(), float((residual * scaled).sum())
    for _ in range(STEPS):
        if size < 1e-8 * z.size:
            break
        applied = apply(direction)
        step = np.float32(size / max(float((direction * applied).sum()), 1e-20))
        z += step * direction
        residual -= step * applied
        scaled = residual / diagonal
        last, size = size, float((residual * scaled).sum())
        direction = scaled + np.float32(size / last) * direction
    return z


def guide(
    coarse: torch.Tensor, grey: torch.Tensor, radius: int | None = None
) -> torch.Tensor:
    """Carry maps (K, gy, gx) to pixels (K, Y, X) along a grey tile's edges.

    The radius is in cells; None is :data:`RADIUS` pixels.
    """
    import torch
    from torch.nn import functional

    shape = grey.shape[0], grey.shape[1]
    step = grid_step(shape)
    grey = grey.float()
    small = torch.from_numpy(on_grid(grey.numpy(), step))
    slope, offset = _guided(small, coarse, radius or max(1, round(RADIUS / step)))
    if step > 1:
        both = torch.cat([slope, offset])[None]
        both = functional.interpolate(
            both, scale_factor=step, mode="bilinear", align_corners=False
        )[0, :, : shape[0], : shape[1]]
        slope, offset = both.chunk(2)
    return slope * grey + offset


def _guided(
    grey: torch.Tensor, maps: torch.Tensor, radius: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients of a guided filter: maps are ``slope * grey + offset``."""
    import torch

    radius = min(radius, (min(grey.shape) - 1) // 2)
    if radius < 1:
        return torch.zeros_like(maps), maps
    means = _box(torch.cat([grey[None], grey[None] ** 2, maps, grey * maps]), radius)
    k = len(maps)
    mean, square, of_maps, product = means.split([1, 1, k, k])
    slope = (product - mean * of_maps) / (square - mean**2 + EPSILON)
    slope, offset = _box(torch.cat([slope, of_maps - slope * mean]), radius).chunk(2)
    return slope, offset


def _box(planes: torch.Tensor, radius: int) -> torch.Tensor:
    """Mean over a square, shape (D, Y, X); borders count fewer pixels."""
    from torch.nn import functional

    side = 2 * radius + 1
    rows = functional.avg_pool2d(
        planes[None], (side, 1), 1, (radius, 0), count_include_pad=False
    )
    return functional.avg_pool2d(
        rows, (1, side), 1, (0, radius), count_include_pad=False
    )[0]
