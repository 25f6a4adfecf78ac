"""What a user should know before waiting: how long, and how much memory. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import GIB
from napari_segdino.errors import InputError
from napari_segdino.images.planes import Planes
from napari_segdino.progress import Progress, Steps, T, relay

LONG = 60.0
"""Seconds of waiting that are worth a sentence."""

TRIAL = 2.0
"""Seconds of work before the rest is reckoned."""


PROVISIONAL = "A first look, which may still change: the fine view follows."


@dataclass(frozen=True, slots=True)
class Notice:
    """Yielded by a job: a sentence for the user.

    Parameters
    ----------
    text : str
        The sentence.
    """

    text: str


class Pace:
    """How long a job has run, and how long it will.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._part: tuple[int, float, int] | None = None
        self._end = 0.0

    def take(self, step: Progress) -> float:
        """Return how many seconds are left, 0 while that is not known.

        Parameters
        ----------
        step : Progress
            How far the job is.
        """
        now = self._clock()
        # Another total is another part of the work, which has a pace of its own.
        if self._part is None or self._part[0] != step.total:
            self._part, self._end = (step.total, now, step.done), 0.0
        _, since, first = self._part
        done, spent = step.done - first, now - since
        if not step.total or done < 1 or spent < TRIAL:
            return 0.0
        rest = spent / done * (step.total - step.done)
        self._end = now + rest
        return rest

    def text(self, running: bool) -> str:
        """Return what there is to read of it, such as ``"0:05, about 0:20 left"``.

        Parameters
        ----------
        running : bool
            It is at work; else what it took is told, where that is worth it.
        """
        now = self._clock()
        spent = now - self._begun
        if not running:
            return f"Took {_minutes(spent)}" if spent >= TRIAL else ""
        left = self._end - now
        return _minutes(spent) + (f", about {_minutes(left)} left" if left >= 1 else "")


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def foretell(steps: Steps[T], clock: Callable[[], float] = time.monotonic) -> Steps[T]:
    """Pass steps on, and a :class:`Notice` when they take long or are a first look.

    Parameters
    ----------
    steps : generator
        The task; closed with this.
    clock : callable
        Seconds.
    """
    from napari_segdino.inference.predict import PartResult

    pace, told, drafted = Pace(clock), False, False

    def each(step: Any) -> Iterator[Any]:
        nonlocal told, drafted
        yield step
        if isinstance(step, PartResult) and step.provisional and not drafted:
            drafted = True
            yield Notice(PROVISIONAL)
        if told or not isinstance(step, Progress):
            return
        rest = pace.take(step)
        if rest > LONG:
            told = True
            minutes = round(rest / 60) or 1
            yield Notice(
                f"This will take about {minutes} min. Cancel stops it; what was "
                "learned before stays."
            )

    return relay(steps, each)


def memory_notice(
    segmenter: Any, marked: Iterable[tuple[Planes, NDArray[Any], list[int]]]
) -> Notice | None:
    """Say how much memory a head will keep, where that is above 1 GiB.

    Parameters
    ----------
    segmenter : Segmenter
        Will learn.
    marked : iterable of (Planes, array of int, list of int)
        Images, their marks and the planes to learn.
    """
    from napari_segdino.encoders.table import get_spec
    from napari_segdino.heads.collect import sample_bytes
    from napari_segdino.heads.registry import make_head

    head = make_head(segmenter.head, segmenter.recipe)
    try:
        spec = get_spec(segmenter.encoder)
    except InputError:
        return None  # a file: not known before it is read
    features = segmenter.features or head.default_features()
    total = 0
    for image, marks, planes in marked:
        channels = image.array.shape[-1] if image.axes.endswith("C") else 1
        for plane in planes:
            drawn = np.asarray(marks[image.index(plane)])
            total += sample_bytes(head, spec, features, drawn, channels)
    if total <= GIB:
        return None
    return Notice(
        f"{segmenter.head} will keep {total / GIB:.1f} GiB of features in memory: "
        "mark fewer slices."
    )
