"""Images of a folder, and the masks that belong to them."""

from __future__ import annotations

import re
from pathlib import Path

from napari_segdino.errors import InputError
from napari_segdino.io.read import can_read

_MASK_WORDS = re.compile(
    r"[_\-. ]?(segmentation|seg|masks?|labels?|gt|groundtruth|annotation)$", re.I
)
_DOUBLE = (".nii.gz", ".ome.tif", ".ome.tiff", ".ome.zarr")
_SAME_FORMAT = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


def stem_of(path: Path) -> str:
    """File name without its endings, double ones such as ``.nii.gz`` included."""
    for double in _DOUBLE:
        if path.name.lower().endswith(double):
            return path.name[: -len(double)]
    return path.stem


def list_images(path: Path) -> list[Path]:
    """List the images at a path.

    Parameters
    ----------
    path : pathlib.Path
        A file, a folder of images, or a folder that is one image (a DICOM
        series, OME-Zarr).

    Returns
    -------
    list of pathlib.Path
        Sorted by name; the path itself if it is one image.

    Raises
    ------
    InputError
        If the folder holds no image.
    """
    if path.is_file():
        return [path]
    found = sorted(p for p in path.iterdir() if p.is_file() and can_read(p))
    if not found or all(p.suffix.lower() in (".dcm", "") for p in found):
        if can_read(path):
            return [path]
        raise InputError(f"There is no image that can be read in {path}.")
    return found


def pair_files(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair images with masks of the same name.

    Parameters
    ----------
    images, masks : pathlib.Path
        Two files, or two folders; a mask's name may end in a word such as
        ``_mask`` or ``_segmentation``.

    Returns
    -------
    list of (image, mask)

    Raises
    ------
    InputError
        If an image has no mask, or only one of the two is a folder.
    """
    if images.is_file() and masks.is_file():
        return [(images, masks)]
    if images.is_file() != masks.is_file():
        raise InputError("Give two files, or two folders: images and their masks.")
    by_stem = {_MASK_WORDS.sub("", stem_of(p)): p for p in list_images(masks)}
    pairs, alone = [], []
    for image in list_images(images):
        mask = by_stem.get(_MASK_WORDS.sub("", stem_of(image)))
        if mask is None:
            alone.append(image.name)
        else:
            pairs.append((image, mask))
    if alone:
        raise InputError(f"No mask in {masks} for: {', '.join(alone[:5])}.")
    return pairs


def mask_name(image: Path) -> str:
    """Name for the mask of an image, in the image's own format if it can be."""
    for ending in _SAME_FORMAT:
        if image.name.lower().endswith(ending):
            return f"{stem_of(image)}_mask{ending}"
    return f"{stem_of(image)}_mask.tif"
