"""What a dense head trains on: tiles of cases, as they are and augmented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
    from napari_segdino.heads.dense.batches import DenseExample


@dataclass
class Tiles:
    """Tiles of some cases.

    Parameters
    ----------
    plain : dict of str to DenseExample
        As they are, by the key of the tile and its view.
    more : list of DenseExample
        Augmented copies.
    """

    plain: dict[str, DenseExample] = field(default_factory=dict)
    more: list[DenseExample] = field(default_factory=list)

    @property
    def all(self) -> list[DenseExample]:
        """Both."""
        return [*self.plain.values(), *self.more]

    @property
    def nbytes(self) -> int:
        """Bytes of the tiles as they are."""
        return sum(
            e.marks.nbytes + sum(level.nbytes for level in e.levels)
            for e in self.plain.values()
        )


def iter_examples(
    pipeline: Pipeline, cases: Sequence[Case], read: CaseReader, copies: int, seed: int
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
                plain = _example(pipeline, pixels, marks, intensity, views, image)
                found.plain[key] = plain
            scaled = np.moveaxis(intensity.apply(pixels), 0, -1)
            full_range = Intensity((0.0,) * scaled.shape[-1], (1.0,) * scaled.shape[-1])
            # Copies of two images are drawn apart, and so are those of two seeds.
            drawn = (seed << 20) + image
            for copy, copied_marks in augmented(scaled, marks, copies, drawn):
                yield Progress(done, len(cases), f"Encoding copies of {case.name}")
                for views in views_of(pipeline.feature_settings):
                    found.more.append(
                        _example(pipeline, copy, copied_marks, full_range, views, image)
                    )
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
) -> DenseExample:
    import torch

    from napari_segdino.heads.dense.batches import DenseExample

    grid = pipeline.extractor.grid(pixels, intensity, views)
    codes = torch.from_numpy(np.ascontiguousarray(as_codes(marks)))
    return DenseExample(grid.levels, codes, image)
