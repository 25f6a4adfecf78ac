"""Make every picture of the documentation from the real window: make docs-pictures.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/images/make_pictures.py

What is opened are the samples and made-up scans, so that anybody can make the pictures
again; what is done is done with the mouse. Widgets are found by the names that they
have in the dock, wherever it shows them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtCore import QPoint
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QScrollArea, QTabWidget, QWidget
from scipy import ndimage

from napari_segdino._qt import mouse
from napari_segdino._qt.demo import add_dock, stained
from napari_segdino._qt.layers.files import open_files
from napari_segdino.io.sample import sample_path, sample_scan

ROOT = Path(__file__).parents[2]
WINDOW = (1280, 860)
COLOURS = 256
"""Of a PNG: shades of grey and a few colours need no more."""

SECONDS = 120

sys.path += [str(ROOT / "tests"), str(Path(__file__).parent)]
from dicom_slices import make_slice  # noqa: E402
from make_tour import along  # noqa: E402


class Desk:
    """A window with the dock, a hand, and a camera.

    Parameters
    ----------
    viewer : napari.Viewer
        The window, empty.
    folder : pathlib.Path
        Where pictures go.
    """

    def __init__(self, viewer: napari.Viewer, folder: Path) -> None:
        self.viewer, self.folder = viewer, folder
        self.viewer.theme = "dark"
        self.dock = add_dock(self.viewer)
        self.dock.session.change(encoder="efficientnet_lite0")
        self.viewer.window.resize(*WINDOW)
        QTest.qWait(800)

    @property
    def annotation(self) -> Any:
        return self.dock.controller.annotations.get(self.dock.image)

    def open(self, data: Any, **kwargs: Any) -> None:
        """Add an image, and wait until it has its mask."""
        self.dock.inputs.image.setValue(self.viewer.add_image(data, **kwargs))
        self.settle()
        self.viewer.reset_view()

    def part(self, name: str) -> Any:
        """Find a widget by its name in the dock or in one of its panels."""
        for owner in (self.dock, *self.dock.findChildren(QWidget)):
            found = vars(owner).get(name)
            if isinstance(found, QWidget):
                return found
        raise LookupError(f"The dock has no widget named {name}.")

    def reveal(self, widget: QWidget) -> None:
        """Turn to the page of a widget, unfold what holds it, and scroll to it."""
        holders = []
        parent = widget.parentWidget()
        while parent is not None:
            holders.append(parent)
            parent = parent.parentWidget()
        for holder in reversed(holders):
            if isinstance(holder, QTabWidget):
                pages = [holder.widget(i) for i in range(holder.count())]
                holder.setCurrentWidget(next(p for p in pages if p in holders))
            if hasattr(holder, "expand"):
                holder.expand(False)
        QTest.qWait(100)
        for holder in holders:
            if isinstance(holder, QScrollArea):
                holder.ensureWidgetVisible(widget)
        QTest.qWait(100)

    def press(self, name: str) -> None:
        """Click a button, and wait until what it sets off is done."""
        button = self.part(name)
        self.reveal(button)
        mouse.click(button)
        self.settle()

    def settle(self) -> None:
        """Wait until nothing is going on, and the idle work has been done too."""
        QTest.qWait(150)
        for _ in range(SECONDS * 20):
            if not self.dock.controller.busy and self.annotation is not None:
                break
            QTest.qWait(50)
        else:
            raise TimeoutError(self.dock.status.label.text())
        QTest.qWait(300)

    def rest(self, until: Callable[[], bool]) -> None:
        """Wait for what is worked out while the user rests."""
        for _ in range(SECONDS * 20):
            if until():
                return
            QTest.qWait(50)
        raise TimeoutError(self.dock.status.label.text())

    def paint(self, label: int, *points: tuple[float, float], size: int = 6) -> None:
        """Paint a stroke of a class with the brush; 0 is background."""
        mask = self.annotation.mask
        mask.brush_size = size
        self.dock.classes.pick(label)
        mouse.stroke(self.viewer, mask, along(points, 10))

    def picture(self, name: str, popup: QWidget | None = None) -> None:
        """Keep a picture of the window, with a list that has popped up if any."""
        for widget in QApplication.allWidgets():
            # napari's own words, about PyQt5 say, would lie over the pictures.
            if type(widget).__name__ == "NapariQtNotification":
                widget.close()
        QTest.qWait(200)
        shot = self.viewer.screenshot(canvas_only=False, flash=False)[..., :3]
        if popup is not None:
            window = self.viewer.window._qt_window
            corner = window.mapFromGlobal(popup.mapToGlobal(QPoint(0, 0)))
            over = pixels_of(popup)[: shot.shape[0] - corner.y()]
            over = over[:, : shot.shape[1] - corner.x()]
            shot[corner.y() :, corner.x() :][: len(over), : over.shape[1]] = over
        image = Image.fromarray(np.ascontiguousarray(shot)).quantize(COLOURS)
        path = self.folder / f"{name}.png"
        image.save(path, optimize=True)
        print(f"{path}: {path.stat().st_size:,} bytes", flush=True)

    def close(self) -> None:
        self.dock.release()
        self.viewer.close()
        QTest.qWait(200)


def pixels_of(widget: QWidget) -> NDArray[np.uint8]:
    """Return what a widget looks like, (Y, X, 3)."""
    image = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    bits = image.constBits()
    if hasattr(bits, "setsize"):
        bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), -1, 4)
    return rows[:, : image.width(), 2::-1].copy()  # stored blue first


# -- what the pictures show -------------------------------------------------------


def coins(desk: Desk) -> None:
    """Three strokes and Retrain, then the objects."""
    data, kwargs, _ = sample_scan("coins").layer_data()
    desk.open(data, **kwargs)
    desk.press("segment")
    desk.paint(1, (54, 34), (54, 54))
    desk.paint(1, (264, 26), (264, 46))
    desk.paint(0, (92, 20), (90, 200), (92, 340))
    desk.press("retrain")
    desk.picture("retrained")
    desk.paint(0, (14, 20), (14, 290))
    desk.paint(0, (228, 70), (228, 300))
    desk.press("retrain")
    desk.part("min_size").setValue(300)
    desk.part("max_hole").setValue(200)
    desk.press("find")
    table = desk.dock.objects.table
    desk.reveal(table)
    table.selectRow(7)
    QTest.qWait(300)
    desk.viewer.reset_view()
    desk.picture("objects")


def box(desk: Desk) -> None:
    """A box around an object of a photo."""
    retina = np.asarray(sample_scan("retina").data)[450:870, 60:480]
    desk.open(retina, name="retina", rgb=True)
    desk.press("box")
    mouse.stroke(desk.viewer, desk.annotation.mask, [(95, 90), (310, 300)])
    desk.settle()
    desk.picture("box")


def review(desk: Desk) -> None:
    """Where to look, what changed and how good it is, after four rounds."""
    data, kwargs, _ = sample_scan("tissue").layer_data()
    truth = stained(np.asarray(data)).astype(np.uint8)
    desk.viewer.add_labels(truth, name="reference", visible=False)
    desk.open(data, **kwargs)
    desk.press("segment")
    score = desk.dock.review.score.panel
    rounds: Sequence[Sequence[tuple[int, list[tuple[float, float]]]]] = (
        [(1, [(120, 20), (146, 140)]), (0, [(290, 175), (400, 200)])],
        [(1, [(300, 60), (440, 90)]), (0, [(330, 430), (440, 460)])],
        [(1, [(350, 280), (420, 330)]), (0, [(320, 12), (400, 4)])],
        [(1, [(60, 320), (148, 400)]), (0, [(80, 322), (122, 346)])],
    )
    for number, strokes in enumerate(rounds):
        for label, points in strokes:
            desk.paint(label, *points, size=10)
        desk.press("retrain")
        if number == 1:
            score.reference.setValue(desk.viewer.layers["reference"])
            QTest.qWait(500)
        desk.reveal(score.held_out)
        QTest.qWait(1000)
        # Two strokes are too few to hold one out.
        if number:
            desk.rest(
                lambda: score.held_out.isEnabled() and "Dice" in score.held_out.text()
            )
    desk.part("overlay").setChecked(True)
    changed = desk.part("counts")
    desk.rest(lambda: "px" in changed.text())
    desk.press("next_place")
    score.curve_fold.expand(False)
    QTest.qWait(1500)
    desk.reveal(score.table)
    desk.picture("review")


def channels(desk: Desk) -> None:
    """A TIFF of three channels, one image with one mask."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.tif"
        write_cells(path)
        open_files(desk.viewer, (path,))
    desk.settle()
    # The dock has grown by the list of channels, and the canvas is narrower.
    desk.viewer.reset_view()
    desk.press("segment")
    QTest.qWait(300)
    desk.picture("channels")


def dicom(desk: Desk) -> None:
    """A folder of CT slices: strokes on one, the whole volume drawn."""
    with tempfile.TemporaryDirectory() as folder:
        thorax = thorax_phantom()
        write_series(Path(folder), thorax, "1.7", "Thorax phantom", "CT", 5)
        open_files(desk.viewer, (Path(folder),))
        desk.settle()
        desk.viewer.dims.set_point(0, 40)
        desk.press("segment")
        desk.paint(1, (62, 38), (82, 44), size=5)
        desk.paint(1, (62, 88), (82, 94), size=5)
        desk.paint(0, (40, 64), (84, 64), size=5)
        desk.press("retrain")
        mouse.click(desk.part("volume"))
        desk.settle()
        desk.press("segment")
        desk.viewer.dims.set_point(0, 60)
        desk.settle()
        desk.picture("dicom")


def nifti(desk: Desk) -> None:
    """Two time points of an MRI."""
    open_files(desk.viewer, (sample_path("mri"),))
    desk.settle()
    mouse.click(desk.part("volume"))
    desk.press("segment")
    desk.picture("nifti")


def series(desk: Desk) -> None:
    """A folder with three series."""
    brain = np.asarray(sample_scan("mri").data)
    tilted = [1.0, 0, 0, 0, 0.966, 0.259]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_series(folder, brain, "1.3", "T1 axial", "MR", 2)
        coronal = np.moveaxis(brain[:, ::4], 1, 0)
        write_series(folder, np.delete(coronal, 5, 0), "1.4", "T1 coronal", "MR", 8)
        more = {"ImageOrientationPatient": tilted}
        write_series(folder, brain[:16], "1.5", "PD tilted", "MR", 2, **more)
        open_files(desk.viewer, (folder,))
        desk.settle()
        desk.press("segment")
        listed = desk.part("series")
        desk.reveal(listed)
        listed.showPopup()
        QTest.qWait(500)
        desk.picture("series", listed.view().window())
        listed.hidePopup()
        QTest.qWait(200)


PICTURES = {
    scene.__name__: scene
    for scene in (coins, box, review, channels, dicom, nifti, series)
}


# -- scans that are made up -------------------------------------------------------


def thorax_phantom() -> NDArray[np.int16]:
    """Return 24 slices of a body with two lungs, a spine and noise, in HU."""
    z, y, x = np.mgrid[:24, :128, :128].astype(float)
    rng = np.random.default_rng(0)
    swell = np.sin(np.pi * (z + 3) / 30)
    volume = np.full(z.shape, -1000.0)
    volume[np.hypot((y - 64) / 44, (x - 64) / 58) < 1] = 40
    for middle in (40, 90):
        lung = np.hypot((y - 64) / (26 * swell), (x - middle) / (15 * swell)) < 1
        volume[lung] = -850
    volume[np.hypot(y - 96, x - 64) < 8] = 700
    volume = ndimage.gaussian_filter(volume, (0, 0.7, 0.7))
    return (volume + rng.normal(0, 15, z.shape)).astype(np.int16)


def write_series(
    folder: Path,
    volume: NDArray[Any],
    uid: str,
    title: str,
    modality: str,
    step: float,
    **more: Any,
) -> None:
    """Write a volume as a DICOM series, a file a slice."""
    low = int(min(volume.min(), 0))
    for number, pixels in enumerate(volume):
        make_slice(
            folder / f"{uid}-{number}.dcm",
            (pixels - low).astype(np.uint16),
            (0, 0, step * number),
            number + 1,
            uid,
            SeriesDescription=title,
            Modality=modality,
            PixelSpacing=[2.0, 2.0],
            SliceThickness=step,
            RescaleSlope=1,
            RescaleIntercept=low,
            **more,
        )


def write_cells(path: Path) -> None:
    """Write an ImageJ TIFF: nuclei, cytoplasm and granules of made-up cells."""
    rng = np.random.default_rng(3)
    side = 320
    y, x = np.mgrid[:side, :side]
    nuclei = np.zeros((side, side))
    cells, granules = nuclei.copy(), nuclei.copy()
    for row in range(5):
        for column in range(5):
            top, left = rng.normal((32 + 64 * row, 32 + 64 * column), 7)
            away = np.hypot(y - top, (x - left) * rng.uniform(0.8, 1.2))
            nuclei += 1 / (1 + np.exp(away - rng.uniform(10, 15)))
            cells += 0.8 / (1 + np.exp((away - rng.uniform(23, 29)) / 2))
            for _ in range(12):
                dot = rng.normal((top, left), 13)
                granules += np.exp(-((y - dot[0]) ** 2 + (x - dot[1]) ** 2) / 5)
    stack = np.stack([nuclei, cells, granules]).clip(0, 1.2) * 150
    noisy = rng.poisson(stack + 12).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(path, noisy, imagej=True, metadata={"axes": "CYX"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    here = Path(__file__).parent
    parser.add_argument("-o", "--output", type=Path, default=here, help="folder")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for name in args.names or PICTURES:
        with tempfile.TemporaryDirectory() as folder:
            # No unsaved work is offered, neither of the user's nor of another picture.
            os.environ["XDG_DATA_HOME"] = folder
            desk = Desk(napari.Viewer(title="SegDINO"), args.output)
            PICTURES[name](desk)
            desk.close()


if __name__ == "__main__":
    main()
