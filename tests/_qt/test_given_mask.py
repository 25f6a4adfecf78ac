"""A Labels layer of another tool as the first mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_segdino._qt.controllers.start import GivenMask
from napari_segdino._qt.mouse import click, press_key, stroke

CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def owner(make_user: Callable[..., Any], plane: np.ndarray) -> Any:
    """A user with an image and a Labels layer that is theirs, nothing drawn yet."""
    user = make_user(show=True)
    user.open(plane)
    user.wait(lambda: user.annotation is not None)
    user.viewer.add_labels((plane > 150).astype(np.int32), name="other tool")
    user.rest()
    return user


def panel(user: Any) -> GivenMask:
    found: GivenMask = user.dock.given
    return found


def use(user: Any, name: str) -> None:
    panel(user).layer.setValue(user.viewer.layers[name])
    click(panel(user).use)
    user.rest()


def test_the_layer_becomes_the_mask_and_is_learned(owner: Any, plane: Any) -> None:
    use(owner, "other tool")
    np.testing.assert_array_equal(owner.annotation.mask.data, plane > 150)
    assert not owner.annotation.marks.data.any(), "strokes outweigh it"
    assert owner.segmenter.calls == [("adopt", [])]
    assert owner.dock.session.is_fitted
    assert "The layer is the mask now" in owner.status
    theirs = owner.viewer.layers["other tool"].data
    np.testing.assert_array_equal(theirs, plane > 150, err_msg="left as it is")


def test_numbered_objects_become_the_picked_class(owner: Any, plane: Any) -> None:
    numbers = (plane > 150) * 700 + (plane == 90) * 12
    owner.viewer.add_labels(numbers, name="objects")
    use(owner, "objects")
    np.testing.assert_array_equal(owner.annotation.mask.data, plane > 50)
    assert [c.label for c in owner.dock.session.classes] == [1]


def test_undo_brings_the_mask_before_back(owner: Any) -> None:
    use(owner, "other tool")
    owner.viewer.layers.selection.active = owner.annotation.mask
    press_key(Qt.Key.Key_Z, CTRL)
    owner.rest()
    assert not owner.annotation.mask.data.any()


def test_what_is_painted_stays(owner: Any) -> None:
    mask = owner.annotation.mask
    owner.viewer.layers.selection.active = mask
    press_key(Qt.Key.Key_2)
    stroke(owner.viewer, mask, [(50, 5), (50, 30)])
    owner.rest()
    painted = owner.annotation.marks.data == 2
    assert painted.any()
    use(owner, "other tool")
    assert (owner.annotation.mask.data[painted] == 1).all()


def test_a_layer_of_another_shape_is_refused(owner: Any) -> None:
    owner.viewer.add_labels(np.zeros((9, 9), np.uint8), name="small")
    use(owner, "small")
    assert "small has another shape than" in owner.status
    assert owner.segmenter.calls == []


def test_without_a_layer(owner: Any) -> None:
    click(panel(owner).use)
    assert owner.status == "Pick a Labels layer first: open one, or add one."
