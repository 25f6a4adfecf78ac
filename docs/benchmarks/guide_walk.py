"""How many clicks and seconds the guide takes to a first good mask: docs/guide.md.

    xvfb-run -a -s "-screen 0 1600x1200x24" python docs/benchmarks/guide_walk.py

Four images are opened without marks and worked on in the real window as the guide says.
A click is one of a button, a tool or a class; a stroke counts as one. The seconds are
those that the processor worked until the window was at rest. A person needs about two
seconds for each click besides.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_segdino._qt.demo import dice, stained
from napari_segdino._qt.layers.files import open_files
from napari_segdino.io.sample import sample_scan

sys.path.append(str(Path(__file__).parents[1] / "images"))
import make_pictures as pictures  # noqa: E402


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


def main() -> None:
    print("| | clicks and strokes | seconds | Dice |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        # Nothing that was encoded before is found in the cache.
        os.environ["XDG_CACHE_HOME"] = folder
        for walk in (coins, photo, volume, channels):
            os.environ["XDG_DATA_HOME"] = f"{folder}/{walk.__name__}"
            user = NewUser(napari.Viewer(title="SegDINO"), Path(folder))
            walk(user)
            user.close()


if __name__ == "__main__":
    main()
