"""One perceptron on the tokens of each block, and how they are trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from napari_segdino.heads.mvr.options import MVROptions
from napari_segdino.heads.probe.samples import Sample
from napari_segdino.progress import Progress, Steps

Drop = Callable[[torch.Tensor], torch.Tensor]


class BlockPerceptron(nn.Module):
    """A layer norm, one hidden layer with GELU, one logit a class.

    Parameters
    ----------
    width : int
        Of the block's tokens.
    hidden : int
        Units.
    n_logits : int
        Classes that are marked.
    """

    def __init__(self, width: int, hidden: int, n_logits: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, n_logits)

    def forward(self, tokens: torch.Tensor, drop: Drop | None = None) -> torch.Tensor:
        """Score tokens.

        Parameters
        ----------
        tokens : torch.Tensor, shape (N, width)
            Of one block.
        drop : callable, optional
            Leaves hidden units out; None keeps all.

        Returns
        -------
        torch.Tensor, shape (N, n_logits)
            Logits.
        """
        units = functional.gelu(self.hidden(self.norm(tokens)))
        logits: torch.Tensor = self.output(units if drop is None else drop(units))
        return logits


class BlockPerceptrons(nn.Module):
    """A perceptron for each block; their probabilities are averaged.

    Parameters
    ----------
    widths : sequence of int
        Width of each block's tokens.
    present : sequence of int
        Labels with marks, rising; others have probability 0.
    n_classes : int
        Classes with background.
    hidden : int
        Units of each.
    """

    def __init__(
        self, widths: Sequence[int], present: Sequence[int], n_classes: int, hidden: int
    ) -> None:
        super().__init__()
        self.widths, self.present = tuple(widths), tuple(present)
        self.n_classes, self.units = n_classes, hidden
        self.blocks = nn.ModuleList(
            BlockPerceptron(width, hidden, len(self.present)) for width in self.widths
        )

    def at(self, blocks: Sequence[torch.Tensor]) -> torch.Tensor:
        """Classify pixels.

        Parameters
        ----------
        blocks : sequence of torch.Tensor, each (N, D)
            Tokens of each block at them.

        Returns
        -------
        torch.Tensor, shape (K, N)
        """
        return self._mean(
            [
                probe(block.float()).T
                for probe, block in zip(self.blocks, blocks, strict=True)
            ]
        )

    def over(
        self, levels: Sequence[torch.Tensor], shape: tuple[int, int]
    ) -> torch.Tensor:
        """Classify a tile: logits of tokens, interpolated, become probabilities.

        Parameters
        ----------
        levels : sequence of torch.Tensor, each (D, h, w)
            Tokens of each block; they span the tile.
        shape : tuple of int
            (Y, X) of the tile in pixels.

        Returns
        -------
        torch.Tensor, shape (K, Y, X)
        """
        logits = []
        for probe, level in zip(self.blocks, levels, strict=True):
            tokens = level.flatten(1).T.float()
            coarse = probe(tokens).T.unflatten(1, level.shape[1:])
            fine = functional.interpolate(coarse[None], shape, mode="bilinear")[0]
            logits.append(fine)
        return self._mean(logits)

    def _mean(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Mean of the probabilities of all blocks, a row for each class."""
        mean = torch.stack([each.softmax(0) for each in logits]).mean(0)
        found = mean.new_zeros(self.n_classes, *mean.shape[1:])
        found[list(self.present)] = mean
        return found

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights by torch's own rule, without the global seed.

        Parameters
        ----------
        generator : torch.Generator
            On the CPU.
        """
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                bound = module.in_features**-0.5
                for weight in (module.weight, module.bias):
                    nn.init.uniform_(weight, -bound, bound, generator=generator)


def make_perceptrons(
    widths: Sequence[int], present: Sequence[int], n_classes: int, hidden: int
) -> BlockPerceptrons:
    """Make perceptrons without drawing from torch's global seed; weights are unset.

    Parameters
    ----------
    widths, present, n_classes, hidden
        See :class:`BlockPerceptrons`.
    """
    with torch.device("meta"):
        made = BlockPerceptrons(widths, present, n_classes, hidden)
    return made.to_empty(device="cpu").float()


def iter_fit_perceptrons(
    samples: Sequence[Sample],
    n_classes: int,
    options: MVROptions,
    seed: int,
    device: torch.device | str,
) -> Steps[BlockPerceptrons]:
    """Train on marked pixels, each block by itself.

    Parameters
    ----------
    samples : sequence of Sample
        Blocks of tokens side by side, at the pixels that were taken.
    n_classes : int
        Classes with background.
    options : MVROptions
        How.
    seed : int
        The same seed gives the same perceptrons.
    device : torch.device or str
        Where.

    Yields
    ------
    Progress
        Before each step.

    Returns
    -------
    BlockPerceptrons
        On the CPU.
    """
    widths = samples[0].widths.tolist()
    features = torch.cat([s.features for s in samples])
    labels = torch.cat([s.codes for s in samples]).long() - 1
    present = labels.unique()
    targets = torch.searchsorted(present, labels)
    chance = _chances(samples, targets)
    generator = torch.Generator().manual_seed(seed)
    # Logits only for classes with marks: a logit that is never the target would still
    # take probability.
    model = make_perceptrons(widths, present.tolist(), n_classes, options.hidden)
    model.initialise(generator)
    model.to(device)

    def drop(units: torch.Tensor) -> torch.Tensor:
        # Drawn on the CPU: the same seed gives the same units on any device.
        kept = torch.rand(units.shape, generator=generator) >= options.dropout
        return units * kept.to(units.device) / (1 - options.dropout)

    optimiser = torch.optim.AdamW(
        model.parameters(), options.lr, weight_decay=options.weight_decay
    )
    for step in range(options.steps):
        yield Progress(step, options.steps, "Training mvr")
        rate = options.lr * 0.5 * (1 + math.cos(math.pi * step / options.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        rows, weights = _draw(chance, options.batch, generator)
        blocks = features[rows].to(device).float().split(widths, 1)
        with torch.enable_grad():
            loss = _loss(
                model, blocks, targets[rows].to(device), weights.to(device), drop
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.cpu().eval().requires_grad_(False)


def _loss(
    model: BlockPerceptrons,
    blocks: Sequence[torch.Tensor],
    targets: torch.Tensor,
    weights: torch.Tensor,
    drop: Drop,
) -> torch.Tensor:
    """Sum over the blocks of the weighted cross-entropy: none sees another."""
    total = weights.new_zeros(())
    for probe, block in zip(model.blocks, blocks, strict=True):
        each = functional.cross_entropy(probe(block, drop), targets, reduction="none")
        total = total + weights @ each
    return total


def _chances(samples: Sequence[Sample], targets: torch.Tensor) -> torch.Tensor:
    """Weight of each pixel; every class weighs the same, rare or not."""
    weights = torch.cat([s.weights for s in samples])
    of_class = torch.bincount(targets, weights)
    return weights / of_class[targets] / len(of_class)


def _draw(
    chance: torch.Tensor, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of a step and their weights: all with theirs, or some drawn by them."""
    if len(chance) <= count:
        return torch.arange(len(chance)), chance
    rows = torch.multinomial(chance, count, True, generator=generator)
    # Drawn by their weights, so each of them weighs the same now.
    return rows, torch.full((count,), 1 / count)
