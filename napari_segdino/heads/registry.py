"""The table of heads: the dock, the command line, errors and docs list it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any

from napari_segdino.errors import InputError, unknown_name
from napari_segdino.heads.base import Head, Recipe


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A row of the table.

    Parameters
    ----------
    name : str
        The name that users give.
    description : str
        One sentence for menus and help texts.
    location : str
        ``"module:Class"`` of the :class:`~napari_segdino.heads.base.Head`, imported
        when it is needed: decoders import torch.
    """

    name: str
    description: str
    location: str

    def load(self) -> type[Head]:
        """Import the head's class."""
        module, _, name = self.location.partition(":")
        head: type[Head] = getattr(import_module(module), name)
        return head


_ROWS = (
    HeadRow(
        "probe",
        "A classifier of pixels: a stroke is learned in hundredths of a second.",
        "napari_segdino.heads.probe.probe_head:ProbeHead",
    ),
    HeadRow(
        "mvr",
        "DINO-MVR: a perceptron on each of the last blocks, learned in seconds.",
        "napari_segdino.heads.mvr.mvr_head:MVRHead",
    ),
    HeadRow(
        "segdino",
        "A decoder: strokes take it half a minute, whole masks minutes.",
        "napari_segdino.heads.dense.segdino:SegDINO",
    ),
    HeadRow(
        "segdino_v2",
        "Pyramid decoder: strokes take half a minute, whole masks minutes.",
        "napari_segdino.heads.dense.segdino_v2:SegDINOv2",
    ),
    HeadRow(
        "meddino",
        "A decoder for scans: strokes take half a minute, whole masks minutes.",
        "napari_segdino.heads.dense.meddino:MedDINO",
    ),
)

HEADS = {row.name: row for row in _ROWS}
"""Rows by name, the default one first."""

DEFAULT_HEAD = _ROWS[0].name

FORMER_NAMES = {"mvr": "probe", "mvr_quick": "probe_quick"}
"""What heads and recipes were called in files before ``mvr`` became DINO-MVR."""


# cache calls a function once for each message.
log_once = cache(logging.getLogger(__name__).warning)
"""Many files may hold the same former name."""


def current_name(name: str) -> str:
    """Return what a head or a recipe of such a file, with options, is called now.

    Parameters
    ----------
    name : str
        Such as ``"mvr"`` or ``"mvr:steps=100"``.
    """
    base, colon, given = name.partition(":")
    now = FORMER_NAMES.get(base, base)
    if now != base:
        log_once(
            f"What this file calls {base!r} is called {now!r} now: {base!r} is "
            "DINO-MVR as it is published."
        )
    return now + colon + given


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of such a file with its head and recipe as they are called now.

    Parameters
    ----------
    settings : mapping of str to object
        Those named ``"head"`` and ``"recipe"``, if there are any, are names or None.
    """
    named = {n: settings[n] for n in ("head", "recipe") if settings.get(n)}
    return dict(settings) | {n: current_name(name) for n, name in named.items()}


def first_name(name: str) -> str:
    """Return what a head or a recipe was called first: undo :func:`current_name`.

    Parameters
    ----------
    name : str
        As it is called now.
    """
    base, colon, given = name.partition(":")
    first = {now: former for former, now in FORMER_NAMES.items()}
    return first.get(base, base) + colon + given


def head_class(name: str) -> type[Head]:
    """Return the class of a head.

    Parameters
    ----------
    name : str
        A key of :data:`HEADS`.

    Raises
    ------
    InputError
        If there is no head of this name.
    """
    if name not in HEADS:
        raise InputError(unknown_name("head", name, HEADS))
    return HEADS[name].load()


def make_head(name: str, recipe: str | None = None) -> Head:
    """Make a head.

    Parameters
    ----------
    name : str
        A key of :data:`HEADS`.
    recipe : str, optional
        How it is trained, see :func:`get_recipe`; None leaves that to the head.

    Raises
    ------
    InputError
        If there is no such head or recipe, or the recipe is of another head.
    """
    kind = head_class(name)
    if recipe is None:
        return kind()
    chosen = get_recipe(recipe)
    if chosen.head != kind.name:
        own = ", ".join(r.name for r in kind.recipes)
        raise InputError(
            f"The recipe {recipe!r} is for the head {chosen.head}, not {kind.name}, "
            f"whose recipes are {own}."
        )
    return kind(chosen)


def recipes() -> dict[str, Recipe]:
    """Return the recipes of all heads by name."""
    found = [r for row in _ROWS for r in row.load().recipes]
    return {recipe.name: recipe for recipe in found}


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Parameters
    ----------
    name : str
        A key of :func:`recipes`; options of its head may follow, such as
        ``"segdino_v2:width=512"`` or ``"segdino:activation=gelu"``.

    Raises
    ------
    InputError
        If there is no such recipe, or its head takes no such option.
    """
    base, _, given = name.partition(":")
    known = recipes()
    if base not in known:
        raise InputError(unknown_name("recipe", base, known))
    recipe = known[base]
    if not given:
        return recipe
    allowed = head_class(recipe.head).option_names()
    options = dict(recipe.options)
    for pair in given.split(","):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not (key and equals and value):
            raise InputError(f"Options of a recipe look like width=512, not {pair!r}.")
        if key not in allowed:
            kind = f"option of the recipe {base}"
            raise InputError(unknown_name(kind, key, allowed))
        options[key] = _value(value)
    return replace(recipe, name=name, options=tuple(options.items()))


def _value(text: str) -> int | float | bool | str:
    if text in ("True", "False"):
        return text == "True"
    # int first: float would make 512.0 of 512, which no layer takes for a width.
    if text.isdigit():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
