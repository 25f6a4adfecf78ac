"""How values are read from what is typed."""

from __future__ import annotations

from typing import Any

import click

from napari_segdino.errors import unknown_name


class OneOf(click.Choice):  # type: ignore[type-arg]
    """One of some names; another is refused with the close one."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the name.

        Parameters
        ----------
        value : object
            As typed.
        param : click.Parameter
            The option.
        ctx : click.Context
            Of the command.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            text = unknown_name(param.name.replace("_", " "), value, self.choices)
            raise click.BadParameter(text, ctx, param) from error


class ManyValues(click.Command):
    """A command whose repeated options take several values after their name.

    ``--shots 1 5 20 DIR`` and ``--shots 1,5,20 DIR`` are read as
    ``--shots 1 --shots 5 --shots 20 DIR``: numbers after such an option are
    its own.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option's name before each of its numbers.

        Parameters
        ----------
        ctx : click.Context
            Of the command.
        args : list of str
            As typed, after the command's name.
        """
        names = {
            name
            for param in self.params
            if isinstance(param, click.Option) and param.multiple
            for name in param.opts
        }
        return super().parse_args(ctx, spread(args, names))


class MaskSuffix(click.ParamType):  # type: ignore[type-arg]
    """The suffix of a mask; names those that there are when the help is shown."""

    name = "suffix"

    def get_metavar(
        self, param: click.Parameter, ctx: click.Context | None = None
    ) -> str:
        """Return the suffixes; the context is click 8.2's.

        Parameters
        ----------
        param : click.Parameter
            The option.
        ctx : click.Context, optional
            Of the command; click before 8.2 gives none.
        """
        from napari_segdino.io.formats import MASK_SUFFIXES

        return f"[{'|'.join(MASK_SUFFIXES)}]"


def spread(args: list[str], names: set[str]) -> list[str]:
    """Repeat option names so that each stands before one number.

    Parameters
    ----------
    args : list of str
        As typed.
    names : set of str
        Options that take several numbers.

    Returns
    -------
    list of str
    """
    out: list[str] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        # What follows is arguments, whatever it looks like.
        if arg == "--":
            return [*out, arg, *rest]
        name, equals, value = arg.partition("=")
        if name not in names:
            out.append(arg)
            continue
        values = _numbers(value) if equals else []
        while rest and (more := _numbers(rest[0])):
            values += more
            rest.pop(0)
        out += [part for v in values for part in (name, v)] or [arg]
    return out


def _numbers(text: str) -> list[str]:
    """Split ``"1,5"`` into its numbers; empty if it is something else."""
    parts = text.split(",")
    return parts if all(p.lstrip("-").isdigit() for p in parts) else []
