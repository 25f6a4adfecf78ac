"""Fitting a probe to marked pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_segdino.errors import InputError
from napari_segdino.heads.mvr import Probe
from napari_segdino.training.samples import Sample

if TYPE_CHECKING:
    import torch

RIDGE = 0.05
"""Strength of the penalty on weights of standardised features."""

STEPS = 50


def fit_probe(samples: Sequence[Sample], n_classes: int) -> Probe:
    """Fit a logistic probe: each stroke weighs the same, and each class.

    Parameters
    ----------
    samples : sequence of Sample
        Marked pixels of one or more tiles.
    n_classes : int
        Classes with background.

    Returns
    -------
    Probe

    Raises
    ------
    InputError
        If the marks hold fewer than two classes.
    """
    import torch

    x = torch.cat([s.features for s in samples]).float()
    codes = torch.cat([s.codes for s in samples]).long() - 1
    weights = torch.cat([s.weights for s in samples])
    seen = torch.bincount(codes, weights, n_classes)
    if int((seen > 0).sum()) < 2:
        raise InputError(
            "Only one class is marked: mark at least two (background counts; "
            "erasing marks background)."
        )
    weights = weights / (seen[codes] * (seen > 0).sum())
    mean = weights @ x
    spread = (weights @ (x - mean) ** 2).sqrt().clamp_min(1e-4)
    weight, bias = _logistic((x - mean) / spread, codes, weights, n_classes)
    weight = weight / spread
    bias = bias - weight @ mean
    bias[seen == 0] = -torch.inf
    return Probe(weight, bias)


def _logistic(
    x: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor, n_classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimise weighted cross-entropy with a ridge penalty."""
    import torch
    from torch.nn import functional

    x = x / x.shape[1] ** 0.5
    w = torch.zeros(n_classes, x.shape[1], requires_grad=True)
    b = torch.zeros(n_classes, requires_grad=True)
    optimiser = torch.optim.LBFGS([w, b], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        nll = functional.cross_entropy(x @ w.T + b, classes, reduction="none")
        total = (weights * nll).sum() + RIDGE * 0.01 * (w * w).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return w.detach() / x.shape[1] ** 0.5, b.detach()
