"""Where to mark next: the most uncertain place, slice and image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segdino.images.planes import as_planes
from napari_segdino.progress import Progress, Steps, relay
from napari_segdino.review.ensemble import PlaneUncertainty, iter_uncertainty
from napari_segdino.review.places import Ranking, join, rank

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter


def iter_suggest(
    segmenter: Segmenter,
    image: Any,
    marks: Any = None,
    *,
    volume: bool | None = None,
    axes: str | None = None,
    planes: Iterable[int] | None = None,
    count: int = 20,
    members: int = 0,
    temperature: float = 1.0,
) -> Steps[Ranking]:
    """Look where a probe is most uncertain.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    image, volume, axes
        As for :meth:`Segmenter.predict`.
    marks : array of int, spatial shape of the image, optional
        0 unlabelled, 1 background, 2.. classes.
    planes : iterable of int, optional
        Planes to look at; None is all.
    count : int
        At most so many places.
    members, temperature : int and float
        As for :func:`~napari_segdino.review.ensemble.iter_uncertainty`. The entropy
        of the probe alone led robots no worse than an ensemble.

    Yields
    ------
    Progress, PlaneUncertainty
        The uncertainty of a plane as it is known, for a layer.

    Returns
    -------
    Ranking
    """
    source = as_planes(image, volume, axes)
    ranking = rank([])
    for step in iter_uncertainty(
        segmenter,
        image,
        volume=volume,
        axes=axes,
        planes=planes,
        members=members,
        temperature=temperature,
    ):
        if isinstance(step, PlaneUncertainty):
            marked = (
                None if marks is None else np.asarray(marks[source.index(step.index)])
            )
            one = rank([(step.index, step.uncertainty.total, marked)], count)
            ranking = join([ranking, one], count)
        yield step
    return ranking


def iter_rank_images(
    segmenter: Segmenter,
    images: Iterable[tuple[str, Any]],
    *,
    volume: bool | None = None,
    axes: str | None = None,
    members: int = 0,
) -> Steps[list[tuple[str, Ranking]]]:
    """Rank images by how uncertain they are, such as those of a folder.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    images : iterable of (name, image)
        Read one by one.
    volume, axes, members
        As for :func:`iter_suggest`.

    Yields
    ------
    Progress

    Returns
    -------
    list of (name, Ranking)
        Most uncertain first.
    """
    found = []
    for name, image in images:
        steps = iter_suggest(
            segmenter, image, volume=volume, axes=axes, members=members
        )
        ranking = yield from _only_progress(steps, name)
        found.append((name, ranking))
    return sorted(found, key=lambda pair: -pair[1].uncertainty)


def _only_progress(steps: Steps[Ranking], name: str) -> Steps[Ranking]:
    """Pass on Progress, with the image's name; keep all else."""

    def named(step: Any) -> Iterator[Progress]:
        if isinstance(step, Progress):
            yield Progress(step.done, step.total, f"{step.text}: {name}")

    return relay(steps, named)
