"""The moving picture of the README can be made again, and shows what it should."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_segdino._qt.demo import dice, stained
from napari_segdino.io.sample import sample_scan

SCRIPT = Path(__file__).parents[2] / "docs" / "images" / "make_tour.py"


def test_three_strokes_and_the_next_image(
    make_napari_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = runpy.run_path(str(SCRIPT))
    viewer = make_napari_viewer(show=True)
    dices: list[float] = []
    wanted = stained(np.asarray(sample_scan("tissue").data))
    parts = {f"tissue {n}": wanted[script[p]] for n, p in ((1, "FIRST"), (2, "SECOND"))}

    def take(film: Any, milliseconds: int) -> None:
        film.times.append(milliseconds)
        name = film.dock.image.name
        mask = film.viewer.layers[f"{name} mask"]
        dices.append(dice(mask.data, parts[name]))

    monkeypatch.setattr(script["Film"], "take", take)
    script["play"](viewer)

    # Empty, the first mask, before and after Retrain, the next image.
    assert dices[0] == 0
    assert dices[2] < 0.3
    before, after = dices[-6], dices[-5]
    assert before < 0.3
    assert after > 0.9
    assert dices[-1] > 0.9
    marks = viewer.layers["tissue 1 marks"].data
    assert set(np.unique(marks)) == {0, 1, 2}
