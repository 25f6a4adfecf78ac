"""What those need who are told of a fault: versions, device and log.

No pixels, no names of files or images, no paths. Of an error that this package raises
only its kind and the places in the code are told, which name the sentence; of another
one its first line as well, unless there may be a name in it.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import time
import traceback
from collections import deque
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from napari_segdino import __version__
from napari_segdino.errors import SegDINOError

PACKAGES = (
    "numpy",
    "torch",
    "torchvision",
    "timm",
    "napari",
    "PyQt5",
    "PyQt6",
    "PySide6-Essentials",
    "qtpy",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "tifffile",
    "zarr",
)
LINES = 100
"""Lines of the log that are kept."""

PLACES = 8
"""Places in the code that are told of an error, the innermost last."""

_ROOT = Path(__file__).parents[1]
# What names come in: quotes, slashes, or a dot and a suffix.
_NAME = re.compile(r"""['"/\\]|\w\.[A-Za-z]""")


class ReportLog(logging.Handler):
    """Keeps the last warnings and errors of this package, without names."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: deque[str] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a record says, not what was filled in.

        Parameters
        ----------
        record : logging.LogRecord
            Its arguments, which may name files, are left out.
        """
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        # Not getMessage, which fills in the names.
        text = str(record.msg)
        error = getattr(record, "error", None) or (record.exc_info or (None, None))[1]
        if error is not None:
            text = f"{'' if text == '%s' else text + ': '}{without_names(error)}"
        self.lines.append(f"{when} {record.levelname} {record.name}: {text}")


_log = ReportLog()


def keep_log() -> None:
    """Begin to keep what is logged, once."""
    logger = logging.getLogger("napari_segdino")
    if _log not in logger.handlers:
        logger.addHandler(_log)


def without_names(error: BaseException) -> str:
    """Say what an error is and where it was raised, without names of files.

    Parameters
    ----------
    error : BaseException
        Raised, so that it has a traceback.

    Returns
    -------
    str
        One line.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = [
        f"{Path(frame.filename).relative_to(_ROOT)}:{frame.lineno}"
        for frame in frames
        if Path(frame.filename).is_relative_to(_ROOT)
    ]
    text = type(error).__name__
    if isinstance(error, OSError):
        text += f" ({error.strerror})"
    elif not isinstance(error, SegDINOError):
        first = next(iter(str(error).splitlines()), "")
        text += f" ({first})" if first and not _NAME.search(first) else ""
    return text + "".join(f" < {place}" for place in reversed(places[-PLACES:]))


def report() -> str:
    """Return versions, device and log, as one text."""
    lines = [
        f"napari-segdino {__version__}",
        f"Python {platform.python_version()}, {platform.platform()}",
        f"Processor: {os.cpu_count()} cores, {platform.machine()}",
        f"Device: {_device()}",
        f"Packages: {', '.join(filter(None, map(_version, PACKAGES)))}",
        "Log:" if _log.lines else "Log: nothing went wrong since the start",
        *_log.lines,
    ]
    return "\n".join(lines) + "\n"


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def _device() -> str:
    import torch

    from napari_segdino.encoders.device import resolve_device

    device = resolve_device()
    if device.type != "cuda":
        return device.type
    card = torch.cuda.get_device_properties(device)
    return f"{card.name}, {card.total_memory / 2**30:.0f} GB"
