"""Segment images with a frozen DINOv3 encoder and a probe that learns from you."""

import logging
import os
import sys

from lazy_loader import attach_stub

_lazy, __dir__, __all__ = attach_stub(__name__, __file__)
__all__ += ["__version__"]  # noqa: F822 - made below

# What PyTorch lacks on Apple's GPUs goes to the CPU; read when torch is imported.
if sys.platform == "darwin":
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")

# Details of errors are for those who ask for the log: nothing goes to the terminal.
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> object:
    if name != "__version__":
        return _lazy(name)
    # What was installed, as its tag says; read only when somebody asks.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-segdino")
    except PackageNotFoundError:
        return "0.0"
