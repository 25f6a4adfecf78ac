"""How long the window does not answer during Segment and Retrain.

    xvfb-run -a -s "-screen 0 1600x1200x24" python tests/_qt/measure_gap.py [SAMPLE ...]

The window is opened, Segment is pressed at once (torch is not imported yet),
strokes are painted with the mouse, Retrain is pressed. A timer that should fire
every 10 ms says how long the longest gap between two firings was.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

INTERVAL = 10


class GapTimer:
    """Measures the longest time in which the event loop did not turn.

    Parameters
    ----------
    clock : callable
        What counts as time: of the clock, or of work.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        from qtpy.QtCore import Qt, QTimer

        self.gaps: list[float] = []
        self._clock = clock
        self._last = clock()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(INTERVAL)

    def start(self) -> None:
        """Begin anew."""
        self.gaps = []
        self._last = self._clock()

    def _tick(self) -> None:
        now = self._clock()
        self.gaps.append(1000 * (now - self._last))
        self._last = now

    def report(self, what: str) -> None:
        """Write the three longest gaps in milliseconds."""
        self._tick()
        longest = sorted(self.gaps, reverse=True)[:3]
        took = sum(self.gaps) / 1000
        text = ", ".join(f"{gap:.0f}" for gap in longest)
        sys.stdout.write(f"  {what}: {took:.1f} s, longest gaps {text} ms\n")
        sys.stdout.flush()


def measure(sample: str) -> None:
    """Play the main job on a sample."""
    import napari
    import numpy as np
    from qtpy.QtTest import QTest

    from napari_segdino._qt import mouse
    from napari_segdino._qt.demo import add_dock
    from napari_segdino.io.sample import sample_scan

    viewer = napari.Viewer()
    if sample == "big":
        rng = np.random.default_rng(0)
        coarse = rng.random((4, 16, 16))
        data = np.kron(coarse, np.ones((1, 64, 64))).astype(np.float32)
        viewer.add_image(np.tile(data, (10, 1, 1)), name="big")
    else:
        data, kwargs, _ = sample_scan(sample).layer_data()
        viewer.add_image(data, **kwargs)
    QTest.qWait(1500)
    timer = GapTimer()
    dock = add_dock(viewer)
    dock.inputs.volume.setChecked(True)
    texts: list[str] = []
    dock.controller.message.connect(texts.append)

    def wait() -> None:
        QTest.qWait(50)
        while dock.controller.busy:
            QTest.qWait(10)
        QTest.qWait(300)

    QTest.qWait(1)
    timer.report("open the dock")

    def started(title: str) -> None:
        if title == "Segment":
            timer.report("pressing Segment")
            timer.start()

    dock.controller.runner.started.connect(started)
    timer.start()
    mouse.click(dock.actions.segment)
    wait()
    timer.report("first Segment")
    dock.controller.runner.started.disconnect(started)
    annotation: Any = dock.controller.annotations.get(dock.image)
    y, x = annotation.planes.plane_shape
    timer.start()
    for label, row in ((1, 0.3), (0, 0.6), (1, 0.8)):
        dock.classes.pick(label)
        mouse.stroke(
            viewer, annotation.mask, [(row * y, c * x) for c in (0.4, 0.5, 0.6)]
        )
    timer.report("three strokes")
    for name, button in [
        ("first Retrain", dock.actions.retrain),
        ("second Retrain", dock.actions.retrain),
        ("Segment again", dock.actions.segment),
    ]:
        timer.start()
        mouse.click(button)
        wait()
        timer.report(name)
    sys.stdout.write(f"  {texts[-1]}\n")
    dock.release()
    viewer.close()


def main() -> None:
    """Measure each sample in a process of its own."""
    if "--one" in sys.argv:
        measure(sys.argv[-1])
        return
    for sample in sys.argv[1:] or ["tissue", "retina", "mri", "big"]:
        sys.stdout.write(f"{sample}\n")
        sys.stdout.flush()
        command = [sys.executable, __file__, "--one", sample]
        subprocess.run(command, check=False, env={**os.environ})


if __name__ == "__main__":
    main()
