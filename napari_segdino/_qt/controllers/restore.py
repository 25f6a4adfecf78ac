"""Bring a saved project back, image by image: each is found, or opened again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_segdino._qt import messages
from napari_segdino._qt.layers.channels import (
    channels_of,
    images_of,
    join,
    members_of,
    part,
    stacked,
)
from napari_segdino._qt.layers.files import open_path, origin
from napari_segdino._qt.layers.image_layers import (
    channel_axis,
    choose_channels,
    image_planes,
)
from napari_segdino._qt.layers.made_layers import remove_layers
from napari_segdino._qt.preferences import PLUGIN
from napari_segdino._qt.worker.runner import Job
from napari_segdino.errors import InputError, SegDINOError
from napari_segdino.images.planes import Planes
from napari_segdino.session.probe_state import UNKNOWN
from napari_segdino.session.project.about import image_print

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_segdino._qt.controllers.project_state import (
        Loaded,
        SavedImage,
    )
    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino.session.project import ImageEntry

_log = logging.getLogger(__name__)

EVENT_LOOP_PAUSE_MS = 20
"""Milliseconds for the window between two images."""


class Restorer(QObject):  # type: ignore[misc]
    """Opens a project; images that cannot be found are waited for.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    restored = Signal(object)
    """The folder of a project whose images were brought back, or are waited for."""
    waiting_changed = Signal()

    def __init__(
        self, controller: SessionController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller, self._viewer = controller, controller.viewer
        self.waiting: list[SavedImage] = []
        self._queue: list[SavedImage] = []
        self._viewer.layers.events.inserted.connect(self._on_inserted)

    def open(self, folder: Path) -> None:
        """Bring back all that a project holds.

        Parameters
        ----------
        folder : pathlib.Path
            The project, or an autosave; read in the worker.
        """
        from napari_segdino._qt.controllers.project_state import iter_load

        images = (x for x in self._viewer.layers if isinstance(x, Image))
        here = {(came.path, came.series) for came in map(origin, images) if came.path}
        session = self._controller.session
        self._controller.message.emit("Opening the project...")
        self._controller.runner.start(
            Job(
                "Open project",
                partial(iter_load, folder, session, here),
                on_done=partial(self._on_loaded, folder),
                on_error=self._controller.report,
            )
        )

    def forget(self) -> None:
        """Wait for no image any more."""
        self.waiting.clear()
        self.waiting_changed.emit()

    def close(self) -> None:
        """Let go of the window."""
        self._queue.clear()
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)

    def _on_loaded(self, folder: Path, loaded: Loaded) -> None:
        self._controller.session.restore(loaded.session, loaded.segmenter)
        if loaded.history:
            self._controller.history.load(loaded.history, loaded.now)
        self._controller.history.note()
        self._queue = list(loaded.images)
        self._next(partial(self._finish, folder))
        if loaded.missing:
            text = ", ".join(dict.fromkeys(loaded.missing))
            messages.alert(
                f"{folder.name} is damaged and was opened as far as it can be; missing "
                f"or not as saved: {text}."
            )

    def _next(self, done: Callable[[], None]) -> None:
        """Bring back one image, then let the window breathe."""
        if not self._queue:
            done()
            return
        saved = self._queue.pop(0)
        image = _bring_image(self._viewer, saved)
        if image is None or not self._lay(image, saved):
            self.waiting.append(saved)
        QTimer.singleShot(EVENT_LOOP_PAUSE_MS, partial(self._next, done))

    def _finish(self, folder: Path) -> None:
        self.waiting_changed.emit()
        self._controller.message.emit(
            self.question() or "The project is open: go on where you stopped."
        )
        self._controller.drawn.emit()
        self.restored.emit(folder)

    def question(self) -> str:
        """Ask for the first image that is waited for; empty if there is none."""
        if not self.waiting:
            return ""
        entry = self.waiting[0].entry
        size = " x ".join(str(n) for n in entry.shape)
        where = f", last at {entry.path}" if entry.path else ""
        return f"Open the image {entry.name} ({size}{where}) to get its marks back."

    def _lay(self, image: Image, saved: SavedImage) -> bool:
        """Put mask and marks on their image; False if it cannot be segmented."""
        try:
            session, history = self._controller.session, self._controller.history
            probe = history.present if session.is_fitted else UNKNOWN
            self._controller.annotations.restore(image, saved.mask, saved.marks, probe)
        except SegDINOError as error:
            self._controller.report(error)
            return False
        self._controller.history.rename(saved.entry.number, image.unique_id)
        if self._controller.session.is_fitted and saved.entry.learned:
            checksums = dict(saved.entry.learned)
            self._controller.session.note_learned(image.unique_id, checksums)
        return True

    def _on_inserted(self, event: Any) -> None:
        """Look whether a new layer is an image that is waited for."""
        # While the queue is worked off, images come from the project itself.
        if self.waiting and not self._queue and isinstance(event.value, Image):
            # Not while napari is adding the layer: this adds two more.
            QTimer.singleShot(EVENT_LOOP_PAUSE_MS, self._lay_waiting)

    def _lay_waiting(self) -> None:
        for saved in list(self.waiting):
            image = find_image(self._viewer, saved.entry)
            if image is not None and self._lay(image, saved):
                self.waiting.remove(saved)
                self._controller.message.emit(f"The marks of {image.name} are back.")
                self._controller.drawn.emit()
        self.waiting_changed.emit()


def _bring_image(viewer: Viewer, saved: SavedImage) -> Image | None:
    """Find the layer of an image, or open its file; None if neither can be.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    saved : SavedImage
        The image with what was drawn on it.
    """
    found = find_image(viewer, saved.entry)
    if found is not None:
        return found
    before = set(viewer.layers)
    if saved.layers:
        for data, kwargs, kind in saved.layers:
            if kind == "image":
                viewer.add_image(data, **kwargs)
    elif not _reopen(viewer, saved.entry) and not saved.entry.channels:
        return None
    if saved.entry.channels:
        _open_channels(viewer, saved.entry)
        return _find_channels(viewer, saved.entry)
    new = [layer for layer in viewer.layers if layer not in before]
    return _alone(viewer, _best([x for x in new if isinstance(x, Image)], saved.entry))


def _open_channels(viewer: Viewer, entry: ImageEntry) -> None:
    """Open the files of channels that lie in other files than the image."""
    here = {origin(x).path for x in viewer.layers if isinstance(x, Image)}
    for channel in entry.channels:
        path = _found_beside(channel.path, entry.path)
        if path and str(path) not in here:
            here.add(str(path))
            _open_file(viewer, str(path), channel.reader)


def _reopen(viewer: Viewer, entry: ImageEntry) -> bool:
    """Have napari open a sample or a file that another plugin reads."""
    if entry.sample:
        try:
            came = viewer.open_sample(*entry.sample)
        except Exception:  # noqa: BLE001 - other plugins raise what they like
            _log.warning("%s could not be opened again", entry.name, exc_info=True)
            return False
        # The project has marks of its own.
        remove_layers(viewer, [x for x in came if not isinstance(x, Image)])
        return True
    if not entry.path or entry.reader == PLUGIN or not Path(entry.path).exists():
        return False
    return _open_file(viewer, entry.path, entry.reader)


def _open_file(viewer: Viewer, path: str, reader: str) -> bool:
    try:
        open_path(viewer, path, reader)
    except Exception:  # noqa: BLE001 - other plugins raise what they like
        _log.warning("%s could not be opened again", path, exc_info=True)
        return False
    return True


def find_image(viewer: Viewer, entry: ImageEntry) -> Image | None:
    """Find an open image that is the one saved; its channels are as they were.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    entry : ImageEntry
        What the project says of it.
    """
    if entry.channels:
        return _find_channels(viewer, entry)
    images = [x for x in viewer.layers if isinstance(x, Image)]
    return _alone(viewer, _best(images, entry))


def _alone(viewer: Viewer, image: Image | None) -> Image | None:
    """Part a layer from others of its file: it was saved as an image of its own."""
    if image is not None and len(members_of(viewer, image)) > 1:
        part(image)
    return image


def _best(images: Sequence[Image], entry: ImageEntry) -> Image | None:
    """The image with the same pixels; else one of the same name and shape."""
    fitting = [(x, p) for x, p in _planes_of(images) if p.spatial_shape == entry.shape]
    for image, planes in fitting:
        if entry.print and image_print(planes) == entry.print:
            return image
    # The file may have been saved anew since, with other pixels.
    named = (image for image, _ in fitting if image.name == entry.name)
    return next((image for image in named if not _beside(image, entry)), None)


def _beside(image: Image, entry: ImageEntry) -> bool:
    """Whether an image is another series of the same folder."""
    came = origin(image)
    return came.path == entry.path and came.series != entry.series != ""


def _planes_of(images: Sequence[Image]) -> Iterator[tuple[Image, Planes]]:
    for image in images:
        try:
            yield image, image_planes(image)
        except InputError:
            continue


def _find_channels(viewer: Viewer, entry: ImageEntry) -> Image | None:
    """Find open layers that are the channels of a saved image; make them so.

    Returns
    -------
    napari.layers.Image or None
        The layer that stands for the image.
    """
    if entry.channels[0].place >= 0:
        return _find_axis(viewer, entry)
    found = [x for x in _candidates(viewer, entry) if _fits(x, entry)]
    same = (x for x in found if _is_same(x, entry))
    named = (
        x for x in found if [y.name for y in x] == [c.name for c in entry.channels]
    )
    layers = next(same, None) or next(named, None)
    return join(layers, [c.used for c in entry.channels]) if layers else None


def _found_beside(path: str, home: str) -> Path | None:
    """Find a file where it was, or in the folder of another one that moved with it.

    Parameters
    ----------
    path : str
        Where it was; empty if not known.
    home : str
        Where the other file is now.
    """
    if not path:
        return None
    places = Path(path), Path(home).parent / Path(path).name
    return next((place for place in places if place.exists()), None)


def _candidates(viewer: Viewer, entry: ImageEntry) -> Iterator[list[Image]]:
    """Yield layers that may be the channels, in their order."""
    for members in images_of(viewer):
        if len(members) == len(entry.channels):
            yield members
    by_name = {x.name: x for x in viewer.layers if isinstance(x, Image)}
    named = [by_name[c.name] for c in entry.channels if c.name in by_name]
    if len(named) == len(entry.channels):
        yield named


def _used(layers: Sequence[Image], entry: ImageEntry) -> list[Image]:
    return [x for x, c in zip(layers, entry.channels, strict=True) if c.used]


def _fits(layers: Sequence[Image], entry: ImageEntry) -> bool:
    try:
        shapes = {image_planes(x).spatial_shape for x in layers}
    except InputError:
        return False
    return shapes == {entry.shape}


def _is_same(layers: Sequence[Image], entry: ImageEntry) -> bool:
    return (
        bool(entry.print) and image_print(stacked(_used(layers, entry))) == entry.print
    )


def _find_axis(viewer: Viewer, entry: ImageEntry) -> Image | None:
    """Find an open layer with an axis of channels."""
    on = [c.place for c in entry.channels if c.used]
    for layer in viewer.layers:
        if not isinstance(layer, Image) or channel_axis(layer) is None:
            continue
        if len(channels_of(viewer, layer)) != len(entry.channels):
            continue
        # Its pixels are those of the chosen channels; taken back where they differ.
        before = layer.metadata.copy()
        choose_channels(layer, on)
        planes = image_planes(layer)
        known = entry.print and image_print(planes) == entry.print
        if planes.spatial_shape == entry.shape and (known or layer.name == entry.name):
            return layer
        layer.metadata.clear()
        layer.metadata.update(before)
    return None
