"""Layouts of data sets with a folder for each scan or video, or numbered files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from napari_segdino.errors import InputError
from napari_segdino.io.cases import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    Case,
    Dataset,
    Split,
    child,
    split_of,
)
from napari_segdino.io.pairs import key_of, pair_files, stem_of
from napari_segdino.io.read import can_read

_MASK = re.compile(r"(^|[_\-. ])(segmentation|seg|masks?|labels?|gt)$", re.I)
_NUMBERED = re.compile(r"([a-z]+)[-_]?(\d+)", re.I)
_IMAGE_WORDS = ("img", "image", "imaging", "volume", "vol", "scan", "ct")
_MASK_WORDS = ("segmentation", "seg", "label", "mask", "gt")


def _files(root: Path) -> Iterator[Path]:
    yield from (p for p in sorted(root.rglob("*")) if p.is_file() and can_read(p))


def videos(root: Path) -> Dataset | None:
    """List frames: ``train/images/a`` as ViSha has them, or VMD-D's ``a/JPEGImages``.

    Frames of one video are one group.

    Parameters
    ----------
    root : pathlib.Path
        The data set.

    Returns
    -------
    Dataset or None
        None where the folder has another layout, here and below.
    """
    cases: list[Case] = []
    for images in sorted(p for p in root.rglob("*") if p.name.lower() in IMAGE_FOLDERS):
        masks = child(images.parent, MASK_FOLDERS)
        if masks is None:
            continue
        split = split_of(images, root)
        inside = [p for p in sorted(images.iterdir()) if (masks / p.name).is_dir()]
        pairs = [(p, masks / p.name, p.name) for p in inside]
        for frames, truths, video in pairs or [(images, masks, images.parent.name)]:
            cases += (
                Case(f"{video}/{key_of(image)}", (image,), mask, split, video)
                for image, mask in pair_files(frames, truths)
            )
    return Dataset(root, "a folder for each video", tuple(cases)) if cases else None


def case_folders(root: Path) -> Dataset | None:
    """List scans in folders: BraTS's ``*_flair`` and ``*_seg``, KiTS's ``imaging``.

    Files that differ in their last word are channels, which that word names.

    Parameters
    ----------
    root : pathlib.Path
        The data set.

    Raises
    ------
    InputError
        If the scans do not all have the same channels.
    """
    folders: dict[Path, list[Path]] = {}
    for path in _files(root):
        if path.parent != root:
            folders.setdefault(path.parent, []).append(path)
    cases, channels = [], set()
    for folder, files in folders.items():
        masks = [p for p in files if _MASK.search(stem_of(p))]
        images = {re.split(r"[_-]", stem_of(p))[-1]: p for p in files if p not in masks}
        if len(masks) > 1 or len(images) < len(files) - len(masks):
            return None
        if masks and images:
            names = tuple(sorted(images))
            channels.add(names)
            found = tuple(images[name] for name in names)
            # It reads the folders of a file, so it is given one.
            split = split_of(folder / "file", root)
            cases.append(Case(folder.name, found, masks[0], split, folder.name))
    if not cases:
        return None
    if len(channels) > 1:
        # The shortest and the longest list.
        few, many = sorted(channels, key=len)[:: len(channels) - 1]
        raise InputError(
            f"The scans in {root} differ in their channels: {', '.join(many)} and "
            f"{', '.join(few)}."
        )
    names = channels.pop()
    named = names if len(names) > 1 else ()
    return Dataset(root, "a folder for each scan", _free(cases), {}, named)


def numbered(root: Path) -> Dataset | None:
    """Pair images and masks by number: ``volume-0`` and ``segmentation-0``.

    Images without a mask are left out, such as those of a test that others score.

    Parameters
    ----------
    root : pathlib.Path
        The data set.
    """
    found: dict[bool, dict[tuple[str, Split], Path]] = {True: {}, False: {}}
    for path in _files(root):
        match = _NUMBERED.fullmatch(stem_of(path))
        word = match[1].lower() if match else ""
        if match and word in (*_IMAGE_WORDS, *_MASK_WORDS):
            of_kind, key = found[word in _MASK_WORDS], (match[2], split_of(path, root))
            # Two files of one number are of another layout.
            if key in of_kind:
                return None
            of_kind[key] = path
    masks, images = found[True], found[False]
    if not masks or not masks.keys() <= images.keys():
        return None
    cases = [
        Case(stem_of(images[key]), (images[key],), mask, key[1])
        for key, mask in sorted(masks.items())
    ]
    return Dataset(root, "numbered images and masks", _free(cases))


def _free(cases: list[Case]) -> tuple[Case, ...]:
    """Leave the split open where all cases are in the same one."""
    if len({case.split for case in cases}) > 1:
        return tuple(cases)
    return tuple(replace(case, split="") for case in cases)
