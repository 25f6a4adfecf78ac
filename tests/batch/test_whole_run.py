"""A whole run in one piece, as the dock asks for it."""

import csv

import pytest

from napari_segdino.batch import Row
from napari_segdino.batch.run import Request, iter_request
from napari_segdino.errors import InputError
from napari_segdino.progress import drive


def report(folder):
    with open(folder / "report.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_with_the_present_probe(segmenter, folder_of, tmp_path):
    source, out = folder_of(3), tmp_path / "out"
    (source / "scan01.tif").write_bytes(b"II*\0 no image")
    rows = drive(iter_request(Request(str(source), str(out)), segmenter.save, "cpu"))
    assert [row.status for row in rows] == ["done", "failed", "done"]
    assert [line["status"] for line in report(out)] == ["done", "failed", "done"]
    again = drive(iter_request(Request(str(source), str(out)), segmenter.save, "cpu"))
    assert [row.status for row in again] == ["skipped", "failed", "skipped"]


def test_a_probe_file_comes_before_the_present_one(segmenter, folder_of, tmp_path):
    path = segmenter.save(tmp_path / "p.segdino")
    request = Request(str(folder_of(1)), str(tmp_path / "out"), probe=str(path))

    def not_asked(path):
        raise AssertionError("the present probe was asked for")

    (row,) = drive(iter_request(request, not_asked, "cpu"))
    assert row.status == "done"


def test_stopping_leaves_a_report_of_what_is_finished(segmenter, folder_of, tmp_path):
    steps = iter_request(
        Request(str(folder_of(8)), str(tmp_path / "out")), segmenter.save, "cpu"
    )
    next(step for step in steps if isinstance(step, Row))
    steps.close()
    lines = report(tmp_path / "out")
    assert 1 <= len(lines) < 8


@pytest.mark.parametrize(
    ("source", "folder", "why"),
    [("", "out", "images first"), ("in", " ", "folder for the masks")],
)
def test_what_is_missing_is_told(source, folder, why):
    with pytest.raises(InputError, match=why):
        drive(iter_request(Request(source, folder), None))


def test_without_any_probe(folder_of, tmp_path):
    request = Request(str(folder_of(1)), str(tmp_path / "out"))
    with pytest.raises(InputError, match="no model yet"):
        drive(iter_request(request, None))
