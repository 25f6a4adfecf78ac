import csv

import pytest
import tifffile
from batch_scene import scene

from napari_segdino.batch import (
    BatchSettings,
    Row,
    iter_run,
    plan_jobs,
    work,
    write_report,
)
from napari_segdino.batch.work import read_probe
from napari_segdino.errors import InputError, ModelFileError
from napari_segdino.io import read_mask
from napari_segdino.progress import Progress, drive


@pytest.fixture
def probe(segmenter, tmp_path):
    return read_probe(segmenter.save(tmp_path / "squares.segdino"), "cpu")


def test_every_file_has_one_mask_and_one_row(probe, folder_of, tmp_path):
    jobs = plan_jobs([folder_of(5)], tmp_path / "out")
    seen = []
    rows = drive(iter_run(jobs, probe), seen.append)
    assert [row.file for row in rows] == [str(job.path) for job in jobs]
    assert {row.status for row in rows} == {"done"}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *(f"scan{n:02}_mask.tif" for n in range(5)),
        "segmented.jsonl",
    ]
    for number, row in enumerate(rows):
        assert (read_mask(row.output) == scene(seed=number)[1]).mean() > 0.98
    assert sorted(r.file for r in seen if isinstance(r, Row)) == [r.file for r in rows]
    assert seen[-1] == Progress(5, 5, "Predicting files")


def test_the_encoder_is_loaded_once(probe, folder_of, tmp_path, monkeypatch):
    loads = []
    monkeypatch.setattr(work, "_loaded", {})
    load = work.loaded_segmenter.__globals__["tempfile"].mkstemp
    monkeypatch.setattr(
        "tempfile.mkstemp", lambda **kwargs: loads.append(1) or load(**kwargs)
    )
    drive(iter_run(plan_jobs([folder_of(3)], tmp_path / "out"), probe))
    assert len(loads) == 1


def test_a_file_that_fails_does_not_stop_the_others(probe, folder_of, tmp_path):
    folder = folder_of(3)
    (folder / "scan01.tif").write_bytes(b"II*\0 no image")
    rows = drive(iter_run(plan_jobs([folder], tmp_path / "out"), probe))
    assert [row.status for row in rows] == ["done", "failed", "done"]
    assert "scan01.tif" in rows[1].reason and not rows[1].output
    assert len(list((tmp_path / "out").glob("*_mask.tif"))) == 2


def test_bugs_are_rows_too(probe, folder_of, tmp_path, monkeypatch):
    def broken(*args):
        raise KeyError("oops")

    monkeypatch.setattr(work, "_load_small", broken)
    rows = drive(iter_run(plan_jobs([folder_of(2)], tmp_path / "out"), probe))
    assert {row.reason for row in rows} == {"KeyError: 'oops'"}


def test_resume_leaves_what_is_there(probe, folder_of, tmp_path):
    folder, out = folder_of(3), tmp_path / "out"
    drive(iter_run(plan_jobs([folder / "scan01.tif"], out), probe))
    before = (out / "scan01_mask.tif").stat().st_mtime_ns
    rows = drive(iter_run(plan_jobs([folder], out, resume=True), probe))
    assert [row.status for row in rows] == ["done", "skipped", "done"]
    assert rows[1].output == str(out / "scan01_mask.tif")
    assert (out / "scan01_mask.tif").stat().st_mtime_ns == before


def test_closing_stops_and_keeps_what_is_finished(probe, folder_of, tmp_path):
    steps = iter_run(plan_jobs([folder_of(8)], tmp_path / "out"), probe)
    rows = []
    for step in steps:
        if isinstance(step, Row):
            rows.append(step)
            break
    steps.close()
    masks = [p.name for p in (tmp_path / "out").iterdir()]
    assert rows[0].output.endswith(tuple(masks))
    assert len(masks) < 8
    assert not [name for name in masks if name.startswith(".")]


def test_one_file_counts_its_tiles(probe, tmp_path):
    tifffile.imwrite(tmp_path / "big.tif", scene(150, 120)[0])
    jobs = plan_jobs([tmp_path / "big.tif"], tmp_path / "out")
    seen = []
    drive(iter_run(jobs, probe), seen.append)
    totals = {s.total for s in seen if isinstance(s, Progress)}
    assert max(totals) > 4


def test_large_masks_go_to_disk_block_by_block(probe, tmp_path, monkeypatch):
    monkeypatch.setattr(work, "IN_MEMORY", 1000)
    image, mask = scene(150, 120)
    tifffile.imwrite(tmp_path / "big.tif", image)
    (row,) = drive(iter_run(plan_jobs([tmp_path / "big.tif"], tmp_path / "out"), probe))
    assert row.output.endswith("big_mask.ome.zarr")
    assert (read_mask(row.output) == mask).mean() > 0.98


def test_the_suffix_can_be_chosen(probe, folder_of, tmp_path):
    jobs = plan_jobs([folder_of(1)], tmp_path / "out", suffix=".nii.gz")
    assert drive(iter_run(jobs, probe))[0].output.endswith("scan00_mask.nii.gz")


def test_patterns_and_repeats(folder_of, tmp_path):
    folder = folder_of(12)
    jobs = plan_jobs([f"{folder}/scan0*.tif", folder / "scan03.tif"], tmp_path)
    assert [job.path.name for job in jobs] == [f"scan{n:02}.tif" for n in range(10)]


@pytest.mark.parametrize(
    ("inputs", "options", "why"),
    [
        (["nothing*.tif"], {}, "no file like"),
        (["nothing.tif"], {}, "no file or folder"),
        (["scans"], {"suffix": ".jpg"}, "no format of masks named '.jpg'"),
    ],
)
def test_what_cannot_be_planned(folder_of, tmp_path, inputs, options, why):
    folder_of(1)
    with pytest.raises(InputError, match=why):
        plan_jobs([tmp_path / name for name in inputs], tmp_path / "out", **options)


def test_what_is_no_probe_fails_before_any_file(tmp_path):
    (tmp_path / "x.segdino").write_bytes(b"nothing")
    with pytest.raises(ModelFileError):
        read_probe(tmp_path / "x.segdino")


def test_nobody_answers(probe, monkeypatch):
    monkeypatch.setattr("napari_segdino.batch.cluster.PATIENCE", "0.5s")
    settings = BatchSettings(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match="127.0.0.1:9"):
        drive(iter_run([], probe, settings))


def test_the_report_is_a_table(tmp_path):
    rows = [Row("a", "b", 1.234, "done"), Row("c", "", 0, "failed", 'so, "so"', "n")]
    write_report(tmp_path / "report.csv", rows)
    with open(tmp_path / "report.csv", encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "output", "seconds", "status", "reason", "note"],
            ["a", "b", "1.23", "done", "", ""],
            ["c", "", "0.00", "failed", 'so, "so"', "n"],
        ]
