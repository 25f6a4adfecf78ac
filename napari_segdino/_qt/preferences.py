"""What the user set in napari's Preferences: things that belong to the machine."""

from __future__ import annotations

import os
import weakref
from typing import Any

from napari.settings import get_plugin_settings

from napari_segdino.config import GIB, CacheSettings
from napari_segdino.encoders.weights import WEIGHTS_VARIABLE
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings, first_encoder

PLUGIN = "napari-segdino"
FORMER_KEYS = "shortcuts"
"""Former name of the group of keys; napari takes it for its own table."""

_weights_folder = ""
"""Folder of weights that this module last put into the environment."""


def read_preferences() -> Any | None:
    """Return the plugin's settings, None where napari does not know the plugin."""
    try:
        found = get_plugin_settings(PLUGIN)
    except KeyError:
        return None
    _carry_keys_over(found)
    return found


def new_session() -> Session:
    """Return a session that heeds the Preferences, now and when they are changed."""
    found = read_preferences()
    if found is None:
        return Session()
    _use_weights_folder(found.weights.folder)
    chosen = Settings(encoder=first_encoder(), device=found.compute.device)
    machine = {"cache": _cache(found), "precision": found.compute.precision}
    session = Session(None, chosen, machine)
    _follow(session, found)
    return session


def _follow(session: Session, found: Any) -> None:
    """Hand what is changed on to a session, as long as that lives."""
    # napari's settings outlive every window.
    alive = weakref.ref(session)

    def on_compute() -> None:
        if (session := alive()) is not None:
            session.change(device=found.compute.device)
            session.change_machine(precision=found.compute.precision)

    def on_cache() -> None:
        if (session := alive()) is not None:
            session.change_machine(cache=_cache(found))

    def on_folder() -> None:
        _use_weights_folder(found.weights.folder)

    followed = (
        (found.compute.events, on_compute),
        (found.cache.events, on_cache),
        (found.weights.events, on_folder),
    )
    for events, callback in followed:
        events.connect(callback)
        # At exit there is nothing to save, and no telling what of napari is still
        # there.
        weakref.finalize(session, events.disconnect, callback).atexit = False


def _cache(found: Any) -> CacheSettings:
    return CacheSettings(
        ram_bytes=int(found.cache.memory_gb * GIB),
        disk_bytes=int(found.cache.disk_gb * GIB),
    )


def _use_weights_folder(folder: str) -> None:
    """Set the variable that names the folder, unless the user has set it."""
    global _weights_folder
    if os.environ.get(WEIGHTS_VARIABLE, "") in ("", _weights_folder):
        os.environ[WEIGHTS_VARIABLE] = _weights_folder = folder


def _carry_keys_over(found: Any) -> None:
    """Keep the keys that stand in the settings file under the group's former name."""
    former = found.config_file_settings.pop(FORMER_KEYS, None)
    if not isinstance(former, dict):
        return
    chosen = found.config_file_settings.get("keybindings") or {}
    for name, key in former.items():
        if name in type(found.keybindings).model_fields and name not in chosen:
            setattr(found.keybindings, name, str(key))
