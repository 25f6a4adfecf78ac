"""Real images that come with packages: no network is needed.

scikit-image brings photos and microscopy, nibabel an MRI volume, pydicom a CT
slice. Their files are opened as any other scan; functions of ``skimage.data``
are not called, as some of them download.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from napari_segdino.errors import ScanError, unknown_name
from napari_segdino.io.read import read_scan
from napari_segdino.io.scan import Scan

_log = logging.getLogger(__name__)

SAMPLES = {
    "tissue": ("Stained tissue (RGB)", "skimage", "data/ihc.png"),
    "retina": ("Retina (RGB)", "skimage", "data/retina.jpg"),
    "cell": ("Cell in a microscope (grey)", "skimage", "data/cell.png"),
    "coins": ("Coins (grey)", "skimage", "data/coins.png"),
    "mri": ("Brain MRI (volume)", "nibabel", "tests/data/example4d.nii.gz"),
    "ct": ("CT slice (DICOM)", "pydicom", "data/test_files/CT_small.dcm"),
}
"""Title, package and file of each sample."""


def sample_path(name: str) -> Path:
    """Find a sample's file.

    Parameters
    ----------
    name : str
        One of :data:`SAMPLES`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ScanError
        If there is no such sample, or its package does not bring the file.
    """
    if name not in SAMPLES:
        raise ScanError(unknown_name("sample", name, SAMPLES))
    _title, package, file = SAMPLES[name]
    spec = find_spec(package)
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / file
        if path.is_file():
            return path
    _log.error("sample %s: %s is not in %s", name, file, package)
    raise ScanError(
        f"The sample {name!r} is not on this machine: reinstall {package} with pip."
    )


def sample_scan(name: str) -> Scan:
    """Open a sample.

    Parameters
    ----------
    name : str
        ``"tissue"``, ``"retina"``, ``"cell"``, ``"coins"``, ``"mri"`` or
        ``"ct"``.

    Returns
    -------
    Scan
        Of the MRI series the first volume, axes ``"ZYX"``.

    Raises
    ------
    ScanError
        As :func:`sample_path`.
    """
    scan = read_scan(sample_path(name))
    if scan.axes == "TZYX":
        scan = _first_time(scan)
    return replace(scan, name=name)


def _first_time(scan: Scan) -> Scan:
    """Return the first time point of a scan whose first axis is time."""
    return replace(
        scan,
        data=scan.data[0],
        shape=scan.shape[1:],
        axes=scan.axes[1:],
        spacing=scan.spacing[1:],
        units=scan.units[1:],
    )


def _layers(name: str) -> list[tuple[Any, dict[str, Any], str]]:
    return [sample_scan(name).layer_data()]


def tissue() -> list[tuple[Any, dict[str, Any], str]]:
    """Stained tissue, (512, 512, 3) uint8, as layer data for napari."""
    return _layers("tissue")


def retina() -> list[tuple[Any, dict[str, Any], str]]:
    """Fundus photo, (1411, 1411, 3) uint8, as layer data for napari."""
    return _layers("retina")


def cell() -> list[tuple[Any, dict[str, Any], str]]:
    """Cell, (660, 550) uint8, as layer data for napari."""
    return _layers("cell")


def coins() -> list[tuple[Any, dict[str, Any], str]]:
    """Coins, (303, 384) uint8, as layer data for napari."""
    return _layers("coins")


def mri() -> list[tuple[Any, dict[str, Any], str]]:
    """Brain MRI, (24, 96, 128) int16, as layer data for napari."""
    return _layers("mri")


def ct() -> list[tuple[Any, dict[str, Any], str]]:
    """CT slice in Hounsfield units, (128, 128), as layer data for napari."""
    return _layers("ct")
