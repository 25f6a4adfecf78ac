"""Segmenters that share all but what is asked: for trials beside the user's own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from napari_segdino.progress import Steps

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter


def iter_copy(
    segmenter: Segmenter, model: Any = None, samples: Mapping[str, Any] | None = None
) -> Steps[Segmenter]:
    """Return a segmenter that can be fitted or changed without a trace.

    The encoder and all kept features are shared, so that it costs nothing.

    Parameters
    ----------
    segmenter : Segmenter
        The user's; only its encoder is loaded if it was not yet.
    model : object, optional
        Probe of the copy; None is the same.
    samples : mapping of str to object, optional
        What the copy has learned from; None is the same. With none of an image's marks,
        its prediction of that image is what the probe says by itself.

    Yields
    ------
    Progress

    Returns
    -------
    Segmenter
    """
    yield from segmenter.iter_pipeline()
    other = copy.copy(segmenter)
    if model is not None:
        other.model_ = model
    if samples is not None:
        other.samples_ = dict(samples)
    return other
