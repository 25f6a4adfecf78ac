"""Projects that are damaged or hostile: what is whole opens, the rest is named."""

import json
import os
import shutil
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from imagecodecs import zstd_encode
from project_damages import damages
from test_project import SESSION, image_state, labels_of, saved, state

from napari_segdino.compressed import Compressed, read_compressed, write_compressed
from napari_segdino.errors import ProjectError, SegDINOError
from napari_segdino.session.project import (
    PROJECT_FILE,
    Autosave,
    ProjectWriter,
    State,
    find_left,
    read_labels,
    read_project,
)
from napari_segdino.session.project.probes import read_masks
from napari_segdino.session.session import Session


@pytest.fixture
def project(tmp_path):
    """A project with arrays, one file of changes, a probe and what it drew."""
    image, writer = image_state(), ProjectWriter(tmp_path / "p")
    writer.write(state(image))
    image.marks[1, 4, 5:9] = 3
    masks = {("a", 0): Compressed.of(image.mask[0])}
    probes = (saved(1, b"probe", masks=masks),)
    writer.write(State(SESSION, (image,), probes, 0))
    return tmp_path / "p"


def content_of(folder):
    return folder / read_project(folder).content


def read_all(folder):
    """Return arrays, what is missing, and what was drawn, as far as it can be read."""
    project = read_project(folder)
    missing = [] if project.unchanged else ["project.json"]
    labels = [read_labels(folder, project, one, missing) for one in project.images]
    for probe in project.probes:
        for mask in read_masks(folder, project, probe).values():
            mask.array()
    return labels, missing


def test_a_cut_leaves_planes_of_one_time(tmp_path, monkeypatch):
    image, writer = image_state(), ProjectWriter(tmp_path / "p")
    writer.write(state(image))
    before = image.mask.copy()
    image.mask[...] = 3

    def cut(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as power:
        power.setattr(ProjectWriter, "_write_about", cut)
        with pytest.raises(KeyboardInterrupt):
            writer.write(state(image))
    np.testing.assert_array_equal(labels_of(tmp_path / "p")[0][0], before)
    writer.write(state(image))
    assert (labels_of(tmp_path / "p")[0][0] == 3).all()


def test_a_missing_chunk_is_named_and_the_rest_opens(project):
    (whole,), _ = read_all(project)
    shutil.rmtree(content_of(project) / "0-marks.zarr" / "c")
    about = read_project(project)
    missing = []
    mask, marks = read_labels(project, about, about.images[0], missing)
    assert missing == ["the marks of scan on plane 2"]
    np.testing.assert_array_equal(mask, whole[0])
    np.testing.assert_array_equal(marks[1], whole[1][1], "changed later, elsewhere")
    with pytest.raises(ProjectError, match=r"p is damaged: the marks of scan on plane"):
        read_labels(project, about, about.images[0])


def test_changes_that_are_lost_are_named(project):
    (changes,) = content_of(project).glob("changes-*")
    changes.unlink()
    about = read_project(project)
    missing = []
    _, marks = read_labels(project, about, about.images[0], missing)
    assert missing == ["the marks of scan on plane 1"]
    assert marks[-1].any()


def test_a_project_that_was_edited_opens_and_says_so(project):
    file = project / PROJECT_FILE
    file.write_text(file.read_text().replace('"scan"', '"skan"'))
    about = read_project(project)
    assert not about.unchanged and about.images[0].name == "skan"


@pytest.mark.parametrize("place", ["project.json", "content", "0-marks.zarr", "c"])
def test_no_link_is_followed(project, tmp_path, place):
    where = {"project.json": project, "c": content_of(project) / "0-marks.zarr"}
    path = where.get(place, content_of(project)) / place
    path = content_of(project) if place == "content" else path
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProjectError, match="holds a link"):
        read_project(project)


def test_what_would_block_or_swell_is_refused(project):
    content = content_of(project)
    os.mkfifo(content / "0-marks.zarr" / "c" / "pipe")
    with pytest.raises(ProjectError, match="holds a link"):
        read_project(project)
    (content / "0-marks.zarr" / "c" / "pipe").unlink()
    (changes,) = content.glob("changes-*")
    bomb = Compressed(zlib.compress(bytes(1 << 26)), (1, 20, 30), "|u1")
    write_compressed(changes, {"0-marks.zarr/1": bomb})
    about, missing = read_project(project), []
    read_labels(project, about, about.images[0], missing)
    assert missing == ["the marks of scan on plane 1"]
    with pytest.raises(ProjectError, match="damaged"):
        read_compressed(changes)["0-marks.zarr/1"].array()
    (project / PROJECT_FILE).unlink()
    os.mkfifo(project / PROJECT_FILE)
    with pytest.raises(ProjectError, match="no napari-segdino project"):
        read_project(project)


def test_a_chunk_that_inflates_to_more_than_a_chunk_is_lost(project):
    """Whatever the compression claims or is: no more than a chunk is inflated."""
    about = read_project(project)
    array = content_of(project) / "0-marks.zarr"
    chunk = next(p for p in (array / "c").rglob("*") if p.is_file())
    plane = int(chunk.parent.parent.name)
    whole = chunk.read_bytes()
    for bomb in (zstd_encode(bytes(1 << 29)), whole + bytes(1 << 20), whole[:-1], b""):
        chunk.write_bytes(bomb)
        missing = []
        tracemalloc.start()
        read_labels(project, about, about.images[0], missing)
        assert tracemalloc.get_traced_memory()[1] < 1e8
        tracemalloc.stop()
        assert missing == [f"the marks of scan on plane {plane}"]
    chunk.write_bytes(whole)
    meta = json.loads((array / "zarr.json").read_text())
    meta["codecs"][1] = {"name": "gzip", "configuration": {"level": 5}}
    (array / "zarr.json").write_text(json.dumps(meta))
    missing = []
    read_labels(project, about, about.images[0], missing)
    assert missing == ["the marks of scan"]


@pytest.mark.parametrize("name", ["..", ".", "", "../p2", "a/b", "/tmp"])
def test_content_elsewhere_is_refused(project, name):
    file = project / PROJECT_FILE
    about = json.loads(file.read_text()) | {"content": name}
    file.write_text(json.dumps(about))
    with pytest.raises(ProjectError, match="damaged"):
        read_project(project)


@pytest.mark.parametrize("label", [-1, 0, 255])
def test_a_class_that_cannot_be_is_damage(fake_segmenter, label):
    session = Session(fake_segmenter)
    state = session.state()
    state["classes"][0]["label"] = label
    with pytest.raises(ProjectError, match="settings of the project are damaged"):
        session.check(state)


def check_damages(project, tmp_path, every):
    labels, _ = read_all(project)
    count = sum(1 for _ in damages(project))
    for n in range(0, count, every):
        copy = tmp_path / "copy"
        shutil.copytree(project, copy)
        list(damages(copy))[n]()
        try:
            found, missing = read_all(copy)
        except SegDINOError:
            pass
        else:
            same = [
                np.array_equal(a, b)
                for x, y in zip(found, labels, strict=False)
                for a, b in zip(x, y, strict=True)
            ]
            assert missing or (all(same) and len(found) == len(labels)), n
        shutil.rmtree(copy)


def test_no_damage_is_read_as_if_it_were_whole(project, tmp_path):
    check_damages(project, tmp_path, 29)


@pytest.mark.long
def test_no_damage_at_all_is_read_as_if_it_were_whole(project, tmp_path):
    check_damages(project, tmp_path, 1)


def test_what_a_process_left_before_anything_was_whole_is_swept(tmp_path):
    (tmp_path / "0123456789ab" / "content-1").mkdir(parents=True)
    (tmp_path / "ba9876543210.lock").touch()
    mine = [tmp_path / "notes.txt", tmp_path / "thesis.lock", tmp_path / "my folder"]
    for path in mine[:2]:
        path.touch()
    mine[2].mkdir()
    alive = Autosave(tmp_path)
    alive.write(state(image_state()))
    assert find_left(tmp_path) == []
    names = {*(Path(p).name for p in mine), alive.folder.name}
    assert {p.name for p in tmp_path.iterdir()} - {f"{alive.folder.name}.lock"} == names
    alive.discard()
