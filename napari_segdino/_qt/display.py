"""A virtual display, for machines that have none."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from napari_segdino.errors import SegDINOError

_log = logging.getLogger(__name__)

SCREEN = "1600x1200x24"
HINT = (
    "No display was found and Xvfb, the virtual one, is not installed: "
    "run 'sudo apt-get install -y xvfb', or start this on a desktop."
)


def has_display() -> bool:
    """Whether windows can be shown; only Linux can be without a display."""
    if not sys.platform.startswith("linux"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def virtual_display() -> Iterator[None]:
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
    server = subprocess.Popen(
        [xvfb, "-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
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
