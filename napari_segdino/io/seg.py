"""DICOM-SEG out, through highdicom."""

from __future__ import annotations

import logging
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import ScanError
from napari_segdino.io.scan import Header

_log = logging.getLogger(__name__)


def _sources(header: Header | None) -> list[Any]:
    """Read the slices that the mask belongs to, in its order.

    Raises
    ------
    ScanError
        If the scan is not from DICOM, or its files are gone.
    """
    import pydicom

    if header is None or header.format != "DICOM" or not header.files:
        raise ScanError("DICOM-SEG needs a scan that was read from DICOM files.")
    if "T" in header.axes:
        raise ScanError("DICOM-SEG cannot hold a time series: choose .nii.gz.")
    try:
        return [pydicom.dcmread(name) for name in header.files]
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise ScanError("The DICOM files of the scan are no longer there.") from error


def _version() -> str:
    try:
        return version("napari-segdino")
    except PackageNotFoundError:
        return "0"


def _descriptions(count: int, names: tuple[str, ...]) -> list[Any]:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        name="SegDINO", version=_version(), family=codes.cid7162.ArtificialIntelligence
    )
    return [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=names[number - 1] if number <= len(names) else f"{number}",
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number in range(1, count + 1)
    ]


def write_seg(
    path: Path, labels: NDArray[Any], header: Header | None, names: tuple[str, ...]
) -> None:
    """Write a mask as DICOM-SEG that refers to the slices of its scan.

    Parameters
    ----------
    path : pathlib.Path
        Where to.
    labels : numpy.ndarray of int, shape (Y, X) or (Z, Y, X)
        In the order of the scan's slices.
    header : Header
        Of a scan read from DICOM.
    names : tuple of str
        Of classes 1, 2 ...

    Raises
    ------
    ScanError
        If highdicom is missing, the scan is not from DICOM, or its files lack
        what the standard asks for.
    """
    try:
        import highdicom as hd
    except ImportError as error:
        raise ScanError(
            "DICOM-SEG needs one more package: pip install highdicom."
        ) from error
    sources = _sources(header)
    count = max(int(labels.max(initial=0)), len(names), 1)
    frames = labels.reshape(-1, *labels.shape[-2:])
    try:
        seg = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=frames,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_descriptions(count, names),
            series_instance_uid=hd.UID(),
            series_number=100,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="napari-segdino",
            manufacturer_model_name="SegDINO",
            software_versions=_version(),
            device_serial_number="0",
            omit_empty_frames=bool(np.any(frames)),
        )
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        _log.error("making DICOM-SEG failed", exc_info=error)
        raise ScanError(
            "DICOM-SEG cannot be made, as the scan's files lack tags that it needs: "
            "choose .nii.gz."
        ) from error
    seg.save_as(path)
