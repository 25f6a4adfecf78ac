"""Which device computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_segdino.errors import InputError, unknown_name

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")

_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "not enough memory")


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device that a name stands for on this machine.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda", "mps"}
        ``"auto"`` is the first there is of CUDA, Apple's MPS and the CPU;
        ``"cuda:1"`` names one of several cards.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    InputError
        The name is not known, or this machine has no such device.
    """
    import torch

    has_mps = torch.backends.mps.is_available()
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    kind, _, number = name.partition(":")
    if kind not in DEVICES or (number and (kind != "cuda" or not number.isdecimal())):
        raise InputError(unknown_name("device", name, DEVICES))
    if kind == "auto":
        return torch.device("cuda" if cards else "mps" if has_mps else "cpu")
    if kind == "cuda" and int(number or 0) >= cards:
        raise InputError(
            f"This machine has no CUDA device {number or 0}; choose 'auto' or 'cpu'."
        )
    if kind == "mps" and not has_mps:
        raise InputError("This machine has no Apple MPS device; choose 'auto'.")
    return torch.device(name)


def upload(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """Send a tensor of the CPU to a device; CUDA need not be waited for.

    Parameters
    ----------
    tensor : torch.Tensor
        On the CPU.
    device : torch.device or str
        Where to.
    """
    import torch

    if torch.device(device).type != "cuda":
        return tensor.to(device)
    # Only from pinned memory does the copy go on beside what the card computes.
    return tensor.pin_memory().to(device, non_blocking=True)


def free_memory(device: torch.device) -> None:
    """Give back the memory of a device that torch holds and does not use.

    Parameters
    ----------
    device : torch.device
        The CPU has nothing to give back.
    """
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def lacks_memory(error: RuntimeError) -> bool:
    """Whether an error says that a device's memory ran out.

    Parameters
    ----------
    error : RuntimeError
        Raised by torch.
    """
    import torch

    # Only CUDA has a class for it; the CPU and MPS raise a bare RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or any(
        text in str(error).lower() for text in _MEMORY_TEXTS
    )
