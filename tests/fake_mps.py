"""Apple's MPS device, played by the CPU: what it refuses is refused.

It has no float64, numpy does not see its tensors, and they do not meet those of the
CPU. Weights of modules count as being anywhere.
"""

import torch
from torch.overrides import TorchFunctionMode

MPS = torch.device("mps")
CPU = torch.device("cpu")
NO_FLOAT64 = "Cannot convert a MPS Tensor to float64 dtype"
TO_HOST = {torch.Tensor.numpy, torch.Tensor.__array__}
MEETS = {torch.Tensor.__getitem__, torch.Tensor.__setitem__, torch.Tensor.copy_}
"""Take tensors of the CPU beside those of a device."""


class OnMps(torch.Tensor):
    """A tensor that is there."""


class FakeMps(TorchFunctionMode):
    """While it is on, ``device="mps"`` works, in this thread.

    Attributes
    ----------
    calls : int
        Operations on the device.
    """

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        there = [a for a in flat((args, kwargs)) if isinstance(a, OnMps)]
        if func in (torch.device, torch._C._nn._parse_to):
            return func(*args, **kwargs)
        if func == torch.Tensor.device.__get__:
            return MPS if there else func(*args)
        wanted = [d for d in map(as_device, flat((args, kwargs))) if d is not None]
        if func is torch.Tensor.cpu:
            wanted = [CPU]
        if there and func in TO_HOST:
            raise TypeError("can't convert mps:0 device type tensor to numpy")
        if there and not wanted and func not in MEETS:
            others = (a for a in flat((args, kwargs)) if type(a) is torch.Tensor)
            if any(a.dim() for a in others):
                raise RuntimeError(f"{func}: tensors on cpu and mps")
        result = func(*plain(args), **plain(kwargs))
        goes = wanted[-1].type == "mps" if wanted else bool(there)
        self.calls += goes
        return wrapped(result, func) if goes else result


def flat(value):
    """All that is in lists, tuples and tables."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [one for part in value for one in flat(part)]
    return [value]


def as_device(value):
    if isinstance(value, torch.device):
        return value
    known = isinstance(value, str) and value.split(":")[0] in ("mps", "cpu")
    return torch.device(value) if known else None


def plain(value):
    """The same on the CPU."""
    if isinstance(value, OnMps):
        return value.as_subclass(torch.Tensor)
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(plain, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    device = as_device(value)
    return value if device is None else CPU


def wrapped(result, func):
    if isinstance(result, torch.Tensor):
        if result.dtype == torch.float64:
            raise TypeError(f"{NO_FLOAT64}: {func}")
        return result if isinstance(result, torch.nn.Parameter) else _there(result)
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(wrapped(one, func) for one in result))
    if isinstance(result, (list, tuple)):
        return type(result)(wrapped(one, func) for one in result)
    return result


def _there(tensor):
    return tensor.as_subclass(OnMps)
