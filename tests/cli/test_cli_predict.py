import csv

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from fake_encoder import FakeEncoder

from napari_segdino import Segmenter
from napari_segdino.cli import main
from napari_segdino.config import CacheSettings
from napari_segdino.progress import Progress


@pytest.fixture
def work(monkeypatch, tmp_path):
    """A folder with a probe and three scans."""

    def load(name, device):
        yield Progress(0, 1, "Loading")
        return FakeEncoder()

    monkeypatch.setattr("napari_segdino.engine.iter_load_encoder", load)
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
    with open(path, newline="") as file:
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
    assert len(list((work / "out").iterdir())) == 2


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
    assert result.exit_code == 1 and "one mask" in result.stderr
