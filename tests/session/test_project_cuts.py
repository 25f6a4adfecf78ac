"""Power cuts, kills and full disks while a project is saved: the old one or the new.

Each scene runs in a process of its own, as forked children want a parent without
threads: ``python tests/session/test_project_cuts.py SCENE FOLDER``.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
KILLS = 200


def images(content):
    from test_project import image_state

    both = [image_state(key=key, shape=(4, 40, 50)) for key in "ab"]
    for image in both:
        image.mask[...] = image.marks[...] = content
    return tuple(both)


def save(writer, content, *probes):
    from test_project import SESSION, State, saved

    listed = tuple(saved(n, bytes([n])) for n in probes)
    writer.write(State(SESSION, images(content), listed, len(listed) - 1))


def write_first(folder):
    from test_project import ProjectWriter

    save(ProjectWriter(folder), 1, 1)


def write_again(folder):
    from test_project import ProjectWriter

    save(ProjectWriter(folder), 2, 2)


def write_twice(folder):
    from test_project import ProjectWriter

    writer = ProjectWriter(folder)
    save(writer, 1, 1)
    folder.with_name("first").touch()
    save(writer, 2, 1, 2)


def write_on(folder):
    """Save again and again, as the autosave does."""
    from test_project import ProjectWriter

    writer = ProjectWriter(folder)
    for n in range(1, 250):
        save(writer, n, n)


def check(folder):
    """See that all there is is of one time."""
    from test_project import labels_of, probe_of

    found = {int(n) for pair in labels_of(folder) for a in pair for n in np.unique(a)}
    assert len(found) == 1 and probe_of(folder) == bytes(found), found


def write_on_full_disk(n, folder):
    """Fill the disk while a project is saved over; then there is room again."""
    from cuts import full_disk

    from napari_segdino.errors import ProjectError

    write_first(folder)
    try:
        with full_disk(n):
            write_again(folder)
        folder.with_name("through").touch()
    except ProjectError as error:
        assert "the disk is full" in str(error), error
    check(folder)
    write_again(folder)
    check(folder)


def run_full(root):
    """Print how often a disk was full, and how often something went wrong."""
    from cuts import in_child

    failed = 0
    for n in range(1, 10**6):
        shutil.rmtree(root)
        root.mkdir()
        failed += bool(in_child(write_on_full_disk, n, root / "p"))
        if (root / "through").exists():
            break
    sys.stdout.write(f"{n - 1} {failed}\n")


def run(scene, root):
    """Print how often it was cut, and how often what was left was not whole."""
    from cuts import cut_before, in_child, killed_after

    folder, count, failed = root / "p", 0, 0
    if scene == "killed":
        random.seed(0)
        for _ in range(KILLS):
            shutil.rmtree(root)
            root.mkdir()
            killed_after(random.uniform(0.05, 0.6), write_on, folder)
            if (folder / "project.json").exists():
                count, failed = count + 1, failed + bool(in_child(check, folder))
    for n in range(10**6 if scene != "killed" else 0):
        shutil.rmtree(root)
        root.mkdir()
        if scene == "write_again":
            assert in_child(write_first, folder) == 0
        whole = cut_before(n + 1, globals()[scene], folder)
        if scene == "write_again" or (root / "first").exists():
            count, failed = count + 1, failed + bool(in_child(check, folder))
        if whole:
            break
    sys.stdout.write(f"{count} {failed}\n")


@pytest.mark.long
@pytest.mark.parametrize("scene", ["write_again", "write_twice", "killed", "full"])
def test_what_is_left_is_of_one_time(tmp_path, scene):
    path = os.pathsep.join(map(str, (TESTS, TESTS / "session", *sys.path)))
    done = subprocess.run(
        [sys.executable, __file__, scene, str(tmp_path / "scene")],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    count, failed = map(int, done.stdout.split())
    assert count > 10 and failed == 0, done.stderr


if __name__ == "__main__":
    where = Path(sys.argv[2])
    where.mkdir()
    run_full(where) if sys.argv[1] == "full" else run(sys.argv[1], where)
