"""Reading a project."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ProjectError
from napari_segdino.session.project.about import (
    PROJECT_FILE,
    ImageEntry,
    Project,
    from_json,
)
from napari_segdino.session.project.write import array_name

_log = logging.getLogger(__name__)


def read_project(folder: Path | str) -> Project:
    """Read what a project says about itself.

    Parameters
    ----------
    folder : path
        The project, or its ``project.json``.

    Returns
    -------
    Project
        Paths of images that lie where they lay from the project are those;
        others are as they were when it was saved.

    Raises
    ------
    ProjectError
        If there is none, or it is damaged or too new.
    """
    folder = project_folder(folder)
    path = folder / PROJECT_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProjectError(f"{folder.name} holds no napari-segdino project.") from error
    except (OSError, ValueError) as error:
        _log.error("reading %s failed", path, exc_info=error)
        raise ProjectError(f"The project {folder.name} cannot be read.") from error
    return from_json(values, folder)


def project_folder(path: Path | str) -> Path:
    """Return the folder of a project that was named by folder or file."""
    path = Path(path)
    return path.parent if path.name == PROJECT_FILE else path


def read_labels(
    folder: Path, project: Project, image: ImageEntry
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Read the mask and the marks of an image.

    Returns
    -------
    mask, marks : numpy.ndarray of int, shape ``image.shape``

    Raises
    ------
    ProjectError
        If they are missing, damaged, or of another shape.
    """
    import zarr

    content = folder / project.content
    arrays = []
    for role in ("mask", "marks"):
        path = content / array_name(image.number, role)
        try:
            found = np.asarray(zarr.open_array(str(path), mode="r")[...])
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            _log.error("reading %s failed", path, exc_info=error)
            raise ProjectError(
                f"The {role} of {image.name} in {folder.name} are missing or damaged."
            ) from error
        if found.shape != image.shape or found.dtype.kind not in "iu":
            raise ProjectError(f"The project {folder.name} is damaged.")
        arrays.append(found)
    return arrays[0], arrays[1]
