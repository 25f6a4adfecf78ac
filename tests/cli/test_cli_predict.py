import csv

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from dicom_slices import make_slice
from fake_encoder import FakeEncoder

from napari_segdino import Segmenter
from napari_segdino.cli import main
from napari_segdino.cli.predict import predict
from napari_segdino.config import CacheSettings
from napari_segdino.io import read_scan


@pytest.fixture
def work(monkeypatch, tmp_path):
    """A folder with a probe and three scans."""
    FakeEncoder().installed(monkeypatch)
    monkeypatch.chdir(tmp_path)
    image = np.zeros((48, 48), np.uint8)
    image[12:30, 12:30] = 200
    cache = CacheSettings(1 << 26, 0, tmp_path)
    segmenter = Segmenter("fake", cache=cache).fit(image, 1 + (image > 0))
    segmenter.save("a.segdino")
    (tmp_path / "in").mkdir()
    for name in "abc":
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", image)
    return tmp_path


def invoke(*args):
    return CliRunner().invoke(main, ["predict", *args, "-m", "a.segdino", "-o", "out"])


def report(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [(row["file"][-5:], row["status"]) for row in csv.DictReader(file)]


def test_a_folder_and_its_report(work):
    result = invoke("in", "--csv", "report.csv")
    assert result.exit_code == 0, result.output
    assert len(list((work / "out").glob("?_mask.tif"))) == 3
    for name in "abc":
        assert f"{name}_mask.tif" in result.stdout
    assert sorted(report("report.csv")) == [(f"{n}.tif", "done") for n in "abc"]


def test_failures_are_listed_at_the_end_and_the_rest_goes_on(work):
    (work / "in" / "b.tif").write_bytes(b"II*\0 no image")
    result = invoke("in/*.tif", "--csv", "report.csv")
    assert result.exit_code == 1
    assert "b.tif" in result.stderr and "1 of 3 files failed" in result.stderr
    assert ("b.tif", "failed") in report("report.csv")
    assert len(list((work / "out").glob("*_mask.tif"))) == 2


def test_resume(work):
    assert invoke("in/a.tif").exit_code == 0
    result = invoke("in", "--resume")
    assert result.exit_code == 0
    assert "1 files were finished before" in result.stderr
    assert "a_mask.tif" not in result.stdout and "b_mask.tif" in result.stdout


def test_one_place_to_work(work):
    result = invoke("in", "--workers", "2", "--scheduler", "tcp://x:1")
    assert result.exit_code == 2
    assert not (work / "out").exists()


def test_two_files_of_one_name(work):
    tifffile.imwrite(work / "a.tif", np.zeros((9, 9), np.uint8))
    result = invoke("a.tif", "in/a.tif")
    assert result.exit_code == 0, result.output
    assert read_scan(work / "out" / "a_mask.tif").shape == (9, 9)
    assert read_scan(work / "out" / "in_a_mask.tif").shape == (48, 48)


def test_what_is_redone_and_left_alone_is_said(work):
    assert invoke("in/a.tif", "in/b.tif").exit_code == 0
    tifffile.imwrite(work / "in" / "a.tif", np.zeros((60, 60), np.uint8))
    theirs = work / "out" / "c_mask.tif"
    tifffile.imwrite(theirs, np.full((48, 48), 9, np.uint8))
    before = theirs.read_bytes()
    result = invoke("in", "--resume", "--csv", "report.csv")
    assert result.exit_code == 0, result.output
    assert "a_mask.tif was done again: The image has changed." in result.stderr
    assert "c_mask.tif was not made by this program" in result.stderr
    assert "1 files were finished before" in result.stderr
    assert "a_mask.tif" in result.stdout and "c_mask.tif" not in result.stdout
    wanted = [("a.tif", "redone"), ("b.tif", "skipped"), ("c.tif", "left alone")]
    assert sorted(report("report.csv")) == wanted
    result = invoke("in")
    assert result.exit_code == 1
    assert "1 of 3 files were left alone" in result.stderr
    assert theirs.read_bytes() == before


@pytest.fixture
def study(work):
    """A folder with two series: 4 slices 2 mm apart, 3 slices of another size."""
    (work / "study").mkdir()
    for k in range(4):
        place = 0, 0, 2 * k
        path = work / "study" / f"a{k}.dcm"
        make_slice(path, np.full((48, 48), 500 + k), place, k, "1.5")
    for k in range(3):
        place = 7, 8, 100 + 5 * k
        path = work / "study" / f"b{k}.dcm"
        make_slice(path, np.full((40, 44), 500 + k), place, k, "1.6")
    return work / "study"


def test_of_several_series_the_one_that_is_taken_is_told(study, work):
    result = invoke("study", "--csv", "report.csv")
    assert result.exit_code == 0, result.output
    told = "study: 2 series are here; number 0, the largest, was taken: 0: CT series"
    assert told in result.stderr
    mask = read_scan(work / "out" / "study_mask.nii.gz")
    assert mask.shape == (4, 48, 48)
    with open("report.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert "2 series are here" in row["note"]


@pytest.mark.parametrize("name", ["1.6", "series 1.6", "1"])
def test_the_mask_lies_where_the_chosen_series_does(study, work, name):
    assert invoke("study").exit_code == 0
    result = invoke("study", "--series", name, "--resume")
    assert result.exit_code == 0, result.output
    assert "series are here" not in result.stderr
    path = work / "out" / f"study_{name.replace(' ', '-')}_mask.nii.gz"
    assert str(path) in result.stdout
    wanted, mask = read_scan(study, series="1.6"), read_scan(path)
    assert mask.shape == (3, 40, 44)
    np.testing.assert_allclose(mask.affine, wanted.affine, atol=1e-5)
    assert read_scan(work / "out" / "study_mask.nii.gz").shape == (4, 48, 48)
    again = invoke("study", "--series", name, "--resume")
    assert "1 files were finished before" in again.stderr


def test_a_series_that_is_not_there_is_told_with_those_that_are(study):
    result = invoke("study", "--series", "T2")
    assert result.exit_code == 1
    assert "study holds no series 'T2'; it holds 0: CT series 1.5" in result.stderr
    assert "1: CT series 1.6 (3 x 40 x 44)" in result.stderr


def test_standard_output_holds_the_masks_and_nothing_else(work):
    (work / "in" / "d.tif").write_bytes(b"none")
    done = CliRunner().invoke(predict, ["in", "-m", "a.segdino", "-o", "out"])
    assert done.exit_code == 1
    masks = [str(work / "out" / f"{name}_mask.tif") for name in "abc"]
    assert sorted(done.stdout.splitlines()) == masks
    assert "1 of 4 files failed." in done.stderr
