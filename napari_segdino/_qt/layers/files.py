"""Where layers come from and go to: readers, paths, formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari.errors import MultipleReaderError

from napari_segdino._qt.preferences import PLUGIN

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.viewer import Viewer

    from napari_segdino.segmenter import Segmenter

BUILTIN = "napari"
"""The reader that comes with napari."""


def open_files(viewer: Viewer, paths: Iterable[Path]) -> None:
    """Open files: scans with this plugin, photos and the rest as napari does.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    paths : iterable of pathlib.Path
        Files or folders, opened in this order.
    """
    from napari_segdino.io.formats import read_format
    from napari_segdino.io.read import can_read

    for path in paths:
        kind = read_format(path) if can_read(path) else None
        open_path(viewer, path, PLUGIN if kind is not None and kind.napari else "")


def open_path(viewer: Viewer, path: Path | str, reader: str = "") -> None:
    """Open a file with a reader, or with the user's choice, or with some other.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    path : path
        The file or folder.
    reader : str
        Name of the plugin; empty is what the user prefers. Where there is no
        preference and several could read it, napari's own comes first.
    """
    try:
        viewer.open(str(path), plugin=reader or None)
    except MultipleReaderError as error:
        others = [name for name in error.available_plugins if name != PLUGIN]
        chosen = BUILTIN if BUILTIN in others else others[0]
        viewer.open(str(path), plugin=chosen)


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
    """Return where a layer came from.

    Parameters
    ----------
    image : napari.layers.Image
        Read by this plugin, by another one, or a sample.
    """
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


def all_series(image: Image) -> dict[str, str]:
    """Return titles of all images of the folder or file that an image is of.

    Empty where it is the only one, or nothing is known of it.

    Parameters
    ----------
    image : napari.layers.Image
        Read by this plugin, or by any other.

    Returns
    -------
    dict of str to str
        Titles by the name of the series, which the reader takes.
    """
    header = image.metadata.get("segdino")
    found = header.get("all_series") if isinstance(header, dict) else None
    return dict(found or {})


def mask_writer(
    mask: Labels, path: str | Path, probe: Segmenter | None = None
) -> Callable[[], list[str]]:
    """Return what writes a mask as it is now, for the worker to call.

    Parameters
    ----------
    mask : napari.layers.Labels
        The mask; it lies in the geometry of its image.
    path : path
        Where to; the suffix decides the format.
    probe : Segmenter, optional
        A copy of the one that drew it, for the file to say so.
    """
    from napari_segdino.io.napari_plugin import write_labels
    from napari_segdino.io.provenance import Provenance

    # Copied on the main thread: the user paints on while the worker writes.
    data, meta = mask.data.copy(), _placing(mask)

    def write() -> list[str]:
        made = Provenance() if probe is None else probe.provenance()
        return write_labels(str(path), data, meta, made)

    return write


def _placing(layer: Image | Labels) -> dict[str, Any]:
    """Return what says where a layer lies, as napari hands it to writers."""
    return {
        "metadata": dict(layer.metadata),
        "axis_labels": tuple(layer.axis_labels),
        "scale": tuple(float(s) for s in layer.scale),
        "translate": tuple(float(t) for t in layer.translate),
        "units": tuple(str(u) for u in layer.units),
    }


def proposed_suffix(mask: Labels) -> str:
    """Return the suffix of the scan's own format, for the file dialog.

    Parameters
    ----------
    mask : napari.layers.Labels
        Holds the header of the scan, where it was read by this plugin.
    """
    from napari_segdino.io.formats import own_suffix
    from napari_segdino.io.napari_plugin import layer_header

    stored = isinstance(mask.metadata.get("segdino"), dict)
    return own_suffix(layer_header(mask.data, _placing(mask)) if stored else None)
