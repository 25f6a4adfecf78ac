"""Keys of the dock, bound in the viewer while the dock is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.viewer import Viewer

SEGMENT = "Shift-S"
RETRAIN = "Shift-R"
LIVE = "Shift-L"
NEXT_PLACE = "Shift-N"
NEXT_SLICE = "Shift-J"
CLASS = "Alt-{}"
"""Of the class with this label; 0 is background."""


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
