"""The head ``mvr``: small perceptrons on the last blocks, views only to predict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.encoders.device import iter_or_on_cpu, upload
from napari_segdino.errors import ChannelsError, InputError
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.base import (
    ONE_CLASS,
    OTHER_CHANNELS,
    Head,
    Recipe,
    Tensors,
)
from napari_segdino.heads.mvr.options import OPTION_NAMES, MVROptions
from napari_segdino.heads.on_device import DeviceCopy
from napari_segdino.heads.probe.samples import Parts, Sample, share_right, take_sample
from napari_segdino.progress import Steps
from napari_segdino.schema import check_types

if TYPE_CHECKING:
    import torch

    from napari_segdino.heads.mvr.perceptrons import BlockPerceptrons

BLOCKS = 3
"""Last blocks that are read."""

META = {"widths": list[int], "present": list[int], "n_classes": int, "hidden": int}


class MVRHead(Head):
    """DINO-MVR: a small perceptron on the tokens of each of the last three blocks.

    The mean of their probabilities is a view's prediction. They learn from the first
    view alone; further sizes and mirrored ones are views that are only predicted, and
    fused by entropy; a Gaussian smooths what is fused, another one along z. What the
    paper leaves open, :class:`MVROptions` and the sizes of the views, is our reading,
    chosen by measurement (docs/benchmarks/heads.md).

    Parameters
    ----------
    recipe : Recipe, optional
        Its options are the fields of :class:`MVROptions`.

    Notes
    -----
    Of a pyramid, the last three levels stand in for blocks (our reading).

    References
    ----------
    .. [1] Jiang, Liu, Ye and Sun, DINO-MVR, arXiv 2605.07221, 2026.
    """

    name = "mvr"
    recipes = (
        Recipe("mvr", "mvr", (512, 768), True, MVROptions().listed()),
        Recipe("mvr_quick", "mvr", (512,), False, MVROptions(steps=100).listed()),
    )
    one_class_is_enough: ClassVar[bool] = False
    keeps_levels: ClassVar[bool] = False
    context_pixels: ClassVar[int] = 0
    learns_from_one_view: ClassVar[bool] = True
    regularised: ClassVar[bool] = False
    trains_in_epochs: ClassVar[bool] = False
    sigma = MVROptions().sigma

    def __init__(self, recipe: Recipe | None = None) -> None:
        self._recipe = recipe or self.recipes[0]
        self._options = MVROptions(**self._recipe.head_options)
        self.sigma = self._options.sigma
        self._sent: DeviceCopy[BlockPerceptrons] = DeviceCopy()

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """See :class:`MVROptions`."""
        return OPTION_NAMES

    def levels(self, spec: EncoderSpec) -> tuple[int, ...]:
        """Return the last three."""
        return tuple(range(max(0, spec.depth - BLOCKS), spec.depth))

    def default_features(self) -> FeatureSettings:
        """As the recipe says; the first size, not mirrored, is what is learned."""
        return self._recipe.features

    def copies(self, marks: NDArray[Any]) -> int:
        """None: nothing is augmented."""
        return 0

    def sample(
        self,
        grid: FeatureGrid,
        marks: NDArray[Any],
        seed: int,
        previous: Sample | None = None,
        parts: Parts | None = None,
    ) -> Sample:
        """See :func:`take_sample`; local features and context are not kept."""
        context = None if previous is None else previous.context
        taken = take_sample(grid, marks, seed, context, parts)
        features = taken.features[:, : -int(taken.widths[-1])].contiguous()
        return dataclasses.replace(
            taken, features=features, widths=taken.widths[:-1], context=features[:0]
        )

    def unsupervised_sample(self, groups: Any, tiles: Sequence[Any]) -> None:
        """None: it learns from marks alone."""

    def iter_fit(
        self,
        samples: dict[str, Sample],
        n_classes: int,
        seed: int,
        device: torch.device | str,
        previous: tuple[Any, Mapping[str, Sample]] | None = None,
    ) -> Steps[BlockPerceptrons]:
        """Train anew; see :func:`iter_fit_perceptrons`."""
        from napari_segdino.heads.mvr.perceptrons import iter_fit_perceptrons

        if len({int(code) for s in samples.values() for code in s.codes.unique()}) < 2:
            raise InputError(ONE_CLASS)
        train = partial(
            iter_fit_perceptrons, list(samples.values()), n_classes, self._options, seed
        )
        return (yield from iter_or_on_cpu(train, device, self.name))

    def predict(
        self,
        model: BlockPerceptrons,
        grid: FeatureGrid,
        device: torch.device | str,
        reuse: bool = True,
    ) -> torch.Tensor:
        """Classify the pixels of a tile in one view; see :meth:`Head.predict`."""
        import torch

        if tuple(len(level) for level in grid.levels) != model.widths:
            raise ChannelsError(OTHER_CHANNELS)
        with torch.no_grad():
            levels = [upload(level, device) for level in grid.levels]
            return self._sent.of(model, device).over(levels, grid.shape)

    def temperature(self, model: BlockPerceptrons) -> float:
        """One: nothing flows."""
        return 1.0

    def stroke_accuracy(
        self,
        model: BlockPerceptrons,
        tile: str,
        sample: Sample,
        strokes: Sequence[tuple[int, NDArray[Any]]],
    ) -> list[float]:
        """See :func:`share_right`."""
        blocks = sample.features.split(sample.widths.tolist(), 1)
        return share_right((model.at(blocks).argmax(0) + 1).numpy(), sample, strokes)

    def to_tensors(
        self, model: BlockPerceptrons, samples: Mapping[str, Sample]
    ) -> tuple[Tensors, dict[str, Any]]:
        """Turn perceptrons and samples into tensors by name."""
        from napari_segdino.heads.probe.tensors import samples_to_tensors

        named: Tensors = {f"head.{k}": v for k, v in model.state_dict().items()}
        named |= samples_to_tensors(samples)
        meta = {
            "widths": list(model.widths),
            "present": list(model.present),
            "n_classes": model.n_classes,
            "hidden": model.units,
            "memory": list(samples),
        }
        return named, meta

    def from_tensors(
        self, tensors: Tensors, meta: dict[str, Any]
    ) -> tuple[BlockPerceptrons, dict[str, Sample]]:
        """Undo :meth:`to_tensors`."""
        import torch

        from napari_segdino.heads.filed import load_weights
        from napari_segdino.heads.mvr.perceptrons import BlockPerceptrons
        from napari_segdino.heads.probe.tensors import samples_from_tensors

        check_types(meta, META)
        n_classes, present = meta["n_classes"], meta["present"]
        if (
            sorted(set(present)) != present
            or not 0 <= present[0] <= present[-1] < n_classes
        ):
            raise ValueError(f"{present} are not labels of {n_classes} classes")
        # On the meta device: sizes are a file's claim until its tensors fit.
        with torch.device("meta"):
            model = BlockPerceptrons(meta["widths"], present, n_classes, meta["hidden"])
        load_weights(model, tensors)
        samples = samples_from_tensors(tensors, meta["memory"], n_classes)
        if any(tuple(s.widths.tolist()) != model.widths for s in samples.values()):
            raise ValueError("samples are of other features than the perceptrons")
        return model.eval().requires_grad_(False), samples
