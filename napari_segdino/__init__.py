"""Segment images with a frozen DINOv3 encoder and a probe that learns from you."""

import logging

from lazy_loader import attach_stub

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
__all__ += ["__version__"]

# Details of errors are for those who ask for the log: nothing goes to the terminal.
logging.getLogger(__name__).addHandler(logging.NullHandler())
