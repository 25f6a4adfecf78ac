"""Ways in which the content of a probe file can be other than it was written."""

import copy
import json

import torch

from napari_segdino.probe_file import ModelFile

GONE = object()
OTHERS = (GONE, None, "x", "", -1, 0, 3, 10**9, 1.5, float("nan"), float("inf"))
OTHERS += ([], [1], {}, {"a": 1}, True, [None], [[1]])
TYPES = (torch.float64, torch.int64, torch.uint8, torch.bool, torch.complex64)
NUMBERS = {
    torch.float16: (torch.nan, torch.inf, -torch.inf),
    torch.float32: (torch.nan, torch.inf, -torch.inf, 3e38),
    torch.float64: (torch.nan, torch.inf, -torch.inf, 1e300),
    torch.int64: (-1, 255, 2**62),
    torch.uint8: (255,),
}


def mutations(file):
    """Yield what was changed and the file with it, one change each."""
    for path, value in _places(file.meta):
        if path[0] == "class_info" and len(path) > 1:
            continue
        for other in OTHERS:
            if json.dumps(other, default=str) != json.dumps(value):
                told = "gone" if other is GONE else json.dumps(other)
                meta = _put(file.meta, path, other)
                yield f"{path} is {told}", ModelFile(meta, file.tensors)
    for name, tensor in file.tensors.items():
        rest = {k: v for k, v in file.tensors.items() if k != name}
        yield f"{name} is gone", ModelFile(file.meta, rest)
        for told, other in _changed(tensor):
            yield f"{name} {told}", ModelFile(file.meta, rest | {name: other})


def _places(value, path=()):
    if path:
        yield path, value
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = list(enumerate(value))[:2]
    for key, one in items:
        yield from _places(one, (*path, key))


def _put(meta, path, other):
    meta = place = copy.deepcopy(meta)
    for key in path[:-1]:
        place = place[key]
    if other is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = other
    return meta


def _changed(tensor):
    yield "has another axis", tensor[None]
    if tensor.dim():
        yield "is empty", tensor[:0]
        yield "is longer", torch.cat([tensor, tensor[:1]])
        yield "is shorter", tensor[:-1]
    if tensor.dim() > 1:
        yield "is flat", tensor.reshape(-1)
        yield "is transposed", tensor.transpose(0, 1)
        yield "is narrower", tensor[..., :-1]
    for dtype in TYPES:
        if dtype != tensor.dtype:
            yield f"is {dtype}", tensor.to(dtype)
    for number in NUMBERS.get(tensor.dtype, ()):
        yield f"is {number}", torch.full_like(tensor, number)
        if tensor.numel():
            one = tensor.clone().reshape(-1)
            one[-1] = number
            yield f"has {number}", one.reshape(tensor.shape)
