"""Find NIfTI and Analyze files that end too early.

SimpleITK fills what is missing with zeros and says nothing, and a mask drawn
on such a scan would be worth nothing.
"""

from __future__ import annotations

import gzip
import logging
import struct
from pathlib import Path

_log = logging.getLogger(__name__)

BLOCK = 2**20


def expected_bytes(path: Path) -> tuple[Path, int] | None:
    """Work out how long a file's content must be.

    Parameters
    ----------
    path : pathlib.Path
        NIfTI, or either file of an Analyze pair.

    Returns
    -------
    (path, int) or None
        The file with the pixels and its length when unpacked; None when
        nibabel does not know the header, which SimpleITK may still do.
    """
    import nibabel as nib
    import numpy as np
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        image = nib.load(path)
        kind = image.header.get_data_dtype()
        pixels = int(np.prod(image.header.get_data_shape())) * int(kind.itemsize)
        return Path(image.file_map["image"].filename), image.dataobj.offset + pixels
    except (ImageFileError, HeaderDataError) as e:
        _log.debug("nibabel does not know %s", path, exc_info=e)
    except (OSError, EOFError, ValueError, KeyError, AttributeError) as e:
        _log.debug("nibabel cannot open %s", path, exc_info=e)
    return None


def is_whole(path: Path) -> bool:
    """Whether a NIfTI or Analyze file is as long as its header says.

    Parameters
    ----------
    path : pathlib.Path
        The file. A packed one is judged by the length noted at its end, and
        unpacked only when that does not fit.

    Returns
    -------
    bool
        True as well when the length cannot be told.
    """
    found = expected_bytes(path)
    if found is None:
        return True
    pixels, expected = found
    if pixels.suffix.lower() != ".gz":
        return pixels.stat().st_size >= expected
    with open(pixels, "rb") as file:
        file.seek(-4, 2)
        noted = struct.unpack("<I", file.read(4))[0]
    return noted == expected % 2**32 or _unpacked(pixels) >= expected


def _unpacked(path: Path) -> int:
    """Count the bytes of a packed file, up to where it breaks off."""
    count = 0
    try:
        with gzip.open(path) as file:
            while block := file.read(BLOCK):
                count += len(block)
    except (EOFError, OSError, ValueError) as error:
        _log.debug("%s breaks off", path, exc_info=error)
        return 0
    return count
