"""What stands in for background where a first mask was right, or was not."""

from typing import Any

import torch

from napari_segdino.heads.probe.samples import Sample
from napari_segdino.heads.probe.weak import BACKGROUND, _confirmed, _weak_codes


class Plain:
    """A basis that leaves features as they are."""

    def project(self, blocks: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(list(blocks), 1)


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


def test_where_the_guess_was_right_its_class_is_no_background() -> None:
    assert weak_codes(sample([10.0, 9.0, 2.0], [2, 2, 2])) == [BACKGROUND, 0, 0]


def test_a_guess_that_is_contradicted_says_nothing_of_the_class() -> None:
    assert weak_codes(sample([0.0, 1.0, 9.0], [2, 2, 2])) == [BACKGROUND] * 3
