"""Terms of weights: shown before the first download of each, and recorded."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any

from napari_segdino.encoders.weights import Source, weights_folder
from napari_segdino.errors import WeightsError
from napari_segdino.files import atomic_path

_log = logging.getLogger(__name__)

RECORD = "downloads.json"

asker: ContextVar[Callable[[Source], Future[bool]] | None] = ContextVar(
    "asker", default=None
)
"""Asking the user before a download, where there is somebody who can be asked.

It is called in the thread that is about to download and returns at once. Where it
is None, a script's say, weights that are asked for are fetched.
"""


def question(source: Source) -> str:
    """Return what the user is asked before a download.

    Parameters
    ----------
    source : Source
        What would be fetched.

    Returns
    -------
    str
        What is needed, how much that is, and its terms.
    """
    size = f" (about {source.size / 1e6:,.0f} MB)" if source.size else ""
    return (
        f"{source.title} is needed and is not on this machine. Download it{size} from "
        f"{source.repo} on the Hugging Face hub? {_terms(source)}"
    )


def _terms(source: Source) -> str:
    """Return one sentence with the licence of weights, and where it stands."""
    name = source.licence or "licence of their page"
    where = f": {source.licence_url}" if source.licence_url else ""
    return f"Its weights are under the {name}{where}."


def record_terms(source: Source) -> None:
    """Record that the terms of weights were shown; say them where nobody was asked.

    A folder that cannot be written is for the download to tell.

    Parameters
    ----------
    source : Source
        What is about to be fetched.
    """
    path = weights_folder() / RECORD
    known = _read(path)
    entry = {"licence": source.licence, "licence_url": source.licence_url}
    before = known.get(source.repo)
    # Recorded once a licence: another one is shown again.
    if isinstance(before, dict) and entry.items() <= before.items():
        return
    if asker.get() is None:
        _log.warning("Downloading %s. %s", source.title, _terms(source))
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    known[source.repo] = entry | {"title": source.title, "shown": now}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, WeightsError) as temporary:
            temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
    except (OSError, WeightsError):
        _log.info("%s could not be written", path, exc_info=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
