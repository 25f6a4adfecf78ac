"""Data sets on disk: which layout a folder has, and which files make a case."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from napari_segdino.errors import InputError
from napari_segdino.io.pairs import (
    is_mask_name,
    key_of,
    list_images,
    pair_files,
    pair_lists,
    stem_of,
)
from napari_segdino.io.read import can_read

Split = Literal["", "train", "validation", "test"]
"""Where a data set puts a case; empty where it does not say."""


@dataclass(frozen=True, slots=True)
class Case:
    """One image of a data set and its mask.

    Parameters
    ----------
    name : str
        Unique in the data set.
    images : tuple of pathlib.Path
        One file, or one for each channel.
    mask : pathlib.Path
        Its mask.
    split : {"", "train", "validation", "test"}
        Where the data set puts it; empty where it does not say.
    group : str
        Whose it is; its own name where that is not known.
    """

    name: str
    images: tuple[Path, ...]
    mask: Path
    split: Split = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """The cases of a folder.

    Parameters
    ----------
    root : pathlib.Path
        The folder.
    layout : str
        How it was recognised, in words.
    cases : tuple of Case
        In order of split and name.
    label_names : mapping of int to str
        From dataset.json; empty where nothing names them.
    channel_names : tuple of str
        From dataset.json; more than one: files of four axes hold channels.
    """

    root: Path
    layout: str
    cases: tuple[Case, ...]
    label_names: Mapping[int, str] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()

    def of(self, split: Split) -> tuple[Case, ...]:
        """Cases that the data set puts into a split."""
        return tuple(c for c in self.cases if c.split == split)


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
_FOLDERS: tuple[tuple[str, str, Split], ...] = (
    ("imagesTr", "labelsTr", "train"),
    ("imagesVa", "labelsVa", "validation"),
    ("imagesTs", "labelsTs", "test"),
)
_CHANNEL = re.compile(r"_\d{4}$")
_PATIENT_KEYS = ("patient", "patient_id", "subject", "subject_id", "group")
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
        _tr_folders,
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
