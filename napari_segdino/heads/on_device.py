"""Copies of models and samples on the device that computes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


def moved(value: T, device: torch.device | str) -> T:
    """Return a module, or what is made of tensors, on a device.

    Parameters
    ----------
    value : object
        A module, a tensor, or a dataclass, a tuple or a mapping that holds some.
        Modules are copied, all else is as it was.
    device : torch.device or str
        Where to.
    """
    import torch

    found: Any = value
    if isinstance(value, torch.nn.Module):
        # Module.to works in place: without the copy the module itself would go.
        found = copy.deepcopy(value).to(device)
    elif isinstance(value, torch.Tensor):
        found = value.to(device)
    elif isinstance(value, tuple):
        found = tuple(moved(each, device) for each in value)
    elif isinstance(value, Mapping):
        found = {name: moved(each, device) for name, each in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: moved(getattr(value, f.name), device) for f in fields(value)}
        found = replace(value, **parts)
    return cast(T, found)


class DeviceCopy(Generic[T]):
    """The copy of the last model on the last device.

    Tiles come by the hundred with one model, which travels to the device once; what
    is stored stays on the CPU.
    """

    def __init__(self) -> None:
        self._last: tuple[T, torch.device, T] | None = None

    def of(self, model: T, device: torch.device | str) -> T:
        """Return the copy of a model on a device, on the CPU the model itself.

        Parameters
        ----------
        model : object
            On the CPU; compared by identity. See :func:`moved`.
        device : torch.device or str
            Where to.
        """
        import torch

        device = torch.device(device)
        if device.type == "cpu":
            self._last = None  # its memory is wanted for something else
            return model
        last = self._last
        if last is None or last[0] is not model or last[1] != device:
            last = self._last = model, device, moved(model, device)
        return last[2]
