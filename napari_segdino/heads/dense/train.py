"""Training a dense head on cached features; the encoder is not seen here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from napari_segdino.encoders.device import (
    TRAINING_DOES_NOT_FIT,
    free_memory,
    lacks_memory,
    upload,
)
from napari_segdino.errors import InputError
from napari_segdino.heads.dense.batches import (
    DenseExample,
    Example,
    epoch_batches,
    iter_loaded,
    pieces,
    standardise,
)
from napari_segdino.heads.dense.decoder import Decoder
from napari_segdino.heads.dense.losses import (
    class_counts,
    cross_entropy_sums,
    dice_losses,
    mark_weights,
    mean_dice,
)
from napari_segdino.heads.dense.recipes import DenseRecipe, rate_at
from napari_segdino.progress import Progress, Steps

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What is needed to go on with training as if it had not stopped.

    Parameters
    ----------
    tensors : dict of str to torch.Tensor
        ``model.*`` the head, ``best.*`` the head of the best epoch,
        ``optimiser.<parameter>.*`` of AdamW; on the CPU.
    numbers : dict of str to int or float
        ``epoch`` epochs done, ``best_epoch`` (-1 none) and ``best_score``.
    """

    tensors: Mapping[str, torch.Tensor]
    numbers: Mapping[str, float]


OnEpoch = Callable[[TrainingState], None]


def iter_fit_dense(
    decoder: type[Decoder],
    examples: Sequence[Example],
    n_classes: int,
    *,
    recipe: DenseRecipe,
    seed: int,
    device: torch.device | str = "cpu",
    start: TrainingState | None = None,
    validate: Sequence[Example] | None = None,
    on_epoch: OnEpoch | None = None,
) -> Steps[Decoder]:
    """Train a decoder.

    Parameters
    ----------
    decoder : type of Decoder
        Which.
    examples : sequence of DenseExample or StoredExample
        Tiles of any sizes; those without marks are left out. Of stored ones, two
        minibatches are in memory at most.
    n_classes : int
        Classes with background.
    recipe : DenseRecipe
        How.
    seed : int
        The same seed gives the same decoder on a CPU with as many threads; torch's
        own seed is neither read nor changed.
    device : torch.device or str
        Where it trains; where the memory of that is not enough, it goes on on the
        CPU.
    start : TrainingState, optional
        From `on_epoch`, to go on bit by bit as if it had not stopped.
    validate : sequence of DenseExample or StoredExample, optional
        The epoch with the highest mean Dice on these is returned, the first of
        equals; None returns the last.
    on_epoch : callable, optional
        Called after each epoch with a state that may be kept.

    Yields
    ------
    Progress
        Several times a step where a minibatch is large; closing cancels.

    Returns
    -------
    Decoder
        On the CPU, in evaluation mode.

    Raises
    ------
    InputError
        If fewer than two classes are marked, or the state is another decoder's.
    """
    from napari_segdino.heads.dense.decoder import make_decoder

    marked = [e for e in examples if e.marked]
    counts = class_counts((e.marks for e in marked), n_classes)
    channels = [len(level) for level in marked[0].levels]
    made = make_decoder(decoder, channels, n_classes, seed, **recipe.head_options)
    standardise(made, marked, recipe)
    trainer = _Trainer(made, marked, counts, recipe, seed, device)
    if start is not None:
        trainer.restore(start)
    total = trainer.total
    while trainer.epoch < trainer.epochs:
        for done in trainer.steps_of_epoch():
            epoch = f"epoch {trainer.epoch + 1} of {trainer.epochs}{trainer.note}"
            yield Progress(done, total, f"Training {recipe.head}: {epoch}")
        trainer.epoch += 1
        if validate:
            yield from trainer.iter_validate(validate)
        if on_epoch is not None:
            on_epoch(trainer.state())
    yield Progress(total, total, f"Training {recipe.head}")
    return trainer.finished()


class _Trainer:
    """A decoder in training: where it is and how it takes a step."""

    def __init__(
        self,
        head: Decoder,
        examples: Sequence[Example],
        counts: torch.Tensor,
        recipe: DenseRecipe,
        seed: int,
        device: torch.device | str,
    ) -> None:
        self.head, self.examples = head.train(), examples
        self.recipe, self.seed = recipe, seed
        self.device, self.note = torch.device(device), ""
        self.weights = mark_weights(counts, recipe)
        try:
            head.to(self.device)
            self.weights = self.weights.to(self.device)
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            self._give_up_device()
        self.optimiser = torch.optim.AdamW(
            head.parameters(),
            lr=recipe.lr,
            betas=recipe.betas,
            weight_decay=recipe.weight_decay,
        )
        self.per_epoch = len(self._batches(0))
        self.total = recipe.steps or recipe.epochs * self.per_epoch
        # Rounded up: the last epoch of a budget of steps may be a part of one.
        self.epochs = -(-self.total // self.per_epoch)
        self.epoch, self.best_epoch, self.best_score = 0, -1, -1.0
        self.best: dict[str, torch.Tensor] = {}

    def _batches(self, epoch: int) -> list[list[int]]:
        images = [e.image for e in self.examples]
        return epoch_batches(images, self.recipe.batch, self.seed, epoch)

    def steps_of_epoch(self) -> Iterator[int]:
        """Train for one epoch; give the steps done before each piece of work."""
        first = self.epoch * self.per_epoch
        batches = self._batches(self.epoch)[: self.total - first]
        for done, batch in enumerate(iter_loaded(self.examples, batches), first):
            yield from self._step(done, batch)

    def _step(self, done: int, batch: list[DenseExample]) -> Iterator[int]:
        rate = rate_at(self.recipe, done, self.total)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        try:
            yield from self._descend(done, batch)
            return
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            if self.device.type == "cpu":
                text = TRAINING_DOES_NOT_FIT.format(self.recipe.head)
                raise InputError(text) from error
        # Out of the except block, so that its frames hold no tensors.
        self.optimiser.zero_grad()
        self._give_up_device()
        self.weights = self.weights.cpu()
        for slots in self.optimiser.state.values():
            # The moments of AdamW stay on the device that they were made on, whatever
            # the weights do.
            slots.update({name: value.cpu() for name, value in slots.items()})
        yield from self._descend(done, batch)

    def _descend(self, done: int, batch: list[DenseExample]) -> Iterator[int]:
        marked = sum(example.marked for example in batch)
        self.optimiser.zero_grad()
        for piece in pieces(batch):
            yield done
            self._accumulate(piece, marked, len(batch))
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.head.parameters(), self.recipe.clip)
        self.optimiser.step()

    def _give_up_device(self) -> None:
        """Go on with the weights there are, on the CPU."""
        _log.warning(
            "%s has too little memory to train %s beside the encoder: it is trained "
            "on the CPU.",
            self.device,
            self.recipe.head,
        )
        self.note = f", on the CPU: {self.device} has too little memory"
        free_memory(self.device)
        self.device = torch.device("cpu")
        self.head.cpu()

    def _accumulate(
        self, piece: Sequence[DenseExample], marked: int, n_images: int
    ) -> None:
        """Add a piece's share of the gradient of the minibatch's mean loss."""
        levels, marks = self._stack(piece)
        with torch.enable_grad():
            logits = self.head(levels, marks.shape[1:])
            # Over the marked pixels of the whole minibatch, so that pieces of it add up
            # to its mean.
            loss = cross_entropy_sums(logits, marks, self.weights).sum() / marked
            if self.recipe.loss == "dice_ce":
                loss = loss + dice_losses(logits, marks).sum() / n_images
            loss.backward()  # type: ignore[no-untyped-call]

    def _stack(
        self, piece: Sequence[DenseExample]
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        by_level = zip(*(e.levels for e in piece), strict=True)
        levels = [upload(torch.stack(maps).detach(), self.device) for maps in by_level]
        marks = torch.stack([e.marks for e in piece])
        return levels, upload(marks, self.device).long()

    def iter_validate(self, examples: Sequence[Example]) -> Steps[None]:
        """Score the head and keep its weights if it is the best so far."""
        scores = []
        for example in examples:
            yield Progress(self._done, self.total, "Validating")
            scores.append(self._score(example.loaded()))
        score = sum(scores) / len(scores)
        # Not >=: of equal epochs the first one stays.
        if score > self.best_score:
            self.best_epoch, self.best_score = self.epoch, score
            self.best = _copied(self.head)

    def _score(self, example: DenseExample) -> float:
        levels, marks = self._stack([example])
        with torch.no_grad():
            logits = self.head(levels, marks.shape[1:])
        classes = logits.argmax(1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long()
        return mean_dice(classes[0], marks[0], self.head.n_classes)

    @property
    def _done(self) -> int:
        return min(self.epoch * self.per_epoch, self.total)

    def state(self) -> TrainingState:
        """Copy all that :meth:`restore` needs."""
        tensors = {f"model.{k}": v for k, v in _copied(self.head).items()}
        tensors |= {f"best.{k}": v for k, v in self.best.items()}
        for i, slots in self.optimiser.state_dict()["state"].items():
            for key, value in slots.items():
                tensors[f"optimiser.{i}.{key}"] = value.detach().cpu().clone()
        numbers = {
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
        }
        return TrainingState(tensors, numbers)

    def restore(self, state: TrainingState) -> None:
        """Go on from a state."""
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _under("optimiser.", state.tensors).items():
            i, key = name.split(".")
            slots.setdefault(int(i), {})[key] = value.clone()
        try:
            self.head.load_state_dict(_under("model.", state.tensors))
            # Rates and decays are the recipe's; only the moments are stored.
            groups = self.optimiser.state_dict()["param_groups"]
            self.optimiser.load_state_dict({"state": slots, "param_groups": groups})
        except (RuntimeError, ValueError) as error:
            raise InputError("The training state is that of another head.") from error
        self.best = _under("best.", state.tensors)
        self.epoch = int(state.numbers["epoch"])
        self.best_epoch = int(state.numbers["best_epoch"])
        self.best_score = float(state.numbers["best_score"])

    def finished(self) -> Decoder:
        """Return the decoder, with the best weights if there was a validation."""
        if self.best:
            self.head.load_state_dict(self.best)
        return self.head.cpu().eval()


def _copied(head: nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.detach().cpu().clone() for k, v in head.state_dict().items()}


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)
    }
