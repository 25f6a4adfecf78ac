"""What the user set in napari's Preferences: things that belong to the machine."""

from __future__ import annotations

import os
from typing import Any

from napari.settings import get_plugin_settings

from napari_segdino.config import GIB, CacheSettings
from napari_segdino.encoders.weights import WEIGHTS_VARIABLE
from napari_segdino.session import Session
from napari_segdino.settings import Settings, first_encoder

PLUGIN = "napari-segdino"


def read_preferences() -> Any | None:
    """Return the plugin's settings, None where napari does not know the plugin."""
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None


def new_session() -> Session:
    """Return a session that heeds the Preferences."""
    found = read_preferences()
    if found is None:
        return Session()
    if found.weights.folder:
        os.environ.setdefault(WEIGHTS_VARIABLE, found.weights.folder)
    cache = CacheSettings(
        ram_bytes=int(found.cache.memory_gb * GIB),
        disk_bytes=int(found.cache.disk_gb * GIB),
    )

    def make(**parameters: Any) -> Any:
        from napari_segdino.segmenter import Segmenter

        return Segmenter(cache=cache, **parameters)

    device = str(found.compute.device)
    return Session(make, Settings(encoder=first_encoder(), device=device))
