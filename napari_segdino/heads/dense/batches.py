"""What a dense head learns from, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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

    @property
    def marked(self) -> int:
        """Pixels with a mark."""
        return int((self.marks > 0).sum())

    @property
    def nbytes(self) -> int:
        """Bytes of levels and marks."""
        return self.marks.nbytes + sum(level.nbytes for level in self.levels)

    def loaded(self) -> DenseExample:
        """Return it with all that it holds in memory."""
        return self


@dataclass(frozen=True, slots=True)
class StoredExample:
    """A tile to learn from that lies on disk.

    Parameters
    ----------
    read_levels, read_marks : callable
        Give what :class:`DenseExample` has, anew each time.
    image : int
        See there.
    marked, nbytes : int
        Pixels with a mark; bytes of levels and marks in memory.
    """

    read_levels: Callable[[], tuple[torch.Tensor, ...]]
    read_marks: Callable[[], torch.Tensor]
    image: int
    marked: int
    nbytes: int

    @property
    def levels(self) -> tuple[torch.Tensor, ...]:
        """As :class:`DenseExample` has them."""
        return self.read_levels()

    @property
    def marks(self) -> torch.Tensor:
        """As :class:`DenseExample` has them."""
        return self.read_marks()

    def loaded(self) -> DenseExample:
        """Return it with all that it holds in memory."""
        return DenseExample(self.levels, self.marks, self.image)


Example = DenseExample | StoredExample


def iter_loaded(
    examples: Sequence[Example], batches: Sequence[Sequence[int]]
) -> Iterator[list[DenseExample]]:
    """Load minibatches, each while the one before it is learned.

    Parameters
    ----------
    examples : sequence of DenseExample or StoredExample
        All examples.
    batches : sequence of sequence of int
        Indices of those of each minibatch.

    Yields
    ------
    list of DenseExample
        One minibatch after the other; two are held at most.
    """

    def load(batch: Sequence[int]) -> list[DenseExample]:
        return [examples[i].loaded() for i in batch]

    with ThreadPoolExecutor(1, "segdino-read") as reader:
        following = reader.submit(load, batches[0]) if batches else None
        for batch in [*batches[1:], None]:
            assert following is not None
            now = following.result()
            following = None if batch is None else reader.submit(load, batch)
            yield now


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


def pieces(batch: Sequence[DenseExample]) -> Iterator[list[DenseExample]]:
    """Cut a minibatch into pieces that can be stacked and fit into memory.

    Parameters
    ----------
    batch : sequence of DenseExample
        Those of the minibatch.

    Yields
    ------
    list of DenseExample
        Of one size, at most `PIXELS_AT_ONCE` pixels unless it is one example.
    """
    by_size: dict[object, list[DenseExample]] = {}
    for example in batch:
        sizes = tuple(tuple(level.shape) for level in example.levels)
        by_size.setdefault((tuple(example.marks.shape), sizes), []).append(example)
    for group in by_size.values():
        at_once = max(1, PIXELS_AT_ONCE // max(1, group[0].marks.numel()))
        for i in range(0, len(group), at_once):
            yield group[i : i + at_once]


def standardise(
    head: Decoder, examples: Sequence[Example], recipe: DenseRecipe
) -> None:
    """Set the head's standardisation, if the recipe asks for it.

    Parameters
    ----------
    head : Decoder
        The head.
    examples : sequence of DenseExample or StoredExample
        Read one after the other. Mean and spread are taken over all their cells,
        channel by channel.
    recipe : DenseRecipe
        Says whether.
    """
    pyramid = len(set(head.channels)) > 1
    if recipe.standardise == "never" or (
        recipe.standardise == "pyramid" and not pyramid
    ):
        return
    # In double: the mean of squares less the square of the mean cancels in float32.
    sums = [torch.zeros(2, depth, dtype=torch.float64) for depth in head.channels]
    counts = [0] * len(sums)
    for example in examples:
        for i, level in enumerate(example.levels):
            cells = level.detach().double()
            sums[i] += torch.stack([cells.sum((1, 2)), cells.square().sum((1, 2))])
            counts[i] += cells[0].numel()
    means, scales = [], []
    for total, count in zip(sums, counts, strict=True):
        mean, square = total / count
        spread = (square - mean**2).clamp_min(0).sqrt()
        means.append(mean)
        scales.append(1 / spread.clamp_min(LEAST_SPREAD))
    head.set_standardisation(means, scales)
