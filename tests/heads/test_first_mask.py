"""How much the first mask counts beside strokes, worked out by hand in one feature."""

from typing import Any

import pytest
import torch
from test_weak import Plain, sample

from napari_segdino.heads.probe.first_mask import first_mask_weight
from napari_segdino.heads.probe.samples import BACKGROUND, Sample
from napari_segdino.heads.probe.weak import background_everywhere

FIRST_MASK = sample([0.0, 10.0], [BACKGROUND, 2])
"""Background at 0 and a class at 10, so everything above 5 is of the class."""


def strokes(*values: tuple[float, int], spread: float = 10.0) -> Sample:
    """One stroke each, in an image with ten brightnesses up to a greatest one."""
    made = sample([v for v, _ in values], [code for _, code in values])
    made.strokes[:] = torch.arange(len(values))
    image = torch.linspace(0, spread, 10)[:, None]
    made.context.resize_(10, 1).copy_(image)
    return made


def weight(*values: tuple[float, int], spread: float = 7.0) -> float:
    basis: Any = Plain()
    marked = {"tile": strokes(*values, spread=spread)}
    return first_mask_weight(marked, FIRST_MASK, basis)


@pytest.mark.parametrize(
    ("painted", "expected"),
    [
        ([(9, 2)], 1.0),
        ([(1, BACKGROUND)], 1.0),
        ([(6, BACKGROUND), (7, BACKGROUND), (8, BACKGROUND)], 1.0),
        ([(9, 2), (1, BACKGROUND)], 0.5),
        ([(9, 2), (8, 2), (1, BACKGROUND)], 0.25),
        ([(9, 2), (8, 2), (1, BACKGROUND), (2, BACKGROUND)], 0.125),
    ],
)
def test_it_fades_once_both_sides_are_marked(
    painted: list[tuple[float, int]], expected: float
) -> None:
    assert weight(*painted) == expected


def test_a_stroke_beside_it_extends_it_and_one_far_from_it_denies_it() -> None:
    # Of brightnesses 0, 0.8, ..., 7.0 six tenths are above 2.4, all above -1.
    assert weight((2.4, 2)) == 1.0
    assert weight((-1, 2)) == 0.0
    assert weight((9, 2), (-1, 2)) == 0.5


def test_a_class_that_is_most_of_the_image_says_nothing_by_being_hit() -> None:
    assert weight((9, 2), spread=7.0) == 1.0  # two of ten brightnesses are above 5
    assert weight((9, 2), spread=20.0) == 0.0  # seven are


def test_it_says_nothing_of_a_class_that_it_does_not_have() -> None:
    assert weight((9, 3)) == 0.0


def test_background_everywhere_is_no_first_mask() -> None:
    basis: Any = Plain()
    marked = {"tile": strokes((9, 2))}
    nothing = background_everywhere(marked["tile"])
    assert first_mask_weight(marked, nothing, basis) == 0.0
