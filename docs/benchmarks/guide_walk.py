"""How many clicks and seconds the guide takes to a first good mask: docs/guide.md.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/benchmarks/guide_walk.py [DATA]

Four images are opened without marks and worked on in the real window as the guide says.
A click is one of a button, a tool or a class; a stroke counts as one. The seconds are
those that the processor worked until the window was at rest. A person needs about two
seconds for each click besides.

With DATA, a folder with ``manifest.csv`` (columns set, case, image, mask), photos of
its set kvasir are opened too: a box around the polyp, then strokes where the mask is
most wrong, each with a Retrain, until Dice is 0.90. They are shown in no picture.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import napari
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_segdino._qt import mouse
from napari_segdino._qt.demo import dice, stained
from napari_segdino._qt.layers.files import open_files
from napari_segdino.io.sample import sample_scan

sys.path.append(str(Path(__file__).parents[1] / "images"))
import make_pictures as pictures  # noqa: E402

PHOTOS = 6
GOOD = 0.90
MOST_STROKES = 12


class NewUser(pictures.Desk):
    """A user who counts clicks, and seconds of waiting."""

    clicks = 1
    """The first click opens the image."""

    waited = 0.0

    def settle(self) -> None:
        start = time.process_time()
        super().settle()
        self.waited += time.process_time() - start

    def press(self, name: str) -> None:
        self.clicks += 1
        super().press(name)

    def paint(self, label: int, *points: tuple[float, float], size: int = 6) -> None:
        self.clicks += 1 + (self.dock.classes.value() != label)
        super().paint(label, *points, size=size)

    def box(self, y0: float, x0: float, y1: float, x1: float) -> None:
        """Take Box to start, and drag from corner to corner."""
        self.press("box")
        self.clicks += 1
        mouse.stroke(self.viewer, self.annotation.mask, [(y0, x0), (y1, x1)])
        self.settle()

    def take_brush(self) -> None:
        """Lay the box aside: its button puts the tool away."""
        if self.part("box").isChecked():
            self.press("box")

    def told(self, what: str, mask: NDArray[Any], truth: NDArray[np.bool_]) -> None:
        print(
            f"| {what} | {self.clicks} | {self.waited:.0f} | {dice(mask, truth):.2f} |",
            flush=True,
        )


def coins(user: NewUser) -> None:
    image = np.asarray(sample_scan("coins").data)
    flat = image - ndimage.gaussian_filter(image.astype(float), 40)
    truth = ndimage.binary_fill_holes(ndimage.median_filter(flat, 5) > 10)
    user.open(image, name="coins")
    user.press("segment")
    user.told("coins, first mask", user.annotation.mask.data, truth)
    user.paint(1, (54, 34), (54, 54))
    user.paint(0, (92, 20), (90, 200), (92, 340))
    user.press("retrain")
    user.told("coins, two strokes", user.annotation.mask.data, truth)


def photo(user: NewUser) -> None:
    image = np.asarray(sample_scan("tissue").data)
    truth = stained(image)
    user.open(image, name="photo", rgb=True)
    user.press("segment")
    user.told("photo, first mask", user.annotation.mask.data, truth)
    user.paint(1, (120, 20), (146, 140), size=10)
    user.paint(0, (290, 175), (400, 200), size=10)
    user.press("retrain")
    user.told("photo, two strokes", user.annotation.mask.data, truth)


def volume(user: NewUser) -> None:
    data = pictures.thorax_phantom()
    truth = ndimage.binary_opening((data > -930) & (data < -400), np.ones((1, 3, 3)))
    user.open(data, name="thorax", scale=(5, 2, 2))
    user.press("segment")
    user.paint(1, (62, 38), (82, 44), size=5)
    user.paint(0, (40, 64), (84, 64), size=5)
    user.press("retrain")
    plane = user.viewer.dims.current_step[0]
    shown = user.annotation.mask.data[plane]
    user.told("volume, two strokes, that slice", shown, truth[plane])
    user.press("accept")
    user.press("volume")
    user.press("retrain")
    user.told("volume, all slices", user.annotation.mask.data, truth)


def channels(user: NewUser) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.tif"
        pictures.write_cells(path)
        open_files(user.viewer, (path,))
    user.settle()
    user.viewer.reset_view()
    nuclei = np.asarray(user.viewer.layers[0].data)
    truth = ndimage.gaussian_filter(nuclei.astype(float), 1) > 85
    numbers, _ = ndimage.label(truth)
    y, x = map(round, ndimage.center_of_mass(numbers == 8))
    user.press("segment")
    user.told("three channels, first mask", user.annotation.mask.data, truth)
    user.paint(1, (y, x - 6), (y, x + 6), size=5)
    user.paint(0, (y - 20, x - 12), (y - 20, x + 12), size=4)
    user.press("retrain")
    user.told("three channels, two strokes", user.annotation.mask.data, truth)


def polyp(image: Path, mask: Path, user: NewUser) -> None:
    truth = np.asarray(Image.open(mask).convert("L")) > 0
    open_files(user.viewer, (image,))
    user.settle()
    user.viewer.reset_view()
    shown = user.annotation.mask
    objects, _ = ndimage.label(truth)
    largest = np.bincount(objects.flat)[1:].argmax()
    rows, columns = ndimage.find_objects(objects)[largest]
    high, wide = (0.05 * (side.stop - side.start) for side in (rows, columns))
    tall, broad = truth.shape
    user.box(
        max(rows.start - high, 1),
        max(columns.start - wide, 1),
        min(rows.stop + high, tall - 2),
        min(columns.stop + wide, broad - 2),
    )
    user.told("polyp, a box", shown.data, truth)
    user.take_brush()
    for number in range(1, MOST_STROKES + 1):
        if dice(shown.data, truth) >= GOOD:
            break
        label, size, *points = through_wrong(shown.data > 0, truth)
        user.paint(label, *points, size=size)
        user.press("retrain")
        user.told(f"polyp, and {number} strokes", shown.data, truth)


def through_wrong(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> tuple[int, int, tuple[float, float], tuple[float, float]]:
    """Return class, brush and ends of a long stroke inside the largest wrong region."""
    regions, _ = ndimage.label(mask != truth)
    largest = regions == np.bincount(regions.flat)[1:].argmax() + 1
    depth = ndimage.distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    radius = int(np.clip(depth[y, x] - 1, 1, 8))
    ends: list[tuple[float, float]] = []
    end = float(y), float(x)
    for angle in np.arange(16) * np.pi / 8:
        reach = 0.0
        while reach < max(truth.shape):
            at = y + reach * np.sin(angle), x + reach * np.cos(angle)
            inside = 0 <= at[0] < truth.shape[0] and 0 <= at[1] < truth.shape[1]
            if not inside or depth[int(at[0]), int(at[1])] <= radius:
                break
            end, reach = at, reach + 1
        ends.append(end)
    lengths = [np.hypot(*np.subtract(ends[n], ends[n + 8])) for n in range(8)]
    best = int(np.argmax(lengths))
    return int(truth[y, x]), 2 * radius, ends[best], ends[best + 8]


def polyps(data: Path) -> list[Any]:
    """Return a walk for each of some photos, spread evenly over the set."""
    with open(data / "manifest.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] == "kvasir"]
    chosen = np.linspace(0, len(rows) - 1, PHOTOS).astype(int)
    found = ((data / rows[n]["image"], data / rows[n]["mask"]) for n in chosen)
    return [partial(polyp, image, mask) for image, mask in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", type=Path)
    data = parser.parse_args().data
    walks = [coins, photo, volume, channels, *(polyps(data) if data else ())]
    print("| | clicks and strokes | seconds | Dice |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        # Nothing that was encoded before is found in the cache.
        os.environ["XDG_CACHE_HOME"] = folder
        for number, walk in enumerate(walks):
            os.environ["XDG_DATA_HOME"] = f"{folder}/{number}"
            user = NewUser(napari.Viewer(title="SegDINO"), Path(folder))
            walk(user)
            user.close()


if __name__ == "__main__":
    main()
