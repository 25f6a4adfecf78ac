"""What a napari window knows; kept while its dock is closed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_segdino._qt.preferences import new_session
from napari_segdino.session.mask_history import MaskState
from napari_segdino.session.probe_history import ProbeHistory
from napari_segdino.session.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from napari_segdino.session.project import Autosave


@dataclass
class WindowState:
    """The session of a window, and what its docks leave to the next one.

    Nothing here refers to the window: it can go, and this with it.

    Parameters
    ----------
    session : Session
        Classes, settings and probe.
    history : ProbeHistory
        The history of the probe.
    masks : dict of hashable to MaskState
        What was seen of each image's mask, by the image's id.
    autosave : Autosave, optional
        Where unsaved work is kept.
    """

    session: Session
    history: ProbeHistory
    masks: dict[Any, MaskState] = field(default_factory=dict)
    autosave: Autosave | None = None


# Weak: a window that is closed takes its state along.
_states: WeakKeyDictionary[Any, WindowState] = WeakKeyDictionary()


def window_of(viewer: Viewer) -> Any:
    """Return the window itself, of which napari hands plugins a proxy.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window, or a proxy of it.
    """
    return getattr(viewer, "__wrapped__", viewer)


def state_of(viewer: Viewer, session: Session | None = None) -> WindowState:
    """Return the state of a window.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window, or a proxy of it as napari gives it to plugins.
    session : Session, optional
        What a new state begins with; without it, one that heeds the Preferences.
    """
    window = window_of(viewer)
    if window not in _states:
        session = session or new_session()
        _states[window] = WindowState(session, ProbeHistory(session))
    return _states[window]
