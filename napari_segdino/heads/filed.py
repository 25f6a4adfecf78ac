"""What a probe file holds is seen to fit before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from napari_segdino.heads.base import Tensors

if TYPE_CHECKING:
    from torch import nn

LARGEST = 1e9
"""No number in a probe that was trained is larger; greater ones become NaN in masks."""

WEIGHTS = "head."
"""Names of a network's weights begin so."""


def checked(
    tensor: torch.Tensor, dtype: torch.dtype, dims: str, sizes: dict[str, int]
) -> torch.Tensor:
    """Return a tensor in the type it shall have, if it is one of such.

    Parameters
    ----------
    tensor : torch.Tensor
        As read.
    dtype : torch.dtype
        What it shall be.
    dims : str
        A letter for each axis.
    sizes : dict of str to int
        Lengths by letter, as far as they are known: the others are added.

    Raises
    ------
    ValueError
        If its shape does not fit, or numbers are not finite, or not those of `dtype`.
    """
    both = tensor.dtype, dtype
    found = [sizes.setdefault(d, n) for d, n in zip(dims, tensor.shape, strict=False)]
    if tensor.dim() != len(dims) or found != list(tensor.shape):
        raise ValueError(f"({dims}) of {sizes}, not of {tuple(tensor.shape)}")
    # Another precision is welcome, another kind is not: `to` would turn floats into
    # labels without a word.
    kinds = [(d.is_floating_point, d.is_complex, d == torch.bool) for d in both]
    if kinds[0] != kinds[1]:
        raise ValueError(f"{dtype}, not {tensor.dtype}")
    made = tensor.to(dtype)
    if not dtype.is_floating_point:
        if not torch.equal(made.to(tensor.dtype), tensor):
            raise ValueError(f"not all of them are {dtype}")
    # Put so that NaN fails as well: any comparison with it is false.
    elif made.numel() and not float(made.abs().max()) <= LARGEST:
        raise ValueError("not all of them are finite")
    return made


def load_weights(module: nn.Module, tensors: Tensors) -> None:
    """Give a network that was made on the meta device its weights.

    Nothing is allocated for sizes that only the settings of a file claim.

    Parameters
    ----------
    module : torch.nn.Module
        On the meta device; changed in place.
    tensors : dict of str to torch.Tensor
        Those of its weights begin with :data:`WEIGHTS`; others are left alone.

    Raises
    ------
    ValueError, RuntimeError
        If they are not its own.
    """
    wanted: Mapping[str, torch.Tensor] = module.state_dict()
    named = {
        name.removeprefix(WEIGHTS): tensor
        for name, tensor in tensors.items()
        if name.startswith(WEIGHTS)
    }
    for name in named.keys() & wanted.keys():
        # One letter an axis: `checked` then compares the whole shape.
        axes = "".join(chr(ord("a") + i) for i in range(wanted[name].dim()))
        sizes = dict(zip(axes, wanted[name].shape, strict=True))
        named[name] = checked(named[name], wanted[name].dtype, axes, sizes)
    # assign: tensors on the meta device cannot be copied into.
    module.load_state_dict(named, assign=True)


def check_count(tensors: Tensors, keys: object) -> list[str]:
    """Return the keys of the samples of a file, if it has a sample for each.

    Parameters
    ----------
    tensors : dict of str to torch.Tensor
        Those of sample `i` begin with ``memory.<i>.``.
    keys : list of str
        As the header says; anything, until it is checked.

    Raises
    ------
    ValueError
        If it has others, or they are no names.
    """
    if not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
        raise ValueError("the keys of samples are no names")
    have = {name.split(".")[1] for name in tensors if name.startswith("memory.")}
    if have != {str(i) for i in range(len(keys))} or len(set(keys)) < len(keys):
        raise ValueError(f"{len(have)} samples have {len(keys)} keys")
    return keys
