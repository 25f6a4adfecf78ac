"""Which cases train, choose the best epoch and are scored; groups stay whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_segdino.errors import InputError
from napari_segdino.io.cases import Case, Dataset

VALIDATION = 0.2
TEST = 0.2
"""Shares where neither the data set nor the user says."""


@dataclass(frozen=True, slots=True)
class Splits:
    """The three parts of a data set.

    Parameters
    ----------
    train, validation, test : tuple of Case
        No group is in two of them.
    notes : tuple of str
        What the user should know, a sentence each.
    """

    train: tuple[Case, ...]
    validation: tuple[Case, ...]
    test: tuple[Case, ...]
    notes: tuple[str, ...] = ()


def split_cases(
    dataset: Dataset,
    validation: float = VALIDATION,
    test: float = TEST,
    seed: int = 0,
) -> Splits:
    """Split a data set; what it says itself is kept.

    Parameters
    ----------
    dataset : Dataset
        Its cases with their groups.
    validation : float
        Share of the cases that are not for the test, where the data set has no
        validation cases.
    test : float
        Share of all cases, where the data set has no test cases.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    Splits

    Raises
    ------
    InputError
        If there are too few groups.
    """
    rng = np.random.default_rng(seed)
    pool = [c for c in dataset.cases if c.split in ("", "train")]
    notes = []
    tests, choosers = list(dataset.of("test")), list(dataset.of("validation"))
    if not tests:
        # Training needs a group of the rest, and so does validation if it has none.
        pool, tests = draw(pool, test, rng, leave=1 if choosers else 2)
        notes.append(f"The test cases were drawn: {len(tests)} (seed {seed}).")
    # Where groups collide, the test keeps its cases, then the validation.
    choosers, note = without_groups(choosers, tests, "validation")
    notes += note
    pool, note = without_groups(pool, [*tests, *choosers], "training")
    notes += note
    if not choosers:
        pool, choosers = draw(pool, validation, rng)
        notes.append(f"The validation cases were drawn: {len(choosers)} (seed {seed}).")
    if not pool:
        raise InputError("No case is left to train on.")
    return Splits(tuple(pool), tuple(choosers), tuple(tests), tuple(notes))


def draw(
    cases: Sequence[Case], share: float, rng: np.random.Generator, leave: int = 1
) -> tuple[list[Case], list[Case]]:
    """Take whole groups by chance until they hold a share of the cases.

    Parameters
    ----------
    cases : sequence of Case
        All.
    share : float
        Of the cases, between 0 and 1; at least one group is taken.
    rng : numpy.random.Generator
        Chance.
    leave : int
        Groups that are left at least.

    Returns
    -------
    rest, taken : list of Case
        In the order given.

    Raises
    ------
    InputError
        If there are too few groups.
    """
    names = sorted({c.group for c in cases})
    if len(names) <= leave:
        raise InputError(
            f"{len(cases)} cases of {len(names)} groups cannot be split: "
            "train, validation and test need a group each."
        )
    taken: set[str] = set()
    wanted, count = share * len(cases), 0
    for i in rng.permutation(len(names))[:-leave]:
        # Half a case is as near as whole ones come.
        if taken and count + 0.5 >= wanted:
            break
        taken.add(names[i])
        count += sum(c.group == names[i] for c in cases)
    rest = [c for c in cases if c.group not in taken]
    return rest, [c for c in cases if c.group in taken]


def without_groups(
    cases: Sequence[Case], others: Sequence[Case], what: str
) -> tuple[list[Case], list[str]]:
    """Leave out cases whose group is on the other side, and say so.

    Parameters
    ----------
    cases, others : sequence of Case
        The two sides.
    what : str
        What `cases` are for, for the sentence.

    Returns
    -------
    kept : list of Case
    notes : list of str
        Empty, or one sentence.
    """
    groups = {c.group for c in others}
    kept = [c for c in cases if c.group not in groups]
    left = len(cases) - len(kept)
    if not left:
        return kept, []
    return kept, [f"{left} {what} cases are left out: their groups are tested on."]
