"""Projects in the dock: saved, opened, kept while working, back after a crash."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog
from test_dock import correct

from napari_segdino._qt import mouse
from napari_segdino.io.read import read_scan
from napari_segdino.session.project import find_left, read_labels, read_project

TESTS = Path(__file__).parent.parent


def kept(user: Any) -> Path:
    """Wait until the autosave has all there is, and return its folder."""
    saver = user.dock.projects.autosaver
    numbers: list[int] = []
    saver.saved.connect(numbers.append)
    wanted = saver.ask()
    user.wait(lambda: bool(numbers) and numbers[-1] >= wanted)
    return Path(saver.stored.folder)


def open_file(user: Any, path: Path) -> None:
    data, kwargs, _ = read_scan(path).layer_data()
    image = user.viewer.add_image(data, **kwargs)
    user.dock.inputs.image.setValue(image)


def save(user: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = (str(folder), "")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: answer)
    mouse.click(user.dock.projects.panel.save)
    user.rest()
    assert "saved to" in user.status


def reopen(user: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = str(folder)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a, **k: answer)
    mouse.click(user.dock.projects.panel.open)
    user.rest()
    user.wait(lambda: user.status != "Opening the project...")
    QTest.qWait(100)


def test_a_project_brings_everything_back(
    make_user: Any, volume: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", volume, metadata={"axes": "ZYX"})
    first = make_user()
    open_file(first, tmp_path / "scan.tif")
    first.dock.session.change_class(1, "Nucleus", "#123456")
    first.dock.session.change(whole_volume=True)
    first.segment()
    correct(first)
    first.retrain()
    save(first, tmp_path / "p.segproject", monkeypatch)
    mask, marks = first.annotation.mask.data.copy(), first.annotation.marks.data.copy()
    first.dock.release()

    second = make_user()
    reopen(second, tmp_path / "p.segproject", monkeypatch)
    assert second.annotation.image.name == "scan"
    np.testing.assert_array_equal(second.annotation.mask.data, mask)
    np.testing.assert_array_equal(second.annotation.marks.data, marks)
    assert second.dock.session.classes[0].name == "Nucleus"
    assert second.dock.inputs.volume.isChecked()
    assert second.dock.session.is_fitted
    assert second.dock.tools.opacity.value() == round(
        100 * second.annotation.mask.opacity
    )
    second.retrain()
    fits = [p for name, p in second.segmenter.calls if name == "partial_fit"]
    assert fits == [], "the probe knows all these marks"
    second.annotation.mask.paint((4, 5, 5), 0)
    second.wait(lambda: second.annotation.marks.data[4, 5, 5] == 1)


def two_retrains(user: Any) -> list[np.ndarray]:
    """Play two Retrains; return the masks before, between and after."""
    mask = user.annotation.mask
    mask.brush_size = 3
    mask.paint((50, 60), 1)
    mask.paint((14, 14), 0)
    masks = [mask.data.copy()]
    user.retrain()
    masks.append(mask.data.copy())
    mask.paint((5, 70), 1 - int(mask.data[5, 70]))
    user.retrain()
    return [*masks, mask.data.copy()]


def step(user: Any, button: str, place: str) -> None:
    user.dock.tabs.setCurrentWidget(user.dock.review)
    panel = user.dock.review.change.panel
    way = getattr(panel, button)
    user.wait(lambda: bool(way.isEnabled()) and way.height() > 0)
    mouse.click(way)
    user.rest()
    assert panel.place.text() == place


def test_the_probes_of_a_project_can_be_walked_back(
    make_user: Any,
    probe_maker: Any,
    plane: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", plane)
    first = make_user(maker=probe_maker)
    open_file(first, tmp_path / "scan.tif")
    first.segment()
    masks = two_retrains(first)
    step(first, "back", "Model 2 of 3")
    marked = first.segmenter.predict(plane)
    between = first.annotation.mask.data.copy()
    step(first, "forth", "Model 3 of 3")
    marks = first.annotation.marks.data.copy()
    save(first, tmp_path / "p.segproject", monkeypatch)
    first.dock.release()

    second = make_user(maker=probe_maker, show=True)
    reopen(second, tmp_path / "p.segproject", monkeypatch)
    np.testing.assert_array_equal(second.annotation.mask.data, masks[2])
    step(second, "back", "Model 2 of 3")
    np.testing.assert_array_equal(second.annotation.mask.data, between)
    np.testing.assert_array_equal(second.segmenter.predict(plane), marked)
    step(second, "back", "Model 1 of 3")
    assert not second.segmenter.is_fitted
    assert "before the first Retrain" in second.status
    step(second, "forth", "Model 2 of 3")
    step(second, "forth", "Model 3 of 3")
    np.testing.assert_array_equal(second.annotation.mask.data, masks[2])
    np.testing.assert_array_equal(second.annotation.marks.data, marks)
    second.retrain()
    assert second.dock.controller.history.place == (3, 3), "it knows all these marks"


def test_an_earlier_probe_that_is_damaged_is_left_out(
    user: Any, make_user: Any, plane: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", plane)
    open_file(user, tmp_path / "scan.tif")
    user.segment()
    two_retrains(user)
    means = user.segmenter.means
    save(user, tmp_path / "p.segproject", monkeypatch)
    user.dock.release()
    project = read_project(tmp_path / "p.segproject")
    file = tmp_path / "p.segproject" / project.content / project.probes[1].probe
    file.write_text("half of a")
    second = make_user()
    reopen(second, tmp_path / "p.segproject", monkeypatch)
    assert second.dock.controller.history.place == (2, 2)
    np.testing.assert_array_equal(second.segmenter.means, means)


def test_a_project_from_before_the_history_opens(
    user: Any, make_user: Any, plane: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", plane)
    open_file(user, tmp_path / "scan.tif")
    user.segment()
    two_retrains(user)
    folder, means = tmp_path / "p.segproject", user.segmenter.means
    save(user, folder, monkeypatch)
    user.dock.release()
    about = json.loads((folder / "project.json").read_text())
    content, last = folder / about["content"], about["probes"][about["now"]]
    (content / last["probe"]).rename(content / "probe.segdino")
    del about["probes"], about["now"]
    (folder / "project.json").write_text(
        json.dumps(about | {"version": 1, "has_probe": True})
    )
    second = make_user()
    reopen(second, folder, monkeypatch)
    np.testing.assert_array_equal(second.segmenter.means, means)
    assert not second.dock.review.change.panel.back.isEnabled()
    second.retrain()
    assert [c for c in second.segmenter.calls if c[0] == "partial_fit"] == []


def open_sample(user: Any, folder: Path) -> None:
    user.viewer.open_sample("napari-segdino", "cell")


def open_photo(user: Any, folder: Path) -> None:
    image = np.zeros((40, 50), np.uint8)
    image[10:30, 10:30] = 200
    Image.fromarray(image).save(folder / "photo.png")
    user.viewer.open(str(folder / "photo.png"), plugin="napari")


@pytest.mark.parametrize("open_one", [open_sample, open_photo])
def test_images_of_napari_and_samples_are_opened_again(
    make_user: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    open_one: Callable[[Any, Path], None],
) -> None:
    first = make_user()
    open_one(first, tmp_path)
    first.segment()
    # Those that a sample comes with are erased, and do not come back.
    first.annotation.marks.data[:] = 0
    first.annotation.mask.paint((5, 5), 1)
    save(first, tmp_path / "p.segproject", monkeypatch)
    marks, name = first.annotation.marks.data.copy(), first.dock.image.name
    first.dock.release()
    second = make_user()
    reopen(second, tmp_path / "p.segproject", monkeypatch)
    second.wait(lambda: second.dock.image is not None)
    assert second.dock.image.name == name
    np.testing.assert_array_equal(second.annotation.marks.data, marks)
    assert len(second.viewer.layers) == 3


def test_a_file_that_is_gone_is_asked_for(
    make_user: Any, plane: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", plane)
    first = make_user()
    open_file(first, tmp_path / "scan.tif")
    first.segment()
    save(first, tmp_path / "p.segproject", monkeypatch)
    first.dock.release()
    (tmp_path / "scan.tif").write_bytes(b"II*\0 damaged")
    second = make_user(show=True)
    reopen(second, tmp_path / "p.segproject", monkeypatch)
    assert "Open the image scan" in second.status
    mouse.click(second.dock.projects.recovery.bar.discard)
    assert not second.dock.projects.recovery.bar.isVisible()


def test_an_image_from_memory_is_asked_for(
    make_user: Any, plane: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_user()
    first.open(plane, name="drawn")
    first.segment()
    correct(first)
    first.retrain()
    save(first, tmp_path / "p.segproject", monkeypatch)
    marks = first.annotation.marks.data.copy()
    first.dock.release()

    second = make_user(show=True)
    reopen(second, tmp_path / "p.segproject", monkeypatch)
    bar = second.dock.projects.recovery.bar
    assert bar.isVisible()
    assert "Open the image drawn (60 x 80)" in bar.label.text()
    second.open(plane[::-1].copy(), name="another")
    QTest.qWait(200)
    assert not second.annotation.marks.data.any(), "other pixels and another name"
    assert bar.isVisible()
    second.open(plane, name="the same pixels")
    second.wait(
        lambda: second.annotation is not None and second.annotation.marks.data.any()
    )
    second.rest()
    np.testing.assert_array_equal(second.annotation.marks.data, marks)
    assert not bar.isVisible()


def test_marks_that_are_there_stay(
    user: Any, plane: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    user.retrain()
    save(user, tmp_path / "p.segproject", monkeypatch)
    saved = user.annotation.marks.data.copy()
    user.annotation.mask.paint((25, 25), 1)
    reopen(user, tmp_path / "p.segproject", monkeypatch)
    user.wait(lambda: user.annotation.marks.data[50, 60] == 2)
    assert user.annotation.marks.data[25, 25] == 2, (
        "painted after the project was saved"
    )
    assert user.annotation.mask.data[25, 25] == 1
    np.testing.assert_array_equal(user.annotation.marks.data > 0, saved > 0)


def test_saving_with_nothing_drawn_is_refused(user: Any, tmp_path: Path) -> None:
    user.dock.projects.save(tmp_path / "p")
    assert "Open an image first" in user.status
    assert not (tmp_path / "p").exists()


def test_a_folder_that_is_no_project_is_told(
    user: Any, plane: Any, tmp_path: Path, no_popups: list[str]
) -> None:
    user.open(plane)
    user.dock.projects.open(tmp_path)
    user.rest()
    assert "holds no napari-segdino project" in user.status
    assert no_popups


# -- autosave --------------------------------------------------------------


def test_work_is_kept_while_it_goes_on(user: Any, plane: Any, autosaves: Path) -> None:
    user.open(plane)
    user.wait(lambda: user.annotation is not None)
    kept(user)
    assert not autosaves.exists(), "nothing is drawn yet"
    user.segment()
    correct(user)
    folder = kept(user)
    assert read_project(folder).now == -1
    user.retrain()
    folder = kept(user)
    project = read_project(folder)
    assert project.probes[project.now].probe
    assert list(project.images[0].learned) == [0]


def test_a_disk_that_is_full_is_told_once(
    user: Any, plane: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    user.dock.projects.autosaver.failed.connect(told.append)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(
        "napari_segdino.session.project.write.ProjectWriter.write", full
    )
    user.open(plane)
    user.segment()
    correct(user)
    user.wait(lambda: bool(told))
    correct(user)
    QTest.qWait(200)
    assert len(told) == 1
    assert "could not be kept" in told[0]


SCRIPT = """
import os, signal, sys
import napari, numpy as np
from qtpy.QtTest import QTest
from conftest import FakeSegmenter
from napari_segdino._qt.controllers import autosave
from napari_segdino._qt.controllers import projects as project
from napari_segdino._qt.dock import SegmentDock
from napari_segdino.session.preload import preload
from napari_segdino.session.session import (Session)
from napari_segdino.session.settings import Settings
from pathlib import Path

preload()
autosave.DELAY = 20
project.autosave_root = lambda: Path(sys.argv[1])
viewer = napari.Viewer(show=False)
dock = SegmentDock(viewer, Session(FakeSegmenter, Settings("efficientnet_lite0")))
from napari_segdino.io.read import read_scan
data, kwargs, _ = read_scan(sys.argv[2]).layer_data()
image = viewer.add_image(data, **kwargs)
dock.inputs.image.setValue(image)
dock.segment()
while dock.controller.busy or dock.controller.annotations.get(image) is None:
    QTest.qWait(10)
QTest.qWait(100)
work = dock.controller.annotations.get(image)
work.mask.brush_size = 3
work.mask.paint((50, 60), 1)
numbers = []
dock.projects.autosaver.saved.connect(numbers.append)
wanted = dock.projects.autosaver.ask()
while not numbers or numbers[-1] < wanted:
    QTest.qWait(10)
{end}
"""


def run(autosaves: Path, image: Path, end: str) -> int:
    """Run a window of its own to an end of its own."""
    command = [sys.executable, "-c", SCRIPT.format(end=end)]
    done = subprocess.run(
        [*command, str(autosaves), str(image)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left of a program that was killed."""
    folder = tmp_path_factory.mktemp("killed")
    image = np.full((60, 80), 20, np.uint8)
    image[10:40, 10:40] = 200
    tifffile.imwrite(folder / "scan.tif", image)
    ending = "os.kill(os.getpid(), signal.SIGKILL)"
    assert run(folder / "left", folder / "scan.tif", ending) == -9
    return folder / "left"


@pytest.fixture
def left(killed: Path, autosaves: Path) -> None:
    """The same, where this test looks for it."""
    shutil.copytree(killed, autosaves)


@pytest.mark.usefixtures("left")
def test_marks_are_back_after_the_program_was_killed(
    make_user: Any, autosaves: Path
) -> None:
    user = make_user(show=True)
    bar = user.dock.projects.recovery.bar
    user.wait(bar.isVisible)
    assert "Unsaved work on scan" in bar.label.text()
    mouse.click(bar.restore)
    user.wait(lambda: user.dock.image is not None and user.annotation is not None)
    user.rest()
    assert user.annotation.marks.data[50, 60] == 2
    assert user.annotation.mask.data[50, 60] == 1
    assert user.annotation.mask.data[20, 20] == 1, "what Segment drew"
    assert not bar.isVisible()
    own = user.dock.projects.autosaver.stored.folder
    user.wait(lambda: [p.parent for p in autosaves.glob("*/project.json")] == [own])


@pytest.mark.usefixtures("left")
def test_discard_removes_what_was_left(make_user: Any, autosaves: Path) -> None:
    user = make_user(show=True)
    bar = user.dock.projects.recovery.bar
    user.wait(bar.isVisible)
    mouse.click(bar.discard)
    assert not bar.isVisible()
    assert not list(autosaves.glob("*/project.json"))


@pytest.mark.usefixtures("left")
def test_what_is_not_answered_is_offered_again(make_user: Any, autosaves: Path) -> None:
    first = make_user(show=True)
    assert find_left(autosaves) == [], "no other window offers it"
    first.dock.release()
    again = make_user(show=True)
    again.wait(again.dock.projects.recovery.bar.isVisible)


def test_unsaved_work_is_offered_after_a_program_that_ended_as_it_should(
    make_user: Any, plane: Any, autosaves: Path, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", plane)
    assert run(autosaves, tmp_path / "scan.tif", "viewer.close(); sys.exit(0)") == 0
    user = make_user(show=True)
    bar = user.dock.projects.recovery.bar
    user.wait(bar.isVisible)
    mouse.click(bar.restore)
    user.wait(lambda: user.dock.image is not None and user.annotation is not None)
    user.rest()
    assert user.annotation.marks.data[50, 60] == 2


def test_what_a_project_has_is_not_offered_again(
    user: Any, plane: Any, autosaves: Path, tmp_path: Path
) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    assert kept(user).is_dir()
    user.dock.projects.save(tmp_path / "mine.segproject")
    user.rest()
    user.wait(lambda: not list(autosaves.glob("*/project.json")))
    user.dock.release()
    assert not list(autosaves.glob("*/project.json"))


def test_a_change_after_saving_is_kept_again(
    user: Any, plane: Any, autosaves: Path, tmp_path: Path
) -> None:
    user.open(plane)
    user.segment()
    correct(user)
    user.dock.projects.save(tmp_path / "mine.segproject")
    user.rest()
    user.annotation.mask.paint((5, 5), 1)
    user.dock.release()
    (left,) = autosaves.glob("*/project.json")
    project = read_project(left.parent)
    _, marks = read_labels(left.parent, project, project.images[0])
    assert marks[5, 5] == 2


def test_a_first_mask_alone_is_no_work(user: Any, plane: Any, autosaves: Path) -> None:
    user.open(plane)
    user.segment()
    user.dock.release()
    assert not autosaves.exists()


def test_what_is_damaged_in_a_project_is_told_and_the_rest_opens(
    make_user: Any,
    volume: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_popups: list[str],
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", volume, metadata={"axes": "ZYX"})
    first = make_user(whole_volume=True)
    open_file(first, tmp_path / "scan.tif")
    first.segment()
    correct(first)
    save(first, tmp_path / "p.segproject", monkeypatch)
    mask, marks = first.annotation.mask.data.copy(), first.annotation.marks.data.copy()
    shown = first.annotation.shown()
    first.dock.release()
    (chunk,) = (tmp_path / "p.segproject").glob(f"content-*/0-marks.zarr/c/{shown}/0/0")
    chunk.write_bytes(chunk.read_bytes()[:-9] + bytes(9))

    second = make_user()
    reopen(second, tmp_path / "p.segproject", monkeypatch)
    (told,) = no_popups
    assert told.startswith("p.segproject is damaged and was opened as far as it can be")
    assert told.endswith(f"the marks of scan on plane {shown}.")
    np.testing.assert_array_equal(second.annotation.mask.data, mask)
    marks[shown] = 0
    np.testing.assert_array_equal(second.annotation.marks.data, marks)


def test_marks_that_a_project_brings_back_go_with_its_mask(
    user: Any, plane: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.open(plane)
    user.segment()
    before = user.annotation.mask.data.copy()
    correct(user)
    mask, marks = user.annotation.mask.data.copy(), user.annotation.marks.data.copy()
    save(user, tmp_path / "p.segproject", monkeypatch)
    while not np.array_equal(user.annotation.mask.data, before):
        user.annotation.mask.undo()
    assert not user.annotation.marks.data.any()
    reopen(user, tmp_path / "p.segproject", monkeypatch)
    np.testing.assert_array_equal(user.annotation.marks.data, marks)
    np.testing.assert_array_equal(user.annotation.mask.data, mask)
    user.annotation.mask.undo()
    np.testing.assert_array_equal(user.annotation.mask.data, before)
    assert not user.annotation.marks.data.any(), "they go with what they say"
    user.annotation.mask.redo()
    np.testing.assert_array_equal(user.annotation.marks.data, marks)
