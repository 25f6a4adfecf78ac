"""The colour of the first class suits the image that is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from napari_segdino.session.classes import COLORS

ORANGE = (230, 159, 0)


def test_a_mask_on_an_orange_image_is_not_orange(
    make_user: Callable[..., Any], plane: np.ndarray
) -> None:
    user = make_user(show=True)
    tissue = np.full((*plane.shape, 3), ORANGE, np.uint8)
    image = user.viewer.add_image(tissue, rgb=True, name="tissue")
    user.dock.inputs.image.setValue(image)
    user.wait(lambda: user.annotation is not None)
    user.rest()
    (first,) = user.dock.session.classes
    assert first.color == "#0072b2"
    shown = user.annotation.mask.colormap.color_dict[1][:3]
    np.testing.assert_allclose(255 * shown, (0, 114, 178), atol=1)
    grey = user.viewer.add_image(plane, name="grey")
    user.dock.inputs.image.setValue(grey)
    user.rest()
    assert user.dock.session.classes == (first,), "it stays once it was seen"


def test_on_a_grey_image_it_is_the_first_of_the_palette(
    make_user: Callable[..., Any], plane: np.ndarray
) -> None:
    user = make_user(show=True)
    user.open(plane)
    user.wait(lambda: user.annotation is not None)
    assert user.dock.session.classes[0].color == COLORS[0]
