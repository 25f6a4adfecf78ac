"""DICOM-SEG: masks in, through pydicom, and out, through highdicom."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino import __version__
from napari_segdino.errors import ScanError
from napari_segdino.io.dicom_frames import Slice, stacks_of
from napari_segdino.io.dicom_index import Series
from napari_segdino.io.dicom_pixels import read_tags
from napari_segdino.io.provenance import PROGRAM, Provenance
from napari_segdino.io.scan import Header

_log = logging.getLogger(__name__)


SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage and Label Map Segmentation Storage."""


def is_seg(tags: Any) -> bool:
    """Whether a file is a DICOM-SEG.

    Parameters
    ----------
    tags : pydicom.Dataset
        Of the file.
    """
    return str(tags.get("SOPClassUID", "")) in SOP_CLASSES


def join_segments(
    tags: Any, frames: NDArray[Any], series: Series
) -> tuple[NDArray[np.integer[Any]], Series, tuple[str, ...]]:
    """Make labels of the segments' frames.

    Parameters
    ----------
    tags : pydicom.Dataset
        Of the file.
    frames : numpy.ndarray, shape (N, Y, X)
        One for each segment and place, in the order of `series`.
    series : Series
        A slice for each frame.

    Returns
    -------
    labels : numpy.ndarray of int, shape (Z, Y, X)
        0, or the number of the segment. Slices that were left out between others
        because no segment is in them are there.
    series : Series
        A slice for each place.
    warnings : tuple of str
        A sentence where segments overlap.
    """
    groups = tags.PerFrameFunctionalGroupsSequence
    numbers = [_segment(groups[one.frame]) for one in series.slices]
    if tags.get("SegmentationType") == "FRACTIONAL":
        # Halved and not doubled, which in 8 bits makes 0 of 128.
        frames = frames >= int(tags.get("MaximumFractionalValue") or 1) / 2
    assert series.positions is not None
    assert series.normal is not None
    at, places = _places(series.positions, series.normal)
    top = (
        int(frames.max(initial=0)) if None in numbers else max(n or 0 for n in numbers)
    )
    labels = np.zeros((len(places), *frames.shape[1:]), np.min_scalar_type(top))
    overlap = False
    for z, number, frame in zip(at, numbers, frames, strict=True):
        inside = frame > 0
        overlap |= bool((inside & (labels[z] > 0)).any())
        labels[z][inside] = frame[inside] if number is None else number
    path = series.slices[0].path
    slices = tuple(Slice(path, (x, y, z), i) for i, (x, y, z) in enumerate(places))
    notes = ("Segments overlap: the one with the highest number is shown.",)
    return labels, replace(series, slices=slices), notes if overlap else ()


def _segment(group: Any) -> int | None:
    """Which segment a frame is of; None in label maps, whose pixels say it."""
    found = group.get("SegmentIdentificationSequence")
    return int(found[0].ReferencedSegmentNumber) if found else None


def _places(
    positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> tuple[list[int], list[list[float]]]:
    """Which slice each frame is of, and where the slices lie; gaps are closed."""
    # To a micrometre: frames of one slice may differ by rounding.
    along = (positions @ normal).round(3)
    known, first, at = np.unique(along, return_index=True, return_inverse=True)
    gaps = np.diff(known)
    step = gaps.min() if len(gaps) else 1.0
    index = (known - known[0]) / step
    # Uneven slices: there is no knowing how many are missing between two.
    if np.abs(index - index.round()).max() > 0.1:
        return at.tolist(), positions[first].tolist()
    index = index.round().astype(int)
    moved = positions[first[0]] + np.arange(index[-1] + 1)[:, None] * step * normal
    return index[at].tolist(), moved.tolist()


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
        return [read_tags(name) for name in header.files]
    except (OSError, pydicom.errors.InvalidDicomError) as error:
        raise ScanError("The DICOM files of the scan are no longer there.") from error


def _in_order_of_file(planes: NDArray[Any], source: Any) -> NDArray[Any]:
    """Undo the sorting of the frames of an enhanced file."""
    stacks = stacks_of(source, "")
    if len(stacks) != 1 or len(stacks[0].slices) != len(planes) or len(planes) == 1:
        return planes
    back = np.empty_like(planes)
    back[[one.frame for one in stacks[0].slices]] = planes
    return back


def _descriptions(
    count: int, names: tuple[str, ...], provenance: Provenance
) -> list[Any]:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        name="SegDINO",
        version=__version__,
        family=codes.cid7162.ArtificialIntelligence,
        source=PROGRAM,
        parameters=provenance.to_dict(),
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
    path: Path,
    labels: NDArray[Any],
    header: Header | None,
    names: tuple[str, ...],
    provenance: Provenance,
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
    provenance : Provenance
        Parameters of the algorithm; its author is the creator of the content.

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
    frames = _in_order_of_file(labels.reshape(-1, *labels.shape[-2:]), sources[0])
    try:
        seg = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=frames,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_descriptions(count, names, provenance),
            series_instance_uid=hd.UID(),
            series_number=100,
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="napari-segdino",
            manufacturer_model_name="SegDINO",
            software_versions=__version__,
            content_creator_name=provenance.author or None,
            device_serial_number="0",
            # So that the mask comes back with all slices of its scan.
            omit_empty_frames=False,
        )
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        _log.error("making DICOM-SEG failed", exc_info=error)
        raise ScanError(
            "DICOM-SEG cannot be made, as the scan's files lack tags that it needs: "
            "choose .nii.gz."
        ) from error
    seg.save_as(path)
