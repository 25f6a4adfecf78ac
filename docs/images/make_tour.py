"""Make the moving picture of the README: the real window, used with the mouse.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/images/make_tour.py

Two parts of scikit-image's stained tissue are opened. The first is segmented, corrected
with three strokes and learned from; the second is then drawn with the same probe.
Frames are screenshots of the window, in which the mouse pointer is drawn.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import napari
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from qtpy.QtCore import QEvent, QObject, QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_segdino._qt import mouse
from napari_segdino._qt.demo import add_dock
from napari_segdino.io.sample import sample_scan

WINDOW = (1280, 800)
PICTURE = (960, 600)
FIRST, SECOND = np.s_[:256, 200:], np.s_[256:, :312]
"""Parts of the sample that have no pixel in common."""

COLOUR = "#e6009e"
"""Neither in the tissue nor the colour of background."""

STROKES = [
    (1, [(40, 150), (60, 195), (130, 225), (190, 215)]),
    (0, [(60, 285), (140, 285), (220, 290)]),
    (1, [(20, 35), (70, 50), (130, 45)]),
]
"""Class, and points (y, x) of the first part; 0 is background."""

MAX_BYTES = 3_000_000


class Pointer(QObject):
    """Follows the mouse over a widget; `at` is its place in the window."""

    def __init__(self, widget: QWidget, window: QWidget) -> None:
        super().__init__(widget)
        self.at, self._window = window.rect().center(), window
        widget.installEventFilter(self)

    def eventFilter(self, widget: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseMove:
            self.at = widget.mapTo(self._window, event.pos())
        return False


class Film:
    """A window with two images and the dock, and the frames taken of it."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.frames: list[Image.Image] = []
        self.times: list[int] = []
        self.viewer = viewer
        tissue = np.asarray(sample_scan("tissue").data)
        self.second = self.viewer.add_image(tissue[SECOND], name="tissue 2", rgb=True)
        self.first = self.viewer.add_image(tissue[FIRST], name="tissue 1", rgb=True)
        self.dock = add_dock(self.viewer)
        self.dock.session.change_class(1, name="stained", color=COLOUR)
        self.viewer.window.resize(*WINDOW)
        QTest.qWait(1500)
        self.pointer = Pointer(mouse.find_canvas(), viewer.window._qt_window)
        for widget in QApplication.allWidgets():
            # napari's words about PyQt5 would lie over the pictures.
            if type(widget).__name__ == "NapariQtNotification":
                widget.close()
        self.viewer.reset_view()

    @property
    def annotation(self) -> Any:
        return self.dock.controller.annotations.get(self.dock.image)

    def take(self, milliseconds: int) -> None:
        """Keep a picture of the window, shown so long."""
        QTest.qWait(60)
        shot: NDArray[np.uint8] = self.viewer.screenshot(canvas_only=False, flash=False)
        frame = Image.fromarray(shot[..., :3])
        draw_pointer(frame, self.pointer.at)
        self.frames.append(frame.resize(PICTURE, Image.Resampling.LANCZOS))
        self.times.append(milliseconds)

    def point_at(self, widget: QWidget) -> None:
        """Put the pointer in the middle of a widget."""
        window = self.viewer.window._qt_window
        self.pointer.at = widget.mapTo(window, widget.rect().center())

    def press(self, button: QWidget) -> None:
        """Click a button, and wait until what it sets off is done."""
        self.point_at(button)
        self.take(900)
        mouse.click(button)
        QTest.qWait(100)
        for _ in range(6000):
            if not self.dock.controller.busy:
                break
            QTest.qWait(20)
        QTest.qWait(300)

    def paint(self, label: int, points: Sequence[tuple[float, float]]) -> None:
        """Paint a stroke piece by piece, as the mouse moves, with frames of it."""
        mask = self.annotation.mask
        self.dock.classes.pick(label)
        dense = along(points, 8)
        for start, end in zip(dense[:-1], dense[1:], strict=True):
            mouse.stroke(self.viewer, mask, [start, end])
            self.take(110)
        self.times[-1] = 700

    def go_to_next_image(self) -> None:
        """Go up by one in the dock's list of images, with the key."""
        images = self.dock.inputs.image
        self.point_at(images)
        self.take(900)
        QTest.keyClick(images, Qt.Key.Key_Up)
        assert images.value() is self.second
        QTest.qWait(800)


def along(points: Sequence[tuple[float, float]], n: int) -> list[tuple[float, float]]:
    """Points at equal distances along a line of some corners."""
    corners = np.asarray(points, float)
    lengths = np.r_[0, np.cumsum(np.hypot(*np.diff(corners, axis=0).T))]
    places = np.linspace(0, lengths[-1], n)
    return [
        (float(np.interp(p, lengths, corners[:, 0])), float(x))
        for p, x in zip(places, np.interp(places, lengths, corners[:, 1]), strict=True)
    ]


def draw_pointer(frame: Image.Image, at: QPoint) -> None:
    """Draw an arrow, which screenshots leave out."""
    shape = [(0, 0), (0, 21), (5, 16), (9, 24), (12, 22), (9, 15), (16, 15)]
    corners = [(at.x() + x, at.y() + y) for x, y in shape]
    ImageDraw.Draw(frame).polygon(corners, fill="white", outline="black")


def play(viewer: napari.Viewer) -> Film:
    """Segment, paint three strokes, retrain, go to the next image."""
    film = Film(viewer)
    film.dock.inputs.image.setValue(film.first)
    film.take(1500)
    film.press(film.dock.actions.segment)
    film.take(1800)
    film.annotation.mask.brush_size = 6
    for label, points in STROKES:
        film.paint(label, points)
    film.press(film.dock.actions.retrain)
    film.take(2500)
    film.go_to_next_image()
    film.take(1500)
    film.press(film.dock.actions.segment)
    film.take(3500)
    film.dock.release()
    return film


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).parent
    parser.add_argument("-o", "--output", type=Path, default=here / "tour.webp")
    parser.add_argument("--frames", type=Path, help="folder for each frame as PNG")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # No unsaved work of the user's is offered, and none is left behind.
        os.environ["XDG_DATA_HOME"] = folder
        viewer = napari.Viewer(title="SegDINO")
        film = play(viewer)
        viewer.close()
    if args.frames:
        args.frames.mkdir(parents=True, exist_ok=True)
        for number, frame in enumerate(film.frames):
            frame.save(args.frames / f"{number:03}.png")
    first, *rest = film.frames
    how = {"duration": film.times, "loop": 0, "quality": 75, "method": 6}
    first.save(args.output, save_all=True, append_images=rest, **how)
    size = args.output.stat().st_size
    print(f"{len(film.frames)} frames, {sum(film.times) / 1000:.0f} s, {size:,} bytes")
    if size > MAX_BYTES:
        raise SystemExit("That is more than a README should load.")


if __name__ == "__main__":
    main()
