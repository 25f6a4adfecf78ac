"""Classes that the user names, and whether marks of them suffice to learn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.heads.registry import head_class
from napari_segdino.marks import MAX_LABEL, too_high

BACKGROUND_MARK = 1
COLORS = (
    "#e69f00",
    "#aa3377",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#b40000",
)
"""Of Okabe and Ito's palette and Tol's: told apart with any kind of colour vision.

Without Okabe and Ito's sky blue, which is like that of background.
"""


@dataclass(frozen=True, slots=True)
class LabelClass:
    """A class that the user names.

    Parameters
    ----------
    label : int
        Its value in the mask, 1 or more; its mark is ``label + 1``.
    name : str
        For people.
    color : str
        ``"#rrggbb"``.

    Raises
    ------
    InputError
        If the label is above :data:`~napari_segdino.marks.MAX_LABEL`.
    """

    label: int
    name: str
    color: str

    def __post_init__(self) -> None:
        if self.label > MAX_LABEL:
            raise InputError(too_high(self.label))


FIRST_CLASSES = (LabelClass(1, "Class 1", COLORS[0]),)
"""Those of a new session."""


def contrasting_color(pixels: NDArray[Any], used: Iterable[str] = ()) -> str:
    """Return the colour of :data:`COLORS` that is least like those of an image.

    Parameters
    ----------
    pixels : numpy.ndarray, shape (N, 3)
        Red, green and blue of some of its pixels, 0 to 255; none of a grey image,
        from which all of them stand out.
    used : iterable of str
        Colours of other classes: one that fewer of them have comes first.

    Returns
    -------
    str
        The one whose distance to the nearest tenth of the pixels is largest; without
        pixels the first.
    """
    count = Counter(used)
    free = [c for c in COLORS if count[c] == min(count[c] for c in COLORS)]
    if not len(pixels):
        return free[0]
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in free])
    offsets = rgb[:, None] - pixels.astype(float)
    # "redmean": near to what eyes see, without a colour space.
    red = (rgb[:, None, 0] + pixels[:, 0]) / 2
    weights = np.stack([2 + red / 256, np.full_like(red, 4), 3 - red / 256], -1)
    distances = (weights * offsets**2).sum(-1)
    return free[int(np.quantile(distances, 0.1, axis=1).argmax())]


def why_not_trainable(codes: Iterable[int], head: str | None = None) -> str | None:
    """Say what is missing before a probe can learn, or None.

    Parameters
    ----------
    codes : iterable of int
        The mark codes there are, 0 ignored.
    head : str, optional
        For some one class is enough: what is unlike its strokes is background. None
        is one for which it is not.
    """
    marked = set(codes) - {0}
    if (top := max(marked, default=0) - 1) > MAX_LABEL:
        return too_high(int(top))
    if not marked:
        return "Nothing is marked yet: paint over what is wrong in the mask first."
    if marked == {BACKGROUND_MARK}:
        return "Only background is marked: paint some of a class as well."
    alone = BACKGROUND_MARK not in marked and len(marked) == 1
    if alone and (head is None or not head_class(head).one_class_is_enough):
        return "Only one class is marked: erase or paint some background as well."
    return None
