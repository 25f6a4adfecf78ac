"""Whether values that come from a file are of the types that the code says."""

from __future__ import annotations

import numbers
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

# JSON writes 1.0 as 1 where another program made it, so a float may be whole.
_KINDS: dict[Any, Any] = {int: numbers.Integral, float: numbers.Real}


def matches(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, lists standing for tuples as JSON has it.

    Parameters
    ----------
    value : object
        What was read.
    hint : type
        An annotation: of plain types, tuples, lists, mappings, literals, unions.

    Returns
    -------
    bool
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in args
    if origin in (Union, types.UnionType):
        return any(matches(value, one) for one in args)
    # tuple[int, int] has a fixed length; tuple[int, ...] is a list of any.
    if origin is tuple and args[-1] is not Ellipsis:
        sized = isinstance(value, list | tuple) and len(value) == len(args)
        return sized and all(map(matches, value, args))
    if origin in (tuple, list):
        many = isinstance(value, list | tuple)
        return many and all(matches(one, args[0]) for one in value)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            matches(k, args[0]) and matches(v, args[1]) for k, v in value.items()
        )
    # numbers.Integral lets numpy's integers pass. JSON's true is an int to Python, but
    # no number to a user.
    if hint in _KINDS:
        return isinstance(value, _KINDS[hint]) and not isinstance(value, bool)
    return isinstance(value, hint)


def check_types(values: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """See that the values that have a hint are of that type.

    Parameters
    ----------
    values : mapping of str to object
        What was read; others may be missing, or more.
    hints : mapping of str to type
        See :func:`matches`.

    Raises
    ------
    TypeError
        If one is not; it names it.
    """
    for name in values.keys() & hints.keys():
        if not matches(values[name], hints[name]):
            raise TypeError(f"{name} is {values[name]!r:.80}, not {hints[name]}")
