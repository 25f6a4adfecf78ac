"""Masks with nothing learned: groups of features, all of them or those clicked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from napari_segdino.features.extract import Extractor
from napari_segdino.first_look import first_look, provisional
from napari_segdino.heads.registry import make_head
from napari_segdino.images.channels import count_channels
from napari_segdino.images.neighbours import cuts_of
from napari_segdino.images.planes import Planes
from napari_segdino.pipeline import Pipeline
from napari_segdino.progress import Steps

if TYPE_CHECKING:
    from napari_segdino.heads.probe.model import VectorModel
    from napari_segdino.heads.probe.samples import Sample

    Found = tuple[VectorModel, list[Sample]]


def iter_group(
    pipeline: Pipeline,
    image: Planes,
    n_groups: int,
    planes: Iterable[int] | None,
    centre: tuple[float, float] | None = None,
) -> Steps[None]:
    """Draw groups that are found without labels.

    Parameters
    ----------
    pipeline : Pipeline
        Its head keeps a sample of what is drawn, if it can learn from that.
    image : Planes
        As it lies; only planes across z are looked at.
    n_groups : int
        Background and classes.
    planes : iterable of int, optional
        Planes in the order wanted; None is all.
    centre : tuple of float, optional
        Pixel (y, x) whose neighbourhood is wanted first.

    Yields
    ------
    Progress, PartResult, PlaneResult
    """
    from napari_segdino.heads.probe.unsupervised import iter_find_groups

    how = pipeline.feature_settings, n_groups, pipeline.seed, centre

    def find(cut: Planes, wanted: list[int], extractor: Extractor) -> Steps[Found]:
        return iter_find_groups(cut, wanted, extractor, *how)

    return _iter_draw(pipeline, image, find, planes, centre)


def iter_from_clicks(
    pipeline: Pipeline,
    image: Planes,
    marks: Any,
    planes: Iterable[int] | None,
    centre: tuple[float, float] | None = None,
) -> Steps[None]:
    """Draw what looks like a few marks; nothing is learned.

    Parameters
    ----------
    pipeline, image, planes, centre
        See :func:`iter_group`.
    marks : array of int
        In the image's spatial shape: 0 unlabelled, 1 background, 2.. classes.

    Yields
    ------
    Progress, PartResult, PlaneResult

    Raises
    ------
    InputError
        If no class is marked.
    """
    from napari_segdino.heads.probe.clicks import iter_find_clicked

    how = pipeline.feature_settings, pipeline.seed

    def find(cut: Planes, wanted: list[int], extractor: Extractor) -> Steps[Found]:
        return iter_find_clicked(cut, marks, wanted, extractor, *how)

    return _iter_draw(pipeline, image, find, planes, centre)


def _iter_draw(
    pipeline: Pipeline,
    image: Planes,
    find: Callable[[Planes, list[int], Extractor], Steps[Found]],
    planes: Iterable[int] | None,
    centre: tuple[float, float] | None,
) -> Steps[None]:
    wanted = list(range(len(image)) if planes is None else planes)
    if coarse := first_look(pipeline, image, wanted, centre):
        how = image, find, wanted[:1], centre
        yield from provisional(_iter_draw(coarse, *how))
    cuts = cuts_of(image, "Z", pipeline.feature_settings.neighbours)
    extractor = pipeline.extractor.seeing(cuts["Z"])
    groups, samples = yield from find(cuts["Z"], wanted, extractor)
    pipeline.unsupervised = pipeline.head.unsupervised_sample(groups, samples)
    pipeline.unsupervised_channels = count_channels(image)
    # Groups are a model of the head `probe`, whichever head is to be trained.
    head, nothing = make_head("probe"), dict[str, Any]()
    yield from pipeline.iter_draw(
        image, cuts, head, groups, nothing, wanted, "Grouping", centre=centre
    )
