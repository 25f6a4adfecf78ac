"""Arrays of Zarr read chunk by chunk: what is damaged in one is said in a sentence."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from napari_segdino.errors import ScanError

_log = logging.getLogger(__name__)

MOST_CHUNKS, LARGEST_CHUNK = 2**22, 2**31
"""Chunks of an array, and pixels of one, that are read."""

_BLOSC_HEADER = 16
_SLACK = 1 << 20


def lazy_array(array: Any, path: Path) -> Any:
    """Return a Zarr array as a dask array of its chunks.

    Parameters
    ----------
    array : zarr.Array
        Of a store of local files.
    path : pathlib.Path
        Its image, to name in errors.

    Raises
    ------
    ScanError
        Its chunks are too many or too large; later, one of them is damaged.
    """
    import dask.array as da

    pieces = math.prod(
        -(-n // c) for n, c in zip(array.shape, array.chunks, strict=True)
    )
    if pieces > MOST_CHUNKS or math.prod(array.chunks) > LARGEST_CHUNK:
        raise ScanError(
            "cannot be read: its chunks are too small or too large, write it again "
            "with chunks of some hundred pixels a side"
        )
    return da.from_array(_Checked(array, path.name), chunks=array.chunks)


class _Checked:
    """An array that says in one sentence when a chunk is damaged."""

    def __init__(self, array: Any, name: str) -> None:
        self.array, self.name = array, name
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim
        self._blosc = _ends_in_blosc(array)

    def __getitem__(self, key: Any) -> Any:
        try:
            if self._blosc:
                for file in _files(self.array, key):
                    _check_blosc(file, self.array)
            return self.array[key]
        except ScanError as error:
            raise ScanError(f"{self.name} {error}.") from error
        except (RuntimeError, ValueError, OSError, MemoryError, zlib.error) as error:
            _log.error("reading a chunk of %s failed", self.name, exc_info=error)
            raise ScanError(
                f"{self.name} cannot be read: a part of it is damaged."
            ) from error


def _ends_in_blosc(array: Any) -> bool:
    """Whether each file of an array begins with blosc's header."""
    if array.metadata.zarr_format == 2:
        about = array.metadata.compressor
        return getattr(about, "codec_id", "") == "blosc"
    names = [type(one).__name__ for one in array.metadata.codecs]
    return "BloscCodec" in names[-2:] and names[-1] in ("BloscCodec", "Crc32cCodec")


def _files(array: Any, key: tuple[Any, ...]) -> Iterator[Path]:
    """Files of the chunks that a part of an array touches."""
    spans = []
    for part, n, c in zip(key, array.shape, array.chunks, strict=True):
        first, last, _ = part.indices(n) if isinstance(part, slice) else (part,) * 3
        last += not isinstance(part, slice)
        spans.append(range(first // c, -(-last // c)))
    root = array.store_path.store.root / array.path
    for at in product(*spans):
        yield root / array.metadata.encode_chunk_key(at)


def _check_blosc(file: Path, array: Any) -> None:
    """See that a chunk is as long as it says: blosc reads on where it was cut.

    Raises
    ------
    ValueError
        It is shorter, or claims to hold far more than a chunk.
    """
    if not file.is_file():
        return
    with file.open("rb") as opened:
        header = opened.read(_BLOSC_HEADER)
    claimed = int.from_bytes(header[4:8], "little")
    stored = int.from_bytes(header[12:16], "little")
    # A filter may have made its numbers wider.
    if (
        stored < _BLOSC_HEADER
        or stored > file.stat().st_size
        or claimed > 8 * math.prod(array.chunks) + _SLACK
    ):
        raise ValueError(f"{file.name} holds {stored} bytes of blosc for {claimed}")
