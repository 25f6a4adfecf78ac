"""The linear system that regularises probabilities, on a tile and on a volume.

Each cell stays near what the probe or a mark says of it, and near its neighbours unless
an edge stands between: a random walk with a prior [1]_, solved by conjugate gradients
with the diagonal as preconditioner.

References
----------
.. [1] L. Grady, Multilabel random walker image segmentation using prior models, CVPR
   2005; Random walks for image segmentation, IEEE TPAMI 28(11), 2006.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.progress import Progress, Steps

if TYPE_CHECKING:
    import torch

# Chosen in docs/benchmarks/interactive.md (tiles) and volumes.md (volumes).

SMOOTHNESS = 10.0
"""Weight of neighbours against a probe that is sure."""

LEAK = 1e-3
"""Part of a neighbour's weight that no edge stops."""

UNSURE = 0.02
"""Weight of a cell that the probe is undecided about; a sure one weighs 1."""

PAINTED = 10.0
"""Weight of a painted cell."""

EDGE, VOLUME_EDGE = 4.0, 7.0
"""How fast neighbours part, in the mean squared difference of neighbours."""

STEPS, VOLUME_STEPS = 30, 60
"""Conjugate-gradient steps; more change nothing visible."""

Map = NDArray[np.float32]


def marks_on_cells(marks: NDArray[Any], step: int) -> NDArray[Any]:
    """Mark a cell where any of its pixels is marked: thin strokes count.

    Parameters
    ----------
    marks : numpy.ndarray of int, shape (Y, X)
        0 unlabelled, 1 background, 2.. classes; the highest wins in a cell.
    step : int
        Pixels a cell.

    Returns
    -------
    numpy.ndarray of int, shape (gy, gx)
    """
    room = [(0, -size % step) for size in marks.shape]
    y, x = (-(-size // step) for size in marks.shape)
    cells: NDArray[Any] = np.pad(marks, room).reshape(y, step, x, step).max((1, 3))
    return cells


def trust_in(probabilities: Map) -> Map:
    """Weigh cells by how clearly one class leads.

    Parameters
    ----------
    probabilities : numpy.ndarray, shape (K, *cells), float32
        What a probe says.

    Returns
    -------
    numpy.ndarray, shape (*cells), float32
        From :data:`UNSURE` to a little over 1.
    """
    order = np.sort(probabilities, 0)
    trust: Map = (order[-1] - order[-2]) ** 2 + np.float32(UNSURE)
    return trust


def put_marks(evidence: Map, trust: Map, marks: NDArray[Any]) -> None:
    """Let marks take the place of what a probe says.

    Parameters
    ----------
    evidence : numpy.ndarray, shape (K, gy, gx)
        Probabilities; changed in place.
    trust : numpy.ndarray, shape (gy, gx)
        Weight of the evidence; changed in place.
    marks : numpy.ndarray of int, shape (gy, gx)
        0 unlabelled, 1 background, 2.. classes.
    """
    marked = marks > 0
    codes = np.arange(1, len(evidence) + 1)[:, None]
    evidence[:, marked] = codes == marks[marked]
    trust[marked] = PAINTED


def diffuse(guides: Map, evidence: Map, trust: Map, edges: float | None = None) -> Map:
    """Regularise the maps of a tile.

    Parameters
    ----------
    guides : numpy.ndarray, shape (C, gy, gx)
        Their differences are edges.
    evidence : numpy.ndarray, shape (S, gy, gx)
        Maps from 0 to 1, each by itself.
    trust : numpy.ndarray, shape (gy, gx)
        Weight of the evidence, above 0.
    edges : float, optional
        Mean squared difference of neighbours that counts as usual; None is the
        tile's own.

    Returns
    -------
    numpy.ndarray, shape (S, gy, gx), float32
    """
    down = ((guides[:, 1:] - guides[:, :-1]) ** 2).sum(0)
    right = ((guides[:, :, 1:] - guides[:, :, :-1]) ** 2).sum(0)
    # Differences count against what is usual here, so that contrast does not matter.
    own = (down.sum() + right.sum()) / max(1, down.size + right.size)
    # A constant tile has no edges: nothing to divide by.
    mean = (own if edges is None else edges) + 1e-12
    down, right = (
        (SMOOTHNESS * (np.exp(-EDGE * d / mean) + LEAK)).astype(np.float32)
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
        # Per cell, so that large tiles stop as early as small ones.
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


def resemblance(guides: torch.Tensor) -> torch.Tensor:
    """Return how much each slice resembles the next one, shape (Z - 1,).

    Parameters
    ----------
    guides : torch.Tensor, shape (C, Z, Y, X)
        Intensities of the slices.

    Returns
    -------
    torch.Tensor
        Pearson correlation, 0 where it is negative: pictures that have nothing to do
        with each other say nothing about each other. 1 where both are of one tone.
    """
    import torch

    from_mean = guides - guides.mean((2, 3), keepdim=True)
    spread = (from_mean**2).sum((0, 2, 3))
    common = (from_mean[:, 1:] * from_mean[:, :-1]).sum((0, 2, 3))
    both = (spread[1:] * spread[:-1]).sqrt()
    flat = torch.maximum(spread[1:], spread[:-1]) < 1e-9
    return torch.where(flat, 1.0, common / both.clamp_min(1e-12)).clamp(0, 1)


def _volume_links(
    guides: torch.Tensor, edges: float, across: float
) -> list[torch.Tensor]:
    """Weights between neighbours along z, y and x; see `iter_diffuse_volume`."""
    import torch

    links = []
    for axis in range(3):
        squares = (guides.diff(dim=axis + 1) ** 2).sum(0)
        link = torch.exp(squares * (-VOLUME_EDGE / (edges + 1e-12)))
        if axis == 0:
            # Between slices what no edge stops is worth what the slices have in common:
            # pictures that have nothing to do with each other pass nothing on.
            link = across * (link + LEAK * resemblance(guides)[:, None, None])
        else:
            link = link + LEAK
        links.append(SMOOTHNESS * link)
    return links


def iter_diffuse_volume(
    guides: torch.Tensor,
    evidence: torch.Tensor,
    trust: torch.Tensor,
    edges: float,
    across: float,
    text: str,
) -> Steps[torch.Tensor]:
    """Regularise the maps of slices that lie behind one another.

    Parameters
    ----------
    guides : torch.Tensor, shape (C, Z, Y, X)
        Their differences are edges.
    evidence : torch.Tensor, shape (S, Z, Y, X)
        Maps from 0 to 1, each by itself.
    trust : torch.Tensor, shape (Z, Y, X)
        Weight of the evidence, above 0.
    edges : float
        Mean squared difference of neighbours that counts as usual.
    across : float
        Weight of neighbours along z against those in the slice.
    text : str
        For the progress.

    Yields
    ------
    Progress

    Returns
    -------
    torch.Tensor, shape (S, Z, Y, X)
        Between the least and the largest of the evidence.
    """
    import torch

    links = _volume_links(guides, edges, across)
    diagonal = trust.clone()
    for axis, link in enumerate(links):
        size = diagonal.shape[axis]
        # narrow gives views, so that nothing is copied: a volume may have millions of
        # cells.
        diagonal.narrow(axis, 1, size - 1).add_(link)
        diagonal.narrow(axis, 0, size - 1).add_(link)

    def apply(z: torch.Tensor) -> torch.Tensor:
        out = diagonal * z
        for axis, link in enumerate(links):
            size = z.shape[axis] - 1
            out.narrow(axis, 1, size).addcmul_(link, z.narrow(axis, 0, size), value=-1)
            out.narrow(axis, 0, size).addcmul_(link, z.narrow(axis, 1, size), value=-1)
        return out

    flowed = []
    total = len(evidence) * VOLUME_STEPS
    for number, start in enumerate(evidence):
        # From the evidence and not from 0: sure cells are nearly right from the first
        # step on.
        z = start.clone()
        residual = trust * start - apply(z)
        scaled = residual / diagonal
        direction, left = scaled.clone(), float((residual * scaled).sum())
        for step in range(VOLUME_STEPS):
            if left < 1e-8 * z.numel():
                break
            yield Progress(number * VOLUME_STEPS + step, total, text)
            applied = apply(direction)
            length = left / max(float((direction * applied).sum()), 1e-20)
            z.add_(direction, alpha=length)
            residual.sub_(applied, alpha=length)
            torch.div(residual, diagonal, out=scaled)
            last, left = left, float((residual * scaled).sum())
            direction.mul_(left / last).add_(scaled)
        flowed.append(z)
    return torch.stack(flowed)
