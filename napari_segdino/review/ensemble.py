"""Uncertainty from a small ensemble: the probe refitted on strokes drawn anew.

Strokes are drawn with replacement (bootstrap, Efron 1979), each class keeping its
number. A member refits in hundredths of a second on features that are kept, so
the encoder never runs again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.heads.registry import head_class
from napari_segdino.images.planes import as_planes
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.inference.uncertainty import Uncertainty, disagreement, temper
from napari_segdino.progress import Progress, Steps
from napari_segdino.review.copying import iter_copy

if TYPE_CHECKING:
    from napari_segdino.heads.probe.samples import Sample
    from napari_segdino.segmenter import Segmenter

MEMBERS = 5

TEXT = "Looking for uncertainty"


@dataclass(frozen=True, slots=True)
class PlaneUncertainty:
    """Uncertainty of one plane.

    Parameters
    ----------
    index : int
        Flat index of the plane over the image's leading axes.
    uncertainty : Uncertainty
        Each map (Y, X), float32.
    """

    index: int
    uncertainty: Uncertainty


def iter_uncertainty(
    segmenter: Segmenter,
    image: Any,
    *,
    volume: bool | None = None,
    axes: str | None = None,
    planes: Iterable[int] | None = None,
    members: int = MEMBERS,
    temperature: float = 1.0,
    seed: int = 0,
) -> Steps[None]:
    """Measure the uncertainty of a probe, plane by plane.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    image, volume, axes
        As for :meth:`Segmenter.predict`.
    planes : iterable of int, optional
        Planes in the order wanted; None is all.
    members : int
        Probes besides the fitted one; 0 is the entropy of that one alone. A
        dense head takes minutes to train and is always asked alone.
    temperature : float
        See :func:`napari_segdino.inference.uncertainty.temper`.
    seed : int
        The same seed draws the same strokes.

    Yields
    ------
    Progress, PlaneUncertainty
    """
    wanted = list(range(len(as_planes(image, volume, axes))))
    wanted = wanted if planes is None else list(planes)
    probes = yield from iter_bootstrap(segmenter, members, seed)
    how: dict[str, Any] = {"volume": volume, "axes": axes, "planes": wanted}
    runs = []
    for probe in probes:
        copied = yield from iter_copy(segmenter, model=probe)
        runs.append(copied.iter_predict(image, **how))
    try:
        for done, index in enumerate(wanted):
            maps = []
            for run in runs:
                yield Progress(done, len(wanted), TEXT)
                found = yield from _next_plane(run, Progress(done, len(wanted), TEXT))
                maps.append(temper(found.probabilities, temperature))
            yield PlaneUncertainty(index, disagreement(maps))
    finally:
        for run in runs:
            run.close()
    yield Progress(len(wanted), len(wanted), TEXT)


def _next_plane(run: Iterator[Any], progress: Progress) -> Steps[PlaneResult]:
    """Go on until the next plane is finished."""
    for step in run:
        if isinstance(step, PlaneResult):
            return step
        yield progress
    raise AssertionError("a plane that was asked for did not come")


def iter_bootstrap(segmenter: Segmenter, members: int, seed: int) -> Steps[list[Any]]:
    """Return the fitted probe and others, fitted to strokes drawn anew.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    members : int
        How many others; none where refitting takes minutes.
    seed : int
        The same seed draws the same strokes.

    Yields
    ------
    Progress

    Returns
    -------
    list of object
        Probes over one basis, the fitted one first.
    """
    segmenter.check_fitted()
    probes = [segmenter.model_]
    if not head_class(segmenter.head).refits_at_once:
        return probes
    from napari_segdino.heads.probe.fit import iter_fit_probe

    basis, n_classes = segmenter.model_.basis, segmenter.n_classes_
    random = np.random.default_rng(seed)
    for done in range(members):
        yield Progress(done, members, TEXT)
        drawn = draw_strokes(segmenter.samples_, random)
        probe = yield from iter_fit_probe(drawn, n_classes, basis, seed + done)
        probes.append(probe)
    return probes


def draw_strokes(
    samples: Mapping[str, Sample], random: np.random.Generator
) -> dict[str, Sample]:
    """Draw as many strokes of each class as there are, with replacement.

    Parameters
    ----------
    samples : mapping of str to Sample
        Tiles by key. A whole mask counts as one stroke of each of its classes.
    random : numpy.random.Generator
        Draws.

    Returns
    -------
    dict of str to Sample
        Pixels of a stroke drawn twice weigh twice; others are left out.
    """
    listed = list(samples.values())
    tiles = np.repeat(np.arange(len(listed)), [len(s.codes) for s in listed])
    codes = np.concatenate([s.codes.numpy() for s in listed])
    strokes = np.concatenate([s.strokes.numpy() for s in listed])
    named = np.stack([codes.astype(np.int64), tiles, strokes])
    groups, number = np.unique(named, axis=1, return_inverse=True)
    times = np.zeros(groups.shape[1], np.int64)
    for code in np.unique(groups[0]):
        mine = np.flatnonzero(groups[0] == code)
        times += np.bincount(random.choice(mine, len(mine)), minlength=len(times))
    often = times[number.ravel()]
    parts = [weigh(s, often[tiles == i]) for i, s in enumerate(listed)]
    return {k: part for k, part in zip(samples, parts, strict=True) if len(part.codes)}


def weigh(sample: Sample, times: NDArray[np.int64]) -> Sample:
    """Return a sample whose pixels count so many times; 0 leaves them out.

    Parameters
    ----------
    sample : Sample
        N pixels of a tile.
    times : numpy.ndarray of int, shape (N,)
        How often each counts.
    """
    import torch

    kept = torch.from_numpy(np.flatnonzero(times))
    often = torch.from_numpy(times)[kept]
    return dataclasses.replace(
        sample,
        features=sample.features[kept],
        codes=sample.codes[kept],
        weights=sample.weights[kept] * often,
        strokes=sample.strokes[kept],
        parts=sample.parts[kept],
    )
