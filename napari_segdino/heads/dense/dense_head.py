"""A head that is a decoder: it learns whole tiles on the encoder's device."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.encoders.device import upload
from napari_segdino.errors import ChannelsError
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.base import (
    COPY,
    OTHER_CHANNELS,
    Head,
    Recipe,
    Tensors,
)
from napari_segdino.heads.dense.batches import DenseExample
from napari_segdino.heads.dense.decoder import (
    Decoder,
    levels_of,
    probabilities,
)
from napari_segdino.heads.dense.recipes import DenseRecipe
from napari_segdino.heads.dense.train import iter_fit_dense
from napari_segdino.heads.filed import check_count, checked, load_weights
from napari_segdino.heads.on_device import DeviceCopy
from napari_segdino.progress import Steps
from napari_segdino.schema import check_types

META = {"channels": list[int], "n_classes": int, "options": dict[str, Any]}


class DenseHead(Head):
    """Trains a decoder; a subclass names it and says how it is trained.

    Parameters
    ----------
    recipe : DenseRecipe, optional
        None chooses by what is marked and by the device.
    """

    decoder: ClassVar[type[Decoder]]
    from_masks: ClassVar[DenseRecipe]
    """As published: from whole masks, on a GPU."""
    from_masks_on_cpu: ClassVar[DenseRecipe]
    from_strokes: ClassVar[DenseRecipe]
    """In seconds, on a GPU."""
    from_strokes_on_cpu: ClassVar[DenseRecipe]

    one_class_is_enough: ClassVar[bool] = False
    keeps_levels: ClassVar[bool] = True
    context_pixels: ClassVar[int] = 0
    learns_from_one_view: ClassVar[bool] = False
    sigma = 0.0
    regularised: ClassVar[bool] = False
    trains_in_epochs: ClassVar[bool] = True

    def __init__(self, recipe: Recipe | None = None) -> None:
        assert recipe is None or isinstance(recipe, DenseRecipe)
        self._recipe = recipe
        self._sent: DeviceCopy[Decoder] = DeviceCopy()

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the arguments of the decoder that may be given by name alone."""
        found = inspect.signature(cls.decoder).parameters.values()
        return tuple(p.name for p in found if p.kind is p.KEYWORD_ONLY)

    def levels(self, spec: EncoderSpec) -> tuple[int, ...]:
        """See :func:`napari_segdino.heads.dense.decoder.levels_of`."""
        return levels_of(spec)

    def default_features(self) -> FeatureSettings:
        """As the recipe says: one size."""
        return (self._recipe or self.from_masks).features

    def choose_recipe(self, strokes: bool, device: torch.device | str) -> DenseRecipe:
        """Return how it is trained.

        Parameters
        ----------
        strokes : bool
            Whether it learns from strokes, which must take seconds, else from whole
            masks.
        device : torch.device or str
            Where, such as ``"cpu"`` or ``"cuda:0"``.

        Returns
        -------
        DenseRecipe
            The one that was given, if there is one.
        """
        if self._recipe is not None:
            return self._recipe
        on_cpu = torch.device(device).type == "cpu"
        if strokes:
            return self.from_strokes_on_cpu if on_cpu else self.from_strokes
        return self.from_masks_on_cpu if on_cpu else self.from_masks

    def copies(self, marks: NDArray[Any]) -> int:
        """As many as the recipe says, of whole masks."""
        # Recipes for CPU and GPU make the same number of copies, so the device does not
        # matter here.
        strokes = bool(np.count_nonzero(marks) < marks.size / 2)
        return self.choose_recipe(strokes, "cpu").views

    def sample(
        self,
        grid: FeatureGrid,
        marks: NDArray[Any],
        seed: int,
        previous: Any = None,
        parts: Any = None,
    ) -> DenseExample:
        """Keep the levels and the marks."""
        marked = torch.from_numpy(np.ascontiguousarray(marks, np.uint8))
        # The levels are shared with the cache, not copied.
        return DenseExample(grid.levels, marked)

    def unsupervised_sample(self, groups: Any, tiles: Sequence[Any]) -> None:
        """None: a decoder needs tiles, not pixels."""

    def iter_fit(
        self,
        samples: Mapping[str, DenseExample],
        n_classes: int,
        seed: int,
        device: torch.device | str,
        previous: tuple[Any, Mapping[str, DenseExample]] | None = None,
    ) -> Steps[Decoder]:
        """Train by the recipe; see :func:`iter_fit_dense`."""
        tiles = [key.partition(COPY)[0] for key in samples]
        # dict.fromkeys and not set: numbers, and with them the batches, follow the
        # order of the samples.
        number = {tile: i for i, tile in enumerate(dict.fromkeys(tiles))}
        examples = [
            dataclasses.replace(example, image=number[tile])
            for tile, example in zip(tiles, samples.values(), strict=True)
        ]
        marked = sum(int((e.marks > 0).sum()) for e in examples)
        strokes = marked < sum(e.marks.numel() for e in examples) / 2
        return (
            yield from iter_fit_dense(
                self.decoder,
                examples,
                n_classes,
                recipe=self.choose_recipe(strokes, device),
                seed=seed,
                device=device,
            )
        )

    def predict(
        self,
        model: Decoder,
        grid: FeatureGrid,
        device: torch.device | str,
        reuse: bool = True,
    ) -> torch.Tensor:
        """Decode a tile; see :meth:`Head.predict`."""
        if tuple(len(level) for level in grid.levels) != model.channels:
            raise ChannelsError(OTHER_CHANNELS)
        sent = self._sent.of(model, device)
        return _decode(sent, grid.levels, grid.shape, torch.device(device))

    def temperature(self, model: Decoder) -> float:
        """One: nothing is regularised."""
        return 1.0

    def stroke_accuracy(
        self,
        model: Decoder,
        tile: str,
        sample: DenseExample,
        strokes: Sequence[tuple[int, NDArray[Any]]],
    ) -> list[float]:
        """Ask at every pixel of the strokes."""
        y, x = sample.marks.shape
        found = _decode(model, sample.levels, (y, x), torch.device("cpu"))
        labels = found.argmax(0).numpy().ravel()
        return [float((labels[p] + 1 == code).mean()) for code, p in strokes]

    def to_tensors(
        self, model: Decoder, samples: Mapping[str, DenseExample]
    ) -> tuple[Tensors, dict[str, Any]]:
        """Turn a decoder and examples into tensors by name."""
        named: Tensors = {f"head.{k}": v for k, v in model.state_dict().items()}
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

    def from_tensors(
        self, tensors: Tensors, meta: dict[str, Any]
    ) -> tuple[Decoder, dict[str, DenseExample]]:
        """Undo :meth:`to_tensors`."""
        check_types(meta, META)
        with torch.device("meta"):
            model = self.decoder(meta["channels"], meta["n_classes"], **meta["options"])
        load_weights(model, tensors)
        samples = {}
        for i, key in enumerate(check_count(tensors, meta["memory"])):
            # Each level has a resolution of its own.
            sizes = [{"d": depth} for depth in model.channels]
            levels = tuple(
                checked(tensors[f"memory.{i}.levels.{j}"], torch.float16, "dhw", size)
                for j, size in enumerate(sizes)
            )
            marks = checked(tensors[f"memory.{i}.marks"], torch.uint8, "yx", {})
            if int(marks.max()) > model.n_classes:
                raise ValueError(
                    f"marks of {model.n_classes} classes are {marks.max()}"
                )
            samples[key] = DenseExample(levels, marks)
        return model.eval(), samples


def _decode(
    decoder: Decoder,
    levels: Sequence[torch.Tensor],
    shape: tuple[int, int],
    device: torch.device,
) -> torch.Tensor:
    """Probabilities (K, Y, X) of a tile, on a device."""
    with torch.no_grad():
        logits = decoder([upload(level[None], device) for level in levels], shape)
        return probabilities(logits)[0]
