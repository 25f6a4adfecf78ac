"""An honest score while there is no reference: strokes held out and predicted.

The probe is refitted without some strokes and asked about them. What is scored
are marked pixels only, where users mark what was wrong: the score is lower than
that of the whole mask, and it is meant to be watched over rounds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_segdino.images.planes import Planes, as_planes, check_marks
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.metrics import Row, score_case
from napari_segdino.metrics.measures import same_shape
from napari_segdino.progress import Progress, Steps, relay
from napari_segdino.review.folds import Stroke, group_strokes, make_folds

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter

FOLDS = 5
TEXT = "Scoring strokes that are left out"

Answer = tuple[Stroke, NDArray[np.float32]]
"""A stroke, and the probabilities (N, K) of its pixels."""


@dataclass(frozen=True)
class _Without:
    """Marks read plane by plane, some strokes erased; nothing is copied."""

    marks: Any
    source: Planes
    erased: dict[tuple[int, ...], NDArray[np.intp]]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.spatial_shape

    @property
    def dtype(self) -> Any:
        return self.marks.dtype

    def __getitem__(self, index: tuple[int, ...]) -> NDArray[Any]:
        # A copy: the user's marks stay as they are.
        plane: NDArray[Any] = np.array(self.marks[index])
        if index in self.erased:
            plane.reshape(-1)[self.erased[index]] = 0
        return plane


def iter_cross_validate(
    segmenter: Segmenter,
    image: Any,
    marks: Any,
    *,
    volume: bool | None = None,
    axes: str | None = None,
    planes: Iterable[int] | None = None,
    folds: int = FOLDS,
    spacing: Sequence[float] | None = None,
    seed: int = 0,
    case: str = "held out",
) -> Steps[HeldOut | None]:
    """Score a probe on held-out strokes of an image.

    Each fold refits the probe on all other strokes of the image and on all that
    it learned from other images, on cached features. The user's own probe
    stays as it is.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted.
    image, volume, axes
        As for :meth:`Segmenter.predict`.
    marks : array of int, spatial shape of the image
        0 unlabelled, 1 background, 2.. classes.
    planes : iterable of int, optional
        Planes with marks; None looks at all.
    folds : int
        How often the probe is refitted, at most.
    spacing : sequence of float, optional
        (Y, X) distance between pixels; 1 if not given.
    seed : int
        The same seed gives the same folds.
    case : str
        Goes into the rows.

    Yields
    ------
    Progress

    Returns
    -------
    HeldOut or None
        None where no class has two strokes that are apart.
    """
    how: dict[str, Any] = {"volume": volume, "axes": axes}
    source = as_planes(image, volume, axes)
    marks = check_marks(marks, source)
    wanted = sorted(range(len(source)) if planes is None else planes)
    drawn = ((i, np.asarray(marks[source.index(i)])) for i in wanted)
    marked = [(i, plane) for i, plane in drawn if plane.any()]
    strokes = group_strokes(marked)
    fold_of = make_folds(strokes, folds, seed)
    used = sorted(set(fold_of) - {-1})
    answers: list[Answer] = []
    for done, fold in enumerate(used):
        held = [s for s, f in zip(strokes, fold_of, strict=True) if f == fold]
        rest = _Without(marks, source, _by_plane(held, source))
        # A copy for each fold, so that none goes on from another.
        copied = yield from iter_copy(segmenter)
        steps = _iter_fold(copied, image, rest, held, [i for i, _ in marked], how)
        answers += yield from _counting(steps, Progress(done, len(used), TEXT))
    if not answers:
        return None
    skipped = len(strokes) - len(answers)
    return summarise_answers(answers, source.plane_shape, spacing, skipped, case)


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
    # Before it is copied: copies then share the encoder that was loaded.
    yield from segmenter.iter_pipeline()
    other = copy.copy(segmenter)
    if model is not None:
        other.model_ = model
    if samples is not None:
        other.samples_ = dict(samples)
    return other


def _iter_fold(
    copied: Segmenter,
    image: Any,
    rest: _Without,
    held: Sequence[Stroke],
    planes: Sequence[int],
    how: dict[str, Any],
) -> Steps[list[Answer]]:
    """Learn from the rest, answer for the strokes that are held out."""
    yield from copied.iter_partial_fit(image, rest, planes=planes, **how)
    answers: list[Answer] = []
    asked = sorted({s.plane for s in held})
    for step in copied.iter_predict(image, planes=asked, **how):
        if isinstance(step, PlaneResult):
            answers += _answers(step, held)
        else:
            yield step
    return answers


def _counting(steps: Steps[list[Answer]], progress: Progress) -> Steps[list[Answer]]:
    """Replace what a fold yields by the progress over all folds."""
    return relay(steps, lambda _: [progress])


def _by_plane(
    strokes: Sequence[Stroke], source: Planes
) -> dict[tuple[int, ...], NDArray[np.intp]]:
    """Pixels of strokes, by the position of their plane."""
    found: dict[tuple[int, ...], list[NDArray[np.intp]]] = {}
    for stroke in strokes:
        found.setdefault(source.index(stroke.plane), []).append(stroke.pixels)
    return {index: np.concatenate(parts) for index, parts in found.items()}


def _answers(result: PlaneResult, held: Sequence[Stroke]) -> list[Answer]:
    """Probabilities (N, K) of the held-out strokes of a plane."""
    flat = result.probabilities.reshape(len(result.probabilities), -1)
    return [(s, flat[:, s.pixels].T) for s in held if s.plane == result.index]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What the probe says of strokes that it did not learn from.

    Parameters
    ----------
    rows : tuple of Row
        One for each class but background, pooled over planes; compares marked
        pixels only. Write them with :func:`napari_segdino.metrics.to_csv`.
    strokes, skipped : int
        Strokes held out, and those that could not be: the only ones of their
        class, or all within a few pixels of each other.
    right : float
        Share of the pixels that are classified as marked, each stroke
        counting the same.
    probabilities : numpy.ndarray, shape (N, K), float32
        Of the pixels of the held-out strokes.
    truth : numpy.ndarray of int, shape (N,)
        Their classes.
    weights : numpy.ndarray, shape (N,)
        They sum to 1 over each stroke.
    """

    rows: tuple[Row, ...]
    strokes: int
    skipped: int
    right: float
    probabilities: NDArray[np.float32]
    truth: NDArray[np.intp]
    weights: NDArray[np.float64]

    @property
    def dice(self) -> float:
        """Mean Dice over the classes; NaN without any."""
        return _mean([row.dice for row in self.rows])

    @property
    def hd95(self) -> float:
        """Mean HD95 over the classes, in the unit of the spacing."""
        return _mean([row.hd95 for row in self.rows])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def summarise_answers(
    answers: Sequence[tuple[Stroke, NDArray[np.float32]]],
    shape: tuple[int, int],
    spacing: Sequence[float] | None,
    skipped: int,
    case: str,
) -> HeldOut:
    """Score answers: strokes and the probabilities (N, K) of their pixels.

    Parameters
    ----------
    answers : sequence of (Stroke, numpy.ndarray)
        At least one.
    shape : tuple of int
        (Y, X) of the plane.
    spacing : sequence of float, optional
        (Y, X) distance between pixels; 1 if not given.
    skipped : int
        Strokes that could not be held out.
    case : str
        Goes into the rows.
    """
    sizes = [len(s.pixels) for s, _ in answers]
    weights = np.repeat([1 / n for n in sizes], sizes)
    truth = np.repeat([s.code - 1 for s, _ in answers], sizes).astype(np.intp)
    width = max(p.shape[1] for _, p in answers)
    padded = [np.pad(p, ((0, 0), (0, width - p.shape[1]))) for _, p in answers]
    probabilities = np.concatenate(padded)
    right = float((weights * (probabilities.argmax(1) == truth)).sum() / len(answers))
    rows = _rows(answers, shape, spacing, case)
    return HeldOut(rows, len(answers), skipped, right, probabilities, truth, weights)


def _rows(
    answers: Sequence[tuple[Stroke, NDArray[np.float32]]],
    shape: tuple[int, int],
    spacing: Sequence[float] | None,
    case: str,
) -> tuple[Row, ...]:
    """Compare predicted and marked classes on the held-out pixels of all planes."""
    planes = sorted({s.plane for s, _ in answers})
    found, true = (np.zeros((len(planes), *shape), np.int32) for _ in range(2))
    for stroke, p in answers:
        at = planes.index(stroke.plane)
        found[at].reshape(-1)[stroke.pixels] = p.argmax(1)
        true[at].reshape(-1)[stroke.pixels] = stroke.code - 1
    labels = {s.code - 1 for s, _ in answers} - {0}
    return tuple(score_case(found, true, spacing, labels, case, by_plane=True))


def rows_by_round(scores: Sequence[HeldOut]) -> list[Row]:
    """Return the rows of several rounds, for :func:`napari_segdino.metrics.to_csv`.

    Parameters
    ----------
    scores : sequence of HeldOut
        Oldest first.
    """
    return [
        replace(row, case=f"round {n}, {one.strokes + one.skipped} strokes")
        for n, one in enumerate(scores, 1)
        for row in one.rows
    ]


def score_reference(
    labels: ArrayLike,
    reference: ArrayLike,
    spacing: Sequence[float] | None = None,
    case: str = "all",
) -> tuple[list[Row], dict[int, list[Row]]]:
    """Score a mask against a reference, whole and slice by slice.

    Parameters
    ----------
    labels, reference : array of int, same shape, (Y, X) or (Z, Y, X)
        0 background, 1.. classes.
    spacing : sequence of float, optional
        Distance between pixels by axis; 1 if not given.
    case : str
        Goes into the rows.

    Returns
    -------
    whole : list of Row
        One row a class.
    slices : dict of int to list of Row
        By slice, a row for each class that occurs there. Empty for one plane.

    Raises
    ------
    InputError
        If shapes or the spacing do not fit.
    """
    found, true = same_shape(labels, reference)
    whole = score_case(found, true, spacing, case=case)
    slices: dict[int, list[Row]] = {}
    if found.ndim == 3:
        # Of y and x: distances are measured within a slice.
        flat = None if spacing is None else tuple(spacing)[1:]
        for z, pair in enumerate(zip(found, true, strict=True)):
            slices[z] = score_case(*pair, flat, case=f"{case} z={z}")
    return whole, slices
