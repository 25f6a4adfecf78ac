"""A file is the old one or the new one."""

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segdino import files as atomic
from napari_segdino.errors import ModelFileError, ScanError
from napari_segdino.files import (
    ABANDONED_S,
    MOST_BYTES,
    atomic_path,
    safe_name,
    shortened,
    split_suffix,
    swap_folder,
)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("a.nii.gz", "a", ".nii.gz"),
        ("A.NII.GZ", "A", ".nii.gz"),
        ("a.b.ome.tif", "a.b", ".ome.tif"),
        ("a.b.tif", "a.b", ".tif"),
        ("plain", "plain", ""),
        (".nii.gz", ".nii", ".gz"),
    ],
)
def test_split_suffix(name, stem, suffix):
    assert split_suffix(name) == (stem, suffix)


def test_a_new_file_appears_only_at_the_end(tmp_path):
    target = tmp_path / "a.nii.gz"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".nii.gz")
        assert temporary.name.startswith(".")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.nii.gz"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_failure_keeps_the_old_file_and_no_rest(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "read-only"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(tmp_path, number, words):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with (
        pytest.raises(ScanError, match=rf"^a\.txt cannot be written: .*{words}"),
        atomic_path(target),
    ):
        raise OSError(number, os.strerror(number))
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_read_only_folder_is_found_before_any_work(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(atomic.os, "open", refuse)
    worked = []
    with pytest.raises(ScanError, match="read-only"), atomic_path(tmp_path / "a"):
        worked.append(1)
    assert not worked


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "none" / "a.txt", tmp_path / "file" / "a.txt"):
        with (
            pytest.raises(ScanError, match="there is no such folder"),
            atomic_path(place),
        ):
            pytest.fail("it must not come here")


def test_a_folder_of_that_name(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with (
        pytest.raises(ScanError, match="a folder has that name"),
        atomic_path(tmp_path / "a.txt"),
    ):
        pytest.fail("it must not come here")


def test_other_kinds_of_error_can_be_asked_for(tmp_path):
    with (
        pytest.raises(ModelFileError, match="no such folder"),
        atomic_path(tmp_path / "none" / "a", error=ModelFileError),
    ):
        pytest.fail("it must not come here")


def test_a_failing_rename_keeps_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def refuse(*_args):
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(atomic.os, "replace", refuse)
    with pytest.raises(ScanError, match="read-only"), atomic_path(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_links_are_followed_and_permissions_kept(tmp_path):
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with atomic_path(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_new_files_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def folder(path, *inside):
    path.mkdir()
    for name in inside:
        (path / name).write_text(name)
    return path


def test_folders_are_swapped_whole(tmp_path):
    target = tmp_path / "a.ome.zarr"
    for text in ("one", "two"):
        swap_folder(folder(tmp_path / "new", text), target)
        assert names(target) == [text]
    assert names(tmp_path) == ["a.ome.zarr"]


def test_a_folder_that_cannot_be_moved_in_leaves_the_old_one(tmp_path, monkeypatch):
    target = folder(tmp_path / "a", "old")
    rename, calls = os.replace, []

    def second_fails(source, to):
        calls.append(to)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "full")
        rename(source, to)

    monkeypatch.setattr(atomic.os, "replace", second_fails)
    with pytest.raises(OSError, match="full"):
        swap_folder(folder(tmp_path / "b", "new"), target)
    assert names(target) == ["old"]


def test_a_file_made_anew_inside_is_as_open_as_others(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "probe") as partial:
        partial.unlink()
        os.close(os.open(partial, os.O_CREAT | os.O_WRONLY, 0o600))
    modes = [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("plain", "probe")]
    assert modes[0] == modes[1]


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path):
    """Ours, of this file, and too old to have a writer; nothing else."""
    target = tmp_path / "scan.nii.gz"
    names = [
        ".scan.01234567.part.nii.gz",
        ".scan.01234567.part.nii",
        ".scan.0123456.part.nii.gz",
        ".scan2.01234567.part.nii.gz",
        ".scan.01234567.part.nii.gz.bak",
        "scan.01234567.part.nii.gz",
        ".scan.89abcdef.part.nii.gz",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / names[-1])
    (tmp_path / ".scan.76543210.part.nii.gz").mkdir()
    (tmp_path / ".scan.00000000.part.nii.gz").symlink_to(tmp_path / names[2])
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"new")
    left = {path.name for path in tmp_path.iterdir()}
    assert names[0] not in left
    assert left >= {*names[1:], target.name, ".scan.76543210.part.nii.gz"}
    assert (tmp_path / ".scan.00000000.part.nii.gz").is_symlink()


def test_a_killed_writer_of_a_file_leaves_the_old_one_and_is_swept(tmp_path):
    target = tmp_path / "a.tif"
    target.write_bytes(b"old")
    code = (
        "import os, sys; from napari_segdino.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as t: t.write_bytes(b'half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, target], check=False)
    assert target.read_bytes() == b"old"
    (left,) = (path for path in tmp_path.iterdir() if path != target)
    long_ago = time.time() - ABANDONED_S - 1
    os.utime(left, (long_ago, long_ago))
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("letter", ["a", "é", "胸"])
def test_names_that_are_too_long_are_written(tmp_path, letter):
    """Systems take 255 bytes; the file in the making needs some of them."""
    stem = letter * (240 // len(letter.encode()))
    with atomic_path(tmp_path / f"{stem}.nii.gz") as temporary:
        temporary.write_bytes(b"x")
    assert (tmp_path / f"{stem}.nii.gz").read_bytes() == b"x"
    assert len(shortened(stem).encode()) <= MOST_BYTES
    assert shortened(stem) != shortened(stem[:-1])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CT: thorax / abdomen", "CT-thorax-abdomen"),
        ("../../etc/passwd", "etc-passwd"),
        (".hidden", "hidden"),
        ("a\nb\0c", "a-b-c"),
        ("Läsion 3", "Läsion-3"),
        ("C:\\scans\\x", "C-scans-x"),
    ],
)
def test_names_from_files_are_made_safe(text, name):
    assert safe_name(text) == name


@settings(max_examples=50)
@given(st.text())
def test_any_name_from_a_file_stays_in_its_folder(text):
    name = safe_name(text)
    assert len(name.encode()) <= MOST_BYTES
    assert Path("x", f"m{name}.tif").parent == Path("x")
    assert not name.startswith((".", "-"))
