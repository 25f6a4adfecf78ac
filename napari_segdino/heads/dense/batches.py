"""What a dense head learns from, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from napari_segdino.heads.dense.decoder import Decoder
from napari_segdino.heads.dense.recipes import DenseRecipe

PIXELS_AT_ONCE = 4 * 256 * 256
"""Pixels of a minibatch that are held at once; the rest are accumulated."""

LEAST_SPREAD = 1e-4
"""Channels that hardly vary are not blown up more than by this."""


@dataclass(frozen=True, slots=True)
class DenseExample:
    """A tile to learn from.

    Parameters
    ----------
    levels : tuple of torch.Tensor, each (D, h, w), float16
        Features that span the tile.
    marks : torch.Tensor, shape (Y, X), uint8
        0 unlabelled, 1 background, 2.. classes; of any resolution.
    image : int
        Examples of one number are views of one image: an epoch sees one of
        them, drawn by chance. -1 is an image of its own.
    """

    levels: tuple[torch.Tensor, ...]
    marks: torch.Tensor
    image: int = -1


def epoch_batches(
    images: Sequence[int], batch: int, seed: int, epoch: int
) -> list[list[int]]:
    """Shuffle the examples of an epoch into minibatches.

    Parameters
    ----------
    images : sequence of int
        The image of each example; see :class:`DenseExample`.
    batch : int
        Images a minibatch; the last may have fewer.
    seed, epoch : int
        The same two give the same minibatches.

    Returns
    -------
    list of list of int
        Indices of examples, one of each image.
    """
    groups: dict[tuple[bool, int], list[int]] = {}
    for i, image in enumerate(images):
        # The flag keeps an example without an image apart from the image of the same
        # number.
        key = (True, image) if image >= 0 else (False, i)
        groups.setdefault(key, []).append(i)
    # Of the epoch and not of what was drawn before: training that is resumed sees the
    # same minibatches. The prime keeps epochs of neighbouring seeds apart.
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    views = list(groups.values())
    order = torch.randperm(len(views), generator=generator).tolist()
    picks = torch.rand(len(views), generator=generator).tolist()
    chosen = [views[g][int(picks[g] * len(views[g]))] for g in order]
    return [chosen[i : i + batch] for i in range(0, len(chosen), batch)]


def pieces(
    examples: Sequence[DenseExample], batch: Sequence[int]
) -> Iterator[list[DenseExample]]:
    """Cut a minibatch into pieces that can be stacked and fit into memory.

    Parameters
    ----------
    examples : sequence of DenseExample
        All examples.
    batch : sequence of int
        Those of the minibatch.

    Yields
    ------
    list of DenseExample
        Of one size, at most `PIXELS_AT_ONCE` pixels unless it is one example.
    """
    by_size: dict[object, list[DenseExample]] = {}
    for i in batch:
        example = examples[i]
        sizes = tuple(tuple(level.shape) for level in example.levels)
        by_size.setdefault((tuple(example.marks.shape), sizes), []).append(example)
    for group in by_size.values():
        at_once = max(1, PIXELS_AT_ONCE // max(1, group[0].marks.numel()))
        for i in range(0, len(group), at_once):
            yield group[i : i + at_once]


def standardise(
    head: Decoder, examples: Sequence[DenseExample], recipe: DenseRecipe
) -> None:
    """Set the head's standardisation, if the recipe asks for it.

    Parameters
    ----------
    head : Decoder
        The head.
    examples : sequence of DenseExample
        Mean and spread are taken over all their cells, channel by channel.
    recipe : DenseRecipe
        Says whether.
    """
    pyramid = len(set(head.channels)) > 1
    if recipe.standardise == "never" or (
        recipe.standardise == "pyramid" and not pyramid
    ):
        return
    means, scales = [], []
    for level in zip(*(e.levels for e in examples), strict=True):
        count = sum(cells[0].numel() for cells in level)
        mean = sum(cells.detach().double().sum((1, 2)) for cells in level) / count
        # In double: the mean of squares less the square of the mean cancels in float32.
        square = sum(cells.detach().double().square().sum((1, 2)) for cells in level)
        spread = torch.as_tensor(square / count - mean**2).clamp_min(0).sqrt()
        means.append(torch.as_tensor(mean))
        scales.append(1 / spread.clamp_min(LEAST_SPREAD))
    head.set_standardisation(means, scales)
