"""What of a window goes into a project, and what is read of one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_segdino._qt.layers.channels import channels_of, is_used, members_of
from napari_segdino._qt.layers.files import origin
from napari_segdino._qt.layers.image_layers import channel_axis, title
from napari_segdino._qt.preferences import PLUGIN
from napari_segdino.errors import ScanError, SegDINOError
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
from napari_segdino.session.project.about import ChannelEntry, ProbeEntry
from napari_segdino.session.project.probes import probe_path, read_masks
from napari_segdino.session.project.read import project_folder

if TYPE_CHECKING:
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

    Parameters
    ----------
    session : Session
        Classes, settings and the probe.
    annotations : sequence of Annotation
        Those whose layers have another shape than their image are left out.
    history : ProbeHistory
        Probes to go back to.
    training : bool
        The probe is changing just now.
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
        channels=_channel_entries(annotation),
    )
    return ImageState(
        annotation.key,
        entry,
        annotation.planes,
        annotation.mask.data,
        annotation.marks.data,
    )


def _channel_entries(annotation: Annotation) -> tuple[ChannelEntry, ...]:
    """Return what a project keeps of the channels of an image."""
    image, viewer = annotation.image, annotation.viewer
    if channel_axis(image) is not None:
        found = channels_of(viewer, image)
        return tuple(ChannelEntry(c.name, c.used, place=c.place) for c in found)
    members = members_of(viewer, image)
    if len(members) == 1:
        return ()
    home = origin(image).path
    entries = []
    for layer in members:
        came = origin(layer)
        own = ("", "") if came.path == home else (came.path, came.reader)
        entries.append(ChannelEntry(layer.name, is_used(layer), *own))
    return tuple(entries)


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
        # Here, in the worker: reading a scan takes its time.
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
        yield Progress(place, len(project.probes), "Reading the models")
        try:
            probe, saved = _read_probe(folder, project, entry, session)
        except SegDINOError:
            missing.append("the model" if place == project.now else "an earlier model")
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
    from napari_segdino.io.napari_plugin import read_layers

    try:
        return read_layers(entry.path, entry.series or None)
    except ScanError:
        # The user is asked for the image, as if it were gone.
        _log.warning("%s could not be read again", entry.path, exc_info=True)
        return []
