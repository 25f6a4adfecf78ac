"""Fixtures of the GUI tests: a window, a dock, an image, a user's hand."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import npe2
import numpy as np
import pytest
from fake_encoder import FakeEncoder
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtTest import QTest

from napari_segdino._qt.controllers.session_controller import SessionController
from napari_segdino._qt.dock import SegmentDock
from napari_segdino._qt.mouse import click
from napari_segdino._qt.window_state import WindowState
from napari_segdino.config import CacheSettings
from napari_segdino.segmenter import Segmenter
from napari_segdino.session.preload import preload
from napari_segdino.session.probe_history import ProbeHistory
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings


@pytest.fixture(autouse=True, scope="session")
def preloaded() -> None:
    """Import torch before the first window: it takes seconds."""
    preload()


@pytest.fixture(autouse=True, scope="module")
def frozen() -> None:
    """Leave what is there out of the collections that napari makes with each layer."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def manifests() -> Iterator[None]:
    """Read the manifests of plugins once, not for each window."""
    with pytest.MonkeyPatch.context() as patch:
        found = list(npe2.PluginManifest.discover())
        patch.setattr(npe2.PluginManifest, "discover", lambda **_: iter(found))
        yield


@pytest.fixture(autouse=True)
def no_popups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the notifications instead of showing them."""
    shown: list[str] = []
    monkeypatch.setattr("napari_segdino._qt.messages.show_error", shown.append)
    return shown


@pytest.fixture(autouse=True)
def autosaves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep autosaves out of the user's own folder, and make them quickly."""
    root = tmp_path / "autosaves"
    monkeypatch.setattr(
        "napari_segdino._qt.controllers.projects.autosave_root", lambda: root
    )
    monkeypatch.setattr("napari_segdino._qt.controllers.autosave.DELAY", 20)
    return root


@pytest.fixture
def plane() -> np.ndarray:
    """A bright square (200) on the left and a dark field (20), 60 x 80."""
    image = np.full((60, 80), 20, np.uint8)
    image[10:40, 10:40] = 200
    image[45:55, 50:70] = 90
    return image


@pytest.fixture
def volume(plane: np.ndarray) -> np.ndarray:
    """Five such planes, each a little brighter."""
    return np.stack([plane + i for i in range(5)])


@pytest.fixture
def probe_maker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Segmenter]:
    """Make real probes over an encoder that takes block means."""
    fake = FakeEncoder()
    fake.installed(monkeypatch)
    cache = CacheSettings(folder=tmp_path / "cache")
    return lambda head="probe", **_: Segmenter("fake", head=head, cache=cache)


class User:
    """A window with a dock, and what a user can do with it."""

    def __init__(self, viewer: Any, session: Session) -> None:
        self.viewer = viewer
        self.dock = SegmentDock(viewer, session)
        viewer.window.add_dock_widget(self.dock, name="SegDINO", area="right")

    @property
    def segmenter(self) -> Any:
        return self.dock.session.segmenter

    @property
    def annotation(self) -> Any:
        assert self.dock.image is not None
        return self.dock.controller.annotations.get(self.dock.image)

    @property
    def status(self) -> str:
        return str(self.dock.status.label.text())

    def open(self, data: np.ndarray, **kwargs: Any) -> Image:
        image = self.viewer.add_image(data, name=kwargs.pop("name", "scan"), **kwargs)
        self.dock.inputs.image.setValue(image)
        return self.viewer.layers[image.name]

    def wait(self, until: Callable[[], bool], seconds: float = 40) -> None:
        for _ in range(int(seconds * 100)):
            if until():
                return
            QTest.qWait(10)
        raise AssertionError(f"waited in vain; status: {self.status}")

    def rest(self) -> None:
        """Wait until nothing is going on."""
        QTest.qWait(30)
        self.wait(lambda: not self.dock.controller.busy)
        # The job is over, its last plane may not be drawn yet; copies are no job.
        self.wait(lambda: not self.status.endswith("working..."))
        annotations = self.dock.controller.annotations
        self.wait(lambda: not any(a.writer._timer.isActive() for a in annotations))
        QTest.qWait(30)

    def segment(self) -> None:
        self.dock.segment()
        self.rest()

    def retrain(self) -> None:
        self.dock.retrain()
        self.rest()


class Headless:
    """A session with its controller and its layers, and no window."""

    def __init__(self, maker: Any, **settings: Any) -> None:
        self.viewer = ViewerModel()
        chosen = Settings("efficientnet_lite0", follow=False, **settings)
        self.session = Session(maker, chosen)
        self.history = ProbeHistory(self.session)
        state = WindowState(self.session, self.history)
        self.controller = SessionController(self.viewer, state)
        self.told: list[str] = []
        self.controller.message.connect(self.told.append)
        self.controller.failed.connect(self.told.append)

    def open(self, data: np.ndarray, name: str = "scan", **kwargs: Any) -> Any:
        """Add an image; return its annotation, whose mask is new and empty."""
        image = self.viewer.add_image(data, name=name, **kwargs)
        return self.controller.annotations.ensure(image)

    def wait(self, until: Callable[[], bool], seconds: float = 20) -> None:
        for _ in range(int(seconds * 100)):
            if until():
                return
            QTest.qWait(10)
        raise AssertionError(f"waited in vain; told: {self.told}")

    def close(self) -> None:
        self.controller.close()
        self.wait(lambda: self.controller.runner.free)

    def rest(self) -> None:
        """Wait until nothing is going on and all of it is drawn."""
        QTest.qWait(10)
        self.wait(lambda: not self.controller.busy)
        self.wait(lambda: not self.told or not self.told[-1].endswith("working..."))


@pytest.fixture
def make_headless(qapp: Any, fake_segmenter: type) -> Iterator[Callable[..., Headless]]:
    """Make sessions without a window, each with a fake segmenter."""
    made: list[Headless] = []

    def make(**settings: Any) -> Headless:
        made.append(Headless(fake_segmenter, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def headless(make_headless: Callable[..., Headless]) -> Headless:
    return make_headless()


@pytest.fixture
def make_user(
    make_napari_viewer: Callable[..., Any], fake_segmenter: type
) -> Iterator[Callable[..., User]]:
    """Make a user of a new window; ``show=True`` for real mouse events.

    `maker` makes the probes; the fake one is taken if it is not given.
    """
    users: list[User] = []

    def make(show: bool = False, maker: Any = None, **settings: Any) -> User:
        chosen = Settings("efficientnet_lite0", **settings)
        session = Session(maker or fake_segmenter, chosen)
        users.append(User(make_napari_viewer(show=show), session))
        return users[-1]

    yield make
    for user in users:
        user.dock.release()


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user()


@pytest.fixture
def shown(make_user: Callable[..., Any], plane: np.ndarray) -> Any:
    """A user of a window on screen with a first mask, brush of 3 pixels."""
    user = make_user(show=True)
    user.open(plane)
    user.wait(lambda: user.dock.isVisible())
    click(user.dock.actions.segment)
    user.rest()
    user.annotation.mask.brush_size = 3
    return user


@pytest.fixture
def manifest() -> npe2.PluginManifest:
    """What the plugin tells napari."""
    return npe2.PluginManifest.from_distribution("napari-segdino")
