"""Which device computes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from napari_segdino.errors import InputError, unknown_name

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

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


class OrOnCpu:
    """Computes on a device; what does not fit there, on the CPU from then on.

    Parameters
    ----------
    device : torch.device
        Where it tries first.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._too_large: set[object] = set()

    def __call__(
        self, compute: Callable[[torch.device], T], size: object, what: str
    ) -> T:
        """Compute, and log it where that is on the CPU for lack of memory.

        Parameters
        ----------
        compute : callable
            Takes the device.
        size : object
            What is equal for things that take as much memory.
        what : str
            Names it in the log.
        """
        import torch

        if self._device.type == "cpu":
            return compute(self._device)
        if size not in self._too_large:
            try:
                return compute(self._device)
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
            # Out of the except block, so that its frames hold no tensors.
            self._too_large.add(size)
            free_memory(self._device)
            _LOG.warning(
                "%s does not fit into the memory of %s beside the encoder: the CPU "
                "computes it.",
                what,
                self._device,
            )
        return compute(torch.device("cpu"))


def double_device(device: torch.device | str) -> torch.device:
    """Return where float64 is computed for a device: itself, for MPS the CPU.

    Parameters
    ----------
    device : torch.device or str
        That of the encoder.
    """
    import torch

    device = torch.device(device)
    return torch.device("cpu") if device.type == "mps" else device


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
