"""Segment images with a frozen DINOv3 encoder and a probe that learns from you."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_segdino.marks import marks_from_mask
    from napari_segdino.segmenter import Segmenter

__all__ = ["Segmenter", "__version__", "marks_from_mask"]

__version__ = "0.1.0"

_HOMES = {
    "Segmenter": "napari_segdino.segmenter",
    "marks_from_mask": "napari_segdino.marks",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that import is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
