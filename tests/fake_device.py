"""A CUDA or MPS device, played by the CPU: what it refuses is refused.

MPS has no float64; numpy does not see the tensors of either, and they do not meet those
of the CPU. Weights of modules count as being anywhere.
"""

import torch
from torch.overrides import TorchFunctionMode

CPU = torch.device("cpu")
KINDS = ("mps", "cuda")
NO_FLOAT64 = "Cannot convert a MPS Tensor to float64 dtype"
TO_HOST = {torch.Tensor.numpy, torch.Tensor.__array__}
MEETS = {torch.Tensor.__getitem__, torch.Tensor.__setitem__, torch.Tensor.copy_}
"""Take tensors of the CPU beside those of a device."""


AS_IT_IS = {
    torch.Tensor.requires_grad_,
    torch.Tensor.is_leaf.__get__,
    torch.Tensor.requires_grad.__get__,
    torch.Tensor.grad.__get__,
    torch.Tensor.grad.__set__,
    torch.Tensor.grad.__delete__,
}
"""Of a leaf of the graph, which a copy on the CPU would not be."""


class OnDevice(torch.Tensor):
    """A tensor that is there."""


class FakeDevice(TorchFunctionMode):
    """While it is on, ``device="mps"``, or ``"cuda"``, works, in this thread.

    Parameters
    ----------
    kind : {"mps", "cuda"}
        Which.
    cells : int
        Above it, operations lack memory.

    Attributes
    ----------
    calls : int
        Operations on the device.
    downloads : list of (shape, dtype)
        What went to the CPU.
    """

    def __init__(self, kind="mps", cells=None):
        super().__init__()
        self.kind, self.cells = torch.device(kind), cells
        self.calls, self.downloads = 0, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        there = [a for a in flat((args, kwargs)) if isinstance(a, OnDevice)]
        if func in (torch.device, torch._C._nn._parse_to) or func in AS_IT_IS:
            result = func(*args, **kwargs)
            # Gradients lie where the leaf does.
            return _there(result) if there and type(result) is torch.Tensor else result
        if func == torch.Tensor.device.__get__:
            return self.kind if there else func(*args)
        wanted = [d for d in map(as_device, flat((args, kwargs))) if d is not None]
        if func is torch.Tensor.pin_memory:
            return args[0]
        if func is torch.Tensor.cpu:
            wanted = [CPU]
        if there and wanted and wanted[-1] == CPU:
            self.downloads += [(tuple(t.shape), t.dtype) for t in there]
        if there and func in TO_HOST:
            raise TypeError("can't convert a device type tensor to numpy")
        if there and not wanted and func not in MEETS:
            others = (a for a in flat((args, kwargs)) if type(a) is torch.Tensor)
            if any(a.dim() for a in others):
                raise RuntimeError(f"{func}: tensors on cpu and device")
        result = func(*plain(args), **plain(kwargs))
        goes = wanted[-1].type in KINDS if wanted else bool(there)
        self.calls += goes
        if goes and self.cells and largest(result) > self.cells:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return wrapped(result, self.kind.type) if goes else result


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
    known = isinstance(value, str) and value.split(":")[0] in ("cpu", *KINDS)
    return torch.device(value) if known else None


def plain(value):
    """The same on the CPU."""
    if isinstance(value, OnDevice):
        return value.as_subclass(torch.Tensor)
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(plain, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    device = as_device(value)
    return value if device is None else CPU


def largest(result):
    sizes = [one.numel() for one in flat(result) if isinstance(one, torch.Tensor)]
    return max(sizes, default=0)


def wrapped(result, kind):
    if isinstance(result, torch.Tensor):
        if result.dtype == torch.float64 and kind == "mps":
            raise TypeError(NO_FLOAT64)
        return result if isinstance(result, torch.nn.Parameter) else _there(result)
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(wrapped(one, kind) for one in result))
    if isinstance(result, (list, tuple)):
        return type(result)(wrapped(one, kind) for one in result)
    return result


def _there(tensor):
    return tensor.as_subclass(OnDevice)
