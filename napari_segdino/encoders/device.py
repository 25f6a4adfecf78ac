"""Which device computes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, get_args

from napari_segdino.config import Precision
from napari_segdino.errors import InputError, unknown_name
from napari_segdino.progress import Steps

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

PRECISIONS = get_args(Precision)
"""What :func:`resolve_precision` takes."""

DEVICES = ("auto", "cpu", "cuda", "mps")

TRAINING_DOES_NOT_FIT = (
    "Training {} does not fit into memory: mark less, or choose a smaller encoder or "
    "size."
)

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


def resolve_precision(name: str, device: torch.device, family: str) -> str:
    """Return in which numbers an encoder computes.

    Parameters
    ----------
    name : {"auto", "float32", "bfloat16", "float16"}
        ``"auto"`` is bfloat16 on CUDA cards that have it, and for ViTs and ConvNeXts
        on CPUs that have instructions for it (AVX512_BF16 or AMX); else float32. The
        features of a small CNN change by 5 % in bfloat16, those of the others by
        less than 1 %.
    device : torch.device
        Where.
    family : {"vit", "convnext", "cnn"}
        Of the encoder.

    Returns
    -------
    str
        The name of a type of torch.

    Raises
    ------
    InputError
        There is no such precision.
    """
    import torch

    if name not in PRECISIONS:
        raise InputError(unknown_name("precision", name, PRECISIONS))
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    fast = device.type == "cpu" and family != "cnn" and _has_bfloat16()
    return "bfloat16" if fast else "float32"


def _has_bfloat16() -> bool:
    """Whether the CPU multiplies numbers of bfloat16."""
    import torch

    # torch has no public name for it.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def available_memory(device: torch.device) -> int:
    """Return how many bytes of a device are free, with those that torch can reuse.

    Parameters
    ----------
    device : torch.device
        CUDA or MPS.
    """
    import torch

    if device.type == "cuda":
        reserved = torch.cuda.memory_reserved(device)
        unused = reserved - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    most = torch.mps.recommended_max_memory()
    return int(most - torch.mps.current_allocated_memory())


@contextmanager
def measured_memory(device: torch.device) -> Iterator[list[int]]:
    """Measure the bytes that are used at most beside those used before.

    Parameters
    ----------
    device : torch.device
        Where something is computed.

    Yields
    ------
    list of int
        Filled at the end with their number; empty on the CPU, where none is known.
    """
    import torch

    used: list[int] = []
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield used
        used.append(torch.cuda.max_memory_allocated(device) - before)
    elif device.type == "mps":
        before = torch.mps.driver_allocated_memory()
        yield used
        # What torch has taken from the system it keeps: that has grown by the peak.
        used.append(torch.mps.driver_allocated_memory() - before)
    else:
        yield used


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


def iter_or_on_cpu(
    train: Callable[[torch.device], Steps[T]], device: torch.device | str, what: str
) -> Steps[T]:
    """Train on a device, or anew on the CPU where the memory of that runs out.

    Parameters
    ----------
    train : callable
        Takes the device.
    device : torch.device or str
        Where it is tried first.
    what : str
        Names what is trained.

    Raises
    ------
    InputError
        If the memory of the CPU runs out as well.
    """
    import torch

    device = torch.device(device)
    if device.type != "cpu":
        try:
            return (yield from train(device))
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
        # Out of the except block, so that its frames hold no tensors.
        free_memory(device)
        _LOG.warning(
            "%s has too little memory to train %s beside the encoder: it is trained "
            "on the CPU.",
            device,
            what,
        )
    try:
        return (yield from train(torch.device("cpu")))
    except RuntimeError as error:
        if not lacks_memory(error):
            raise
        raise InputError(TRAINING_DOES_NOT_FIT.format(what)) from error


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
