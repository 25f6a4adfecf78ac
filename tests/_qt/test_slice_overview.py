"""The strip of slices, with real clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_segdino._qt.mouse import click, press_key, stroke

SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def scan(make_user: Callable[..., Any], volume: np.ndarray) -> Any:
    """A user of a volume of five slices on screen, the third one drawn."""
    user = make_user(show=True)
    user.open(volume)
    click(user.dock.actions.segment)
    user.rest()
    user.annotation.mask.brush_size = 3
    return user


def states(user: Any) -> list[str]:
    return list(user.dock.inputs.slices.states)


def click_cell(user: Any, number: int) -> None:
    strip = user.dock.inputs.slices
    x = round((number + 0.5) * strip.width() / len(strip.states))
    where = QPoint(x, strip.height() // 2)
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton, pos=where)


def test_each_slice_shows_how_far_it_is(scan: Any) -> None:
    scan.wait(lambda: states(scan) == ["empty"] * 2 + ["drawn"] + ["empty"] * 2)
    stroke(scan.viewer, scan.annotation.mask, [(50, 52), (50, 66)])
    scan.wait(lambda: states(scan)[2] == "marked")
    press_key(Qt.Key.Key_A, SHIFT)
    scan.wait(lambda: states(scan)[2] == "accepted")
    press_key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    scan.wait(lambda: states(scan)[2] == "marked")
    assert states(scan) == ["empty"] * 2 + ["marked"] + ["empty"] * 2


def test_slices_of_an_earlier_model_are_stale(scan: Any) -> None:
    scan.dock.inputs.volume.setChecked(True)
    stroke(scan.viewer, scan.annotation.mask, [(50, 52), (50, 66)])
    scan.retrain()
    scan.wait(lambda: states(scan) == ["drawn"] * 2 + ["marked"] + ["drawn"] * 2)
    scan.dock.inputs.slice.setChecked(True)
    stroke(scan.viewer, scan.annotation.mask, [(10, 5), (10, 16)])
    scan.retrain()
    scan.wait(lambda: states(scan) == ["stale"] * 2 + ["marked"] + ["stale"] * 2)
    strip = scan.dock.inputs.slices
    assert strip.describe(0).startswith("Slice 0: drawn with an earlier model")


def test_a_click_goes_to_the_slice(scan: Any) -> None:
    scan.wait(lambda: len(states(scan)) == 5)
    click_cell(scan, 4)
    assert scan.viewer.dims.current_step[0] == 4
    scan.wait(lambda: scan.dock.inputs.slices.current == 4)
    scan.viewer.dims.set_current_step(0, 1)
    scan.wait(lambda: scan.dock.inputs.slices.current == 1)


def test_a_picture_has_no_strip(make_user: Callable[..., Any], plane: Any) -> None:
    user = make_user(show=True)
    user.open(plane)
    user.segment()
    assert not user.dock.inputs.slices.isVisible()
