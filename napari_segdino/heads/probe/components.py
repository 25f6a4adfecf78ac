"""Which few numbers describe a pixel: principal components of what was encoded."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.samples import Sample

LEVEL_COMPONENTS = 32
"""Principal components kept of a level: more are no better and cost time."""

JOINT_COMPONENTS = 96
"""Components kept of all blocks together, which repeat each other."""

CONTEXT_ROWS = 8192


def fit_basis(samples: Sequence[Sample], joint: bool = True) -> Basis:
    """Find a basis in which every block counts the same.

    Levels keep their leading principal components and get one scale each;
    local features, the last block, are standardised one by one since their
    units differ. Every tile weighs the same.

    Parameters
    ----------
    samples : sequence of Sample
        Tiles; only their context is read.
    joint : bool
        Whether a rotation of all blocks then drops what they repeat; distances
        stay, and a vector is several times shorter.

    Returns
    -------
    Basis
    """
    rows = max(1, CONTEXT_ROWS // len(samples))
    # double: directions of little variance are lost in float32 beside those of much.
    context = [s.context[:rows].double() for s in samples]
    device = context[0].device
    weights = torch.cat(
        [torch.full((len(c),), 1 / len(c), device=device) for c in context]
    )
    weights = weights.double() / len(samples)
    blocks = torch.cat(context).split(samples[0].widths.tolist(), 1)
    means = [weights @ block for block in blocks]
    maps = []
    for i, (block, mean) in enumerate(zip(blocks, means, strict=True)):
        centred = block - mean
        spread = _standard if i == len(blocks) - 1 else _principal
        maps.append(spread((centred.T * weights) @ centred))
    if not joint:
        return Basis(
            tuple(m.float() for m in means), tuple(p.float() for p in maps), True
        )
    vectors = torch.cat(
        [(b - m) @ p for b, m, p in zip(blocks, means, maps, strict=True)], 1
    )
    _, directions = torch.linalg.eigh((vectors.T * weights) @ vectors)
    widths = [p.shape[1] for p in maps]
    # Rows of the rotation that belong to each block: blocks then need not be stacked.
    rotations = directions.flip(1)[:, :JOINT_COMPONENTS].split(widths)
    return Basis(
        tuple(m.float() for m in means),
        tuple((p @ r).float() for p, r in zip(maps, rotations, strict=True)),
        False,
    )


def _principal(covariance: torch.Tensor) -> torch.Tensor:
    """Leading directions, scaled to a mean squared norm of 1 in all."""
    # eigh sorts by rising value, hence the flips.
    values, vectors = torch.linalg.eigh(covariance)
    total = values.flip(0)[:LEVEL_COMPONENTS].clamp_min(0).sum().sqrt()
    leading: torch.Tensor = vectors.flip(1)[:, :LEVEL_COMPONENTS] / (total + 1e-6)
    return leading


def _standard(covariance: torch.Tensor) -> torch.Tensor:
    """Each feature over its own spread, to a mean squared norm of 1 in all."""
    spread = covariance.diagonal().clamp_min(0).sqrt()
    # A constant feature (colour, of a grey image) is left out, not blown up.
    scale = torch.where(spread > 1e-4, 1 / spread.clamp_min(1e-4), 0.0)
    scale = scale / max(1, int((spread > 1e-4).sum())) ** 0.5
    return torch.diag(scale)
