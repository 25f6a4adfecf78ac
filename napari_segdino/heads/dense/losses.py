"""Losses and scores of maps of which only some pixels are marked."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn import functional

from napari_segdino.errors import InputError
from napari_segdino.heads.base import ONE_CLASS
from napari_segdino.heads.dense.recipes import DenseRecipe


def class_counts(maps: Iterable[torch.Tensor], n_classes: int) -> torch.Tensor:
    """Count pixels by mark.

    Parameters
    ----------
    maps : iterable of torch.Tensor, each (Y, X), integer
        Marks: 0 unlabelled, 1 background, 2.. classes.
    n_classes : int
        Classes with background.

    Returns
    -------
    torch.Tensor, shape (K + 1,), int64
        By mark; the first counts pixels of which nothing is marked.

    Raises
    ------
    InputError
        If fewer than two classes are marked, or a mark is too high.
    """
    counts = torch.zeros(n_classes + 1, dtype=torch.long)
    for marks in maps:
        found = torch.bincount(marks.flatten().long(), minlength=n_classes + 1)
        if len(found) > n_classes + 1:
            raise InputError(f"A mark is higher than {n_classes}, the last class.")
        counts += found
    if int((counts[1:] > 0).sum()) < 2:
        raise InputError(ONE_CLASS)
    return counts


def mark_weights(counts: torch.Tensor, recipe: DenseRecipe) -> torch.Tensor:
    """Weigh a pixel by its mark.

    Parameters
    ----------
    counts : torch.Tensor, shape (K + 1,)
        See :func:`class_counts`.
    recipe : DenseRecipe
        Says whether classes weigh the same.

    Returns
    -------
    torch.Tensor, shape (K + 1,), float32
        0 for the mark 0; the mean over all marked pixels is 1.
    """
    marked = counts[1:].float()
    sparse = recipe.balance == "strokes" and marked.sum() < counts.sum() / 2
    weights = (counts > 0).float()
    weights[0] = 0
    if recipe.balance == "classes" or sparse:
        seen = int((marked > 0).sum())
        # The mean weight stays 1, so that one learning rate suits both.
        weights[1:] *= marked.sum() / (seen * marked.clamp_min(1))
    return weights


def cross_entropy_sums(
    logits: torch.Tensor, marks: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sum the weighted cross-entropy over the marked pixels.

    Parameters
    ----------
    logits : torch.Tensor, shape (B, L, Y, X)
        One logit of class 1, or one a class.
    marks : torch.Tensor, shape (B, Y, X), int64
        0 unlabelled, 1 background, 2.. classes.
    weights : torch.Tensor, shape (K + 1,)
        See :func:`mark_weights`.

    Returns
    -------
    torch.Tensor, shape (B,)
    """
    if logits.shape[1] == 1:
        nll = functional.binary_cross_entropy_with_logits(
            logits[:, 0], (marks == 2).float(), reduction="none"
        )
    else:
        # Unlabelled pixels count as background here; their weight of 0 takes them out
        # again.
        classes = (marks - 1).clamp_min(0)
        nll = functional.cross_entropy(logits, classes, reduction="none")
    return (weights[marks] * nll).sum((1, 2))


def dice_losses(logits: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """Soft Dice loss of each example over its marked pixels.

    Parameters
    ----------
    logits, marks
        As for :func:`cross_entropy_sums`.

    Returns
    -------
    torch.Tensor, shape (B,)
        1 less the mean Dice of the classes (background not) that the example's
        marks hold; 0 where there is none (our reading: nnU-Net counts absent
        classes, which few marks would make the most of).
    """
    from napari_segdino.heads.dense.decoder import probabilities

    p = probabilities(logits)[:, 1:] * (marks > 0)[:, None]
    codes = torch.arange(2, p.shape[1] + 2, device=marks.device)
    truth = (marks[:, None] == codes[:, None, None]).float()
    size = truth.sum((2, 3))
    dice = 2 * (p * truth).sum((2, 3)) / (p.sum((2, 3)) + size).clamp_min(1e-8)
    present = (size > 0).float()
    return ((1 - dice) * present).sum(1) / present.sum(1).clamp_min(1)


def mean_dice(classes: torch.Tensor, marks: torch.Tensor, n_classes: int) -> float:
    """Dice of predicted classes over marked pixels.

    Parameters
    ----------
    classes : torch.Tensor, shape (Y, X), int64
        0 background, 1.. classes.
    marks : torch.Tensor, shape (Y, X), int64
        0 unlabelled, 1 background, 2.. classes.
    n_classes : int
        Classes with background.

    Returns
    -------
    float
        Mean over the classes (background not) that are marked or predicted
        where something is marked; 1 where there is none.
    """
    marked = marks > 0
    scores = []
    for label in range(1, n_classes):
        found, truth = (classes == label) & marked, marks == label + 1
        size = int(found.sum()) + int(truth.sum())
        if size:
            scores.append(2 * int((found & truth).sum()) / size)
    return sum(scores) / len(scores) if scores else 1.0
