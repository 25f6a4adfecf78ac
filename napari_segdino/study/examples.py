"""What a dense head trains on: tiles of cases, as they are and augmented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.compressed import Compressed, read_compressed, write_compressed
from napari_segdino.errors import InputError
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.extract import Views, views_of
from napari_segdino.features.intensity import Intensity, find_intensity
from napari_segdino.features.tiles import cut_tiles
from napari_segdino.heads.dense.augment import augmented
from napari_segdino.images.neighbours import cuts_of
from napari_segdino.images.planes import as_planes
from napari_segdino.io.cases import Case
from napari_segdino.marks import as_codes
from napari_segdino.pipeline import Pipeline
from napari_segdino.progress import Progress, Steps
from napari_segdino.study.read import CaseReader, Loaded

if TYPE_CHECKING:
    import torch

    from napari_segdino.heads.dense.batches import DenseExample, Example

MARKS = ".marks"
"""Suffix of the files of marks."""


@dataclass
class Tiles:
    """Tiles of some cases.

    Parameters
    ----------
    plain : dict of str to DenseExample or StoredExample
        As they are, by the key of the tile and its view.
    more : list of DenseExample or StoredExample
        Augmented copies.
    """

    plain: dict[str, Example] = field(default_factory=dict)
    more: list[Example] = field(default_factory=list)

    @property
    def all(self) -> list[Example]:
        """Both."""
        return [*self.plain.values(), *self.more]

    @property
    def nbytes(self) -> int:
        """Bytes of the tiles as they are."""
        return sum(example.nbytes for example in self.plain.values())


class ExampleStore:
    """Holds examples in memory as far as there is room, the others on disk.

    Parameters
    ----------
    cache : FeatureCache
        Has the features on disk.
    folder : pathlib.Path
        Marks go there.
    room : int
        Bytes of examples held in memory.
    """

    def __init__(self, cache: FeatureCache, folder: Path, room: int) -> None:
        self._cache, self._folder, self._room = cache, folder, room
        self._count = 0

    def add(self, key: str, example: DenseExample) -> Example:
        """Return an example as it is held.

        Parameters
        ----------
        key : str
            Of its features in the cache.
        example : DenseExample
            In memory.
        """
        from napari_segdino.heads.dense.batches import StoredExample

        self._room -= example.nbytes
        if self._room >= 0 or not self._cache.disk_bytes:
            return example
        # By number: two tiles of equal pixels may have marks of their own.
        path = self._folder / f"{self._count}{MARKS}"
        self._count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        write_compressed(path, {"marks": Compressed.of(example.marks.numpy())})
        how = partial(self._levels, key), partial(_marks, path)
        return StoredExample(*how, example.image, example.marked, example.nbytes)

    def _levels(self, key: str) -> tuple[torch.Tensor, ...]:
        found = self._cache.levels(key)
        if found is None:
            raise InputError(
                "Features that were stored on disk are gone: allow this data set more "
                "with --disk-gb."
            )
        return found


def _marks(path: Path) -> torch.Tensor:
    import torch

    return torch.from_numpy(read_compressed(path)["marks"].array())


def iter_examples(
    pipeline: Pipeline,
    cases: Sequence[Case],
    read: CaseReader,
    copies: int,
    seed: int,
    store: ExampleStore | None = None,
) -> Steps[Tiles]:
    """Encode cases, or take their features from the cache.

    Parameters
    ----------
    pipeline : Pipeline
        Encodes.
    cases : sequence of Case
        The cases.
    read : CaseReader
        Reads them.
    copies : int
        Augmented copies of each tile.
    seed : int
        The same seed gives the same copies.
    store : ExampleStore, optional
        Where examples are held; None is in memory.

    Yields
    ------
    Progress

    Returns
    -------
    Tiles
        Views and copies of one tile share the number of their image, so that
        an epoch sees one of them.
    """
    found = Tiles()
    image = 0
    for done, case in enumerate(cases):
        for pixels, marks, intensity in _tiles(read(case), pipeline):
            yield Progress(done, len(cases), f"Encoding {case.name}")
            for views in views_of(pipeline.feature_settings):
                key = pipeline.extractor.key(pixels, intensity, views)
                how = pixels, marks, intensity, views, image, store
                found.plain[key] = _example(pipeline, *how)
            scaled = np.moveaxis(intensity.apply(pixels), 0, -1)
            full_range = Intensity((0.0,) * scaled.shape[-1], (1.0,) * scaled.shape[-1])
            # Copies of two images are drawn apart, and so are those of two seeds.
            drawn = (seed << 20) + image
            for copy, copied_marks in augmented(scaled, marks, copies, drawn):
                yield Progress(done, len(cases), f"Encoding copies of {case.name}")
                for views in views_of(pipeline.feature_settings):
                    how = copy, copied_marks, full_range, views, image, store
                    found.more.append(_example(pipeline, *how))
            image += 1
    return found


def _tiles(
    loaded: Loaded, pipeline: Pipeline
) -> Iterator[tuple[NDArray[Any], NDArray[Any], Intensity]]:
    """Pixels, marks and intensity range of each tile of a case."""
    planes = as_planes(loaded.image, axes=loaded.axes)
    planes = cuts_of(planes, "Z", pipeline.feature_settings.neighbours)["Z"]
    spec = pipeline.extractor.encoder.spec
    intensity = find_intensity(planes, pipeline.feature_settings, spec)
    marks = loaded.marks
    tiles = cut_tiles(
        planes.plane_shape,
        pipeline.feature_settings.longest_tile,
        pipeline.feature_settings.overlap,
    )
    for index in range(len(planes)):
        plane, plane_marks = planes.read(index), marks[planes.index(index)]
        for tile in tiles:
            yield plane[tile.slices], plane_marks[tile.slices], intensity


def _example(
    pipeline: Pipeline,
    pixels: NDArray[Any],
    marks: NDArray[Any],
    intensity: Intensity,
    views: Views,
    image: int,
    store: ExampleStore | None,
) -> Example:
    import torch

    from napari_segdino.heads.dense.batches import DenseExample

    grid = pipeline.extractor.grid(pixels, intensity, views)
    codes = torch.from_numpy(np.ascontiguousarray(as_codes(marks)))
    example = DenseExample(grid.levels, codes, image)
    return example if store is None else store.add(grid.key, example)
