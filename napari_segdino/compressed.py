"""Arrays of labels, deflated: in memory, and as files of safetensors."""

from __future__ import annotations

import json
import logging
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import DAMAGE, ProjectError
from napari_segdino.files import atomic_path

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compressed:
    """An array of labels, compressed.

    Parameters
    ----------
    data : bytes
        Deflated content.
    shape : tuple of int
        Its shape.
    dtype : str
        Its number type.
    """

    data: bytes
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: NDArray[Any]) -> Compressed:
        """Compress an array.

        Parameters
        ----------
        array : numpy.ndarray of int, bool
            Any shape.
        """
        # Level 1: 30 slices of blobs become a twentieth. Level 6 halves that once more
        # and takes six times as long.
        content = zlib.compress(np.ascontiguousarray(array).data, 1)
        return cls(content, array.shape, array.dtype.str)

    def array(self) -> NDArray[Any]:
        """Return the array anew.

        Raises
        ------
        ProjectError
            If it is not what it says; no more than that is inflated.
        """
        size = math.prod(self.shape) * np.dtype(self.dtype).itemsize
        inflate = zlib.decompressobj()
        try:
            # One byte more than there should be, so that too much is seen and refused
            # by reshape, and a file that claims little cannot fill the memory.
            content = inflate.decompress(self.data, size + 1)
            flat = np.frombuffer(content, self.dtype)
            return flat.reshape(self.shape).copy()
        except (zlib.error, ValueError) as error:
            raise ProjectError("A stored mask is damaged.") from error


def write_compressed(path: Path, arrays: Mapping[str, Compressed]) -> None:
    """Write arrays by name, deflated as they are.

    Parameters
    ----------
    path : pathlib.Path
        Where to; an older file is replaced.
    arrays : mapping of str to Compressed
        By name.

    Raises
    ------
    ProjectError
        If the system refuses.
    """
    from safetensors.numpy import save

    marked = {name: [one.dtype, *one.shape] for name, one in arrays.items()}
    # safetensors has no compression of its own: deflated bytes are filed as arrays of
    # bytes, their shapes and types in the header.
    named = {n: np.frombuffer(p.data, np.uint8) for n, p in arrays.items()}
    with atomic_path(path, ProjectError) as temporary:
        temporary.write_bytes(save(named, {"arrays": json.dumps(marked)}))


def read_compressed(path: Path) -> dict[str, Compressed]:
    """Read what :func:`write_compressed` wrote.

    Parameters
    ----------
    path : pathlib.Path
        Of a file that :func:`write_compressed` wrote.

    Returns
    -------
    dict of str to Compressed
        By name, not yet inflated.

    Raises
    ------
    ProjectError
        If the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if not path.is_file():
            raise FileNotFoundError(path)
        with safe_open(path, framework="np") as file:
            marked = json.loads(file.metadata()["arrays"])
            found = {
                name: Compressed(file.get_tensor(name).tobytes(), tuple(shape), dtype)
                for name, (dtype, *shape) in marked.items()
            }
        for one in found.values():
            whole = all(type(n) is int and n > 0 for n in one.shape)
            if not whole or np.dtype(one.dtype).kind not in "iub":
                raise ValueError(f"no array has {one.shape} of {one.dtype}")
        return found
    except (OSError, SafetensorError, *DAMAGE) as error:
        _log.error("reading %s failed", path, exc_info=error)
        raise ProjectError(f"{path.name} is missing or damaged.") from error
