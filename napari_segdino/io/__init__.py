"""Scans in and masks out; SimpleITK, pydicom, tifffile and zarr do the parsing.

Importing this package loads none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_segdino.io.dicom import list_series
    from napari_segdino.io.geometry import Geometry
    from napari_segdino.io.mask_writer import MaskWriter
    from napari_segdino.io.read import can_read, read_mask, read_scan
    from napari_segdino.io.sample import sample_scan
    from napari_segdino.io.scan import Header, Scan
    from napari_segdino.io.write import write_mask, write_probabilities

_WHERE = {
    "Geometry": "geometry",
    "Header": "scan",
    "MaskWriter": "mask_writer",
    "Scan": "scan",
    "can_read": "read",
    "list_series": "dicom",
    "read_mask": "read",
    "read_scan": "read",
    "sample_scan": "sample",
    "write_mask": "write",
    "write_probabilities": "write",
}

__all__ = [
    "Geometry",
    "Header",
    "MaskWriter",
    "Scan",
    "can_read",
    "list_series",
    "read_mask",
    "read_scan",
    "sample_scan",
    "write_mask",
    "write_probabilities",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
