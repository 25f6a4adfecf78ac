"""The main job on a real sample: for a user to go on with, or played by a robot."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from napari_segdino._qt import mouse
from napari_segdino._qt.dock import SegmentDock
from napari_segdino._qt.layers.files import open_files
from napari_segdino.errors import SegDINOError

if TYPE_CHECKING:
    from napari.viewer import Viewer

_log = logging.getLogger(__name__)

SCREEN = "1600x1200x24"

HINT = (
    "No display was found and Xvfb, the virtual one, is not installed: "
    "run 'sudo apt-get install -y xvfb', or start this on a desktop."
)


def _has_display() -> bool:
    """Whether windows can be shown; only Linux can be without a display."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def _virtual_display() -> Iterator[None]:
    """Run a virtual display for the child processes that are started inside.

    Raises
    ------
    SegDINOError
        If Xvfb is not installed or does not start.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        raise SegDINOError(HINT)
    # With -displayfd Xvfb finds a free number itself, and writes it when it is ready.
    server = subprocess.Popen(
        [xvfb, "-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    # Where there is Wayland, Qt and vispy would open windows on the real desktop.
    before = {k: os.environ.pop(k, None) for k in ("DISPLAY", "WAYLAND_DISPLAY")}
    try:
        number = server.stdout.readline().strip() if server.stdout else ""
        if not number:
            raise SegDINOError("The virtual display Xvfb did not start.")
        _log.info("virtual display :%s", number)
        os.environ["DISPLAY"] = f":{number}"
        os.environ["QT_QPA_PLATFORM"] = "xcb"
        yield
    finally:
        server.terminate()
        server.wait()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


SAMPLE = "tissue"

BRUSH = 12

PATIENCE = 600
"""Seconds that one step may take."""


def launch(paths: tuple[Path, ...] = ()) -> None:
    """Open napari with the dock, and files if any are given.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        Opened in this order.
    """
    viewer = napari.Viewer(title="SegDINO")
    if paths:
        open_files(viewer, paths)
    add_dock(viewer)
    napari.run()


def run(output: Path, headless: bool | None = None) -> None:
    """Show the main job on a sample scan.

    Parameters
    ----------
    output : pathlib.Path
        Folder of the mask and the screenshots, when the story is played.
    headless : bool, optional
        Play the story on a virtual display; None does so where there is no
        other.
    """
    if headless is None:
        headless = not _has_display()
    if not headless:
        viewer, dock = open_sample()
        dock.segment()
        napari.run()
        return
    click.echo("Playing the story on a virtual display: nobody has to watch.")
    # A process of its own: Qt must be gone before its display goes.
    command = [sys.executable, "-m", "napari_segdino._qt.demo", str(output)]
    with _virtual_display():
        played = subprocess.run(command, check=False)
    if played.returncode:
        raise SegDINOError("The demo did not play to its end; see above.")


def add_dock(viewer: Viewer) -> SegmentDock:
    """Add the dock to a window and return it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    """
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="SegDINO", area="right")
    return dock


def open_sample() -> tuple[Viewer, SegmentDock]:
    """Open a window with the sample and the dock."""
    from napari_segdino.io.sample import sample_scan

    viewer = napari.Viewer(title="SegDINO")
    data, kwargs, _ = sample_scan(SAMPLE).layer_data()
    viewer.add_image(data, **kwargs)
    return viewer, add_dock(viewer)


# -- the robot -------------------------------------------------------------
class Story:
    """Plays the main job with mouse and keys, and keeps a picture of each step.

    Parameters
    ----------
    output : pathlib.Path
        Folder of the pictures.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.viewer, self.dock = open_sample()
        self.viewer.window.resize(1400, 900)
        self._failure = ""
        self._pictures = 0
        self.dock.controller.failed.connect(self._on_failed)
        QTest.qWait(1000)
        for widget in QApplication.allWidgets():
            # napari's words about PyQt5 would lie over the pictures.
            if type(widget).__name__ == "NapariQtNotification":
                widget.close()

    def picture(self, name: str) -> None:
        """Keep a picture of the whole window.

        Parameters
        ----------
        name : str
            Part of the file's name, after its number.
        """
        QTest.qWait(200)
        self._pictures += 1
        path = self.output / f"{self._pictures}-{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        click.echo(f"  {path}")

    def press(self, button: Any) -> None:
        """Click a button and wait until all is done.

        Parameters
        ----------
        button : QWidget
            On screen.
        """
        mouse.click(button)
        self.wait()

    def wait(self) -> None:
        """Wait until the dock is idle.

        Raises
        ------
        SegDINOError
            If something failed, or takes too long.
        """
        QTest.qWait(100)
        for _ in range(PATIENCE * 20):
            if self._failure:
                raise SegDINOError(self._failure)
            if not self.dock.controller.busy:
                QTest.qWait(100)
                return
            QTest.qWait(50)
        raise SegDINOError(f"This took longer than {PATIENCE} seconds.")

    def _on_failed(self, text: str) -> None:
        self._failure = text


def play(output: Path) -> None:
    """Segment, paint three strokes, retrain, save.

    Parameters
    ----------
    output : pathlib.Path
        Folder of the pictures, the mask and the probe; made if need be.
    """
    output.mkdir(parents=True, exist_ok=True)
    story = Story(output)
    dock, viewer = story.dock, story.viewer
    assert dock.image is not None
    wanted = stained(dock.image.data)
    try:
        story.picture("opened")
        story.press(dock.actions.segment)
        story.picture("segmented")
        annotation = dock.controller.annotations.get(dock.image)
        assert annotation is not None
        mask = annotation.mask
        click.echo(f"First mask: Dice {dice(mask.data, wanted):.3f}")
        mask.brush_size = BRUSH
        for label, points in _strokes(mask, wanted):
            dock.classes.pick(label)
            mouse.stroke(viewer, mask, points)
        story.picture("corrected")
        story.press(dock.actions.retrain)
        story.picture("retrained")
        click.echo(f"After 3 strokes: Dice {dice(mask.data, wanted):.3f}")
        path = output / f"{SAMPLE}-mask.tif"
        _save(story, dock.controller.export_mask, dock.image, path)
        _save(story, dock.controller.save_probe, output / f"{SAMPLE}.segdino")
        story.picture("saved")
        click.echo(f"Mask, probe and pictures are in {output.resolve()}")
    finally:
        dock.release()
        viewer.close()


def _save(story: Story, save: Callable[..., None], *args: Any) -> None:
    save(*args)
    story.wait()
    click.echo(f"  {args[-1]}")


def stained(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where the tissue is stained brown: what the robot wants to have.

    Parameters
    ----------
    image : numpy.ndarray, shape (Y, X, 3) or (Y, X, 4), uint8
        RGB; alpha is left out.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X)
        True where it is.
    """
    from skimage.color import rgb2hed
    from skimage.filters import threshold_otsu

    brown = ndimage.gaussian_filter(rgb2hed(image[..., :3])[..., 2], 4)
    found: NDArray[np.bool_] = brown > threshold_otsu(brown)
    return found


def dice(mask: NDArray[Any], wanted: NDArray[np.bool_]) -> float:
    """Return the overlap of class 1 with what is wanted.

    Parameters
    ----------
    mask : numpy.ndarray of int, shape (Y, X)
        Labels.
    wanted : numpy.ndarray of bool, shape (Y, X)
        Where class 1 should be.
    """
    both = 2 * ((mask == 1) & wanted).sum()
    return float(both / max(1, (mask == 1).sum() + wanted.sum()))


def _strokes(
    mask: Any, wanted: NDArray[np.bool_]
) -> Iterator[tuple[int, list[tuple[float, float]]]]:
    """Yield three strokes: through the class, the background, the worst mistake."""
    yield 1, _through(wanted)
    yield 0, _through(~wanted)
    wrong = (mask.data == 1) != wanted
    points = _through(wrong)
    y, x = points[0]
    yield int(wanted[int(y), int(x)]), points


def _through(region: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Return points of a level line through the widest place of a region."""
    # Padded, so that the border of the image is an edge of the region too.
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    runs, _ = ndimage.label(depth[y] > min(BRUSH, depth[y, x] - 1))
    along = np.flatnonzero(runs == runs[x])
    return [(float(y), float(place)) for place in np.linspace(along[0], along[-1], 8)]


def main() -> None:
    """Play the story; the child process of :func:`run`."""
    try:
        play(Path(sys.argv[1]))
    except SegDINOError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
