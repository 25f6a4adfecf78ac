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

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from napari_segdino.progress import Progress, Steps, drive, relay

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


def marks_on_cells(marks: torch.Tensor, step: int) -> torch.Tensor:
    """Mark a cell where any of its pixels is marked: thin strokes count.

    Parameters
    ----------
    marks : torch.Tensor of int, shape (Y, X)
        0 unlabelled, 1 background, 2.. classes; the highest wins in a cell.
    step : int
        Pixels a cell.

    Returns
    -------
    torch.Tensor of int, shape (gy, gx)
    """
    from torch.nn import functional

    y, x = marks.shape
    padded = functional.pad(marks, (0, -x % step, 0, -y % step))
    parts: torch.Tensor = padded.unflatten(1, (-1, step)).unflatten(0, (-1, step))
    return parts.amax((1, 3))


def trust_in(probabilities: torch.Tensor) -> torch.Tensor:
    """Weigh cells by how clearly one class leads.

    Parameters
    ----------
    probabilities : torch.Tensor, shape (K, *cells), float32
        What a probe says.

    Returns
    -------
    torch.Tensor, shape (*cells), float32
        From :data:`UNSURE` to a little over 1.
    """
    if len(probabilities) == 2:  # the same, and many times faster
        return (probabilities[1] - probabilities[0]) ** 2 + UNSURE
    first, second = probabilities.topk(2, 0).values
    trust: torch.Tensor = (first - second) ** 2 + UNSURE
    return trust


def put_marks(evidence: torch.Tensor, trust: torch.Tensor, marks: torch.Tensor) -> None:
    """Let marks take the place of what a probe says.

    Parameters
    ----------
    evidence : torch.Tensor, shape (K, gy, gx)
        Probabilities; changed in place.
    trust : torch.Tensor, shape (gy, gx)
        Weight of the evidence; changed in place.
    marks : torch.Tensor of int, shape (gy, gx)
        0 unlabelled, 1 background, 2.. classes.
    """
    marked = marks > 0
    for code, one in enumerate(evidence, 1):
        one.copy_((marks == code).to(one.dtype).where(marked, one))
    trust.masked_fill_(marked, PAINTED)


def diffuse(
    guides: torch.Tensor,
    evidence: torch.Tensor,
    trust: torch.Tensor,
    edges: float | None = None,
) -> torch.Tensor:
    """Regularise the maps of a tile.

    Parameters
    ----------
    guides : torch.Tensor, shape (C, gy, gx)
        Their differences are edges.
    evidence : torch.Tensor, shape (S, gy, gx)
        Maps from 0 to 1, each by itself.
    trust : torch.Tensor, shape (gy, gx)
        Weight of the evidence, above 0.
    edges : float, optional
        Mean squared difference of neighbours that counts as usual; None is the
        tile's own.

    Returns
    -------
    torch.Tensor, shape (S, gy, gx), float32
        On the device of all of these.
    """
    import torch

    squares = [guides.diff(dim=axis).square().sum(0) for axis in (1, 2)]
    # Differences count against what is usual here, so that contrast does not matter.
    count = max(1, sum(each.numel() for each in squares))
    own = (squares[0].sum() + squares[1].sum()) / count
    # A constant tile has no edges: nothing to divide by.
    mean = (own if edges is None else edges) + 1e-12
    links = [SMOOTHNESS * (torch.exp(-EDGE * each / mean) + LEAK) for each in squares]
    diagonal = _diagonal(trust, links)
    return torch.stack(
        [drive(_iter_solve(links, diagonal, trust, one, STEPS)) for one in evidence]
    )


def _diagonal(trust: torch.Tensor, links: Sequence[torch.Tensor]) -> torch.Tensor:
    """Weight of each cell and of all of its neighbours."""
    diagonal = trust.clone()
    for axis, link in enumerate(links):
        size = diagonal.shape[axis] - 1
        # narrow gives views, so that nothing is copied: a volume may have millions of
        # cells.
        diagonal.narrow(axis, 1, size).add_(link)
        diagonal.narrow(axis, 0, size).add_(link)
    return diagonal


def _iter_solve(
    links: Sequence[torch.Tensor],
    diagonal: torch.Tensor,
    trust: torch.Tensor,
    evidence: torch.Tensor,
    steps: int,
) -> Generator[int, None, torch.Tensor]:
    """Conjugate gradients with the diagonal as preconditioner; gives its steps."""
    import torch

    def apply(z: torch.Tensor) -> torch.Tensor:
        out = diagonal * z
        for axis, link in enumerate(links):
            size = z.shape[axis] - 1
            out.narrow(axis, 1, size).addcmul_(link, z.narrow(axis, 0, size), value=-1)
            out.narrow(axis, 0, size).addcmul_(link, z.narrow(axis, 1, size), value=-1)
        return out

    # From the evidence and not from 0: sure cells are nearly right from the first step
    # on.
    z = evidence.clone()
    residual = trust * evidence - apply(z)
    scaled = residual / diagonal
    direction, left = scaled.clone(), float((residual * scaled).sum())
    for step in range(steps):
        # Per cell, so that large tiles stop as early as small ones.
        if left < 1e-8 * z.numel():
            break
        yield step
        applied = apply(direction)
        length = left / max(float((direction * applied).sum()), 1e-20)
        z.add_(direction, alpha=length)
        residual.sub_(applied, alpha=length)
        torch.div(residual, diagonal, out=scaled)
        last, left = left, float((residual * scaled).sum())
        direction.mul_(left / last).add_(scaled)
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
    diagonal = _diagonal(trust, links)
    flowed, total = [], len(evidence) * VOLUME_STEPS
    for number, one in enumerate(evidence):
        solve = _iter_solve(links, diagonal, trust, one, VOLUME_STEPS)

        def told(step: int, first: int = number * VOLUME_STEPS) -> list[Progress]:
            return [Progress(first + step, total, text)]

        flowed.append((yield from relay(solve, told)))
    return torch.stack(flowed)
