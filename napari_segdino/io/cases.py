"""Cases of a data set: which files belong together, and where they are learned from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
        From dataset.json or the files' names; more than one: files of four axes hold
        channels.
    """

    root: Path
    layout: str
    cases: tuple[Case, ...]
    label_names: Mapping[int, str] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()

    def of(self, split: Split) -> tuple[Case, ...]:
        """Cases that the data set puts into a split.

        Parameters
        ----------
        split : {"", "train", "validation", "test"}
            Which one.
        """
        return tuple(c for c in self.cases if c.split == split)


IMAGE_FOLDERS = ("image", "images", "img", "imgs", "jpegimages")
MASK_FOLDERS = (
    "mask",
    "masks",
    "label",
    "labels",
    "gt",
    "groundtruth",
    "annotations",
    "segmentationclasspng",
)
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


def child(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the subfolder of one of these names, capitals or not.

    Parameters
    ----------
    folder : pathlib.Path
        Where to look; it may be missing.
    names : tuple of str
        In small letters; the first that is there counts.
    """
    if not folder.is_dir():
        return None
    children = {p.name.lower(): p for p in folder.iterdir() if p.is_dir()}
    return next((children[n] for n in names if n in children), None)


def split_of(path: Path, root: Path) -> Split:
    """Read a split from the names of the folders of a file.

    Parameters
    ----------
    path : pathlib.Path
        A file below `root`; its own name does not count.
    root : pathlib.Path
        The data set.
    """
    for part in path.relative_to(root).parts[:-1]:
        # A digit ends a word as well: train2017 is train.
        for word in re.split(r"[^a-z0-9]+|(?<=[a-z])(?=\d)", part.lower()):
            if word in SPLIT_WORDS:
                return SPLIT_WORDS[word]
    return ""
