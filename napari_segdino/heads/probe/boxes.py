"""Starting from boxes: an ellipse as prior, and what the features say of it.

Outside a box is background, inside it is mostly object. Kernel logistic regression of
soft labels and an elliptic prior take turns, as in GrabCut [1]_, but the prior stays
in every round: what the features cannot tell keeps the shape of the box, so that more
rounds never lose what the first one had.

References
----------
.. [1] C. Rother, V. Kolmogorov and A. Blake, GrabCut: interactive foreground
   extraction using iterated graph cuts, SIGGRAPH 2004.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.box_prior import prior_logits, table_of
from napari_segdino.heads.probe.box_rows import BoxRows
from napari_segdino.heads.probe.fit import LENGTH_SCALE, count_strokes
from napari_segdino.heads.probe.logistic import logistic, whiten
from napari_segdino.heads.probe.model import KernelProbe, Probe, gaussian_kernel
from napari_segdino.heads.probe.samples import BACKGROUND, BOX, MASK, Sample
from napari_segdino.images.boxes import Box

LANDMARKS = 256

LEAST_SIDE = 0.65
"""The ellipse may shrink to this part of a loose box."""

ROUNDS, RIDGE, WEIGHT = 6, 0.02, 20.0
"""Rounds; precision of the prior on functions; what all pixels weigh together."""

BOX_WEIGHT = 3.0
"""What each side of a box weighs beside strokes before it fades."""

FADE, PRIOR_FADE = 0.8, 0.8
"""What a box or a mask left to learn from, and a box's prior, keep this part of their
weight with each stroke on the same tile."""

CENTRED = (0.0, 0.0, 1.0, 1.0)
"""An ellipse: its centre y and x and its half axes, in half sides of the box."""


def fit_boxes(
    rows: Sequence[BoxRows], boxes: Sequence[Box], basis: Basis, image: int
) -> dict[str, Sample]:
    """Find the objects in boxes.

    Parameters
    ----------
    rows : sequence of BoxRows
        Pixels of the tiles that boxes touch.
    boxes : sequence of Box
        All of them, of one class or several.
    basis : Basis
        Fitted to these tiles.
    image : int
        Number of the image.

    Returns
    -------
    dict of str to Sample
        What a probe can learn of them, by :data:`BOX` and the key of their tile: the
        pixels weigh by how sure they are.
    """
    vectors = basis.project(torch.cat([r.features for r in rows]))
    marks = np.concatenate([r.marks for r in rows])
    scale = LENGTH_SCALE * len(basis.means) ** 0.5
    chosen = np.random.default_rng(0).permutation(len(vectors))[:LANDMARKS]
    landmarks = vectors[torch.from_numpy(chosen)]
    kernels = [gaussian_kernel(v, landmarks, scale) + 1 for v in (vectors, landmarks)]
    design, _ = whiten(kernels[0].double(), kernels[1].double())
    codes = np.full(len(vectors), BACKGROUND)
    surest = np.zeros(len(vectors))
    ellipses: dict[Box, NDArray[np.float64]] = {}
    for label in sorted({box.label for box in boxes}):
        own = [box for box in boxes if box.label == label]
        chance, shapes = _fit_class(rows, own, design, marks)
        codes[chance > np.maximum(surest, 0.5)] = label + 1
        surest = np.maximum(surest, chance)
        ellipses |= dict(zip(own, shapes, strict=True))
    return _samples(rows, ellipses, codes, np.abs(2 * surest - 1), image)


def _fit_class(
    rows: Sequence[BoxRows],
    boxes: Sequence[Box],
    design: torch.Tensor,
    marks: NDArray[Any],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Chance of each row to be of one class, and the ellipses (B, 4) of its boxes."""
    ellipses = np.tile(CENTRED, (len(boxes), 1))
    code = boxes[0].label + 1

    def posterior(score: Any) -> NDArray[np.float64]:
        priors = []
        for r in rows:
            here = np.array([box.plane == r.plane for box in boxes])
            on = [box for box, is_here in zip(boxes, here, strict=True) if is_here]
            priors.append(prior_logits(r.pixels + 0.5, on, ellipses[here]))
        prior = np.concatenate(priors)
        chance = 1 / (1 + np.exp(-(score + prior)))
        outside = np.concatenate([~_inside(r, boxes) for r in rows])
        # Outside is background, and what is painted is known.
        chance[outside] = 0
        found: NDArray[np.float64] = np.where(marks > 0, marks == code, chance)
        return found

    chance = posterior(0.0)
    equal = torch.full((len(chance),), WEIGHT / len(chance), dtype=torch.float64)
    for _ in range(ROUNDS):
        beta = logistic(design, torch.from_numpy(chance), equal, RIDGE)
        score = (design @ beta).numpy()
        chance = posterior(score)
        ellipses = np.array([_ellipse_of(rows, chance, box) for box in boxes])
        chance = posterior(score)
    return chance, ellipses


def _inside(row: BoxRows, boxes: Sequence[Box]) -> NDArray[np.bool_]:
    """Which pixels of a tile any box holds."""
    own = [box.contains(row.pixels + 0.5) for box in boxes if box.plane == row.plane]
    found: NDArray[np.bool_] = np.any(own, axis=0) if own else row.marks < 0
    return found


def _ellipse_of(
    rows: Sequence[BoxRows], chance: NDArray[np.float64], box: Box
) -> tuple[float, ...]:
    """The ellipse with the moments of what is probably object in a box."""
    inside = np.concatenate([_inside(r, [box]) for r in rows])
    pixels = np.concatenate([r.pixels for r in rows]) + 0.5
    at, weight = box.relative(pixels[inside]), chance[inside]
    if weight.sum() < 1:
        return CENTRED
    centre = np.average(at, axis=0, weights=weight)
    # Half an axis of a filled ellipse is twice its standard deviation.
    axes = 2 * np.sqrt(np.average((at - centre) ** 2, axis=0, weights=weight))
    axes = axes.clip(LEAST_SIDE, 1)
    return (*centre.clip(axes - 1, 1 - axes).tolist(), *axes.tolist())


def _samples(
    rows: Sequence[BoxRows],
    ellipses: Mapping[Box, NDArray[np.float64]],
    codes: NDArray[np.intp],
    sure: NDArray[np.float64],
    image: int,
) -> dict[str, Sample]:
    """What the boxes leave to learn from: each code is one stroke of BOX_WEIGHT."""
    weights = np.bincount(codes, weights=sure).clip(1e-9)
    counts = np.bincount(codes)
    ends = np.cumsum([len(r.pixels) for r in rows])
    samples = {}
    for row, last in zip(rows, ends, strict=True):
        mine = slice(last - len(row.pixels), last)
        own, share = codes[mine], np.bincount(codes[mine], minlength=len(counts))
        here = {b: e for b, e in ellipses.items() if b.plane == row.plane}
        samples[BOX + row.key] = replace(
            row.empty,
            marks=torch.from_numpy(own.astype(np.uint8))[None],
            features=row.features,
            codes=torch.from_numpy(own.astype(np.uint8)),
            weights=torch.from_numpy(BOX_WEIGHT * sure[mine] / weights[own]).float(),
            strokes=torch.from_numpy(own),
            parts=torch.from_numpy(share[own] / counts[own]).float(),
            image=torch.tensor(image),
            boxes=table_of(here, (row.tile.y0, row.tile.x0)),
        )
    return samples


def add_given(samples: Mapping[str, Sample]) -> dict[str, Sample]:
    """Join strokes with what boxes and masks left, the less the more is painted.

    Parameters
    ----------
    samples : mapping of str to Sample
        Strokes by the key of their tile, the others by :data:`BOX` or :data:`MASK` and
        that key.

    Returns
    -------
    dict of str to Sample
        By the key of the tile; what was given is a stroke of each class where nothing
        is painted, and none where something is.
    """
    found = {key: s for key, s in samples.items() if not is_given(key)}
    strokes = {key: count_strokes({key: s}) for key, s in found.items()}
    for key, given in samples.items():
        if not is_given(key):
            continue
        tile = key.removeprefix(BOX).removeprefix(MASK)
        if tile not in found:
            found[tile] = given
            continue
        sample = found[tile]
        more = replace(
            given,
            weights=FADE ** strokes.get(tile, 0) * given.weights,
            strokes=int(sample.strokes.max()) + 1 + given.strokes,
            parts=torch.zeros_like(given.parts),
        )
        rows = "features", "codes", "weights", "strokes", "parts"
        joined = {n: torch.cat([getattr(sample, n), getattr(more, n)]) for n in rows}
        found[tile] = replace(sample, **joined)
    return found


def is_given(key: str) -> bool:
    """Return whether a sample is of a box or of another tool's mask.

    Parameters
    ----------
    key : str
        Its key.
    """
    return key.startswith((BOX, MASK))


def with_boxes(probe: Probe, samples: Mapping[str, Sample]) -> Probe:
    """Give a probe the priors of boxes.

    Parameters
    ----------
    probe : Probe
        One from strokes; others have no use for them.
    samples : mapping of str to Sample
        Of strokes and boxes.
    """
    if not isinstance(probe, KernelProbe):
        return probe
    priors = {}
    for key, sample in samples.items():
        if key.startswith(BOX) and sample.boxes is not None:
            tile = key.removeprefix(BOX)
            painted = {k: s for k, s in samples.items() if k == tile}
            priors[tile] = sample.boxes, PRIOR_FADE ** count_strokes(painted)
    return replace(probe, priors=priors)
