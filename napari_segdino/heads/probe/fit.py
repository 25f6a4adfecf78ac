"""Fitting probes to marked pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from napari_segdino.errors import InputError
from napari_segdino.features.extract import kind_of, tile_of
from napari_segdino.heads.base import ONE_CLASS
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.logistic import logistic, whiten
from napari_segdino.heads.probe.model import (
    TILE_WEIGHT,
    KernelProbe,
    Probe,
    gaussian_kernel,
)
from napari_segdino.heads.probe.network import iter_fit_network
from napari_segdino.heads.probe.samples import Sample, is_weak
from napari_segdino.progress import Progress, Steps

LENGTH_SCALE, MASK_LENGTH_SCALE = 1.4, 1.0
"""Of the kernel, in root mean squared norms of a vector; the second where there is a
whole mask."""

RIDGE, MASK_RIDGE = 1 / 100, 1 / 30
"""Precision of the prior on functions, against a total weight of one a stroke."""

MAX_LANDMARKS = 384
"""At most this many landmarks; marked pixels may be more. With 768 a refit beside a
slice that is marked whole takes twice as long and gives the same masks to .001 Dice."""


PREVIOUS_WEIGHT = 0.7
"""Share of the last probe that stays with each stroke that corrects its mask."""

HARD_EXAMPLE_WEIGHT, HARD_EXAMPLE_ROUNDS = 3.0, 2
"""Pixels that are classified wrongly weigh this much more in so many further fits."""

NETWORK_FROM, NETWORK_FROM_SLICES = 3, 5
"""From this many whole masks on, perceptrons do better than the kernel; the second of
one volume."""


def iter_fit_probe(
    samples: Mapping[str, Sample],
    n_classes: int,
    basis: Basis,
    seed: int,
    steps: int,
    previous: KernelProbe | None = None,
) -> Steps[Probe]:
    """Fit the probe that suits the marks.

    Parameters
    ----------
    samples : mapping of str to Sample
        Marked pixels by the key of their tile.
    n_classes : int
        Classes with background.
    basis : Basis
        Makes vectors of features.
    seed : int
        The same seed gives the same probe.
    steps : int
        Steps of descent of perceptrons.
    previous : KernelProbe, optional
        The probe whose mask the last strokes corrected.

    Yields
    ------
    Progress

    Returns
    -------
    KernelProbe or NetworkProbe
        Perceptrons from :data:`NETWORK_FROM` whole masks on, of one volume from
        :data:`NETWORK_FROM_SLICES`.

    Raises
    ------
    InputError
        If the marks hold fewer than two classes.
    """
    listed = list(samples.values())
    present = present_classes(samples, n_classes)
    if int(present.sum()) < 2:
        raise InputError(ONE_CLASS)
    one_image = len(set(_images(samples))) == 1
    if count_masks(samples) >= (NETWORK_FROM_SLICES if one_image else NETWORK_FROM):
        how = basis, present, seed, steps, one_image
        return (yield from iter_fit_network(listed, *how))
    yield Progress(0, 1, "Training")
    return fit_kernel(samples, basis, present, previous)


def fit_kernel(
    samples: Mapping[str, Sample],
    basis: Basis,
    present: torch.Tensor,
    previous: KernelProbe | None = None,
) -> KernelProbe:
    """Fit kernel logistic regression [1]_, each class against the rest.

    A function that all images share and one of each image's own are fitted
    together [2]_: what is marked of one image never contradicts what is marked of
    another. Slices of one volume are one image. Every marked pixel that was sampled
    counts; where they are more than :data:`MAX_LANDMARKS`, the landmarks are some of
    them from every stroke [3]_. With several tiles, pixels that are still taken for
    another class then weigh more, and it is fitted again; with one, the user sees
    them and corrects them, and weighing them more only hurt.

    A user corrects what is wrong in a mask and leaves what is right: with each
    stroke most of the `previous` probe stays, else masks swing from stroke to stroke.

    Parameters
    ----------
    samples : mapping of str to Sample
        Marked pixels; both sides of each class against the rest weigh the same.
    basis : Basis
        Makes vectors of features.
    present : torch.Tensor, shape (K,), bool
        Classes with marks, at least two.
    previous : KernelProbe, optional
        The probe whose mask the last strokes corrected, if of the same classes.

    Returns
    -------
    KernelProbe

    References
    ----------
    .. [1] J. Zhu and T. Hastie, Kernel logistic regression and the import vector
       machine, Journal of Computational and Graphical Statistics 14, 2005.
    .. [2] T. Evgeniou and M. Pontil, Regularized multi-task learning, KDD 2004.
    .. [3] C. Williams and M. Seeger, Using the Nystroem method to speed up kernel
       machines, NIPS 2000.
    """
    listed = list(samples.values())
    codes = torch.cat([s.codes for s in listed]).long() - 1
    weights = torch.cat([s.weights for s in listed]).double()
    rows, tile = _vectors(listed, basis), _tiles(listed)
    images = _images(samples)
    image = torch.tensor(images, device=rows.device)[tile]
    chosen = _landmark_rows(listed).to(rows.device)
    landmarks = rows[chosen], image[chosen]
    scale, ridge = _smoothness(listed, basis)
    design, back = whiten(
        _kernel(rows, image, *landmarks, scale), _kernel(*landmarks, *landmarks, scale)
    )
    strokes = count_strokes(samples)
    share, expressed = _previous_part(previous, samples, present, design, strokes)
    # In several views one tile is still one.
    painted = {tile_of(key) for key in samples if not is_weak(key)}
    rounds = 1 if len(painted) == 1 else 1 + HARD_EXAMPLE_ROUNDS
    for _ in range(rounds):
        betas = _one_against_rest(design, codes, weights, ridge, present)
        betas = (1 - share) * betas + share * expressed
        wrong = _classify(design, betas, present) != codes
        if not wrong.any():
            break
        weights = torch.where(wrong, HARD_EXAMPLE_WEIGHT * weights, weights)
    return KernelProbe(
        basis,
        landmarks[0],
        # The part that all images share; KernelProbe.on adds an image's own.
        (1 - TILE_WEIGHT) * (back @ betas).float(),
        present,
        scale,
        tile[chosen],
        tuple(samples),
        strokes,
        previous,
        images,
    )


def _smoothness(samples: Sequence[Sample], basis: Basis) -> tuple[float, float]:
    """Length scale of the kernel, and precision of the prior on functions."""
    root = len(basis.means) ** 0.5
    if any(sample.whole for sample in samples):
        return MASK_LENGTH_SCALE * root, MASK_RIDGE
    return LENGTH_SCALE * root, RIDGE


def _classify(
    design: torch.Tensor, betas: torch.Tensor, present: torch.Tensor
) -> torch.Tensor:
    """Class of each row (N,), of those that are present."""
    return present.nonzero()[:, 0][(design @ betas[:, present]).argmax(1)]


def _previous_part(
    previous: KernelProbe | None,
    samples: Mapping[str, Sample],
    present: torch.Tensor,
    design: torch.Tensor,
    strokes: int,
) -> tuple[float, torch.Tensor]:
    """Share of the previous probe that stays, and its coefficients (P, K)."""
    expressed = design.new_zeros(design.shape[1], len(present))
    if previous is None or not torch.equal(previous.present, present):
        return 0.0, expressed
    # Its landmarks were others: what it says at the marked pixels is what can stay.
    expressed[:, present] = _express(design, _scores(previous, samples))
    # After several strokes at once as little stays as after a refit for each of them.
    return PREVIOUS_WEIGHT ** max(1, strokes - previous.strokes), expressed


def _one_against_rest(
    design: torch.Tensor,
    codes: torch.Tensor,
    weights: torch.Tensor,
    ridge: float,
    present: torch.Tensor,
) -> torch.Tensor:
    """Coefficients (P, K) of each present class; one problem decides between two."""
    classes = present.nonzero()[:, 0].tolist()
    betas = design.new_zeros(design.shape[1], len(present))
    for label in classes[1:] if len(classes) == 2 else classes:
        betas[:, label] = logistic(design, (codes == label).double(), weights, ridge)
    if len(classes) == 2:
        betas[:, classes[0]] = -betas[:, classes[1]]
    return betas


def count_strokes(samples: Mapping[str, Sample], code: int | None = None) -> int:
    """Count the strokes that were painted.

    With a code, only strokes of that class count.

    A whole mask is one; one found without labels is none.

    Parameters
    ----------
    samples : mapping of str to Sample
        By the key of their tile.
    code : int, optional
        Mark of the class whose strokes count; None counts all.
    """
    marked = (sample for key, sample in samples.items() if not is_weak(key))
    return round(sum(_painted(sample, code) for sample in marked))


def present_classes(samples: Mapping[str, Sample], n_classes: int) -> torch.Tensor:
    """Return which classes have marks.

    Parameters
    ----------
    samples : mapping of str to Sample
        By the key of their tile.
    n_classes : int
        Classes with background.

    Returns
    -------
    torch.Tensor, shape (K,), bool
        Background first.
    """
    codes = torch.cat([s.codes for s in samples.values()]).long()
    return torch.bincount(codes - 1, minlength=n_classes) > 0


def count_masks(samples: Mapping[str, Sample]) -> int:
    """Count whole masks.

    Parameters
    ----------
    samples : mapping of str to Sample
        By the key of their tile.
    """
    return round(sum(_painted(sample) for sample in samples.values() if sample.whole))


def _painted(sample: Sample, code: int | None = None) -> float:
    """How many strokes of those painted a sample is."""
    wanted = slice(None) if code is None else (sample.codes == code).cpu().numpy()
    _, first = np.unique(sample.strokes.cpu().numpy()[wanted], return_index=True)
    return float(sample.parts.cpu().numpy()[wanted][first].sum())


def _scores(probe: KernelProbe, samples: Mapping[str, Sample]) -> torch.Tensor:
    """Logits of a probe at marked pixels, each on its tile."""
    return torch.cat(
        [
            probe.on(key).scores(_vectors([sample], probe.basis))
            for key, sample in samples.items()
        ]
    ).double()


def _express(design: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The smallest function that has given values at the rows, nearly."""
    square = design.T @ design
    # Least squares need some ridge: two landmarks may be nearly one.
    square.diagonal().add_(1e-3)
    solved: torch.Tensor = torch.linalg.solve(square, design.T @ values)
    return solved


def _tiles(samples: Sequence[Sample]) -> torch.Tensor:
    """Number of the tile of each row."""
    device = samples[0].codes.device
    counts = torch.tensor([len(s.codes) for s in samples], device=device)
    return torch.repeat_interleave(counts)


def _images(samples: Mapping[str, Sample]) -> tuple[int, ...]:
    """Count the images that the tiles are of; in another view one is another."""
    found = [
        key if sample.image is None else (int(sample.image), kind_of(key))
        for key, sample in samples.items()
    ]
    return tuple(found.index(image) for image in found)


def _kernel(
    a: torch.Tensor,
    image_of_a: torch.Tensor,
    b: torch.Tensor,
    image_of_b: torch.Tensor,
    length_scale: float,
) -> torch.Tensor:
    """Kernel of rows and landmarks, plus one for the bias; less across images."""
    same_image = (image_of_a[:, None] == image_of_b).double()
    shared = (1 - TILE_WEIGHT) + TILE_WEIGHT * same_image
    return (gaussian_kernel(a, b, length_scale) + 1) * shared


def _landmark_rows(samples: Sequence[Sample]) -> torch.Tensor:
    """Choose the pixels that become landmarks: some of every stroke."""
    ranks = []
    # Not the user's seed: the probe from strokes shall depend on the strokes alone.
    random = np.random.default_rng(0)
    for sample in samples:
        order = random.permutation(len(sample.codes))
        strokes = sample.strokes.cpu().numpy()[order]
        rank = np.empty(len(order), np.intp)
        for stroke in np.unique(strokes):
            mine = order[strokes == stroke]
            rank[mine] = np.arange(len(mine))
        ranks.append(rank)
    # First of each stroke, then second of each, ...: long strokes take no place from
    # short ones.
    first = np.argsort(np.concatenate(ranks), kind="stable")[:MAX_LANDMARKS]
    return torch.from_numpy(np.sort(first))


def _vectors(samples: Sequence[Sample], basis: Basis) -> torch.Tensor:
    return basis.project(torch.cat([s.features for s in samples]))
