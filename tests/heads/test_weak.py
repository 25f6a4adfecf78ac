"""What stands in for background where a first mask was right, or was not."""

import dataclasses
from typing import Any

import pytest
import torch

from napari_segdino.heads.probe.components import fit_basis
from napari_segdino.heads.probe.fit import fit_kernel
from napari_segdino.heads.probe.samples import Sample
from napari_segdino.heads.probe.weak import (
    BACKGROUND,
    _confirmed,
    _weak_codes,
    add_background,
)


class Plain:
    """A basis that leaves features as they are."""

    def project(self, features: torch.Tensor) -> torch.Tensor:
        return features.float()


def sample(features: list[float], codes: list[int]) -> Sample:
    n = len(codes)
    rows = torch.tensor(features)[:, None]
    code = torch.tensor(codes, dtype=torch.uint8)
    return Sample(
        code[None],
        rows.half(),
        code,
        torch.full((n,), 1 / n),
        torch.zeros(n, dtype=torch.int64),
        torch.ones(n),
        rows.half(),
        torch.tensor([1]),
    )


FIRST_MASK = sample([0.0, 10.0], [BACKGROUND, 2])
PIXELS = torch.tensor([[1.0], [9.0], [11.0]])


def weak_codes(stroke: Sample) -> list[int]:
    classes, basis = torch.tensor([2]), Plain()
    right = _confirmed({"tile": stroke}, FIRST_MASK, _any(basis), classes)
    found = _weak_codes(PIXELS, FIRST_MASK, _any(basis), torch.tensor([2]), right)
    return [int(code) for code in found]


def _any(basis: Plain) -> Any:
    return basis


def test_where_the_first_mask_was_right_its_class_is_no_background() -> None:
    assert weak_codes(sample([10.0, 9.0, 2.0], [2, 2, 2])) == [BACKGROUND, 0, 0]


def test_a_first_mask_that_is_contradicted_stands_in_for_nothing() -> None:
    assert weak_codes(sample([0.0, 1.0, 9.0], [2, 2, 2])) == [BACKGROUND] * 3


def two_strokes(pixels: torch.Tensor) -> Sample:
    """Strokes of background at 0 and of class 1 at 10, in an image of these pixels."""
    strokes = sample([0.0, 0.2, 10.0, 9.8], [BACKGROUND, BACKGROUND, 2, 2])
    features = torch.cat([strokes.features, torch.zeros(4, 1).half()], 1)
    context = torch.stack([pixels, torch.zeros_like(pixels)], 1).half()
    widths = torch.tensor([1, 1])
    return dataclasses.replace(
        strokes, features=features, context=context, widths=widths
    )


def share_of_class(marked: dict[str, Sample], pixels: torch.Tensor) -> float:
    basis = fit_basis(list(marked.values()))
    probe = fit_kernel(marked, basis, torch.tensor([True, True]))
    rows = torch.stack([pixels, torch.zeros_like(pixels)], 1)
    vectors = basis.project(rows)
    return float((probe.on("tile").probabilities(vectors)[:, 1] > 0.5).float().mean())


def test_what_no_stroke_speaks_of_is_background_rather_than_half() -> None:
    pixels = torch.linspace(0, 10, 64)
    marked = {"tile": two_strokes(pixels)}
    assert share_of_class(marked, pixels) == pytest.approx(0.5, abs=0.05)
    basis = fit_basis(list(marked.values()))
    more = add_background(marked, basis, 2, 1)
    assert share_of_class(more, pixels) < 0.4
    after_many = add_background(marked, basis, 2, 20)
    assert share_of_class(more, pixels) < share_of_class(after_many, pixels) < 0.5


def test_strokes_that_leave_little_open_are_left_as_they_are() -> None:
    pixels = torch.cat([torch.linspace(0, 1, 60), torch.linspace(9, 10, 4)])
    marked = {"tile": two_strokes(pixels[torch.randperm(64)])}
    assert add_background(marked, fit_basis(list(marked.values())), 2, 1) == marked
