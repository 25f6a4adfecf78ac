"""Fitting the probe of ``mvr`` to marked pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_segdino.errors import InputError
from napari_segdino.heads.mvr import Basis, Probe, radial
from napari_segdino.training.samples import Sample

if TYPE_CHECKING:
    import torch

LEVEL_COMPONENTS = 32
"""Principal components kept of a level: more are no better and cost time."""

JOINT_COMPONENTS = 96
"""Components kept of all blocks together, which repeat each other."""

LENGTH = 1.0
"""Width of the units, in root mean squared norms of a vector."""

RIDGE = 1 / 30
"""Precision of the prior on functions, against a total weight of one a stroke."""

NEWTON_STEPS = 30
CONTEXT_ROWS = 8192
MAX_UNITS = 2048


def fit_basis(samples: Sequence[Sample]) -> Basis:
    """Find a basis in which every block counts the same.

    Levels keep their leading principal components and get one scale each;
    local features, the last block, are standardised one by one since their
    units differ. A joint rotation then drops what blocks repeat; distances
    stay. Every tile weighs the same.

    Parameters
    ----------
    samples : sequence of Sample
        Tiles; only their context is read.

    Returns
    -------
    Basis
    """
    import torch

    rows = max(1, CONTEXT_ROWS // len(samples))
    context = [s.context[:rows].double() for s in samples]
    weights = torch.cat([torch.full((len(c),), 1 / len(c)) for c in context])
    weights = weights.double() / len(samples)
    blocks = torch.cat(context).split(samples[0].widths.tolist(), 1)
    means = [weights @ block for block in blocks]
    maps = []
    for i, (block, mean) in enumerate(zip(blocks, means, strict=True)):
        centred = block - mean
        spread = _standard if i == len(blocks) - 1 else _principal
        maps.append(spread((centred.T * weights) @ centred))
    joint = torch.cat(
        [(b - m) @ p for b, m, p in zip(blocks, means, maps, strict=True)], 1
    )
    _, vectors = torch.linalg.eigh((joint.T * weights) @ joint)
    rotations = vectors.flip(1)[:, :JOINT_COMPONENTS].split([m.shape[1] for m in maps])
    return Basis(
        tuple(m.float() for m in means),
        tuple((p @ r).float() for p, r in zip(maps, rotations, strict=True)),
    )


def _principal(covariance: torch.Tensor) -> torch.Tensor:
    """Leading directions, scaled to a mean squared norm of 1 in all."""
    import torch

    values, vectors = torch.linalg.eigh(covariance)
    total = values.flip(0)[:LEVEL_COMPONENTS].clamp_min(0).sum().sqrt()
    return vectors.flip(1)[:, :LEVEL_COMPONENTS] / (total + 1e-6)


def _standard(covariance: torch.Tensor) -> torch.Tensor:
    """Each feature over its own spread, to a mean squared norm of 1 in all."""
    import torch

    spread = covariance.diagonal().clamp_min(0).sqrt()
    scale = torch.where(spread > 1e-4, 1 / spread.clamp_min(1e-4), 0.0)
    return torch.diag(scale) / max(1, int((spread > 1e-4).sum())) ** 0.5


def fit_probe(samples: Sequence[Sample], n_classes: int, basis: Basis) -> Probe:
    """Fit kernel logistic regression, each class against the rest.

    Each stroke weighs the same, and so do both sides of each contest.

    Parameters
    ----------
    samples : sequence of Sample
        Marked pixels of one or more tiles.
    n_classes : int
        Classes with background.
    basis : Basis
        Makes vectors of features.

    Returns
    -------
    Probe

    Raises
    ------
    InputError
        If the marks hold fewer than two classes.
    """
    import torch

    codes = torch.cat([s.codes for s in samples]).long() - 1
    weights = torch.cat([s.weights for s in samples]).double()
    present = torch.bincount(codes, minlength=n_classes) > 0
    if int(present.sum()) < 2:
        raise InputError(
            "Only one class is marked: mark at least two (background counts; "
            "erasing marks background)."
        )
    features = torch.cat([s.features for s in samples])
    units = basis.project(list(features.split(samples[0].widths.tolist(), 1)))
    length = LENGTH * len(basis.means) ** 0.5
    kernel = radial(units, units, length).double() + 1
    weight = torch.zeros(len(units), n_classes)
    classes = present.nonzero()[:, 0].tolist()
    contests = classes[1:] if len(classes) == 2 else classes
    weight[:, contests] = _contests(kernel, codes, weights, contests).float()
    if len(classes) == 2:
        weight[:, classes[0]] = -weight[:, classes[1]]
    return Probe(basis, units, weight, present, length)


def _contests(
    kernel: torch.Tensor, codes: torch.Tensor, weights: torch.Tensor, classes: list[int]
) -> torch.Tensor:
    """Weights of the units for each class, by Newton in the kernel's basis."""
    import torch

    values, vectors = torch.linalg.eigh(kernel)
    kept = values > values[-1] * 1e-7
    root = values[kept].sqrt()
    design = vectors[:, kept] * root
    back = vectors[:, kept] / root
    return torch.stack(
        [back @ _logistic(design, (codes == c).double(), weights) for c in classes], 1
    )


def _logistic(
    design: torch.Tensor, target: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Ridge logistic regression with both sides weighing the same."""
    import torch

    inside, outside = weights @ target, weights @ (1 - target)
    weights = weights * torch.where(target > 0, 1 / inside, 1 / outside)
    weights = weights * (inside + outside) / 2
    beta = torch.zeros(design.shape[1], dtype=torch.float64)
    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(design @ beta)
        hessian = (design.T * (weights * p * (1 - p))) @ design
        hessian.diagonal().add_(RIDGE)
        slope = design.T @ (weights * (p - target)) + RIDGE * beta
        step = torch.linalg.solve(hessian, slope)
        beta = beta - step
        if float(step.abs().max()) < 1e-4:
            break
    return beta
