"""A provisional mask of what is on screen, of the smallest view alone.

Attention costs the square of what a ViT sees at once: the small view of a tile takes an
eighth of the time of the large one. Its features stand in for those of both until these
are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from napari_segdino.features.extract import views_of
from napari_segdino.features.intensity import find_intensity
from napari_segdino.images.neighbours import with_neighbours
from napari_segdino.images.planes import Planes
from napari_segdino.inference.blend import cut_plane
from napari_segdino.inference.predict import PartResult, PlaneResult
from napari_segdino.pipeline import Pipeline
from napari_segdino.progress import Steps, relay


def first_look(
    pipeline: Pipeline,
    image: Planes,
    wanted: Sequence[int],
    centre: tuple[float, float] | None,
    alone: bool = False,
) -> Pipeline | None:
    """Return a pipeline that draws the first plane soon, where that is worth it.

    Parameters
    ----------
    pipeline : Pipeline
        Loaded; it is not changed.
    image : Planes
        As it lies.
    wanted : sequence of int
        Planes in the order wanted.
    centre : tuple of float, optional
        Pixel (y, x) that is looked at; None where nobody looks.
    alone : bool
        Whether nothing is learned yet, which would need features of all views: those
        of the smallest one then stand for themselves, half as many.

    Returns
    -------
    Pipeline or None
        None where the encoder is quick, there is one view, or all is encoded already.
    """
    settings, extractor = pipeline.feature_settings, pipeline.extractor
    slow = extractor.encoder.spec.family == "vit" and len(settings.factors) > 1
    if centre is None or not wanted or not slow or extractor.coarse:
        return None
    seen = with_neighbours(image, settings.neighbours)
    extractor = extractor.seeing(seen)
    cut = cut_plane(seen.plane_shape, settings)
    tile = seen.read(wanted[0])[cut.tile(*cut.around(centre)[0]).slices]
    intensity = find_intensity(seen, settings, extractor.encoder.spec)
    if extractor.cache.holds(extractor.key(tile, intensity, views_of(settings)[0])):
        return None
    coarse = copy(pipeline)
    coarse.extractor = replace(pipeline.extractor, coarse=True)
    # One mirrored or larger view more would cost what this is to save.
    factors = (min(settings.factors),) if alone else settings.factors
    coarse.feature_settings = replace(
        settings, sides=settings.sides[:1], factors=factors, flips=False, slices="Z"
    )
    # Neighbours along z are not encoded for it.
    coarse.predicting = replace(pipeline.predicting, z_sigma=0.0)
    return coarse


def provisional(steps: Steps[Any]) -> Steps[Any]:
    """Pass on what a task draws as parts that will change.

    Parameters
    ----------
    steps : generator
        The task; closed with this.
    """

    def each(step: Any) -> Iterator[Any]:
        if isinstance(step, PlaneResult):
            yield PartResult(step.index, 0, 0, step.labels, provisional=True)
        elif isinstance(step, PartResult):
            yield replace(step, provisional=True)
        else:
            yield step

    return relay(steps, each)
