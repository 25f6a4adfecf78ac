"""The colour of the first class stands out from the image."""

import numpy as np

from napari_segdino.session.classes import COLORS, FIRST_CLASSES, contrasting_color
from napari_segdino.session.session import Session

BROWN = np.array([(150, 100, 40)] * 4)


def test_it_is_far_from_every_colour_of_the_image():
    orange, teal = (255, 127, 14), (23, 190, 207)
    assert contrasting_color(np.array([orange] * 9)) == "#17becf", "the opposite"
    both = contrasting_color(np.array([orange] * 7 + [teal] * 2))
    assert both not in ("#ff7f0e", "#17becf"), "a tenth of the image is enough"


def test_it_is_chosen_where_the_user_had_no_say():
    session = Session()
    session.suit_color(np.zeros((0, 3)))
    assert session.classes == FIRST_CLASSES, "a grey image"
    session.suit_color(BROWN)
    assert session.classes[0].color not in (COLORS[0], "#8c564b")
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
