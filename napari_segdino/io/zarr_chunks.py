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

_MOST_DEFLATED = 1032
"""Bytes that one byte of deflated content can become."""

_GZIP_OR_ZLIB = 47
"""Window bits with which zlib tells gzip from zlib by the header."""

_PART = 1 << 20


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
        self._check = _CHECKS.get(_last_codec(array))
        # A filter may have made numbers wider.
        self._most = 8 * math.prod(array.chunks) + _SLACK

    def __getitem__(self, key: Any) -> Any:
        try:
            if self._check is not None:
                for file in _files(self.array, key):
                    if file.is_file():
                        self._check(file, self._most)
            return self.array[key]
        except ScanError as error:
            raise ScanError(f"{self.name} {error}.") from error
        except (RuntimeError, ValueError, OSError, MemoryError, zlib.error) as error:
            _log.error("reading a chunk of %s failed", self.name, exc_info=error)
            raise ScanError(
                f"{self.name} cannot be read: a part of it is damaged."
            ) from error


def _last_codec(array: Any) -> str:
    """Name of what a file of an array has to be decoded with first."""
    if array.metadata.zarr_format == 2:
        return str(getattr(array.metadata.compressor, "codec_id", ""))
    # In the order of encoding; a checksum behind the last one compresses nothing.
    names = [type(one).__name__ for one in array.metadata.codecs]
    last = names[-2] if names[-1] == "Crc32cCodec" else names[-1]
    return last.removesuffix("Codec").lower()


def _files(array: Any, key: tuple[Any, ...]) -> Iterator[Path]:
    """Files of the chunks that a part of an array touches."""
    # Numbers of chunks along each axis; -(-a // b) rounds up.
    spans = []
    for part, n, c in zip(key, array.shape, array.chunks, strict=True):
        first, last, _ = part.indices(n) if isinstance(part, slice) else (part,) * 3
        last += not isinstance(part, slice)
        spans.append(range(first // c, -(-last // c)))
    root = array.store_path.store.root / array.path
    for at in product(*spans):
        yield root / array.metadata.encode_chunk_key(at)


def _check_blosc(file: Path, most: int) -> None:
    """See that a chunk is as long as it says: blosc reads on where it was cut.

    Raises
    ------
    ValueError
        It is shorter, or claims to hold more than `most` bytes.
    """
    with file.open("rb") as opened:
        header = opened.read(_BLOSC_HEADER)
    claimed = int.from_bytes(header[4:8], "little")
    stored = int.from_bytes(header[12:16], "little")
    if not _BLOSC_HEADER <= stored <= file.stat().st_size or claimed > most:
        raise ValueError(f"{file.name} holds {stored} bytes of blosc for {claimed}")


def _check_deflated(file: Path, most: int) -> None:
    """See that a chunk becomes no more than `most` bytes; its header does not tell.

    Raises
    ------
    ValueError
        It does.
    """
    if file.stat().st_size * _MOST_DEFLATED <= most:
        return
    total = 0
    inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
    with file.open("rb") as opened:
        while part := opened.read(_PART):
            # A part at a time: what a small file becomes may not fit into memory.
            while part:
                total += len(inflate.decompress(part, _PART))
                if total > most:
                    raise ValueError(f"{file.name} becomes more than {most} bytes")
                part = inflate.unconsumed_tail
                # gzip allows several streams behind one another in a file.
                if inflate.eof:
                    part = inflate.unused_data
                    inflate = zlib.decompressobj(_GZIP_OR_ZLIB)


def _check_zstd(file: Path, most: int) -> None:
    """See that a chunk does not claim to hold more than `most` bytes (RFC 8878, 3.1.1).

    Raises
    ------
    ValueError
        It does. What does not say how many is decoded as it is.
    """
    with file.open("rb") as opened:
        header = opened.read(18)
    # After four bytes of magic: flags, window size (unless in a single segment), number
    # of the dictionary, content size.
    about = header[4] if len(header) > 4 else 0
    single, length = about >> 5 & 1, (0, 2, 4, 8)[about >> 6]
    # A single segment always has its size, in one byte where the flags say none.
    length = length or single
    start = 5 + (1 - single) + (0, 1, 2, 4)[about & 3]
    claimed = int.from_bytes(header[start : start + length], "little")
    if length and claimed > most:
        raise ValueError(f"{file.name} claims {claimed} bytes, of at most {most}")


_CHECKS = {
    "blosc": _check_blosc,
    "gzip": _check_deflated,
    "zlib": _check_deflated,
    "zstd": _check_zstd,
}
