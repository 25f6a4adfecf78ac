"""What the first mask, found without labels, says beside the first strokes.

Whoever presses Segment and then corrects the mask wants the rest of it to stay. So the
pixels that the first mask is surest of count as strokes of their classes, less with
every pair of strokes of background and of a class.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.fit import count_strokes
from napari_segdino.heads.probe.samples import BACKGROUND, Sample
from napari_segdino.heads.probe.weak import add_weak_marks

FADE = 0.5
"""The first mask keeps this part of its weight with each stroke, at most two for a pair
of background and a class: one side alone says nothing of the other."""

MOST_ALIKE = 0.7
"""Where more of the image than this is as much like a class of the first mask as a
stroke of the class is, the first mask calls something else by its name."""

MOST_OF_CLASS = 0.45
"""Where a class has more of the image than this, that a stroke lies on it says little
for the first mask."""


def add_first_mask(
    samples: Mapping[str, Sample],
    unsupervised: Sample,
    basis: Basis,
    n_classes: int,
    background: float = 1.0,
) -> dict[str, Sample]:
    """Add the first mask to strokes, and weak marks as it fades.

    Parameters
    ----------
    samples : mapping of str to Sample
        Strokes by the key of their tile.
    unsupervised : Sample
        Of the first mask; one that has background everywhere says nothing.
    basis : Basis
        Makes vectors of features.
    n_classes : int
        Classes with background.
    background : float
        What all weak marks of background weigh where the first mask counts no more.

    Returns
    -------
    dict of str to Sample
        The strokes; what is added on each tile counts as no stroke.
    """
    weight = first_mask_weight(samples, unsupervised, basis)
    rest = 1 - weight
    found = dict(samples)
    if rest > 0:
        how = unsupervised, basis, n_classes, rest * background, rest
        found = add_weak_marks(samples, *how)
    if weight == 0:
        return found
    return {
        key: _joined(s, unsupervised, weight / len(found)) for key, s in found.items()
    }


def first_mask_weight(
    samples: Mapping[str, Sample], unsupervised: Sample, basis: Basis
) -> float:
    """Weigh each class of the first mask beside strokes.

    Parameters
    ----------
    samples, unsupervised, basis
        See :func:`add_first_mask`.

    Returns
    -------
    float
        1 is as much as one stroke.
    """
    if len(unsupervised.codes.unique()) < 2:
        return 0.0
    strokes = count_strokes(samples)
    behind = count_strokes(samples, BACKGROUND)
    pairs = min(behind, strokes - behind)
    faded: float = FADE ** min(max(0, strokes - 1), 2 * pairs)
    believed = [
        share
        for sample in samples.values()
        for share in _believed(sample, unsupervised, basis)
    ]
    return faded * sum(believed) / len(believed) if believed else faded


def _believed(sample: Sample, unsupervised: Sample, basis: Basis) -> list[bool]:
    """Whether each stroke of a class on a tile lets the first mask be believed."""
    context = basis.project(sample.context)
    vectors = basis.project(sample.features)
    found = []
    for number in sample.strokes.unique():
        rows = sample.strokes == number
        code = int(sample.codes[rows][0])
        if code == BACKGROUND:
            continue
        if not (unsupervised.codes == code).any():
            found.append(False)
            continue
        likeness = _likeness(vectors[rows], unsupervised, basis, code).median()
        everywhere = _likeness(context, unsupervised, basis, code)
        alike = float((everywhere >= likeness).float().mean())
        of_class = float((everywhere > 0).float().mean())
        found.append(alike <= MOST_ALIKE and of_class <= MOST_OF_CLASS)
    return found


def _likeness(
    vectors: torch.Tensor, unsupervised: Sample, basis: Basis, code: int
) -> torch.Tensor:
    """How much nearer vectors (N, J) are to a class than to the others, (N,)."""
    distance = torch.cdist(vectors, basis.project(unsupervised.features))
    own = unsupervised.codes == code
    return distance[:, ~own].amin(1) - distance[:, own].amin(1)


def _joined(sample: Sample, unsupervised: Sample, weight: float) -> Sample:
    """Add the pixels of the first mask to a tile, a stroke of no weight in counts."""
    more = {
        "features": unsupervised.features,
        "codes": unsupervised.codes,
        "weights": weight * unsupervised.weights,
        "strokes": int(sample.strokes.max()) + 1 + unsupervised.codes.long(),
        "parts": torch.zeros_like(unsupervised.weights),
    }
    joined = {n: torch.cat([getattr(sample, n), more[n]]) for n in more}
    return dataclasses.replace(sample, **joined)
