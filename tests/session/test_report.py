"""A report says enough to find a fault, and nothing of what was worked on."""

import logging

import pytest

from napari_segdino import __version__
from napari_segdino.errors import ScanError
from napari_segdino.io.read import read_scan
from napari_segdino.session import report as module
from napari_segdino.session.report import keep_log, report, without_names


@pytest.fixture
def log(monkeypatch):
    """The log of a program that has just begun."""
    fresh = module.ReportLog()
    monkeypatch.setattr(module, "_log", fresh)
    keep_log()
    keep_log()
    yield logging.getLogger("napari_segdino.io")
    logging.getLogger("napari_segdino").removeHandler(fresh)


def test_versions_and_device_are_told(log):
    text = report()
    assert f"napari-segdino {__version__}\n" in text
    assert "torch 2" in text and "\nDevice: " in text
    assert "nothing went wrong" in text


def test_no_name_of_a_file_is_told(log, tmp_path):
    path = tmp_path / "Jane Doe 1970.tif"
    path.write_bytes(b"no picture")
    with pytest.raises(ScanError) as found:
        read_scan(path)
    log.error("%s", found.value, extra={"error": found.value})
    log.warning("%s could not be read again", path, exc_info=found.value)
    log.warning("%s could not be opened again", path)
    for error in (
        ValueError(f"cannot reshape {path} into (3, 4)"),
        KeyError("Jane Doe 1970.tif"),
        RuntimeError("CUDA error: out of memory"),
        FileNotFoundError(2, "No such file or directory", str(path)),
    ):
        log.error("the autosave failed", exc_info=error)
    text = report()
    assert "Jane" not in text and "Doe" not in text and str(tmp_path) not in text
    assert text.count("ScanError") == 2 and "io/read.py:" in text
    assert "FileNotFoundError (No such file or directory)" in text
    assert "RuntimeError (CUDA error: out of memory)" in text
    assert text.count("the autosave failed: ") == 4, "each once"


def test_only_the_last_lines_are_kept(log):
    for number in range(300):
        log.warning("line %d", number)
    assert report().count("WARNING") == module.LINES


def test_where_an_error_was_raised_is_told():
    try:
        read_scan("missing.tif")
    except ScanError as error:
        text = without_names(error)
    assert text.startswith("ScanError < io/read.py:") and "missing" not in text
