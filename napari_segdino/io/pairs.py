"""Images of a folder, and the masks that belong to them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from napari_segdino.errors import InputError
from napari_segdino.files import safe_name, shortened, split_suffix
from napari_segdino.io.dicom_pixels import SUFFIXES
from napari_segdino.io.read import can_read

_MASK_WORDS = re.compile(
    r"[_\-. ]?(segmentation|seg|masks?|labels?|gt|groundtruth|annotation)$", re.I
)
_SAME_FORMAT = (".nii.gz", ".nii", ".nrrd", ".mha")
_SERIES = (*SUFFIXES, "")
_NAMED = 5
"""Files named in an error; more make no sentence."""


def stem_of(path: Path) -> str:
    """File name without its endings, double ones such as ``.nii.gz`` included.

    Parameters
    ----------
    path : pathlib.Path
        Only its last part counts.
    """
    return split_suffix(path)[0]


def key_of(path: Path) -> str:
    """What an image and its mask have in common: ``a`` of ``a_mask.png``.

    Parameters
    ----------
    path : pathlib.Path
        An image or a mask.
    """
    stem = stem_of(path)
    # A file that is called mask.png has its whole name as key.
    return _MASK_WORDS.sub("", stem) or stem


def is_mask_name(path: Path) -> bool:
    """Whether a name ends in a word such as ``_mask`` or ``_segmentation``.

    Parameters
    ----------
    path : pathlib.Path
        Only its last part counts.
    """
    return key_of(path) != stem_of(path)


def list_images(path: Path, leave_out: Collection[str] = ()) -> list[Path]:
    """List the images at a path.

    Parameters
    ----------
    path : pathlib.Path
        A file, a folder of images, or a folder that is one image (a DICOM
        series, OME-Zarr). Images in a folder may be folders themselves.
    leave_out : collection of str
        Names in the folder that are no images.

    Returns
    -------
    list of pathlib.Path
        Sorted by name; the path itself if it is one image.

    Raises
    ------
    InputError
        If there is nothing, or no image that can be read.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"There is no file or folder {path}.")
    visible = (p for p in path.iterdir() if not p.name.startswith("."))
    found = sorted(p for p in visible if p.name not in leave_out and can_read(p))
    files = [p for p in found if p.is_file()]
    # Slices of a series are one image together, and each could be read alone.
    one_series = bool(files) and all(p.suffix.lower() in _SERIES for p in files)
    if (one_series or not found or _is_zarr(path)) and can_read(path):
        return [path]
    if not found:
        raise InputError(f"There is no image that can be read in {path}.")
    return found


def _is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr"


def pair_files(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair images with masks of the same name.

    Parameters
    ----------
    images, masks : pathlib.Path
        Two files, or two folders; a mask's name may end in a word such as
        ``_mask`` or ``_segmentation``. Two folders may be the same one.

    Returns
    -------
    list of (image, mask)
        In the order of the images.

    Raises
    ------
    InputError
        If an image has no mask or two, or only one of the two is a folder.
    """
    if images.is_file() and masks.is_file():
        return [(images, masks)]
    if images.is_file() != masks.is_file():
        raise InputError("Give two files, or two folders: images and their masks.")
    found, truths = list_images(images), list_images(masks)
    if found == [images] and truths == [masks]:
        return [(images, masks)]
    if images.resolve() == masks.resolve():
        truths = [p for p in found if is_mask_name(p)]
        found = [p for p in found if not is_mask_name(p)]
    return pair_lists(found, truths, masks)


def pair_lists(
    images: Sequence[Path], masks: Iterable[Path], where: Path
) -> list[tuple[Path, Path]]:
    """Pair images with masks of the same name.

    Parameters
    ----------
    images, masks : sequence of pathlib.Path
        Masks that no image asks for are left out.
    where : pathlib.Path
        Folder of the masks, for errors.

    Returns
    -------
    list of (image, mask)
        In the order of the images.

    Raises
    ------
    InputError
        If an image has no mask or two.
    """
    by_stem: dict[str, list[Path]] = {}
    for mask in masks:
        by_stem.setdefault(key_of(mask), []).append(mask)
    pairs, alone = [], []
    for image in images:
        # The whole name first: an image may be called scan_seg itself.
        fitting = by_stem.get(stem_of(image)) or by_stem.get(key_of(image), [])
        if len(fitting) > 1:
            names = " and ".join(p.name for p in fitting[:2])
            raise InputError(f"{image.name} has two masks in {where}: {names}.")
        if fitting:
            pairs.append((image, fitting[0]))
        else:
            alone.append(image.name)
    if alone:
        more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
        raise InputError(f"No mask in {where} for: {', '.join(alone[:_NAMED])}{more}.")
    if not pairs:
        raise InputError(f"There is no image for the masks in {where}.")
    return pairs


def mask_name(image: Path, suffix: str = "", series: str = "") -> str:
    """Name for the mask of an image.

    Parameters
    ----------
    image : pathlib.Path
        The image's file or folder.
    suffix : str
        Of the mask; without one, the image's own where it keeps the place of
        the voxels, else TIFF.
    series : str
        Which one of several in the image; what a file name cannot hold becomes
        ``-``. What is too long is cut, and a checksum tells it from others.

    Returns
    -------
    str
    """
    own = split_suffix(image)[1]
    suffix = suffix or (own if own in _SAME_FORMAT else ".tif")
    stem = "_".join(filter(None, (stem_of(image), safe_name(series))))
    return f"{shortened(stem)}_mask{suffix}"
