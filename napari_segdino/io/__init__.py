"""Scans in and masks out; SimpleITK, pydicom, tifffile and zarr do the parsing.

Importing this package loads none of them.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
