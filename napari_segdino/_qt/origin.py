"""Where the layer of an image came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_segdino._qt.preferences import PLUGIN

if TYPE_CHECKING:
    from napari.layers import Image


class Origin(NamedTuple):
    """Where an image came from; each is empty if not known.

    Parameters
    ----------
    path, series, reader, sample
        As for :class:`~napari_segdino.session.project.ImageEntry`.
    """

    path: str = ""
    series: str = ""
    reader: str = ""
    sample: tuple[str, ...] = ()


def origin(image: Image) -> Origin:
    """Return where a layer came from."""
    source = image.source
    if source.sample:
        return Origin(sample=tuple(source.sample))
    header = image.metadata.get("segdino")
    if isinstance(header, dict) and header.get("path"):
        path = str(Path(header["path"]).absolute())
        return Origin(path, header.get("series", ""), PLUGIN)
    if source.path:
        path = str(Path(source.path).absolute())
        return Origin(path, reader=source.reader_plugin or "")
    return Origin()
