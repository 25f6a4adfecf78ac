"""Weak marks: pixels that stand in for classes without marks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch

from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.fit import fit_kernel, present_classes
from napari_segdino.heads.probe.samples import BACKGROUND, Sample

WEAK_PIXELS = 256
"""Weak marks of all tiles together."""

LEAST_SHARE = 0.1
"""Share of the pixels that stays, however much they look like the one class that is
marked; where there are two, and fewer are like neither, there is no background."""

PASSES = 4
"""How often pixels that look like what is marked are left out."""

BACKGROUND_PIXELS = 64
"""Pixels of a mask that takes everything for background, and weak marks of background
beside strokes of it."""

LEAST_WEIGHT = 0.1
"""What those weigh after many strokes of background: they begin at a quarter and halve
with each. Where they went altogether, volumes lost what they had learned."""

USUAL_SHARE, LARGE_SHARE = 0.1, 0.3
"""Shares of the image that a probe gives to the object where background needs no weak
marks, and where they weigh all they can."""


def add_weak_marks(
    samples: Mapping[str, Sample],
    unsupervised: Sample,
    basis: Basis,
    n_classes: int,
    background: float = 1.0,
    others: float = 1.0,
    pixels: int = WEAK_PIXELS,
    passes: int = PASSES,
) -> dict[str, Sample]:
    """Add weak marks of background, and of classes that only the first mask has.

    Pixels from all over the marked tiles are taken for background, or for the class
    of the first mask that they are nearest to if nothing of it is marked. Where a
    few are of a marked class that does no harm: with both sides weighing the same,
    marks against everything part the image where marks against the rest do [1]_.
    Those that such a fit gives to a marked class are then left out, and it is fitted
    again.

    Parameters
    ----------
    samples : mapping of str to Sample
        Strokes by the key of their tile.
    unsupervised : Sample
        Of a mask found without labels; see
        :func:`napari_segdino.heads.probe.unsupervised.sample_groups`.
    basis : Basis
        Makes vectors of features.
    n_classes : int
        Classes with background.
    background : float
        What all weak marks of background weigh, where there are others.
    others : float
        What those of any other class weigh.
    pixels : int
        Weak marks of all tiles together.
    passes : int
        How often pixels that look like what is marked are left out.

    Returns
    -------
    dict of str to Sample
        The strokes; each tile's weak marks are one more stroke of each class, and
        count as none.

    References
    ----------
    .. [1] C. Elkan and K. Noto, Learning classifiers from only positive and unlabeled
       data, KDD 2008.
    """
    # Before weak marks are added: these must not count as marked.
    marked = torch.cat([s.codes for s in samples.values()]).unique()
    classes = marked[marked != BACKGROUND].long()
    vectors = _context_vectors(samples, basis, pixels)
    confirmed = _confirmed(samples, unsupervised, basis, classes)
    weak = {
        k: _weak_codes(v, unsupervised, basis, marked, confirmed)
        for k, v in vectors.items()
    }
    found = _with_rows(samples, weak, background, others)
    for _ in range(passes):
        present = present_classes(found, n_classes)
        # All weak marks may have been left out: one class alone cannot be fitted.
        if int(present.sum()) < 2:
            break
        probe = fit_kernel(found, basis, present)
        likely_marked = {}
        for key, rows in vectors.items():
            likely = probe.on(key).probabilities(rows)
            likely_marked[key] = likely[:, classes - 1].sum(1)
        # See LEAST_SHARE: with one class some background always stays, with several it
        # may all go.
        bound = float(torch.cat(list(likely_marked.values())).quantile(LEAST_SHARE))
        bound = max(0.5, bound) if len(classes) < 2 else 0.5 * (bound <= 0.5)
        left = {k: torch.where(likely_marked[k] <= bound, weak[k], 0) for k in weak}
        found = _with_rows(samples, left, background, others)
    return found


def add_background(
    samples: Mapping[str, Sample], basis: Basis, n_classes: int, strokes: int
) -> dict[str, Sample]:
    """Add weak marks of background where strokes of it leave most of an image open.

    One stroke of the object and one of background do not say how much of an image is
    the object. Where a probe of the strokes alone takes much of the image for it,
    pixels from all over stand in for background as well.

    Parameters
    ----------
    samples : mapping of str to Sample
        Strokes by the key of their tile, of background and of a class.
    basis, n_classes
        See :func:`add_weak_marks`.
    strokes : int
        How many strokes of background there are.
    """
    present = present_classes(samples, n_classes)
    if int(present.sum()) < 2:
        return dict(samples)
    probe = fit_kernel(samples, basis, present)
    vectors = _context_vectors(samples, basis, BACKGROUND_PIXELS)
    found = [probe.on(k).probabilities(v).argmax(1) for k, v in vectors.items()]
    share = float((torch.cat(found) > 0).float().mean())
    needed = (share - USUAL_SHARE) / (LARGE_SHARE - USUAL_SHARE)
    if needed <= 0:
        return dict(samples)
    weight = max(0.5 ** (strokes + 1), LEAST_WEIGHT) * min(1.0, needed)
    everywhere = background_everywhere(next(iter(samples.values())))
    # One pass: more took two to three times as long in a round
    # (docs/benchmarks/interactive.md).
    how = weight, 1.0, BACKGROUND_PIXELS, 1
    return add_weak_marks(samples, everywhere, basis, n_classes, *how)


def background_everywhere(sample: Sample) -> Sample:
    """Make the first mask that goes with a class marked alone: background everywhere.

    Parameters
    ----------
    sample : Sample
        A marked tile.
    """
    # The context is in random order, so its first rows are spread over the tile.
    rows = sample.context[:BACKGROUND_PIXELS]
    codes = sample.codes.new_full((len(rows),), BACKGROUND)
    return dataclasses.replace(
        sample,
        marks=codes[None].clone(),
        features=rows.clone(),
        codes=codes,
        weights=sample.weights.new_full((len(rows),), 1 / len(rows)),
        strokes=sample.strokes.new_zeros(len(rows)),
        parts=sample.parts.new_zeros(len(rows)),
        context=sample.context.clone(),
    )


def _context_vectors(
    samples: Mapping[str, Sample], basis: Basis, pixels: int
) -> dict[str, torch.Tensor]:
    """Vectors of some pixels from all over each tile, so many in all."""
    each = max(1, pixels // len(samples))
    return {k: basis.project(s.context[:each]) for k, s in samples.items()}


def _confirmed(
    samples: Mapping[str, Sample],
    unsupervised: Sample,
    basis: Basis,
    classes: torch.Tensor,
) -> torch.Tensor:
    """Marked classes that the first mask has on most of what is marked of them."""
    listed = list(samples.values())
    near = torch.cat(
        [_nearest(basis.project(s.features), unsupervised, basis) for s in listed]
    )
    codes = torch.cat([s.codes for s in listed])
    weights = torch.cat([s.weights for s in listed])
    agreed = [
        float(weights[(codes == c) & (near == c)].sum() / weights[codes == c].sum())
        for c in classes
    ]
    return classes[torch.tensor(agreed, device=classes.device) > 0.5]


def _nearest(vectors: torch.Tensor, unsupervised: Sample, basis: Basis) -> torch.Tensor:
    """Codes that the first mask gives to pixels."""
    known = basis.project(unsupervised.features)
    return unsupervised.codes[torch.cdist(vectors, known).argmin(1)]


def _weak_codes(
    vectors: torch.Tensor,
    unsupervised: Sample,
    basis: Basis,
    marked: torch.Tensor,
    confirmed: torch.Tensor,
) -> torch.Tensor:
    """Codes of pixels: an unmarked class of the first mask, else background.

    Pixels of a confirmed class stand in for nothing.
    """
    near = _nearest(vectors, unsupervised, basis)
    codes = torch.where(torch.isin(near, marked), BACKGROUND, near)
    return torch.where(torch.isin(near, confirmed), 0, codes)


def _with_rows(
    samples: Mapping[str, Sample],
    weak: Mapping[str, torch.Tensor],
    background: float,
    others: float,
) -> dict[str, Sample]:
    """Add pixels of the context with given codes, but for those of code 0."""
    codes = torch.cat(list(weak.values()))
    counts = torch.bincount(codes.long())
    found = {}
    for key, sample in samples.items():
        rows = weak[key].nonzero()[:, 0]
        new = weak[key][rows]
        # Numbers after those of real strokes, one a class: weak marks never count as
        # part of one.
        number = int(sample.strokes.max()) + 1
        more = {
            "features": sample.context[rows],
            "codes": new,
            "weights": torch.where(new == BACKGROUND, background, others)
            / counts[new.long()],
            "strokes": number + new.long(),
            "parts": sample.parts.new_zeros(len(rows)),
        }
        joined = {n: torch.cat([getattr(sample, n), more[n]]) for n in more}
        found[key] = dataclasses.replace(sample, **joined)
    return found
