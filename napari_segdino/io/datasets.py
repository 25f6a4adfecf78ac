"""Data sets on disk: which layout a folder has, and which files make a case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from napari_segdino.errors import InputError
from napari_segdino.io.cases import Case, Dataset, Split
from napari_segdino.io.msd import open_msd
from napari_segdino.io.pairs import (
    is_mask_name,
    key_of,
    pair_files,
    stem_of,
)
from napari_segdino.io.read import can_read

IMAGE_FOLDERS = ("image", "images", "img", "imgs")
MASK_FOLDERS = ("mask", "masks", "label", "labels", "gt", "groundtruth", "annotations")
SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_ISIC = "_segmentation"
LOOKED_FOR = (
    "train/image and train/mask (and test/, validation/)",
    "images and masks",
    "*_segmentation masks beside or in a sibling folder of their images",
    "imagesTr and labelsTr (dataset.json)",
    "images with masks named *_mask beside them",
)
"""Layouts that are recognised, in words."""


def open_dataset(root: Path, group_regex: str | None = None) -> Dataset:
    """Recognise the layout of a folder and list its cases.

    Parameters
    ----------
    root : pathlib.Path
        The data set.
    group_regex : str, optional
        What of a case's name says whose it is: its first group, or all that
        it matches.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the layout is none of :data:`LOOKED_FOR`, images have no masks, or
        the regular expression is none or fits no name.
    """
    if not root.is_dir():
        raise InputError(f"There is no folder {root}.")
    readers: tuple[Callable[[Path], Dataset | None], ...] = (
        open_msd,
        _split_folders,
        _two_folders,
        _isic,
        _beside,
    )
    for reader in readers:
        found = reader(root)
        if found is not None:
            return _grouped(_unique(found), group_regex)
    raise InputError(
        f"No data set was recognised in {root}: looked for {'; '.join(LOOKED_FOR)}."
    )


def dataset_of(
    pairs: list[tuple[Path, Path]], root: Path, group_regex: str | None = None
) -> Dataset:
    """Make a data set of pairs of image and mask; see :func:`open_dataset`."""
    cases = tuple(Case(key_of(image), (image,), mask) for image, mask in pairs)
    return _grouped(_unique(Dataset(root, "pairs", cases)), group_regex)


# -- layouts ---------------------------------------------------------------


def _cases(
    images: Path, masks: Path, split: Split = "", prefix: str = ""
) -> Iterator[Case]:
    for image, mask in pair_files(images, masks):
        yield Case(prefix + key_of(image), (image,), mask, split)


def _child(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the subfolder of one of these names, capitals or not."""
    if not folder.is_dir():
        return None
    children = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    return next((children[n] for n in names if n in children), None)


def _split_folders(root: Path) -> Dataset | None:
    """``train/image`` and ``train/mask``, or ``train-image`` and ``train-mask``."""
    cases: list[Case] = []
    for word, split in SPLIT_WORDS.items():
        inside = _child(root, (word,)) or root / word
        found = [(_child(inside, IMAGE_FOLDERS), _child(inside, MASK_FOLDERS))]
        for sign in "-_":
            images = tuple(f"{word}{sign}{n}" for n in IMAGE_FOLDERS)
            masks = tuple(f"{word}{sign}{n}" for n in MASK_FOLDERS)
            found.append((_child(root, images), _child(root, masks)))
        for image_folder, mask_folder in found:
            if image_folder is not None and mask_folder is not None:
                cases += _cases(image_folder, mask_folder, split)
    return Dataset(root, "train/image, train/mask", tuple(cases)) if cases else None


def _two_folders(root: Path) -> Dataset | None:
    """``images`` and ``masks``, as Kvasir-SEG has them."""
    images, masks = _child(root, IMAGE_FOLDERS), _child(root, MASK_FOLDERS)
    if images is None or masks is None:
        return None
    return Dataset(root, "images, masks", tuple(_cases(images, masks)))


def _split_of(path: Path, root: Path) -> Split:
    """Read a split from the names of the folders of a file."""
    for part in path.relative_to(root).parts[:-1]:
        for word in re.split(r"[^a-z0-9]+|(?<=[a-z])(?=\d)", part.lower()):
            if word in SPLIT_WORDS:
                return SPLIT_WORDS[word]
    return ""


def _isic(root: Path) -> Dataset | None:
    """``*_segmentation`` masks in sibling folders of their images, or beside."""
    files = [p for p in sorted(root.rglob("*")) if p.is_file()]
    masks = {
        (stem_of(p)[: -len(_ISIC)], _split_of(p, root)): p
        for p in files
        if stem_of(p).lower().endswith(_ISIC)
    }
    if not masks:
        return None
    keys = {p: (stem_of(p), _split_of(p, root)) for p in files}
    images = {key: p for p, key in keys.items() if key in masks and can_read(p)}
    if missing := sorted(name for name, _ in masks.keys() - images.keys()):
        names = ", ".join(missing[:5])
        raise InputError(f"There is no image in {root} for the masks of: {names}.")
    cases = [
        Case(name, (images[name, split],), mask, split)
        for (name, split), mask in sorted(masks.items())
    ]
    return Dataset(root, "*_segmentation", tuple(cases))


def _beside(root: Path) -> Dataset | None:
    """Images with ``*_mask`` beside them."""
    if not any(p.is_file() and is_mask_name(p) and can_read(p) for p in root.iterdir()):
        return None
    return Dataset(root, "*_mask beside images", tuple(_cases(root, root)))


# -- names and groups ------------------------------------------------------


def _unique(dataset: Dataset) -> Dataset:
    """Put the split before names that occur in two of them."""
    counts = Counter(c.name for c in dataset.cases)
    cases = tuple(
        replace(c, name=f"{c.split}/{c.name}") if counts[c.name] > 1 else c
        for c in dataset.cases
    )
    if len({c.name for c in cases}) < len(cases):
        twice = next(n for n, k in Counter(c.name for c in cases).items() if k > 1)
        raise InputError(f"{dataset.root} holds two images named {twice}.")
    return replace(dataset, cases=cases)


def _grouped(dataset: Dataset, group_regex: str | None) -> Dataset:
    """Say of each case whose it is."""
    if group_regex is None:
        cases = [replace(c, group=c.group or c.name) for c in dataset.cases]
        return replace(dataset, cases=tuple(cases))
    try:
        pattern = re.compile(group_regex)
    except re.error as error:
        raise InputError(
            f"{group_regex!r} is no regular expression: {error}."
        ) from error
    cases = []
    for case in dataset.cases:
        match = pattern.search(case.name)
        if match is None:
            raise InputError(f"{group_regex!r} does not fit the case {case.name}.")
        cases.append(replace(case, group=match.group(1 if pattern.groups else 0)))
    return replace(dataset, cases=tuple(cases))
