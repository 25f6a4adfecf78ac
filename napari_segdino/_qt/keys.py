"""Keys of the dock, bound in the viewer while the dock is open.

napari's table of shortcuts holds only its own actions, so that the keys are
settings of the plugin: Preferences > napari-segdino > Keys.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from app_model.types import KeyCode
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import QTimer

from napari_segdino._qt.preferences import read_preferences

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

_log = logging.getLogger(__name__)

SEGMENT = "segment"
RETRAIN = "retrain"
LIVE = "live"
NEXT_PLACE = "next_place"
NEXT_SLICE = "next_slice"
ACCEPT = "accept_slice"
COPY = "copy_to_next"
COPY_IN_TIME = "copy_to_next_time"
ACCEPT_TO_HERE = "accept_to_here"
INTERPOLATE = "interpolate"
FROM_CLICKS = "click_to_start"
BOX = "box_to_start"
SHOW = "show_mask"
OUTLINE = "outline"

DEFAULTS = {
    SEGMENT: "Shift-S",
    RETRAIN: "Shift-R",
    LIVE: "Shift-L",
    NEXT_PLACE: "Shift-N",
    NEXT_SLICE: "Shift-J",
    ACCEPT: "Shift-A",
    COPY: "Shift-C",
    COPY_IN_TIME: "Shift-T",
    ACCEPT_TO_HERE: "Shift-E",
    INTERPOLATE: "Shift-I",
    FROM_CLICKS: "Shift-K",
    BOX: "Shift-B",
    SHOW: "Shift-M",
    OUTLINE: "Shift-O",
}

TEXTS = {
    SEGMENT: "Segment",
    RETRAIN: "Retrain",
    LIVE: "Live on or off",
    NEXT_PLACE: "Next uncertain place",
    NEXT_SLICE: "Next uncertain slice",
    ACCEPT: "This slice is right",
    COPY: "Copy the mask to the next slice",
    COPY_IN_TIME: "Copy the masks to the next time point",
    ACCEPT_TO_HERE: "Accept the slices up to this one",
    INTERPOLATE: "Draw between two accepted slices",
    FROM_CLICKS: "Click to start",
    BOX: "Box to start",
    SHOW: "Mask on or off",
    OUTLINE: "Outline or filled",
}

TYPING_PAUSE_MS = 300

CLASS = "Alt-{}"
"""Key that picks the class with this label; 0 is background. Users cannot change it."""

SYSTEM = sys.platform


def native(text: str) -> str:
    """Name keys in a text as this system does: a Mac has Cmd and Option.

    Parameters
    ----------
    text : str
        With the names of other systems, such as ``"Ctrl-Z takes it back."``
    """
    if SYSTEM != "darwin":
        return text
    return text.replace("Ctrl-", "Cmd-").replace("Alt-", "Option-")


def key_of(name: str) -> str:
    """Return the key of a command: the user's, or the program's own.

    Parameters
    ----------
    name : str
        Of a command, such as :data:`SEGMENT`.

    Returns
    -------
    str
        As napari writes keys, such as ``"Shift-S"``; the program's own where the user's
        is no key.
    """
    found = read_preferences()
    chosen = "" if found is None else str(getattr(found.keybindings, name, "")).strip()
    if not chosen:
        return DEFAULTS[name]
    parts = coerce_keybinding(chosen).parts
    if len(parts) != 1 or parts[0].key == KeyCode.UNKNOWN:
        _log.warning("%r is no key: %s keeps %s", chosen, name, DEFAULTS[name])
        return DEFAULTS[name]
    return chosen


def follow_keys(widget: QWidget, show: Callable[[], None]) -> None:
    """Call `show` now, and again when keys were changed, as long as `widget` lives.

    Parameters
    ----------
    widget : QWidget
        The calls end with it.
    show : callable
        Takes nothing; called on the main thread.
    """
    show()
    found = read_preferences()
    if found is not None:
        pause = _TypingPause(widget)
        pause.timeout.connect(show)
        # napari holds no more than a weak reference to a method.
        found.keybindings.events.connect(pause.begin)


class _TypingPause(QTimer):  # type: ignore[misc]
    """Preferences tell of every letter that is typed: half a key is no key."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setSingleShot(True)
        self.setInterval(TYPING_PAUSE_MS)

    def begin(self) -> None:
        """Begin the pause anew."""
        self.start()


class Keys:
    """Binds keys to actions and gives them back.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    actions : mapping of str to callable
        By key, what to do.
    """

    def __init__(
        self, viewer: Viewer, actions: Mapping[str, Callable[[], Any]]
    ) -> None:
        self._viewer = viewer
        # Others may have bound the same keys before; bind_key returns what it replaces.
        self._before = {
            key: viewer.bind_key(key, _ignoring_viewer(action), overwrite=True)
            for key, action in actions.items()
        }

    def release(self) -> None:
        """Give every key back to whom it belonged to."""
        for key, before in self._before.items():
            self._viewer.bind_key(key, before, overwrite=True)
        self._before = {}


def _ignoring_viewer(action: Callable[[], Any]) -> Callable[[Any], None]:
    def act(viewer: Any) -> None:
        action()

    return act
