"""What holds on Windows and macOS too, as far as it can be faked here."""

import ast
import errno
import ntpath
import os
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from fake_encoder import FakeEncoder, bright_square
from PIL import Image

from napari_segdino import Segmenter, files
from napari_segdino.batch.jobs import plan_jobs
from napari_segdino.batch.record import Wanted, measure, seen_from
from napari_segdino.config import CacheSettings
from napari_segdino.errors import ProjectError, ScanError
from napari_segdino.features.cache import SUFFIX, FeatureCache
from napari_segdino.files import atomic_path, reason, safe_name, swap_folder
from napari_segdino.io.datasets import open_dataset
from napari_segdino.io.read import can_read
from napari_segdino.session.project.write import _check_free

PACKAGE = Path(__file__).parent.parent / "napari_segdino"
SOURCES = sorted(PACKAGE.rglob("*.py"))

POSIX_MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"}
POSIX_CALLS = {
    "os": {"fork", "forkpty", "getuid", "geteuid", "getgid", "getlogin", "killpg"}
    | {"mkfifo", "nice", "setsid", "umask", "uname", "wait", "getpgid", "getloadavg"},
    "signal": {"SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGALRM", "alarm"},
    "multiprocessing": {"get_context", "set_start_method"},
    "time": {"tzset", "clock_gettime"},
}


def in_use(number=32):
    """The error of Windows for a file that another program has open."""
    error = PermissionError(errno.EACCES, "used by another process")
    error.winerror = number
    return error


@pytest.fixture
def busy(monkeypatch):
    """Have files refused so many times; tells how long was waited."""

    def begin(times, error=None):
        waits, real = [], os.replace

        def refuse(source, target):
            if len(waits) < times:
                raise error or in_use()
            real(source, target)

        monkeypatch.setattr(files.os, "replace", refuse)
        monkeypatch.setattr(files.time, "sleep", waits.append)
        return waits

    return begin


# -- files that are open ---------------------------------------------------


def test_a_file_that_a_scanner_holds_for_a_moment_is_replaced(tmp_path, busy):
    (tmp_path / "a.csv").write_text("old", "utf-8")
    waits = busy(2)
    with atomic_path(tmp_path / "a.csv") as temporary:
        temporary.write_text("new", "utf-8")
    assert (tmp_path / "a.csv").read_text("utf-8") == "new"
    assert len(waits) == 2


@pytest.mark.parametrize("number", [32, 33, 1224])
def test_a_file_that_stays_open_is_told_in_a_sentence(tmp_path, busy, number):
    (tmp_path / "a.csv").write_text("old", "utf-8")
    waits = busy(99, in_use(number))
    told = r"a.csv cannot be written: another program has it open\."
    with pytest.raises(ScanError, match=told), atomic_path(tmp_path / "a.csv") as new:
        new.write_text("new", "utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text("utf-8") == "old"
    assert 1 < sum(waits) < 3, "seconds, and not longer"


def test_what_is_not_allowed_is_not_tried_again(tmp_path, busy):
    waits = busy(1, PermissionError(errno.EACCES, "no"))
    with pytest.raises(ScanError, match="read-only"), atomic_path(tmp_path / "a"):
        pass
    assert waits == []


def test_a_folder_that_is_looked_at_is_swapped_later(tmp_path, busy):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    waits = busy(3)
    swap_folder(tmp_path / "new", tmp_path / "old")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["new"]
    assert len(waits) == 3


def test_a_read_only_file_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    """Windows removes no file that is so marked, which the one in the making was."""
    (tmp_path / "a.csv").write_text("old", "utf-8")
    monkeypatch.setattr(files.os, "access", lambda path, mode: mode != os.W_OK)
    monkeypatch.setattr(files, "_claim", lambda *_: pytest.fail("it was made"))
    told = "a.csv cannot be written: the folder or file is read-only"
    with pytest.raises(ScanError, match=told), atomic_path(tmp_path / "a.csv"):
        pytest.fail("it must not come here")


def test_read_only_is_still_called_so():
    assert "read-only" in reason(in_use(5))
    assert "open" in reason(in_use(32))


@pytest.fixture
def probe(monkeypatch, tmp_path):
    FakeEncoder().installed(monkeypatch)
    cache = CacheSettings(1 << 26, 0, tmp_path)
    return Segmenter("fake", cache=cache).fit(*bright_square(48))


def test_a_probe_does_not_hang_on_the_file_it_was_read_from(tmp_path, probe):
    """Where it were mapped into memory, Windows would refuse to save over it."""
    path = probe.save(tmp_path / "p.segdino")
    made = Segmenter.load(path).provenance()
    loaded = Segmenter.load(path)
    with open(path, "r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert loaded.provenance() == made
    assert Segmenter.load(loaded.save(path)).provenance() == made


def test_a_cached_file_that_is_open_stays_and_the_others_go(tmp_path, monkeypatch):
    folder = tmp_path / "features"
    folder.mkdir()
    cache = FeatureCache(0, 100, folder)
    for number in range(5):
        path = folder / f"{number}{SUFFIX}"
        path.write_bytes(bytes(60))
        os.utime(path, (number, number))
    unlink = Path.unlink

    def refuse(self, **kwargs):
        if self.name.startswith("2"):
            raise in_use()
        unlink(self, **kwargs)

    monkeypatch.setattr(Path, "unlink", refuse)
    cache._trim()
    assert sorted(p.name[0] for p in folder.iterdir()) == ["2", "4"]


# -- names and paths -------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("con", "con_"),
        ("AUX", "AUX_"),
        ("nul.mask", "nul_.mask"),
        ("com1", "com1_"),
        ("Lpt9.a.b", "Lpt9_.a.b"),
        ("console", "console"),
        ("com10", "com10"),
        ("a.con", "a.con"),
        ('a<b>:"c|?*', "a-b-c"),
        ("ends with a dot. ", "ends-with-a-dot"),
        (r"C:\scans\heart", "C-scans-heart"),
    ],
)
def test_names_are_such_as_windows_takes(name, expected):
    assert safe_name(name) == expected


def test_paths_on_another_drive_are_kept_whole(monkeypatch):
    def two_drives(path, start):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("napari_segdino.batch.record.os.path.relpath", two_drives)
    assert seen_from(Path("/c/masks"), Path("/d/scan.nii")) == "/d/scan.nii"


def test_capitals_of_a_path_do_not_count_where_the_system_does_not(monkeypatch):
    made = Wanted("../In/Scan.nii", 7, 8, "", "", "")
    typed = replace(made, image="../in/scan.NII", image_time=9)
    assert not typed.is_image_of(made)
    monkeypatch.setattr(os.path, "normcase", ntpath.normcase)
    assert typed.is_image_of(made)
    assert not replace(typed, image="../in/scan2.nii").is_image_of(made)


def test_a_path_of_windows_in_a_probe_names_its_file_alone(probe):
    probe.encoder = r"C:\Users\jdoe7\weights\vit.pth"
    assert probe.provenance().encoder == "vit.pth"


# -- what systems leave in folders -----------------------------------------

APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(100)
"""What macOS writes beside each file on disks of other systems, and into archives."""


def with_shadow(path, image):
    nib.save(nib.Nifti1Image(image, np.eye(4)), path)
    path.with_name(f"._{path.name}").write_bytes(APPLE_DOUBLE)


def test_shadows_of_files_are_no_images(tmp_path):
    for folder in ("imagesTr", "labelsTr", "scans"):
        (tmp_path / folder).mkdir()
    image = np.zeros((4, 5, 6), np.uint8)
    for k in range(2):
        with_shadow(tmp_path / "imagesTr" / f"hip_{k}_0000.nii.gz", image)
        with_shadow(tmp_path / "labelsTr" / f"hip_{k}.nii.gz", image)
        with_shadow(tmp_path / "scans" / f"{k}.nii.gz", image)
    assert not can_read(tmp_path / "scans" / "._0.nii.gz")
    jobs = plan_jobs([tmp_path / "scans"], tmp_path / "out")
    assert [job.path.name for job in jobs] == ["0.nii.gz", "1.nii.gz"]
    names = [case.name for case in open_dataset(tmp_path).cases]
    assert sorted(names) == ["hip_0", "hip_1"]


def test_shadows_of_masks_lack_no_image(tmp_path):
    for name in ("ISIC_7.png", "ISIC_7_segmentation.png"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name)
        (tmp_path / f"._{name}").write_bytes(APPLE_DOUBLE)
    (case,) = open_dataset(tmp_path).cases
    assert case.mask.name == "ISIC_7_segmentation.png"


@pytest.mark.parametrize("name", [".DS_Store", "desktop.ini", "Thumbs.db"])
def test_a_folder_that_was_looked_at_is_as_it_was(tmp_path, name):
    series, project = tmp_path / "series", tmp_path / "project"
    for folder in (series, project):
        folder.mkdir()
    (series / "1").write_bytes(b"slice")
    before = measure(series)
    for folder in (series, project):
        (folder / name).write_bytes(b"Bud1")
    assert measure(series) == before, "or its mask would be made again"
    _check_free(project)
    (project / "thesis.txt").touch()
    with pytest.raises(ProjectError, match="holds other files"):
        _check_free(project)


# -- what the program itself says ------------------------------------------


@pytest.fixture(scope="module")
def trees():
    found = {path.name: ast.parse(path.read_text("utf-8")) for path in SOURCES}
    assert len(found) > 200
    return found


def found_in(trees, kind):
    return [
        (name, node)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, kind)
    ]


def test_nothing_is_asked_of_posix_alone(trees):
    imports = found_in(trees, (ast.Import, ast.ImportFrom))
    names = {a.name.split(".")[0] for _, node in imports for a in node.names}
    names |= {(getattr(node, "module", "") or "").split(".")[0] for _, node in imports}
    assert {"os", "numpy"} <= names
    assert not names & POSIX_MODULES
    used = {
        (node.value.id, node.attr)
        for _, node in found_in(trees, ast.Attribute)
        if isinstance(node.value, ast.Name)
    }
    assert ("os", "replace") in used
    assert not {(m, n) for m, n in used if n in POSIX_CALLS.get(m, ())}
    texts = {node.value for _, node in found_in(trees, ast.Constant)}
    roots = ("/tmp", "/dev/", "/proc/", "/home/", "/usr/", "/var/")
    assert not [t for t in texts if isinstance(t, str) and t.startswith(roots)]


def called(trees, *names):
    nodes = found_in(trees, ast.Call)
    return [(f, n) for f, n in nodes if getattr(n.func, "attr", "") in names]


def test_text_is_read_and_written_in_one_encoding(trees):
    """Ruff finds what is opened; of a path that is a variable it does not know."""
    least = {"read_text": 1, "write_text": 2}
    calls = called(trees, *least)
    assert len(calls) > 10
    assert not [
        f"{name}:{node.lineno}"
        for name, node in calls
        if len(node.args) + len(node.keywords) < least[node.func.attr]
    ]


def test_times_in_files_say_of_which_zone_they_are(trees):
    """What was saved in one zone is dated right in another."""
    assert called(trees, "astimezone")
    aware = {id(node.func.value) for _, node in called(trees, "astimezone")}
    assert not called(trees, "utcnow")
    assert not [
        f"{name}:{node.lineno}"
        for name, node in called(trees, "now")
        if not node.args and id(node) not in aware
    ]
