"""Projects on disk: what is kept, what a crash leaves, what bad folders do."""

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_segdino.compressed import Compressed, read_compressed
from napari_segdino.errors import ProjectError
from napari_segdino.images.planes import as_planes
from napari_segdino.session.project import (
    PROJECT_FILE,
    ImageEntry,
    ImageState,
    ProjectWriter,
    SavedProbe,
    State,
)
from napari_segdino.session.project.about import image_print
from napari_segdino.session.project.autosave import Autosave, find_left
from napari_segdino.session.project.probes import probe_path, read_masks
from napari_segdino.session.project.read import read_labels, read_project
from napari_segdino.session.project.write import MOST_CHANGES

__all__ = ["Path"]

SESSION = {"classes": [{"label": 1}], "settings": {"encoder": "fake"}}


def image_state(path="", shape=(3, 20, 30), key="a"):
    image = as_planes(np.arange(np.prod(shape), dtype=np.uint16).reshape(shape), True)
    entry = ImageEntry("scan", shape, path=str(path), learned={1: 77})
    mask, marks = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    mask[0, 2:5, 3:9], marks[-1, 3, 3] = 1, 2
    return ImageState(key, entry, image, mask, marks)


def state(*images, probe=b"probe"):
    probes = (saved(1, probe),) if probe else ()
    return State(SESSION, images, probes, len(probes) - 1)


def saved(number, content, **more):
    """A probe that notes in `written` when it is written."""

    def save(path):
        written.append(number)
        path.write_bytes(content)

    return SavedProbe(number, save if content else None, **more)


written: list[int] = []


@pytest.fixture(autouse=True)
def nothing_written():
    written.clear()


def probe_of(folder, at=None):
    project = read_project(folder)
    entry = project.probes[project.now if at is None else at]
    path = probe_path(folder, project, entry)
    return path and path.read_bytes()


def labels_of(folder):
    project = read_project(folder)
    return [read_labels(folder, project, image) for image in project.images]


def test_round_trip(tmp_path):
    folder, path = tmp_path / "p", tmp_path / "scan.nii"
    path.touch()
    saved = image_state(path)
    ProjectWriter(folder).write(state(saved))
    project = read_project(folder)
    assert project.session == SESSION
    (entry,) = project.images
    told_by = image_print(saved.image)
    assert entry == replace(saved.entry, print=told_by, number=0)
    mask, marks = read_labels(folder, project, entry)
    np.testing.assert_array_equal(mask, saved.mask)
    np.testing.assert_array_equal(marks, saved.marks)
    assert probe_of(folder) == b"probe"


def test_images_are_found_when_the_whole_folder_has_moved(tmp_path):
    (tmp_path / "here").mkdir()
    scan = tmp_path / "here" / "scan.nii"
    scan.touch()
    ProjectWriter(tmp_path / "here" / "p").write(state(image_state(scan)))
    shutil.move(tmp_path / "here", tmp_path / "there")
    (entry,) = read_project(tmp_path / "there" / "p").images
    assert entry.path == str(tmp_path / "there" / "scan.nii")


def test_images_that_stayed_are_found_when_the_project_has_moved(tmp_path):
    scan = tmp_path / "scan.nii"
    scan.touch()
    ProjectWriter(tmp_path / "p").write(state(image_state(scan)))
    (tmp_path / "far" / "away").mkdir(parents=True)
    shutil.move(tmp_path / "p", tmp_path / "far" / "away" / "p")
    (entry,) = read_project(tmp_path / "far" / "away" / "p").images
    assert entry.path == str(scan)


def test_saving_again_replaces_and_leaves_other_files_alone(tmp_path):
    first = image_state()
    ProjectWriter(tmp_path / "p").write(state(first))
    (tmp_path / "p" / "notes.txt").write_text("mine")
    first.mask[...] = 3
    ProjectWriter(tmp_path / "p").write(state(first, probe=None))
    assert (labels_of(tmp_path / "p")[0][0] == 3).all()
    assert read_project(tmp_path / "p").now == -1
    names = sorted(p.name for p in (tmp_path / "p").iterdir())
    assert names[1:] == ["notes.txt", PROJECT_FILE], "one content folder is left"


def test_a_save_that_is_cut_off_leaves_the_project_that_was_there(tmp_path):
    folder, image = tmp_path / "p", image_state()
    ProjectWriter(folder).write(state(image))
    before = image.mask.copy()
    image.mask[...] = 3
    for stop in range(8):
        steps = ProjectWriter(folder).iter_write(state(image))
        for _ in range(stop):
            next(steps)
        steps.close()
        np.testing.assert_array_equal(labels_of(folder)[0][0], before)
        assert len(list(folder.iterdir())) == 2, "nothing half-written stays"


def changes_of(folder):
    project = read_project(folder)
    files = [folder / project.content / name for name in project.changes]
    return [sorted(read_compressed(file)) for file in files]


def test_only_blocks_that_changed_are_written_again(tmp_path):
    image, writer = image_state(shape=(2, 1100, 40)), ProjectWriter(tmp_path / "p")
    writer.write(state(image))
    writer.write(state(image))
    assert changes_of(tmp_path / "p") == []
    image.marks[1, 1090, 5] = 1
    image.mask[0, 2:5, 3:9] = 0
    writer.write(state(image))
    assert changes_of(tmp_path / "p") == [["0-marks.zarr/3", "0-mask.zarr/0"]]
    mask, marks = labels_of(tmp_path / "p")[0]
    np.testing.assert_array_equal(mask, image.mask)
    np.testing.assert_array_equal(marks, image.marks)


def test_many_saves_become_one_file_of_changes(tmp_path):
    image, writer = image_state(), ProjectWriter(tmp_path / "p")
    writer.write(state(image))
    for n in range(MOST_CHANGES + 2):
        image.marks[n % 2, 1, n % 30] = n + 1
        writer.write(state(image))
        np.testing.assert_array_equal(labels_of(tmp_path / "p")[0][1], image.marks)
    assert len(changes_of(tmp_path / "p")) < 4
    content = tmp_path / "p" / read_project(tmp_path / "p").content
    assert len(list(content.glob("changes-*"))) < 4


def test_a_mask_of_another_type_takes_the_place_of_the_old_one(tmp_path):
    image, writer = image_state(), ProjectWriter(tmp_path / "p")
    writer.write(state(image))
    wide = replace(image, mask=image.mask.astype(np.uint16) + 300)
    writer.write(state(wide))
    np.testing.assert_array_equal(labels_of(tmp_path / "p")[0][0], wide.mask)
    np.testing.assert_array_equal(labels_of(tmp_path / "p")[0][1], wide.marks)
    content = tmp_path / "p" / read_project(tmp_path / "p").content
    assert len(list(content.glob("*.zarr"))) == 2


def test_images_come_and_go(tmp_path):
    one, two = image_state(key="one"), image_state(key="two", shape=(1, 5, 6))
    two.mask[...] = 2
    writer = ProjectWriter(tmp_path / "p")
    writer.write(state(one))
    writer.write(state(one, two))
    writer.write(state(two))
    ((mask, _),) = labels_of(tmp_path / "p")
    np.testing.assert_array_equal(mask, two.mask)


def test_a_probe_in_training_stays_as_it_was_written(tmp_path):
    writer = ProjectWriter(tmp_path / "p")
    writer.write(state(image_state(), probe=b"old"))
    writer.write(replace(state(image_state(), probe=None), keep_probes=True))
    assert probe_of(tmp_path / "p") == b"old"


def test_the_history_of_probes_is_kept(tmp_path):
    image, other = image_state(), image_state(key="b")
    masks = {
        ("b", 2): Compressed.of(image.mask[0]),
        ("gone", 0): Compressed.of(image.mask[0]),
    }
    probes = (
        saved(3, None),
        saved(
            4, b"four", masks=masks, image="b", learned={"b": {2: 9}, "gone": {1: 1}}
        ),
        saved(5, b"five", image="gone"),
    )
    ProjectWriter(tmp_path / "p").write(State(SESSION, (image, other), probes, 1))
    project = read_project(tmp_path / "p")
    assert [probe_of(tmp_path / "p", at) for at in range(3)] == [None, b"four", b"five"]
    assert project.now == 1
    empty, four, five = project.probes
    assert (four.image, four.learned) == (1, {1: {2: 9}}), "by number of the image"
    assert five.image == -1
    drawn = read_masks(tmp_path / "p", project, four)
    np.testing.assert_array_equal(drawn.pop((1, 2)).array(), image.mask[0])
    assert not drawn, "an image that is not kept needs no masks"
    assert read_masks(tmp_path / "p", project, empty) == {}


def test_a_probe_is_written_once_and_removed_when_it_is_let_go(tmp_path):
    writer, mask = (
        ProjectWriter(tmp_path / "p"),
        Compressed.of(np.ones((20, 30), np.uint8)),
    )
    old = saved(1, b"one", masks={("a", 0): mask})
    writer.write(State(SESSION, (image_state(),), (old,), 0))
    more = replace(old, masks={**old.masks, ("a", 1): mask})
    writer.write(State(SESSION, (image_state(),), (more, saved(2, b"two")), 1))
    assert written == [1, 2]
    project = read_project(tmp_path / "p")
    assert len(read_masks(tmp_path / "p", project, project.probes[0])) == 2
    writer.write(State(SESSION, (image_state(),), (saved(2, b"two"),), 0))
    assert written == [1, 2]
    left = {p.name for p in (tmp_path / "p" / project.content).iterdir()}
    assert left == {"0-mask.zarr", "0-marks.zarr", "probe-2.segdino"}


def test_probes_that_are_let_go_stay_until_the_project_says_so(tmp_path, monkeypatch):
    writer = ProjectWriter(tmp_path / "p")
    writer.write(state(image_state(), probe=b"old"))

    def crash(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ProjectWriter, "_write_about", crash)
        with pytest.raises(ProjectError):
            writer.write(State(SESSION, (image_state(),), (saved(2, b"new"),), 0))
    assert probe_of(tmp_path / "p") == b"old"


def test_masks_that_are_damaged_are_told(tmp_path):
    masks = {("a", 0): Compressed.of(np.ones((20, 30), np.uint8))}
    probes = (saved(1, b"one", masks=masks),)
    ProjectWriter(tmp_path / "p").write(State(SESSION, (image_state(),), probes, 0))
    project = read_project(tmp_path / "p")
    path = tmp_path / "p" / project.content / project.probes[0].masks
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ProjectError, match="damaged"):
        read_masks(tmp_path / "p", project, project.probes[0])


def test_a_project_of_version_1_opens(tmp_path):
    ProjectWriter(tmp_path / "p").write(state(image_state(), probe=None))
    about = json.loads((tmp_path / "p" / PROJECT_FILE).read_text())
    content = tmp_path / "p" / about["content"]
    (content / "probe.segdino").write_bytes(b"only")
    del about["probes"], about["now"]
    about |= {"version": 1, "has_probe": True}
    (tmp_path / "p" / PROJECT_FILE).write_text(json.dumps(about))
    assert probe_of(tmp_path / "p") == b"only"
    assert read_project(tmp_path / "p").probes[0].learned == {0: {1: 77}}
    about["has_probe"] = False
    (tmp_path / "p" / PROJECT_FILE).write_text(json.dumps(about))
    assert read_project(tmp_path / "p").now == -1


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ProjectError, match="choose a new folder"):
        ProjectWriter(tmp_path).write(state(image_state()))
    with pytest.raises(ProjectError, match="is a file"):
        ProjectWriter(tmp_path / "thesis.txt").write(state(image_state()))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}'])
def test_what_is_no_project_is_refused(tmp_path, text):
    (tmp_path / PROJECT_FILE).write_text(text)
    with pytest.raises(ProjectError):
        read_project(tmp_path)


def test_damage_is_told(tmp_path):
    with pytest.raises(ProjectError, match="no napari-segdino project"):
        read_project(tmp_path / "none")
    ProjectWriter(tmp_path / "p").write(state(image_state()))
    project = read_project(tmp_path / "p")
    shutil.rmtree(tmp_path / "p" / project.content / "0-marks.zarr")
    with pytest.raises(ProjectError, match="marks of scan"):
        read_labels(tmp_path / "p", project, project.images[0])
    about = json.loads((tmp_path / "p" / PROJECT_FILE).read_text())
    del about["images"][0]["shape"]
    (tmp_path / "p" / PROJECT_FILE).write_text(json.dumps(about))
    with pytest.raises(ProjectError, match="damaged"):
        read_project(tmp_path / "p")
    about["version"] = 99
    (tmp_path / "p" / PROJECT_FILE).write_text(json.dumps(about))
    with pytest.raises(ProjectError, match="newer version"):
        read_project(tmp_path / "p")


def test_a_full_disk_is_told_and_leaves_what_was_there(tmp_path, monkeypatch):
    image = image_state()
    ProjectWriter(tmp_path / "p").write(state(image))

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr, "create_array", full)
    with pytest.raises(ProjectError, match="disk is full"):
        ProjectWriter(tmp_path / "p").write(state(image_state()))
    np.testing.assert_array_equal(labels_of(tmp_path / "p")[0][0], image.mask)


def test_images_are_told_apart_by_pixels_shape_and_type():
    image = np.zeros((5, 300, 300), np.uint8)
    checksums = [image_print(as_planes(image, True))]
    image[2, 150, 150] = 1
    checksums.append(image_print(as_planes(image, True)))
    checksums.append(image_print(as_planes(image.astype(np.int16), True)))
    checksums.append(image_print(as_planes(image[:, :, :299], True)))
    assert len(set(checksums)) == 4
    assert image_print(as_planes(image.copy(), True)) == checksums[1]


# -- after a crash ---------------------------------------------------------

DYING = """
import os, sys
sys.path.insert(0, sys.argv[2])
from test_project import Autosave, Path, image_state, state
Autosave(Path(sys.argv[1])).write(state(image_state()))
{end}
"""


def run_and_die(root, end):
    command = [sys.executable, "-c", DYING.format(end=end)]
    subprocess.run([*command, str(root), os.path.dirname(__file__)], check=False)


def test_what_a_dead_process_left_is_found_by_one_window_only(tmp_path):
    run_and_die(tmp_path, "os.kill(os.getpid(), 9)")
    (kept,) = find_left(tmp_path)
    assert labels_of(kept.folder)[0][0].any()
    assert find_left(tmp_path) == [], "it is offered once"
    kept.let_go()
    (again,) = find_left(tmp_path)
    again.discard()
    assert list(tmp_path.iterdir()) == []


def test_the_work_of_a_living_window_is_not_offered(tmp_path):
    alive = Autosave(tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing is made ahead"
    unmarked = image_state()
    unmarked.marks[...] = 0
    alive.write(state(unmarked, probe=b""))
    assert list(tmp_path.iterdir()) == [], "nothing is marked or learned"
    alive.write(state(image_state()))
    assert find_left(tmp_path) == []
    alive.discard()
    assert list(tmp_path.iterdir()) == []
