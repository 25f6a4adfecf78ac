"""What a data set is: cases of images and masks, with their split and group."""

from __future__ import annotations

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
