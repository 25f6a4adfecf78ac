"""Colours of classes stand out from the image, and from each other for any eye."""

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_segdino.session.classes import COLORS, FIRST_CLASSES, contrasting_color
from napari_segdino.session.session import Session

BROWN = np.array([(150, 100, 40)] * 4)

# Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
BACKGROUND = "#5b8cff"


def rgb(colors):
    return np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colors])


@pytest.mark.parametrize("eyes", VISION)
def test_every_eye_tells_all_colours_apart(eyes):
    linear = (rgb((BACKGROUND, *COLORS)) / 255) ** 2.2
    seen = (linear @ np.transpose(VISION[eyes])).clip(0, 1) ** (1 / 2.2)
    lab = rgb2lab(seen)
    # As far as the two nearest of Okabe and Ito's own palette.
    assert min(deltaE_ciede2000(a, b) for a, b in combinations(lab, 2)) > 10


def test_it_is_far_from_every_colour_of_the_image():
    orange, blue = rgb(("#e69f00", "#0072b2"))
    assert contrasting_color(np.array([orange] * 9)) == "#0072b2", "the opposite"
    both = contrasting_color(np.array([orange] * 7 + [blue] * 2))
    assert both not in ("#e69f00", "#0072b2"), "a tenth of the image is enough"


def test_it_is_chosen_where_the_user_had_no_say():
    session = Session()
    session.suit_color(np.zeros((0, 3)))
    assert session.classes == FIRST_CLASSES, "a grey image"
    session.suit_color(BROWN)
    assert session.classes[0].color not in (COLORS[0], "#b40000")
    assert not session.has_own_classes
    session.change_class(1, name="nuclei")
    assert session.has_own_classes


def test_the_user_has_the_last_word():
    for change in ({"color": "#123456"}, {"name": "nuclei"}):
        session = Session()
        session.change_class(1, **change)
        before = session.classes
        session.suit_color(BROWN)
        assert session.classes == before
        assert session.has_own_classes


def test_further_classes_stand_out_as_well():
    session = Session()
    session.suit_color(BROWN)
    first, second = session.classes[0].color, session.add_class().color
    assert second == contrasting_color(BROWN, [first])
    session.suit_color(rgb((second,)).repeat(4, 0), seen=True)
    assert session.classes[0].color == first, "it stays once it was seen"
    third = session.add_class().color
    assert third not in (first, second)
    colors = {first, second, third} | {session.add_class().color for _ in range(5)}
    assert len(colors) == len(COLORS), "none twice before all were had"
    assert session.add_class().color in COLORS


def test_classes_of_a_grey_image_come_in_the_order_of_the_palette():
    session = Session()
    for _ in range(len(COLORS) - 1):
        session.add_class()
    assert [c.color for c in session.classes] == list(COLORS)
