"""Data sets on disk: which layout a folder has, and which files make a case."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_segdino.errors import InputError, unknown_name
from napari_segdino.io.cases import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    SPLIT_WORDS,
    Case,
    Dataset,
    Split,
    child,
    split_of,
)
from napari_segdino.io.folder_layouts import case_folders, numbered, videos
from napari_segdino.io.pairs import (
    is_mask_name,
    key_of,
    list_images,
    pair_files,
    pair_lists,
    stem_of,
)
from napari_segdino.io.read import can_read

_ISIC = "_segmentation"
_FOLDERS: tuple[tuple[str, str, Split], ...] = (
    ("imagesTr", "labelsTr", "train"),
    ("imagesVa", "labelsVa", "validation"),
    ("imagesTs", "labelsTs", "test"),
)
# How nnU-Net numbers the files of a case, one for each channel.
_CHANNEL = re.compile(r"_\d{4}$")
_PATIENT_KEYS = ("patient", "patient_id", "subject", "subject_id", "group")
Reader = Callable[[Path], Dataset | None]

LOOKED_FOR = (
    "train/image and train/mask (and test/, validation/)",
    "images and masks",
    "*_segmentation masks beside or in a sibling folder of their images",
    "imagesTr and labelsTr (dataset.json)",
    "images with masks named *_mask beside them",
    "a folder for each video (train/images/a and train/labels/a, or "
    "train/a/JPEGImages and train/a/SegmentationClassPNG)",
    "a folder for each scan (a_flair and a_seg, or imaging and segmentation)",
    "numbered images and masks (volume-0 and segmentation-0, img0001 and label0001)",
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
    in_files: tuple[Reader, ...] = (
        _tr_folders,
        _split_folders,
        _two_folders,
        _isic,
        _beside,
    )
    in_folders: tuple[Reader, ...] = (numbered, videos, case_folders)
    fault: InputError | None = None
    for readers in (in_files, in_folders):
        for reader in readers:
            try:
                found = reader(root)
            except InputError as error:
                # What fails as files of the same names may be folders or numbers.
                fault = fault or error
                break
            if found is not None:
                return _grouped(_unique(found), group_regex)
    if fault is not None:
        raise fault
    raise InputError(
        f"No data set was recognised in {root}: looked for {'; '.join(LOOKED_FOR)}."
    )


def narrowed(
    dataset: Dataset, only: str | None = None, channel: str | None = None
) -> Dataset:
    """Return some cases of a data set, and one channel of each.

    Parameters
    ----------
    dataset : Dataset
        Of :func:`open_dataset`.
    only : str, optional
        Regular expression that the names of cases fit; None takes all.
    channel : str, optional
        Name of one of several channels, each in files of its own; None takes all.

    Raises
    ------
    InputError
        If there are no such cases or is no such channel.
    """
    if only is not None:
        pattern = _pattern(only)
        cases = tuple(c for c in dataset.cases if pattern.search(c.name))
        if not cases:
            raise InputError(f"{only!r} fits no case of {dataset.root}.")
        dataset = replace(dataset, cases=cases)
    if channel is None:
        return dataset
    names = [name.lower() for name in dataset.channel_names]
    if channel.lower() not in names:
        raise InputError(unknown_name("channel", channel, dataset.channel_names))
    index = names.index(channel.lower())
    if any(len(case.images) != len(names) for case in dataset.cases):
        raise InputError(f"{dataset.root} does not hold a file for each channel.")
    cases = tuple(replace(c, images=(c.images[index],)) for c in dataset.cases)
    return replace(dataset, cases=cases, channel_names=())


def dataset_of(
    pairs: list[tuple[Path, Path]], root: Path, group_regex: str | None = None
) -> Dataset:
    """Make a data set of pairs of image and mask; see :func:`open_dataset`.

    Parameters
    ----------
    pairs : list of (pathlib.Path, pathlib.Path)
        Image and mask.
    root : pathlib.Path
        What errors name.
    group_regex : str, optional
        See :func:`open_dataset`.
    """
    cases = tuple(Case(key_of(image), (image,), mask) for image, mask in pairs)
    return _grouped(_unique(Dataset(root, "pairs", cases)), group_regex)


# -- layouts ---------------------------------------------------------------


def _cases(
    images: Path, masks: Path, split: Split = "", prefix: str = ""
) -> Iterator[Case]:
    for image, mask in pair_files(images, masks):
        yield Case(prefix + key_of(image), (image,), mask, split)


def _split_folders(root: Path) -> Dataset | None:
    """``train/image`` and ``train/mask``, or ``train-image`` and ``train-mask``."""
    cases: list[Case] = []
    for word, split in SPLIT_WORDS.items():
        inside = child(root, (word,)) or root / word
        found = [(child(inside, IMAGE_FOLDERS), child(inside, MASK_FOLDERS))]
        for sign in "-_":
            images = tuple(f"{word}{sign}{n}" for n in IMAGE_FOLDERS)
            masks = tuple(f"{word}{sign}{n}" for n in MASK_FOLDERS)
            found.append((child(root, images), child(root, masks)))
        for image_folder, mask_folder in found:
            if image_folder is not None and mask_folder is not None:
                cases += _cases(image_folder, mask_folder, split)
    return Dataset(root, "train/image, train/mask", tuple(cases)) if cases else None


def _two_folders(root: Path) -> Dataset | None:
    """``images`` and ``masks``, as Kvasir-SEG has them."""
    images, masks = child(root, IMAGE_FOLDERS), child(root, MASK_FOLDERS)
    if images is None or masks is None:
        return None
    return Dataset(root, "images, masks", tuple(_cases(images, masks)))


def _isic(root: Path) -> Dataset | None:
    """``*_segmentation`` masks in sibling folders of their images, or beside."""
    visible = (p for p in sorted(root.rglob("*")) if not p.name.startswith("."))
    files = [p for p in visible if p.is_file()]
    masks = {
        (stem_of(p)[: -len(_ISIC)], split_of(p, root)): p
        for p in files
        if stem_of(p).lower().endswith(_ISIC)
    }
    if not masks:
        return None
    keys = {p: (stem_of(p), split_of(p, root)) for p in files}
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


# -- imagesTr and labelsTr: Medical Decathlon, AMOS and nnU-Net -----------------


def _tr_folders(root: Path) -> Dataset | None:
    """List the cases of a folder with ``imagesTr`` and ``labelsTr``.

    Parameters
    ----------
    root : pathlib.Path
        The data set. A ``dataset.json`` in it names labels and channels, and
        may say whose a case is (``"patient"`` in its list of cases).

    Returns
    -------
    Dataset or None
        None where there are no such folders. All cases are free to be split
        where only ``Tr`` has labels.

    Raises
    ------
    InputError
        If an image has no mask, or dataset.json cannot be understood.
    """
    cases: list[Case] = []
    for images, masks, split in _FOLDERS:
        if (root / images).is_dir() and (root / masks).is_dir():
            cases += _channel_cases(root / images, root / masks, split)
    if not cases:
        return None
    meta = _read_json(root / "dataset.json")
    patients = _patients(meta)
    # A Ts folder mostly has images only: then nothing is held out by the data set.
    alone = all(c.split == "train" for c in cases)
    cases = [
        replace(c, group=patients.get(c.name, ""), split="" if alone else c.split)
        for c in cases
    ]
    return Dataset(
        root,
        "imagesTr, labelsTr",
        tuple(cases),
        _label_names(meta.get("labels", {}), root),
        _channel_names(meta, root),
    )


def _channel_cases(images: Path, masks: Path, split: Split) -> Iterator[Case]:
    """Pair files; ``case_0000`` and ``case_0001`` are channels of one case."""
    truths = {stem_of(p): p for p in list_images(masks) if p.is_file()}
    by_case: dict[str, list[Path]] = {}
    for path in list_images(images):
        stem = stem_of(path)
        # The whole name first: amos_0001 is a case and not a channel of amos.
        name = stem if stem in truths else _CHANNEL.sub("", stem)
        by_case.setdefault(name, []).append(path)
    alone = [paths[0] for name, paths in by_case.items() if name not in truths]
    if alone:
        pair_lists(alone, [], masks)  # says which images have no mask
    for name, paths in by_case.items():
        yield Case(name, tuple(paths), truths[name], split)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        # Some editors begin a file with a byte order mark, which json refuses.
        meta = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if not isinstance(meta, dict):
        raise InputError(f"{path} does not describe a data set.")
    return meta


def _channel_names(meta: Mapping[str, Any], root: Path) -> tuple[str, ...]:
    channels = meta.get("channel_names", meta.get("modality", {}))
    if not isinstance(channels, dict):
        raise InputError(f"The channels in {root / 'dataset.json'} cannot be read.")
    return tuple(str(name) for name in channels.values())


def _label_names(labels: Any, root: Path) -> dict[int, str]:
    """Read both ``{"1": "liver"}`` and ``{"liver": 1}``."""
    if not isinstance(labels, dict):
        raise InputError(f"The labels in {root / 'dataset.json'} cannot be read.")
    names = {}
    for key, value in labels.items():
        number, name = (key, value) if str(key).isdigit() else (value, key)
        if str(number).isdigit():  # nnU-Net's regions are lists: they name no label
            names[int(number)] = str(name)
    return names


def _patients(meta: Mapping[str, Any]) -> dict[str, str]:
    """Whose each case is, where dataset.json says so."""
    found = {}
    for part in ("training", "validation", "test"):
        for entry in meta.get(part, []):
            if isinstance(entry, dict) and "image" in entry:
                name = _CHANNEL.sub("", stem_of(Path(str(entry["image"]))))
                who = (entry[k] for k in _PATIENT_KEYS if k in entry)
                found[name] = str(next(who, ""))
    return found


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
    pattern = _pattern(group_regex)
    cases = []
    for case in dataset.cases:
        match = pattern.search(case.name)
        if match is None:
            raise InputError(f"{group_regex!r} does not fit the case {case.name}.")
        cases.append(replace(case, group=match.group(1 if pattern.groups else 0)))
    return replace(dataset, cases=tuple(cases))


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(f"{text!r} is no regular expression: {error}.") from error
