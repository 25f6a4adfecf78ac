"""Projects: a session's images by path, masks, marks, classes, settings, probes.

A project is a folder with a ``project.json`` and, beside it, one folder with
the masks and marks as zarr arrays and the probes as safetensors.
"""

from napari_segdino.session.project.about import PROJECT_FILE, ImageEntry, Project
from napari_segdino.session.project.autosave import Autosave, find_left
from napari_segdino.session.project.probes import SavedProbe
from napari_segdino.session.project.read import read_labels, read_project
from napari_segdino.session.project.write import ImageState, ProjectWriter, State

__all__ = [
    "PROJECT_FILE",
    "Autosave",
    "ImageEntry",
    "ImageState",
    "SavedProbe",
    "Project",
    "ProjectWriter",
    "State",
    "find_left",
    "read_labels",
    "read_project",
]
