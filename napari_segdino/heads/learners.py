"""How each head learns: what it keeps of a tile, how it is fitted and filed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.errors import InputError
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads import HEADS
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.components import fit_basis
from napari_segdino.heads.probe.fit import (
    KEEP_FROM,
    count_strokes,
    iter_fit_probe,
)
from napari_segdino.heads.probe.model import KernelProbe, Probe, levels_of
from napari_segdino.heads.probe.samples import GUESS, Parts, Sample, take_sample
from napari_segdino.heads.probe.tensors import (
    Named,
    missing_colour,
    pack_probe,
    pad_rows,
    unpack_probe,
)
from napari_segdino.heads.probe.unsupervised import AnyGroups, first_guess
from napari_segdino.heads.probe.weak import (
    BACKGROUND,
    add_weak_marks,
    background_everywhere,
)
from napari_segdino.progress import Progress, Steps

if TYPE_CHECKING:
    from napari_segdino.heads.dense.batches import DenseExample
    from napari_segdino.heads.dense.decoder import DenseHead
    from napari_segdino.heads.recipes import Recipe

COPY = " copy "

STANDS = 0.9
"""Share of earlier marks that must stand for new ones to be corrections."""

FADE = 0.8
"""What stands in for background keeps this part of its weight with each stroke of it.

It never goes at once, which would let the mask jump.
"""


class Learner(Protocol):
    """What the estimator asks of a kind of head.

    `S` stands for what is kept of a marked tile, `M` for what is trained.
    """

    def levels_of(self, spec: EncoderSpec) -> tuple[int, ...]:
        """Levels of an encoder that are read."""

    def features(self) -> FeatureSettings:
        """How tiles are shown to the encoder unless the user says otherwise."""

    def take(
        self,
        grid: FeatureGrid,
        marks: NDArray[Any],
        seed: int,
        before: Any,
        parts: Parts | None,
    ) -> Any:
        """Keep S of a marked tile, of which `before` was kept so far, or None."""

    def copies(self, marks: NDArray[Any]) -> int:
        """Augmented copies of a tile that are encoded and kept beside it."""

    def guess(self, groups: AnyGroups, samples: Sequence[Sample]) -> Any | None:
        """S of a mask that was found without labels, or None."""

    def iter_fit(
        self,
        samples: dict[str, Any],
        n_classes: int,
        seed: int,
        last: tuple[Any, Mapping[str, Any]] | None = None,
    ) -> Steps[Any]:
        """Train on what was kept, by the key of the tile; return M.

        A guess may be added: what the mask says where nothing is marked.

        Copies of a tile have its key, :data:`COPY` and a number. `last` is the M
        before and what it was trained on.
        """

    def pack(self, model: Any, samples: Mapping[str, Any]) -> tuple[Named, Any]:
        """Turn M and all S into tensors by name, and what JSON can hold."""

    def unpack(self, tensors: Named, meta: Any) -> tuple[Any, dict[str, Any]]:
        """Undo :meth:`pack`."""


def make_learner(head: str, recipe: str | None) -> Learner:
    """Return the learner of a head.

    Parameters
    ----------
    head : str
        One of :data:`napari_segdino.heads.HEADS`.
    recipe : str, optional
        How a dense head is trained; None chooses by what is marked.

    Raises
    ------
    InputError
        If there is no such head or recipe, or the recipe is of another head.
    """
    from napari_segdino.heads.recipes import get_recipe

    if head not in HEADS:
        raise InputError(
            f"There is no head named {head!r}; there are {', '.join(HEADS)}."
        )
    if recipe is not None and (other := get_recipe(recipe).head) != head:
        raise InputError(f"The recipe {recipe!r} is for the head {other}, not {head}.")
    return MvrLearner() if head == "mvr" else DenseLearner(head, recipe)


class MvrLearner:
    """Learns the probes of ``mvr`` from pixels; keeps its basis between rounds."""

    def __init__(self) -> None:
        self._basis: Basis | None = None
        self._fitted_on: tuple[frozenset[str], bool] | None = None

    def levels_of(self, spec: EncoderSpec) -> tuple[int, ...]:
        """See :func:`napari_segdino.heads.probe.model.levels_of`."""
        return levels_of(spec)

    def features(self) -> FeatureSettings:
        """Two sizes, read at once."""
        return FeatureSettings()

    def take(
        self,
        grid: FeatureGrid,
        marks: NDArray[Any],
        seed: int,
        before: Sample | None,
        parts: Parts | None,
    ) -> Sample:
        """See :func:`take_sample`."""
        return take_sample(grid, marks, seed, before, parts)

    def copies(self, marks: NDArray[Any]) -> int:
        """None: strokes of a few images leave nothing to wait for."""
        return 0

    def guess(self, groups: AnyGroups, samples: Sequence[Sample]) -> Sample:
        """See :func:`first_guess`."""
        return first_guess(groups, samples)

    def iter_fit(
        self,
        samples: dict[str, Sample],
        n_classes: int,
        seed: int,
        last: tuple[Any, Mapping[str, Sample]] | None = None,
    ) -> Steps[Probe]:
        """See :func:`iter_fit_probe`."""
        yield Progress(0, 1, "Training")
        basis = self._basis_of(samples)
        marked = {key: s for key, s in samples.items() if key != GUESS}
        strokes = count_strokes(marked)
        before = _corrected(last, marked, strokes) if last else None
        whole = any(s.whole for s in marked.values())
        codes = np.unique(np.concatenate([s.codes.numpy() for s in marked.values()]))
        if BACKGROUND not in codes and GUESS not in samples and not whole:
            samples[GUESS] = background_everywhere(next(iter(marked.values())))
        fade = FADE ** count_strokes(marked, BACKGROUND)
        if GUESS in samples and not whole:
            marked = add_weak_marks(marked, samples[GUESS], basis, n_classes, fade)
        return (yield from iter_fit_probe(marked, n_classes, basis, seed, before))

    def _basis_of(self, samples: Mapping[str, Sample]) -> Basis:
        """Fit the basis when there are other tiles than last time."""
        listed = list(samples.values())
        fitted_on = frozenset(samples), not any(s.whole for s in listed)
        if self._basis is None or self._fitted_on != fitted_on:
            self._basis = fit_basis(listed, joint=fitted_on[1])
            self._fitted_on = fitted_on
        return self._basis

    def pack(
        self, model: Probe, samples: Mapping[str, Sample]
    ) -> tuple[Named, dict[str, Any]]:
        """Turn a probe and samples into tensors by name."""
        named, meta = pack_probe(model)
        for i, sample in enumerate(samples.values()):
            for field in dataclasses.fields(Sample):
                named[f"memory.{i}.{field.name}"] = getattr(sample, field.name)
        return named, meta | {"memory": list(samples)}

    def unpack(
        self, tensors: Named, meta: dict[str, Any]
    ) -> tuple[Probe, dict[str, Sample]]:
        """Undo :meth:`pack`."""
        fields = [f.name for f in dataclasses.fields(Sample)]
        samples = {}
        for i, key in enumerate(meta["memory"]):
            kept = {f: tensors.get(f"memory.{i}.{f}") for f in fields}
            samples[key] = _as_now(kept)
        return unpack_probe(tensors, meta), samples


def _as_now(kept: dict[str, Any]) -> Sample:
    """Make a sample of what a file holds.

    Earlier ones did not know of parts, and had no features of colour in grey, which
    are 0.
    """
    if kept["parts"] is None:
        kept["parts"] = kept["weights"].new_ones(len(kept["weights"]))
    if missing := missing_colour(int(kept["widths"][-1])):
        kept["widths"] = kept["widths"].clone()
        kept["widths"][-1] += missing
        for name in ("features", "context"):
            kept[name] = pad_rows(kept[name].T, missing).T.contiguous()
    return Sample(**kept)


def _corrected(
    last: tuple[Any, Mapping[str, Sample]], marked: Mapping[str, Sample], strokes: int
) -> KernelProbe | None:
    """Return the probe whose mask is being corrected; None if marks went away."""
    probe, samples = last
    if not isinstance(probe, KernelProbe):
        return None
    if probe.strokes >= strokes:  # the last stroke grew, or nothing is new
        before = probe.before
    else:
        before = dataclasses.replace(probe, before=None)
    if before is None or before.strokes < KEEP_FROM or not _stands(samples, marked):
        return None
    return before


def _stands(samples: Mapping[str, Sample], marked: Mapping[str, Sample]) -> bool:
    """Whether nearly all that was marked still is."""
    total = kept = 0
    for key, sample in samples.items():
        if key == GUESS:
            continue
        where = sample.marks > 0
        total += int(where.sum())
        if key in marked:
            kept += int((marked[key].marks[where] == sample.marks[where]).sum())
    return kept >= STANDS * total


class DenseLearner:
    """Learns a dense head from tiles.

    Parameters
    ----------
    head : str
        Its name.
    recipe : str, optional
        None chooses: from strokes in seconds, from whole masks as published.
    """

    def __init__(self, head: str, recipe: str | None) -> None:
        self.head = head
        self.recipe = recipe

    def levels_of(self, spec: EncoderSpec) -> tuple[int, ...]:
        """See :func:`napari_segdino.heads.dense.decoder.levels_of`."""
        from napari_segdino.heads.dense.decoder import levels_of as dense_levels

        return dense_levels(spec)

    def features(self) -> FeatureSettings:
        """As the recipe says: one size."""
        recipe = self._recipe(strokes=False)
        return FeatureSettings(recipe.sides, (1.0,), recipe.flips, neighbours=0)

    def _recipe(self, strokes: bool) -> Recipe:
        from napari_segdino.heads.recipes import default_recipe, get_recipe

        if self.recipe is not None:
            return get_recipe(self.recipe)
        return default_recipe(self.head, strokes=strokes)

    def copies(self, marks: NDArray[Any]) -> int:
        """As many as the recipe says, of whole masks."""
        strokes = bool(np.count_nonzero(marks) < marks.size / 2)
        return self._recipe(strokes).views

    def guess(self, groups: AnyGroups, samples: Sequence[Sample]) -> None:
        """None: a decoder needs tiles, not pixels."""

    def take(
        self,
        grid: FeatureGrid,
        marks: NDArray[Any],
        seed: int,
        before: Any,
        parts: Parts | None,
    ) -> DenseExample:
        """Keep the levels and the marks."""
        import torch

        from napari_segdino.heads.dense.batches import DenseExample

        kept = torch.from_numpy(np.ascontiguousarray(marks, np.uint8))
        return DenseExample(grid.levels, kept)

    def iter_fit(
        self,
        samples: Mapping[str, DenseExample],
        n_classes: int,
        seed: int,
        last: tuple[Any, Mapping[str, DenseExample]] | None = None,
    ) -> Steps[DenseHead]:
        """Train by the recipe; see :func:`iter_fit_dense`."""
        from napari_segdino.heads.dense.train import iter_fit_dense

        tiles = [key.partition(COPY)[0] for key in samples]
        number = {tile: i for i, tile in enumerate(dict.fromkeys(tiles))}
        examples = [
            dataclasses.replace(example, image=number[tile])
            for tile, example in zip(tiles, samples.values(), strict=True)
        ]
        marked = sum(int((e.marks > 0).sum()) for e in examples)
        strokes = marked < sum(e.marks.numel() for e in examples) / 2
        channels = [len(level) for level in examples[0].levels]
        return (
            yield from iter_fit_dense(
                examples,
                n_classes,
                head=self.head,
                channels=channels,
                recipe=self._recipe(strokes),
                seed=seed,
            )
        )

    def pack(
        self, model: DenseHead, samples: Mapping[str, DenseExample]
    ) -> tuple[Named, dict[str, Any]]:
        """Turn a head and examples into tensors by name."""
        named: Named = {f"head.{k}": v for k, v in model.state_dict().items()}
        for i, example in enumerate(samples.values()):
            named[f"memory.{i}.marks"] = example.marks
            for j, level in enumerate(example.levels):
                named[f"memory.{i}.levels.{j}"] = level
        meta = {
            "channels": list(model.channels),
            "n_classes": model.n_classes,
            "options": model.options,
            "memory": list(samples),
        }
        return named, meta

    def unpack(
        self, tensors: Named, meta: dict[str, Any]
    ) -> tuple[DenseHead, dict[str, DenseExample]]:
        """Undo :meth:`pack`."""
        from napari_segdino.heads.dense.batches import DenseExample
        from napari_segdino.heads.dense.registry import make_head

        head = make_head(
            self.head, meta["channels"], meta["n_classes"], **meta["options"]
        )
        weights = {
            k.removeprefix("head."): v
            for k, v in tensors.items()
            if k.startswith("head.")
        }
        head.load_state_dict(weights)
        count = len(meta["channels"])
        samples = {
            key: DenseExample(
                tuple(tensors[f"memory.{i}.levels.{j}"] for j in range(count)),
                tensors[f"memory.{i}.marks"],
            )
            for i, key in enumerate(meta["memory"])
        }
        return head.eval(), samples
