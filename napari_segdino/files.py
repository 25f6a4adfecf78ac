"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary name in the same folder, renamed to `path` at the end.

    If the block fails, the temporary file is removed and whatever stood at
    `path` stays as it was. The temporary name keeps the suffixes, since
    writers choose the format by them.

    Parameters
    ----------
    path : path
        The file to write.

    Yields
    ------
    pathlib.Path
        The name to write to.
    """
    path = Path(path)
    partial = path.with_name(f".partial-{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
