"""One image of any size in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from napari_segdino.batch.writer import BlockWriter
from napari_segdino.config import FeatureSettings
from napari_segdino.errors import InputError
from napari_segdino.images.lazy import LazyPlanes
from napari_segdino.images.neighbours import with_neighbours
from napari_segdino.images.planes import Planes, as_planes
from napari_segdino.images.reslice import Spacing, has_depth, slice_distance
from napari_segdino.inference.blend import cut_plane
from napari_segdino.inference.predict import (
    BlockResult,
    PlaneResult,
    iter_blocks,
    iter_planes,
    read_ahead,
)
from napari_segdino.inference.score import TileScorer
from napari_segdino.inference.smoothing import iter_smooth_wanted
from napari_segdino.inference.volume import find_marks, iter_flow
from napari_segdino.pipeline import Pipeline
from napari_segdino.progress import Progress, Steps
from napari_segdino.segmenter import Segmenter

TEXT = "Predicting"

WINDOW_BYTES = 3 << 29
"""What smoothing along z may hold: the probabilities of the slices it reaches."""


def iter_predict_blocks(
    segmenter: Segmenter,
    image: Any,
    *,
    volume: bool | None = None,
    axes: str | None = None,
    spacing: Spacing = None,
    planes: Iterable[int] | None = None,
    writer: BlockWriter | None = None,
) -> Steps[None]:
    """Predict an image of any size, part by part.

    Tiles are read when they are needed and no features are kept, so that
    memory does not grow with the image; smoothing along z holds the planes that
    it reaches. The labels are those of :meth:`Segmenter.predict`.

    Parameters
    ----------
    segmenter : Segmenter
        Trained.
    image, volume, axes, spacing
        As for :meth:`Segmenter.predict`; best a dask or zarr array or a
        memory map.
    planes : iterable of int, optional
        Planes in the order wanted; None is all. Smoothed ones come in the order
        of the volume.
    writer : BlockWriter, optional
        What it has is left out.

    Yields
    ------
    Progress
        In tiles still to do when it began.
    BlockResult
        Row by row, plane by plane; smoothed planes are one block each.

    Raises
    ------
    NotFittedError
        If nothing has been learned or loaded.
    InputError
        If the image cannot be used.
    """
    from napari_segdino.heads.probe.atlas import atlas_of

    segmenter.check_fitted()
    found = as_planes(image, volume, axes)
    segmenter.check_channels([found])
    pipeline = yield from segmenter.iter_pipeline()
    source: Planes = LazyPlanes(found.array, found.axes)
    if needs_whole(pipeline, source, segmenter.n_classes_, spacing):
        raise InputError(
            "This model cuts volumes across several axes, or smooths along z over more "
            "than fits into memory: that needs the whole volume, which is too large "
            "here."
        )
    source = with_neighbours(source, pipeline.feature_settings.neighbours)
    # A large image would drive all else out of the cache, and is seen once.
    score = pipeline.scorer(source, segmenter.model_, segmenter.samples_, keep=False)
    wanted = list(range(len(source)) if planes is None else planes)
    settings = pipeline.feature_settings
    left = [i for i in wanted if writer is None or i not in writer.done]
    if pipeline.smooths(found) or (
        pipeline.flows(found, score)
        and (
            atlas_of(segmenter.model_) is not None
            or find_marks(source, score, settings, wanted)
        )
    ):
        yield from _iter_smoothed(pipeline, found, source, score, left, spacing)
        return
    todo = [(index, writer.rows_done(index) if writer else 0) for index in left]
    yield from _iter_rows(source, score, settings, todo)


def _iter_rows(
    source: Planes,
    score: TileScorer,
    settings: FeatureSettings,
    todo: list[tuple[int, int]],
) -> Steps[None]:
    """Predict planes from the row of tiles that each has got to."""
    cut = cut_plane(source.plane_shape, settings)
    width = len(cut.columns)
    # The last row that is done is predicted again: the next one is blended with it.
    total = sum(cut.count - max(0, first - 1) * width for _, first in todo)
    done = 0
    yield Progress(done, total, TEXT)
    planes = read_ahead(source.read, [index for index, _ in todo], score, settings)
    for (index, first), plane in zip(todo, planes, strict=True):
        for step in iter_blocks(plane, index, score, settings, first):
            if isinstance(step, BlockResult):
                yield step
            done += 1
            yield Progress(done, total, TEXT)


def _iter_smoothed(
    pipeline: Pipeline,
    image: Planes,
    source: Planes,
    score: TileScorer,
    wanted: list[int],
    spacing: Spacing,
) -> Steps[None]:
    """Predict planes in order, carry marks to them, and smooth them along z."""
    settings = pipeline.feature_settings

    def predict(
        score: TileScorer, planes: Sequence[int], centre: Any = None
    ) -> Steps[None]:
        return iter_planes(source.read, planes, score, settings, TEXT, centre)

    def flowed(near: list[int]) -> Steps[None]:
        if not pipeline.flows(image, score):
            return predict(score, near)
        return iter_flow(predict, image, source, score, settings, near, spacing)

    steps = iter_smooth_wanted(
        flowed,
        wanted,
        pipeline.along_z,
        depth=source.lead_shape[-1],
        spacing=slice_distance(spacing),
    )
    for step in steps:
        if isinstance(step, PlaneResult):
            whole = step.labels, step.probabilities
            yield BlockResult(step.index, 0, True, True, 0, 0, *whole)
        else:
            yield step


def needs_whole(
    pipeline: Pipeline, image: Planes, n_classes: int, spacing: Spacing
) -> bool:
    """Whether an image cannot be predicted plane by plane.

    Parameters
    ----------
    pipeline : Pipeline
        Its settings decide.
    image : Planes
        As it lies.
    n_classes : int
        With background.
    spacing : float or tuple of float, optional
        Along z, y and x in mm.
    """
    if has_depth(image) and pipeline.feature_settings.slices != "Z":
        return True
    if not pipeline.smooths(image):
        return False
    reach = pipeline.along_z.reach(slice_distance(spacing))
    plane = n_classes * math.prod(image.plane_shape)
    # A sum in double precision, and the result, beside the window.
    held = plane * (4 * (2 * reach + 2) + 8 + 4)
    return held > WINDOW_BYTES


def iter_predict_to(
    segmenter: Segmenter,
    image: Any,
    writer: BlockWriter,
    *,
    axes: str | None = None,
    spacing: Spacing = None,
) -> Steps[None]:
    """Predict an image of any size into a mask on disk.

    When it is cancelled or cut off, what is written stays; with a writer that
    resumes, the next try goes on with the row of tiles that was not finished, or
    with the plane where planes are smoothed along z.

    Parameters
    ----------
    segmenter : Segmenter
        Trained.
    image : array
        As for :meth:`Segmenter.predict`.
    writer : BlockWriter
        Entered by the caller, whose ``with`` block decides the mask's fate.
    axes, spacing : optional
        As for :meth:`Segmenter.predict`.

    Yields
    ------
    Progress
        In tiles still to do when it began.

    Raises
    ------
    NotFittedError, InputError
        As :func:`iter_predict_blocks`.
    ScanError
        If the mask cannot be written.
    """
    steps = iter_predict_blocks(
        segmenter, image, axes=axes, spacing=spacing, writer=writer
    )
    for step in steps:
        if not isinstance(step, BlockResult):
            yield step
            continue
        writer.write_block(step.index, step.slices, step.labels)
        if step.last_in_row:
            writer.finish_row(step.index, step.row + 1, step.last_in_plane)
