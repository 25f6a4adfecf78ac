"""``imagesTr`` and ``labelsTr``: Medical Decathlon, AMOS and nnU-Net."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_segdino.errors import InputError
from napari_segdino.io.cases import Case, Dataset, Split
from napari_segdino.io.pairs import list_images, pair_lists, stem_of

_FOLDERS: tuple[tuple[str, str, Split], ...] = (
    ("imagesTr", "labelsTr", "train"),
    ("imagesVa", "labelsVa", "validation"),
    ("imagesTs", "labelsTs", "test"),
)
_CHANNEL = re.compile(r"_\d{4}$")
_PATIENT_KEYS = ("patient", "patient_id", "subject", "subject_id", "group")


def open_msd(root: Path) -> Dataset | None:
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
