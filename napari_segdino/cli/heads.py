"""Options that depend on each other: the head, its recipe, and the cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_segdino.errors import InputError, unknown_name
from napari_segdino.heads.registry import DEFAULT_HEAD, HEADS, get_recipe, make_head

if TYPE_CHECKING:
    from napari_segdino.io.cases import Dataset


def _known_head(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Check the name of a head."""
    if value and value not in HEADS:
        raise click.BadParameter(unknown_name("head", value, HEADS), ctx, param)
    return value


def _known_recipe(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Check the name of a recipe and its options."""
    try:
        if value:
            make_head(get_recipe(value).head, value)
        return value
    except InputError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def head_option(default: str = DEFAULT_HEAD) -> Callable[..., Any]:
    """Return the option ``--head``; `default` is trained without it and a recipe.

    Parameters
    ----------
    default : str
        What is trained where neither is given.
    """
    return click.option(
        "--head",
        callback=_known_head,
        metavar="NAME",
        help=f"What is trained: {', '.join(HEADS)}.  [default: {default}, or the "
        "recipe's]",
    )


def recipe_option(what: str) -> Callable[..., Any]:
    """Return the option ``--recipe``.

    Parameters
    ----------
    what : str
        Its help.
    """
    return click.option("--recipe", callback=_known_recipe, metavar="NAME", help=what)


def chosen_head(
    head: str | None, recipe: str | None, default: str = DEFAULT_HEAD
) -> str:
    """Return the head that is trained.

    Parameters
    ----------
    head, recipe : str, optional
        As given.
    default : str
        Where neither is.

    Raises
    ------
    click.UsageError
        If the recipe is another head's.
    """
    # Checked here and not by a callback: neither option knows the other's value there.
    own = None if recipe is None else get_recipe(recipe).head
    if own is not None and head not in (None, own):
        raise click.UsageError(f"--recipe {recipe} is for --head {own}.")
    return head or own or default


def chosen_cases(folder: Path, given: Mapping[str, Any]) -> Dataset:
    """Open a data set and take what the options of its layout say.

    Parameters
    ----------
    folder : pathlib.Path
        The data set.
    given : mapping of str to object
        Options of :data:`~napari_segdino.cli.options.layout_options`.
    """
    from napari_segdino.io.datasets import narrowed, open_dataset

    dataset = open_dataset(folder, given["group_regex"])
    return narrowed(dataset, given["only"], given["channel"])
