"""What a box says before anything is known of the features in it: an ellipse.

Boxes on a tile are a table (B, 9): label, edges y0, x0, y1 and x1 in pixels of the
tile, then centre y and x and half axes of the ellipse, in half sides of the box.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from napari_segdino.features.grid import FeatureGrid, grid_step
from napari_segdino.images.boxes import Box

COLUMNS = 9

SLOPE, RIM, CAP = 6.0, 0.96, 4.0
"""Logit of the prior: how fast it falls from the centre of the ellipse to its rim,
where it is zero, in half sides of the box; and the most it may be."""


def prior_logits(
    pixels: NDArray[np.floating], boxes: Sequence[Box], ellipses: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Logits of an object before anything is known of its features.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (N, 2)
        Positions y and x in the plane of the boxes.
    boxes : sequence of Box
        Of one class.
    ellipses : numpy.ndarray, shape (B, 4)
        Where in each box the object is; see :data:`CENTRED`.

    Returns
    -------
    numpy.ndarray, shape (N,)
        From -CAP, outside all boxes, to CAP.
    """
    found = np.full(len(pixels), -CAP)
    for box, ellipse in zip(boxes, ellipses, strict=True):
        inside = np.flatnonzero(box.contains(pixels))
        at = (box.relative(pixels[inside]) - ellipse[:2]) / ellipse[2:]
        logit = np.clip(SLOPE * (RIM - np.linalg.norm(at, axis=1)), -CAP, CAP)
        found[inside] = np.maximum(found[inside], logit)
    return found


def table_of(
    boxes: Mapping[Box, NDArray[np.floating]], corner: tuple[int, int]
) -> torch.Tensor:
    """Return the table of boxes and their ellipses on a tile.

    Parameters
    ----------
    boxes : mapping of Box to numpy.ndarray, shape (4,)
        Ellipse of each box.
    corner : tuple of int
        First pixel (y, x) of the tile.
    """
    y, x = corner
    rows = [
        [b.label, b.y0 - y, b.x0 - x, b.y1 - y, b.x1 - x, *ellipse]
        for b, ellipse in boxes.items()
    ]
    return torch.tensor(rows, dtype=torch.float32)


def boxes_of(table: torch.Tensor, plane: int, corner: tuple[int, int]) -> list[Box]:
    """Return the boxes of a table; the inverse of :func:`table_of`.

    Parameters
    ----------
    table : torch.Tensor, shape (B, 9)
        Boxes on a tile.
    plane : int
        Flat index of its plane.
    corner : tuple of int
        First pixel (y, x) of the tile.
    """
    y, x = corner
    return [
        Box(plane, y0 + y, x0 + x, y1 + y, x1 + x, int(label))
        for label, y0, x0, y1, x1 in table[:, :5].double().tolist()
    ]


def check_table(table: torch.Tensor) -> None:
    """Raise ValueError where a table read from a file holds no boxes.

    Parameters
    ----------
    table : torch.Tensor, shape (B, C)
        As read.
    """
    if table.shape[1] != COLUMNS or not table.isfinite().all():
        raise ValueError(f"a table of boxes has {COLUMNS} columns of numbers")
    if not (table[:, 3:5] > table[:, 1:3]).all() or not (table[:, 7:] > 0).all():
        raise ValueError("boxes and ellipses have an area")


def add_prior(
    found: torch.Tensor, grid: FeatureGrid, prior: tuple[torch.Tensor, float]
) -> torch.Tensor:
    """Bring the prior of boxes into what a probe says of a tile.

    Parameters
    ----------
    found : torch.Tensor, shape (N, K), float32
        Probabilities of its cells.
    grid : FeatureGrid
        The tile.
    prior : tuple of (torch.Tensor of shape (B, 9), float)
        Boxes in pixels of the tile, each with label, edges and ellipse, and what part
        of the prior is left.

    Returns
    -------
    torch.Tensor, shape (N, K), float32
    """
    table, left = prior
    step = grid_step(grid.shape)
    axes = [step * (np.arange(n) + 0.5) for n in grid.cells]
    cells = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    rows = table.cpu().double().numpy()
    factors = torch.ones_like(found)
    for label in range(1, found.shape[1]):
        own = rows[rows[:, 0] == label]
        boxes = [Box(0, y0, x0, y1, x1, label) for y0, x0, y1, x1 in own[:, 1:5]]
        if not len(own):
            continue  # strokes alone say where it is
        logits = left * prior_logits(cells, boxes, own[:, 5:])
        factors[:, label] = torch.from_numpy(np.exp(logits)).float().to(found.device)
    # For two classes this adds the logits.
    joint = found * factors
    return joint / joint.sum(1, keepdim=True).clamp_min(1e-9)
