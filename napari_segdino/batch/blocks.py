"""One image of any size in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from napari_segdino.arrays import Planes, as_planes
from napari_segdino.batch.lazy import LazyPlanes
from napari_segdino.batch.writer import BlockWriter
from napari_segdino.engine import Engine
from napari_segdino.errors import InputError, NotFittedError
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.edges import measure_edges
from napari_segdino.features.extract import views_of
from napari_segdino.features.intensity import find_intensity
from napari_segdino.features.slices import has_depth, with_neighbours
from napari_segdino.inference.blend import cut_plane
from napari_segdino.inference.predict import BlockResult, iter_blocks
from napari_segdino.inference.score import TileScorer, VectorStore, make_reader
from napari_segdino.progress import Progress, Steps
from napari_segdino.segmenter import Segmenter

TEXT = "Predicting"


def iter_predict_blocks(
    segmenter: Segmenter,
    image: Any,
    *,
    volume: bool | None = None,
    axes: str | None = None,
    planes: Iterable[int] | None = None,
    writer: BlockWriter | None = None,
) -> Steps[None]:
    """Predict an image of any size, part by part.

    Tiles are read when they are needed and no features are kept, so that
    memory does not grow with the image. The labels are those of
    :meth:`Segmenter.predict`.

    Parameters
    ----------
    segmenter : Segmenter
        Trained.
    image, volume, axes
        As for :meth:`Segmenter.predict`; best a dask or zarr array or a
        memory map.
    planes : iterable of int, optional
        Planes in the order wanted; None is all.
    writer : BlockWriter, optional
        What it has is left out.

    Yields
    ------
    Progress
        In tiles still to do when it began.
    BlockResult
        Row by row, plane by plane.

    Raises
    ------
    NotFittedError
        If nothing has been learned or loaded.
    InputError
        If the image cannot be used.
    """
    if not segmenter.is_fitted:
        raise NotFittedError(
            "The probe has not learned anything yet: fit it, or load one."
        )
    found = as_planes(image, volume, axes)
    engine = yield from segmenter.iter_engine()
    source: Planes = LazyPlanes(found.array, found.axes)
    if needs_whole(engine, source):
        raise InputError(
            "This probe cuts volumes across several axes, or smooths along z: that "
            "needs the whole volume, which is too large here."
        )
    source = with_neighbours(source, engine.shown.neighbours)
    score = _scorer(engine, segmenter, source)
    wanted = range(len(source)) if planes is None else planes
    todo = [
        (index, writer.rows_done(index) if writer else 0)
        for index in wanted
        if writer is None or index not in writer.done
    ]
    cut = cut_plane(source.plane_shape, engine.shown)
    width = len(cut.columns)
    total = sum(cut.count - max(0, first - 1) * width for _, first in todo)
    done = 0
    yield Progress(done, total, TEXT)
    for index, first in todo:
        for step in iter_blocks(source.read(index), index, score, engine.shown, first):
            if isinstance(step, BlockResult):
                yield step
            done += 1
            yield Progress(done, total, TEXT)


def needs_whole(engine: Engine, image: Planes) -> bool:
    """Whether an image cannot be predicted plane by plane."""
    deep = has_depth(image)
    return deep and (engine.shown.slices != "Z" or engine.predicting.z_sigma > 0)


def _scorer(engine: Engine, segmenter: Segmenter, source: Planes) -> TileScorer:
    """Score with the warm encoder, but keep nothing of what it encoded."""
    intensity = find_intensity(source, engine.shown, engine.extractor.encoder.spec)
    return TileScorer(
        replace(engine.extractor.seeing(source), cache=FeatureCache(0)),
        views_of(engine.shown),
        intensity,
        make_reader(segmenter.model_, _NoStore()),
        engine.predicting,
        {key: kept.marks for key, kept in segmenter.memory_.items()},
        measure_edges(source, intensity, engine.shown),
    )


class _NoStore(VectorStore):
    """Vectors of a tile are used once."""

    def vectors(self, basis: Any, grid: Any) -> Any:
        """Make them anew."""
        return basis.vectors(grid)


def iter_predict_to(
    segmenter: Segmenter,
    image: Any,
    writer: BlockWriter,
    *,
    axes: str | None = None,
) -> Steps[None]:
    """Predict an image of any size into a mask on disk.

    When it is cancelled or cut off, what is written stays; with a writer that
    resumes, the next try goes on with the row of tiles that was not finished.

    Parameters
    ----------
    segmenter : Segmenter
        Trained.
    image : array
        As for :meth:`Segmenter.predict`.
    writer : BlockWriter
        Entered by the caller, whose ``with`` block decides the mask's fate.
    axes : str, optional
        One letter per axis.

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
    steps = iter_predict_blocks(segmenter, image, axes=axes, writer=writer)
    for step in steps:
        if not isinstance(step, BlockResult):
            yield step
            continue
        writer.write_block(step.index, step.slices, step.labels)
        if step.last_in_row:
            writer.finish_row(step.index, step.row + 1, step.last_in_plane)
