"""The marks that a sample comes with, before anybody has worked on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_segdino._qt.layers.given_marks import came_with, take_up
from napari_segdino.io.sample_marks import GIVEN


@pytest.fixture
def sample(qapp: Any) -> tuple[ViewerModel, Image, Labels]:
    """A window with a volume of five slices and marks on the third and the fourth."""
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((5, 8, 9), np.uint8), metadata={GIVEN: "one"})
    marks = np.zeros((5, 8, 9), np.uint8)
    marks[2, 3, 4] = marks[3, 1, 1] = 2
    return viewer, image, viewer.add_labels(marks, metadata={GIVEN: "one"})


def test_marks_belong_to_the_sample_they_came_with(sample: Any) -> None:
    viewer, image, marks = sample
    assert came_with(marks, image)
    other = viewer.add_image(np.zeros((5, 8, 9)), metadata={GIVEN: "another"})
    assert not came_with(marks, other)
    plain = viewer.add_image(np.zeros((5, 8, 9)))
    painted = viewer.add_labels(np.zeros((5, 8, 9), int))
    assert not came_with(painted, plain), "neither came with the other"
    assert not came_with(image, image), "an image is no marks"
    assert not came_with(None, image)


def test_the_sample_is_taken_up_on_the_first_slice_with_marks(sample: Any) -> None:
    viewer, image, marks = sample
    viewer.dims.set_current_step(0, 4)
    assert viewer.layers.selection.active is marks, "napari picks what came last"
    take_up(viewer, image)
    assert viewer.layers.selection.active is image
    assert viewer.dims.current_step[0] == 2


def test_what_the_user_has_picked_stays_picked(sample: Any) -> None:
    viewer, image, _ = sample
    own = viewer.add_labels(np.ones((5, 8, 9), int), name="own")
    viewer.dims.set_current_step(0, 4)
    take_up(viewer, image)
    assert viewer.layers.selection.active is own
    assert viewer.dims.current_step[0] == 4
