"""What opening the dock costs a window, in a process that has imported nothing yet.

    xvfb-run -a -s "-screen 0 1600x1200x24" python tests/_qt/open_dock.py

Writes one line of JSON: seconds of work of the window's thread until the dock was
shown, and modules of ours imported by then; the longest that the window did not
answer until all was imported, in ms of the clock and of work; and which of the heavy
modules the window's thread asked for.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import napari
import numpy as np
from measure_gap import GapTimer
from qtpy.QtTest import QTest

HEAVY = ("torch", "timm", "torchvision", "pandas", "skimage.color", "scipy.ndimage")
HEAVY += ("dask", "SimpleITK", "zarr", "pydicom", "huggingface_hub.file_download")


class Watcher:
    """Notes which thread first asks for a heavy module; finds none itself."""

    def __init__(self) -> None:
        self.window: list[str] = []
        self.others: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Note the thread."""
        if name in HEAVY:
            here = threading.current_thread() is threading.main_thread()
            (self.window if here else self.others).append(name)


def main() -> None:
    """Open a window with an image, then the dock, and wait for the imports."""
    viewer = napari.Viewer()
    viewer.add_image(np.zeros((256, 256), np.uint8))
    QTest.qWait(1000)
    watcher = Watcher()
    sys.meta_path.insert(0, watcher)
    clock, annotation = GapTimer(), GapTimer(time.thread_time)
    begun = time.thread_time()
    _, widget = viewer.window.add_plugin_dock_widget("napari-segdino", "SegDINO")
    QTest.qWait(1)
    worked = time.thread_time() - begun
    modules = [name for name in sys.modules if name.startswith("napari_segdino")]
    assert widget.dock.actions.segment.isVisible()
    from napari_segdino.session.preload import is_preloaded

    while not is_preloaded():
        QTest.qWait(10)
    found = {
        "worked": round(worked, 3),
        "modules": len(modules),
        "longest_gap": round(max(clock.gaps)),
        "longest_work": round(max(annotation.gaps)),
        "window": watcher.window,
        "others": watcher.others,
    }
    sys.stdout.write(json.dumps(found) + "\n")
    viewer.close()


if __name__ == "__main__":
    main()
