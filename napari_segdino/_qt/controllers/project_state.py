"""What of a window goes into a project, and images found or opened again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from numpy.typing import NDArray

from napari_segdino._qt.controllers.project_channels import (
    channel_entries,
    find_channels,
    found_beside,
)
from napari_segdino._qt.layers.channels import members_of, part
from napari_segdino._qt.layers.files import open_path, origin
from napari_segdino._qt.layers.image_layers import image_planes, title
from napari_segdino._qt.preferences import PLUGIN
from napari_segdino.errors import InputError, ScanError, SegDINOError
from napari_segdino.images.planes import Planes
from napari_segdino.io.napari_plugin import read_layers
from napari_segdino.progress import Progress, Steps
from napari_segdino.session.probe_state import ProbeState, fitted_state
from napari_segdino.session.project import (
    ImageEntry,
    ImageState,
    Project,
    State,
    read_labels,
    read_project,
)
from napari_segdino.session.project.about import ProbeEntry, image_print
from napari_segdino.session.project.probes import probe_path, read_masks
from napari_segdino.session.project.read import project_folder

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino.session.probe_history import ProbeHistory
    from napari_segdino.session.session import Session

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SavedImage:
    """An image of a project with all that was drawn on it.

    Parameters
    ----------
    entry : ImageEntry
        The image.
    mask, marks : numpy.ndarray of int
        Of the entry's shape.
    layers : list of (data, keywords, type)
        What its file holds, where this plugin reads it.
    """

    entry: ImageEntry
    mask: NDArray[Any]
    marks: NDArray[Any]
    layers: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Loaded:
    """A project that was read.

    Parameters
    ----------
    session : dict
        Classes and settings.
    segmenter : Segmenter or None
        The probe.
    images : list of SavedImage
        In the order of the layers.
    history : list of ProbeState
        Probes; images go by their numbers in the project.
    now : int
        Which of them is the probe; -1 if there are none.
    missing : list of str
        What could not be read, for people.
    """

    session: dict[str, Any]
    segmenter: Any
    images: list[SavedImage]
    history: list[ProbeState]
    now: int
    missing: list[str] = field(default_factory=list)


def take_state(
    session: Session,
    annotations: Sequence[Annotation],
    history: ProbeHistory,
    training: bool = False,
) -> State:
    """Return what a project keeps of a window; arrays are not copied.

    While the probe is being trained, those that were written last are left.
    """
    probes, now = ((), -1) if training else history.saved()
    # What a probe that is not written yet has learned must be learned again.
    learned = session.learned if session.is_fitted and not training else {}
    images = tuple(_image_state(w, learned) for w in annotations if w.mask_sync.intact)
    return State(session.state(), images, probes, now, training)


def _image_state(annotation: Annotation, all_learned: Mapping[Any, Any]) -> ImageState:
    came = origin(annotation.image)
    learned = all_learned.get(annotation.key, {})
    entry = ImageEntry(
        title(annotation.image),
        annotation.planes.spatial_shape,
        0,
        came.path,
        came.series,
        came.reader,
        came.sample,
        dict(learned),
        channels=channel_entries(annotation),
    )
    return ImageState(
        annotation.key,
        entry,
        annotation.planes,
        annotation.mask.data,
        annotation.marks.data,
    )


def iter_load(
    folder: Path, session: Session, here: set[tuple[str, str]]
) -> Steps[Loaded]:
    """Read a project; files that are not open yet are read as well.

    Parameters
    ----------
    folder : pathlib.Path
        The project.
    session : Session
        Reads the probe.
    here : set of (str, str)
        Path and series of images that are open.

    Yields
    ------
    Progress

    Raises
    ------
    SegDINOError
        If the project cannot be read. What is damaged in it is left out and told;
        an image that cannot be read is left for the user to open.
    """
    folder = project_folder(folder)
    project = read_project(folder)
    session.check(project.session)
    missing = [] if project.unchanged else ["what project.json says was changed"]
    yield Progress(0, len(project.images), "Opening the project")
    segmenter, history, now = yield from _iter_probes(folder, project, session, missing)
    images = []
    for done, entry in enumerate(project.images, 1):
        mask, marks = read_labels(folder, project, entry, missing)
        layers = [] if (entry.path, entry.series) in here else _read(entry)
        images.append(SavedImage(entry, mask, marks, layers))
        yield Progress(done, len(project.images), "Opening the project")
    return Loaded(project.session, segmenter, images, history, now, missing)


def _iter_probes(
    folder: Path, project: Project, session: Session, missing: list[str]
) -> Steps[tuple[Any, list[ProbeState], int]]:
    """Read the probe and its history; one that is damaged is left out."""
    segmenter, now = None, -1
    history: list[ProbeState] = []
    for place, entry in enumerate(project.probes):
        yield Progress(place, len(project.probes), "Reading the probes")
        try:
            probe, saved = _read_probe(folder, project, entry, session)
        except SegDINOError:
            missing.append("the probe" if place == project.now else "an earlier probe")
            _log.warning("%s was left out", entry.probe, exc_info=True)
            continue
        if place == project.now:
            segmenter, now = probe, len(history)
        history.append(saved)
    return segmenter, history, now


def _read_probe(
    folder: Path, project: Project, entry: ProbeEntry, session: Session
) -> tuple[Any, ProbeState]:
    path = probe_path(folder, project, entry)
    probe = None if path is None else session.load(path)
    fitted = {} if probe is None else fitted_state(probe)
    masks: Any = read_masks(folder, project, entry)
    checksums: Any = {number: dict(one) for number, one in entry.learned.items()}
    image = None if entry.image < 0 else entry.image
    return probe, ProbeState(fitted, image, checksums, masks)


def _read(entry: ImageEntry) -> list[Any]:
    if entry.reader != PLUGIN or not Path(entry.path).exists():
        return []
    try:
        return read_layers(entry.path, entry.series or None)
    except ScanError:
        # The user is asked for the image, as if it were gone.
        _log.warning("%s could not be read again", entry.path, exc_info=True)
        return []


def bring_image(viewer: Viewer, saved: SavedImage) -> Image | None:
    """Find the layer of an image, or open its file; None if neither can be."""
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
        return find_channels(viewer, saved.entry)
    new = [layer for layer in viewer.layers if layer not in before]
    return _alone(viewer, _best([x for x in new if isinstance(x, Image)], saved.entry))


def _open_channels(viewer: Viewer, entry: ImageEntry) -> None:
    """Open the files of channels that lie in other files than the image."""
    here = {origin(x).path for x in viewer.layers if isinstance(x, Image)}
    for channel in entry.channels:
        path = found_beside(channel.path, entry.path)
        if path and str(path) not in here:
            here.add(str(path))
            _open_file(viewer, str(path), channel.reader)


def _reopen(viewer: Viewer, entry: ImageEntry) -> bool:
    """Have napari open a sample or a file that another plugin reads."""
    if entry.sample:
        try:
            viewer.open_sample(*entry.sample)
        except Exception:  # noqa: BLE001 - other plugins raise what they like
            _log.warning("%s could not be opened again", entry.name, exc_info=True)
            return False
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
    """Find an open image that is the one saved; its channels are as they were."""
    if entry.channels:
        return find_channels(viewer, entry)
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
