"""A few strokes on each sample, so that Retrain has something to learn at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

GIVEN = "segdino_given"
"""Key in the metadata of a sample's layers: an image and the marks that came with it
have the same value."""

BACKGROUND, OBJECT = 1, 2
"""Marks: one more than the labels of a mask."""


class SampleStroke(NamedTuple):
    """A line of a brush over a sample.

    Parameters
    ----------
    mark : int
        What it says.
    points : tuple of (y, x)
        Corners of the line, in pixels.
    width : int
        Of the brush, in pixels.
    plane : int
        Index along z; 0 where there is one plane.
    """

    mark: int
    points: tuple[tuple[float, float], ...]
    width: int = 5
    plane: int = 0


STROKES = {
    "tissue": (
        SampleStroke(OBJECT, ((60, 60), (140, 100), (200, 180)), 9),
        SampleStroke(OBJECT, ((360, 310), (460, 330)), 9),
        SampleStroke(BACKGROUND, ((280, 170), (300, 260), (390, 220)), 9),
        SampleStroke(BACKGROUND, ((60, 480), (200, 490)), 9),
    ),
    "retina": (
        SampleStroke(OBJECT, ((620, 170), (650, 250), (710, 250)), 25),
        SampleStroke(BACKGROUND, ((480, 420), (700, 520), (900, 420)), 25),
        SampleStroke(BACKGROUND, ((440, 160), (520, 130), (560, 70)), 25),
    ),
    "cell": (
        SampleStroke(OBJECT, ((340, 420), (400, 450)), 9),
        SampleStroke(BACKGROUND, ((296, 430), (330, 350), (420, 350)), 9),
        SampleStroke(BACKGROUND, ((150, 150), (500, 200)), 9),
    ),
    "coins": (
        SampleStroke(OBJECT, ((50, 30), (50, 60)), 5),
        SampleStroke(OBJECT, ((190, 330), (190, 370)), 5),
        SampleStroke(OBJECT, ((265, 155), (265, 190)), 5),
        SampleStroke(BACKGROUND, ((88, 20), (88, 360)), 5),
        SampleStroke(BACKGROUND, ((225, 20), (228, 300)), 5),
    ),
    "mri": (
        SampleStroke(OBJECT, ((20, 52), (45, 44), (75, 58)), 3, 12),
        SampleStroke(BACKGROUND, ((10, 20), (80, 20)), 3, 12),
        SampleStroke(BACKGROUND, ((10, 110), (80, 110)), 3, 12),
    ),
    "ct": (
        SampleStroke(OBJECT, ((14, 58), (36, 58)), 3),
        SampleStroke(OBJECT, ((58, 42), (65, 58), (60, 78)), 3),
        SampleStroke(BACKGROUND, ((10, 88), (14, 96)), 3),
        SampleStroke(BACKGROUND, ((52, 56), (52, 66)), 3),
        SampleStroke(BACKGROUND, ((90, 20), (100, 100)), 3),
        SampleStroke(BACKGROUND, ((20, 20), (40, 12)), 3),
        SampleStroke(BACKGROUND, ((6, 50), (28, 40), (44, 34)), 3),
    ),
    "nuclei": (
        SampleStroke(OBJECT, ((93, 78), (93, 88)), 5),
        SampleStroke(OBJECT, ((126, 122), (130, 130)), 5),
        SampleStroke(OBJECT, ((188, 8), (188, 20)), 5),
        SampleStroke(BACKGROUND, ((60, 20), (66, 100)), 5),
        SampleStroke(BACKGROUND, ((170, 100), (168, 220)), 5),
    ),
    "cells": (
        SampleStroke(OBJECT, ((118, 16), (122, 30)), 5),
        SampleStroke(OBJECT, ((188, 158), (192, 170)), 5),
        SampleStroke(BACKGROUND, ((88, 76), (94, 90)), 5),
        SampleStroke(BACKGROUND, ((118, 146), (122, 146)), 5),
        SampleStroke(BACKGROUND, ((52, 34), (60, 46)), 5),
        SampleStroke(BACKGROUND, ((170, 142), (174, 150)), 5),
        SampleStroke(BACKGROUND, ((248, 20), (250, 200)), 5),
    ),
}
"""Strokes by the name of the sample; the first Retrain learns from them."""


def sample_marks(name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the marks of a sample.

    Parameters
    ----------
    name : str
        Of the sample.
    shape : tuple of int
        Spatial shape of its image.

    Returns
    -------
    numpy.ndarray, shape `shape`, uint8
        0 unlabelled, 1 background, 2 class 1.
    """
    marks = np.zeros(shape, np.uint8)
    planes = marks.reshape(-1, *shape[-2:])
    for stroke in STROKES[name]:
        planes[stroke.plane][_near(stroke, *shape[-2:])] = stroke.mark
    return marks


def _near(stroke: SampleStroke, height: int, width: int) -> NDArray[np.bool_]:
    """Return which pixels lie under a stroke."""
    at = np.moveaxis(np.mgrid[:height, :width], 0, -1)
    under = np.zeros((height, width), bool)
    for start, end in zip(stroke.points, stroke.points[1:], strict=False):
        line = np.subtract(end, start)
        along = ((at - start) @ line / (line @ line)).clip(0, 1)
        off = at - start - along[..., None] * line
        under |= np.hypot(off[..., 0], off[..., 1]) < stroke.width / 2
    return under
