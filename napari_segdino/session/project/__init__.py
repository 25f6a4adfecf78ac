"""Projects: a session's images by path, masks, marks, classes, settings, probes.

A project is a folder with a ``project.json`` and, beside it, one folder with
the masks and marks as zarr arrays and the probes as safetensors.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
