"""Where to mark next: the most uncertain places and slices of an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.images.planes import as_planes
from napari_segdino.images.reslice import depth_of
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.inference.uncertainty import entropy
from napari_segdino.progress import Progress, Steps
from napari_segdino.review.places import Ranking, by_gain, join, rank

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter


TEXT = "Looking for uncertainty"


@dataclass(frozen=True, slots=True)
class PlaneUncertainty:
    """Uncertainty of one plane.

    Parameters
    ----------
    index : int
        Flat index of the plane over the image's leading axes.
    uncertainty : numpy.ndarray, shape (Y, X), float32
        Entropy of the probabilities, 0 to 1.
    """

    index: int
    uncertainty: NDArray[np.float32]


def iter_uncertainty(
    segmenter: Segmenter,
    image: Any,
    *,
    volume: bool | None = None,
    axes: str | None = None,
    planes: Iterable[int] | None = None,
) -> Steps[None]:
    """Measure the uncertainty of a probe, plane by plane.

    The entropy of the probe alone led robots no worse than an ensemble of probes
    that were fitted to strokes drawn anew.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    image, volume, axes
        As for :meth:`Segmenter.predict`.
    planes : iterable of int, optional
        Planes in the order wanted; None is all.

    Yields
    ------
    Progress, PlaneUncertainty
    """
    how: dict[str, Any] = {"volume": volume, "axes": axes, "planes": planes}
    for step in segmenter.iter_predict(image, **how):
        if isinstance(step, PlaneResult):
            yield PlaneUncertainty(step.index, entropy(step.probabilities))
        elif isinstance(step, Progress):
            yield Progress(step.done, step.total, TEXT)


def iter_suggest(
    segmenter: Segmenter,
    image: Any,
    marks: Any = None,
    *,
    volume: bool | None = None,
    axes: str | None = None,
    planes: Iterable[int] | None = None,
    count: int = 20,
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
    ):
        if isinstance(step, PlaneUncertainty):
            marked = (
                None if marks is None else np.asarray(marks[source.index(step.index)])
            )
            one = rank([(step.index, step.uncertainty, marked)], count)
            # Plane by plane, so that a volume's uncertainty is never held whole.
            ranking = join([ranking, one], count)
        yield step
    return replace(ranking, slices=by_gain(ranking.slices, depth_of(source)))
