"""Whether what JSON gives is of the types that the code says."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pytest

from napari_segdino.schema import check_types, matches


@pytest.mark.parametrize(
    ("value", "hint", "fits"),
    [
        (1, int, True),
        (np.int64(1), int, True),
        (1.0, int, False),
        (True, int, False),
        (1, float, True),
        ("1", float, False),
        (True, bool, True),
        ([1, 2], tuple[int, int], True),
        ([1, 2, 3], tuple[int, int], False),
        ([1, 2, 3], tuple[int, ...], True),
        ([], tuple[int, ...], True),
        ([1, "2"], list[int], False),
        ("ab", list[str], False),
        ({"a": [1]}, dict[str, list[int]], True),
        ({"a": 1}, Mapping[str, str], False),
        ({1: "a"}, Mapping[str, str], False),
        ("mean", Literal["entropy", "mean"], True),
        ("max", Literal["entropy", "mean"], False),
        (None, int | None, True),
        ("a", int | None, False),
        (object(), Any, True),
    ],
)
def test_a_value_is_of_a_type(value: object, hint: Any, fits: bool) -> None:
    assert matches(value, hint) is fits


def test_what_is_of_another_type_is_named() -> None:
    hints = {"tile": int, "flips": bool}
    check_types({"tile": 3, "more": "unknown"}, hints)
    with pytest.raises(TypeError, match="flips is 1, not <class 'bool'>"):
        check_types({"tile": 3, "flips": 1}, hints)
