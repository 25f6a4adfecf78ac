"""Which button comes next, and what the status line says of a new image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_segdino._qt.controllers.next_step import NextStep
from napari_segdino._qt.messages import NO_IMAGE
from napari_segdino._qt.mouse import click, stroke


@pytest.fixture
def owner(make_user: Callable[..., Any]) -> Any:
    """A user of a window on screen with the dock and nothing else."""
    user = make_user(show=True)
    user.wait(lambda: user.dock.isVisible())
    return user


def next_button(user: Any) -> str:
    buttons = user.dock.actions.segment, user.dock.actions.retrain
    (found,) = [b for b in buttons if b.primary]
    return str(found.text())


def test_from_no_image_to_a_corrected_mask(owner: Any, plane: np.ndarray) -> None:
    step: NextStep = owner.dock.next_step
    assert step.sentence() == NO_IMAGE
    assert next_button(owner) == "Segment"
    owner.open(plane)
    owner.wait(lambda: owner.annotation is not None)
    assert step.sentence().startswith("Press Segment for a first mask")
    marks = owner.annotation.marks
    owner.viewer.layers.selection.active = marks
    marks.mode, marks.selected_label = "paint", 2
    stroke(owner.viewer, marks, [(20, 20), (20, 30)])
    owner.wait(lambda: next_button(owner) == "Retrain")
    assert (
        step.sentence() == "There are marks already: press Retrain to learn from them."
    )
    click(owner.dock.actions.segment)
    owner.rest()
    assert step.sentence().startswith("Go on where you stopped.")
    assert next_button(owner) == "Retrain"


def test_a_model_draws_the_next_image(owner: Any, plane: np.ndarray) -> None:
    owner.open(plane)
    owner.wait(lambda: owner.annotation is not None)
    owner.annotation.marks.data[20, 20:30], owner.annotation.marks.data[50, :20] = 2, 1
    click(owner.dock.actions.retrain)
    owner.rest()
    owner.open(plane[::-1], name="next")
    assert owner.dock.image.name == "next"
    assert next_button(owner) == "Segment"
    assert owner.status == "Press Segment: the model draws the mask of this image."
