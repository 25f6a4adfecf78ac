"""The head ``probe``: classifiers of pixels, refitted while the user paints."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.encoders.device import double_device, iter_or_on_cpu
from napari_segdino.errors import ChannelsError, InputError
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.base import (
    OTHER_CHANNELS,
    Head,
    Recipe,
    Tensors,
)
from napari_segdino.heads.on_device import DeviceCopy, moved
from napari_segdino.heads.probe.samples import (
    BACKGROUND,
    CONTEXT_PIXELS,
    UNSUPERVISED,
    Parts,
    Sample,
    is_weak,
    share_right,
    take_sample,
)
from napari_segdino.progress import Progress, Steps

if TYPE_CHECKING:
    import torch

    from napari_segdino.heads.probe.basis import Basis, VectorStore
    from napari_segdino.heads.probe.model import KernelProbe, Probe, VectorModel

# The window makes this head before anything imports torch: what needs it is imported
# where it is used.

STEPS = 200
"""Steps of descent of perceptrons."""

PREVIOUS_FROM = 3
"""Strokes that a probe must have learned for its mask to be worth keeping to."""

UNCHANGED = 0.9
"""Share of earlier marks that must be unchanged for new ones to be corrections."""

FADE = 0.8
"""What stands in for background keeps this part of its weight with each stroke of it.

It never goes at once, which would let the mask jump.
"""


class ProbeHead(Head):
    """Kernel logistic regression from strokes, perceptrons from several whole masks.

    Encoder levels and local features of marked pixels are reduced to short vectors,
    which :mod:`~napari_segdino.heads.probe.fit` classifies. It computes on the
    encoder's device; its fits need float64, and are made on the CPU beside MPS.

    Parameters
    ----------
    recipe : Recipe, optional
        Its option is ``steps``, the steps of descent of perceptrons.

    Raises
    ------
    InputError
        If the steps are no number above 0.
    """

    name = "probe"
    recipes = (
        # The views of DINO-MVR (arXiv 2605.07221), its sizes are our reading.
        Recipe("probe", "probe", (512, 768), True, (("steps", STEPS),)),
        Recipe("probe_quick", "probe", (512,), False, (("steps", STEPS),)),
    )
    one_class_is_enough: ClassVar[bool] = True
    keeps_levels: ClassVar[bool] = False
    context_pixels: ClassVar[int] = CONTEXT_PIXELS
    learns_from_one_view: ClassVar[bool] = False
    sigma = 0.0
    regularised: ClassVar[bool] = True
    trains_in_epochs: ClassVar[bool] = False

    def __init__(self, recipe: Recipe | None = None) -> None:
        self._recipe = recipe
        self._steps = STEPS if recipe is None else recipe.head_options["steps"]
        if type(self._steps) is not int or self._steps < 1:
            raise InputError(f"steps is a number above 0, not {self._steps!r}.")
        # Kept between fits: a basis of other tiles rotates all vectors, and those that
        # are stored would be made anew.
        self._basis: Basis | None = None
        self._fitted_on: tuple[frozenset[str], bool] | None = None
        self._stored: VectorStore | None = None
        self._contexts: WeakValueDictionary[tuple[str, int], torch.Tensor] = (
            WeakValueDictionary()
        )
        self._sent: DeviceCopy[VectorModel] = DeviceCopy()
        self._basis_sent: DeviceCopy[Basis] = DeviceCopy()
        self._samples_sent: dict[str, tuple[Sample, Sample]] = {}

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """See :meth:`Head.option_names`."""
        return ("steps",)

    def levels(self, spec: EncoderSpec) -> tuple[int, ...]:
        """Return the last three blocks of a ViT, all levels of a pyramid."""
        first = spec.depth - 3 if spec.family == "vit" else 0
        return tuple(range(first, spec.depth))

    def default_features(self) -> FeatureSettings:
        """Two sizes, read at once, unless a recipe says otherwise."""
        return FeatureSettings() if self._recipe is None else self._recipe.features

    def copies(self, marks: NDArray[Any]) -> int:
        """None: strokes of a few images leave nothing to wait for."""
        return 0

    def sample(
        self,
        grid: FeatureGrid,
        marks: NDArray[Any],
        seed: int,
        previous: Sample | None = None,
        parts: Parts | None = None,
    ) -> Sample:
        """See :func:`take_sample`."""
        # An earlier sample may be of another seed; what a fit forgets is still held by
        # the samples of the one before it.
        context = self._contexts.get((grid.key, seed))
        if context is None and previous is not None:
            context = previous.context
        sample = take_sample(grid, marks, seed, context, parts)
        self._contexts[grid.key, seed] = sample.context
        return sample

    def unsupervised_sample(
        self, groups: VectorModel, tiles: Sequence[Sample]
    ) -> Sample:
        """See :func:`napari_segdino.heads.probe.unsupervised.sample_groups`."""
        from napari_segdino.heads.probe.unsupervised import sample_groups

        return sample_groups(groups, tiles)

    def iter_fit(
        self,
        samples: dict[str, Sample],
        n_classes: int,
        seed: int,
        device: torch.device | str,
        previous: tuple[Any, Mapping[str, Sample]] | None = None,
    ) -> Steps[Probe]:
        """See :func:`napari_segdino.heads.probe.fit.iter_fit_probe`."""
        train = partial(self._iter_fit, samples, n_classes, seed, previous)
        where = double_device(device)
        return (yield from iter_or_on_cpu(train, where, self.name))

    def _iter_fit(
        self,
        samples: dict[str, Sample],
        n_classes: int,
        seed: int,
        previous: tuple[Any, Mapping[str, Sample]] | None,
        where: torch.device,
    ) -> Steps[Probe]:
        from napari_segdino.heads.probe.atlas import make_atlas
        from napari_segdino.heads.probe.boxes import add_given, is_given, with_boxes
        from napari_segdino.heads.probe.first_mask import add_first_mask
        from napari_segdino.heads.probe.fit import count_strokes, iter_fit_probe
        from napari_segdino.heads.probe.weak import (
            add_background,
            background_everywhere,
        )

        yield Progress(0, 1, "Training")
        there = self._samples_on(samples, where)
        stored = self._basis_of(samples, there)
        basis = self._basis_sent.of(stored, where)
        marked = {key: s for key, s in there.items() if not is_weak(key)}
        given = {key: s for key, s in there.items() if is_given(key)}
        strokes = count_strokes(marked)
        corrected = _corrected(previous, marked, strokes) if previous else None
        # Its basis is the stored one: vectors of tiles that are made are found by it.
        last = moved(corrected, where)
        whole = any(s.whole for s in marked.values())
        if not whole:
            marked = add_given(marked | given)
            behind = count_strokes(marked, BACKGROUND)
            alone = not any((s.codes == BACKGROUND).any() for s in marked.values())
            if alone and UNSUPERVISED not in samples:
                first = background_everywhere(next(iter(marked.values())))
                # It stays in the samples, so that a file or a later stroke goes on from
                # the same.
                there[UNSUPERVISED] = first
                samples[UNSUPERVISED] = moved(first, "cpu")
            if UNSUPERVISED in there:
                weak = there[UNSUPERVISED], basis, n_classes, FADE**behind
                marked = add_first_mask(marked, *weak)
            elif not given:
                marked = add_background(marked, basis, n_classes, behind)
        how = marked, n_classes, basis, seed, self._steps, last
        fitted = moved((yield from iter_fit_probe(*how)), "cpu")
        atlas = make_atlas(samples.values(), n_classes)
        probe = dataclasses.replace(fitted, basis=stored, atlas=atlas)
        return with_boxes(probe, {} if whole else samples)

    def _samples_on(
        self, samples: Mapping[str, Sample], device: torch.device
    ) -> dict[str, Sample]:
        """Samples on a device, each sent once; marks of whole tiles stay."""
        if device.type == "cpu":
            self._samples_sent.clear()
            return dict(samples)
        sent = {}
        for key, sample in samples.items():
            known = self._samples_sent.get(key)
            if known is None or known[0] is not sample:
                part = dataclasses.replace(sample, marks=sample.marks[:0])
                copy = dataclasses.replace(moved(part, device), marks=sample.marks)
                known = sample, copy
            sent[key] = known
        self._samples_sent = sent
        return {key: copy for key, (_, copy) in sent.items()}

    def _basis_of(
        self, samples: Mapping[str, Sample], there: Mapping[str, Sample]
    ) -> Basis:
        """Fit the basis when there are other tiles than last time; on the CPU."""
        from napari_segdino.heads.probe.components import fit_basis

        # Perceptrons read the blocks side by side; only the kernel gains from fewer
        # components.
        joint = not any(s.whole for s in samples.values())
        chosen = {key: there[key] for key in _tiles_of_basis(samples)}
        fitted_on = frozenset(chosen), joint
        if self._basis is None or self._fitted_on != fitted_on:
            self._basis = moved(fit_basis(list(chosen.values()), joint=joint), "cpu")
            self._fitted_on = fitted_on
        return self._basis

    def predict(
        self,
        model: VectorModel,
        grid: FeatureGrid,
        device: torch.device | str,
        reuse: bool = True,
    ) -> torch.Tensor:
        """Classify the cells of a tile; see :meth:`Head.predict`."""
        from napari_segdino.heads.probe.basis import VectorStore
        from napari_segdino.heads.probe.box_prior import add_prior

        if not model.basis.fits(grid):
            raise ChannelsError(OTHER_CHANNELS)
        there = self._sent.of(model, device)
        if reuse:
            self._stored = self._stored or VectorStore()
            vectors = self._stored.vectors(model.basis, grid, device)
        else:
            # Rounded as those that are stored: a folder gets the masks of the window.
            vectors = there.basis.vectors(grid).half().float()
        found = there.on(grid.key, vectors.mean(0)).probabilities(vectors)
        priors = getattr(model, "priors", {})
        if grid.key in priors:
            found = add_prior(found, grid, priors[grid.key])
        # Vectors are in the order of `cell_positions`, row by row.
        return found.T.reshape(-1, *grid.cells)

    def temperature(self, model: VectorModel) -> float:
        """See :attr:`VectorModel.temperature`."""
        return model.temperature

    def stroke_accuracy(
        self,
        model: VectorModel,
        tile: str,
        sample: Sample,
        strokes: Sequence[tuple[int, NDArray[Any]]],
    ) -> list[float]:
        """See :func:`share_right`."""
        vectors = model.basis.project(sample.features)
        mean = model.basis.project(sample.context).mean(0)
        predicted = model.on(tile, mean).probabilities(vectors).argmax(1) + 1
        return share_right(predicted.numpy(), sample, strokes)

    def to_tensors(
        self, model: Probe, samples: Mapping[str, Sample]
    ) -> tuple[Tensors, dict[str, Any]]:
        """Turn a probe and samples into tensors by name."""
        from napari_segdino.heads.probe.tensors import (
            probe_to_tensors,
            samples_to_tensors,
        )

        named, meta = probe_to_tensors(model)
        named |= samples_to_tensors(samples)
        return named, meta | {"memory": list(samples)}

    def from_tensors(
        self, tensors: Tensors, meta: dict[str, Any]
    ) -> tuple[Probe, dict[str, Sample]]:
        """Undo :meth:`to_tensors`."""
        from napari_segdino.heads.probe.atlas import make_atlas
        from napari_segdino.heads.probe.boxes import with_boxes
        from napari_segdino.heads.probe.tensors import (
            probe_from_tensors,
            samples_from_tensors,
            with_colour,
        )

        probe = probe_from_tensors(tensors, meta)
        found = samples_from_tensors(tensors, meta["memory"], probe.n_classes)
        samples = {key: with_colour(sample) for key, sample in found.items()}
        widths = [len(mean) for mean in probe.basis.means]
        if any(
            s.widths.tolist() != widths or not len(s.context) for s in samples.values()
        ):
            raise ValueError("samples are of other features than the probe")
        atlas = make_atlas(samples.values(), probe.n_classes)
        return with_boxes(dataclasses.replace(probe, atlas=atlas), samples), samples


def _tiles_of_basis(samples: Mapping[str, Sample]) -> dict[str, Sample]:
    """Which tiles the basis is fitted to: all, or some slices of one volume.

    Slices of a volume look alike. A new basis for each that is painted on would make
    the vectors of all slices anew, so it is made for the second, fourth, eighth.
    """
    images = {None if s.image is None else int(s.image) for s in samples.values()}
    if len(images) > 1 or None in images:
        return dict(samples)
    count = 1 << (len(samples).bit_length() - 1)
    return dict(itertools.islice(samples.items(), count))


def _corrected(
    previous: tuple[Any, Mapping[str, Sample]],
    marked: Mapping[str, Sample],
    strokes: int,
) -> KernelProbe | None:
    """Return the probe whose mask is being corrected; None if marks went away."""
    from napari_segdino.heads.probe.model import KernelProbe

    probe, samples = previous
    if not isinstance(probe, KernelProbe):
        return None
    if probe.strokes >= strokes:  # the last stroke grew, or nothing is new
        corrected = probe.previous
    else:
        corrected = dataclasses.replace(probe, previous=None)
    if corrected is None or corrected.strokes < PREVIOUS_FROM:
        return None
    return corrected if _unchanged(samples, marked) else None


def _unchanged(samples: Mapping[str, Sample], marked: Mapping[str, Sample]) -> bool:
    """Whether nearly all that was marked still is."""
    total = same = 0
    for key, sample in samples.items():
        if is_weak(key):
            continue
        where = sample.marks > 0
        total += int(where.sum())
        if key in marked:
            same += int((marked[key].marks[where] == sample.marks[where]).sum())
    return same >= UNCHANGED * total
