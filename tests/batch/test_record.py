"""What a folder's record says is made is skipped; what it does not is left alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from batch_scene import scene
from dicom_slices import make_slice

from napari_segdino.batch import iter_run, plan_jobs, work
from napari_segdino.batch.record import RECORD
from napari_segdino.batch.run import Request, iter_request
from napari_segdino.batch.work import read_probe
from napari_segdino.errors import InputError
from napari_segdino.io import read_mask
from napari_segdino.progress import drive


@pytest.fixture
def probe(segmenter, tmp_path):
    return read_probe(segmenter.save(tmp_path / "squares.segdino"), "cpu")


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(probe, inputs, out, **how):
    return drive(iter_run(plan_jobs(inputs, out, **{"resume": True, **how}), probe))


def statuses(rows):
    return [row.status for row in rows]


def change_image(path):
    tifffile.imwrite(path, scene(seed=77)[0][::-1])


def test_a_probe_that_learned_more_does_its_masks_again(
    probe, segmenter, folder_of, out, tmp_path
):
    folder = folder_of(2)
    assert statuses(run(probe, [folder], out)) == ["done", "done"]
    assert statuses(run(probe, [folder], out)) == ["skipped", "skipped"]
    image, mask = scene()
    segmenter.partial_fit(image[::-1], (1 - mask[::-1]) + 1)
    other = read_probe(segmenter.save(tmp_path / "other.segdino"), "cpu")
    rows = run(other, [folder], out)
    assert statuses(rows) == ["redone", "redone"]
    assert rows[0].reason == "The model or its settings have changed."
    expected = segmenter.predict(scene(seed=0)[0])
    assert np.array_equal(read_mask(rows[0].output), expected)
    assert statuses(run(other, [folder], out)) == ["skipped", "skipped"]


def test_a_probe_saved_again_or_with_other_colours_is_the_same(
    probe, segmenter, folder_of, out, tmp_path
):
    folder = folder_of(1)
    run(probe, [folder], out)
    for colour in ("#000000", "#ffffff"):
        segmenter.class_info_ = [{"label": 1, "name": "square", "color": colour}]
        again = read_probe(segmenter.save(tmp_path / "again.segdino"), "cpu")
        assert again.digest == probe.digest
        assert statuses(run(again, [folder], out)) == ["skipped"]


def test_a_changed_image_is_done_again_alone(probe, folder_of, out):
    folder = folder_of(3)
    run(probe, [folder], out)
    change_image(folder / "scan01.tif")
    rows = run(probe, [folder], out)
    assert statuses(rows) == ["skipped", "redone", "skipped"]
    assert rows[1].reason == "The image has changed."
    assert read_mask(rows[1].output)[40, 20] == scene()[1][::-1][40, 20] == 1


def test_voxels_beside_a_header_count_as_the_image(probe, tmp_path, out):
    import SimpleITK as sitk

    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.mhd"
    sitk.WriteImage(sitk.GetImageFromArray(scene()[0]), str(path))
    run(probe, [path], out)
    assert statuses(run(probe, [path], out)) == ["skipped"]
    raw = path.with_suffix(".raw")
    raw.write_bytes(raw.read_bytes()[::-1])
    assert statuses(run(probe, [path], out)) == ["redone"]


def test_another_format_is_made_beside(probe, folder_of, out):
    folder = folder_of(1)
    run(probe, [folder], out, suffix=".nii.gz")
    assert statuses(run(probe, [folder], out)) == ["done"]
    assert {p.name for p in out.glob("scan*")} == {
        "scan00_mask.nii.gz",
        "scan00_mask.tif",
    }
    assert statuses(run(probe, [folder], out, suffix=".tif")) == ["skipped"]


@pytest.mark.parametrize("resume", [True, False])
def test_what_the_program_did_not_make_is_left_alone_and_named(
    probe, folder_of, out, resume
):
    out.mkdir()
    theirs = out / "scan01_mask.tif"
    tifffile.imwrite(theirs, np.full((64, 64), 7, np.uint8))
    before = theirs.read_bytes()
    rows = run(probe, [folder_of(3)], out, resume=resume)
    assert statuses(rows) == ["done", "left alone", "done"]
    assert "scan01_mask.tif was not made by this program" in rows[1].reason
    assert theirs.read_bytes() == before


def test_a_mask_that_was_corrected_by_hand_is_left_alone(probe, folder_of, out):
    folder = folder_of(1)
    (row,) = run(probe, [folder], out)
    mask = read_mask(row.output)
    mask[:5] = 1
    tifffile.imwrite(row.output, mask)
    change_image(folder / "scan00.tif")
    for resume in (True, False):
        (again,) = run(probe, [folder], out, resume=resume)
        assert again.status == "left alone"
        assert "scan00_mask.tif was changed after it was made" in again.reason
        assert np.array_equal(read_mask(row.output), mask)


def test_a_copied_folder_is_still_known(probe, folder_of, out, tmp_path):
    folder = folder_of(2)
    run(probe, [folder], out)
    (tmp_path / "new").mkdir()
    shutil.copytree(folder, tmp_path / "new" / "scans")
    shutil.copytree(out, tmp_path / "new" / "out", copy_function=shutil.copyfile)
    rows = run(probe, [tmp_path / "new" / "scans"], tmp_path / "new" / "out")
    assert statuses(rows) == ["skipped", "skipped"]


def cut(path, share):
    size = os.path.getsize(path)
    os.truncate(path, int(size * share))


@pytest.mark.parametrize("share", [0, 0.1, 0.9])
@pytest.mark.parametrize("suffix", [".tif", ".nii.gz", ".npy", ".png", ".nrrd"])
def test_empty_and_cut_off_masks_are_done_again(probe, folder_of, out, suffix, share):
    folder = folder_of(1)
    (row,) = run(probe, [folder], out, suffix=suffix)
    whole = read_mask(row.output)
    cut(row.output, share)
    (again,) = run(probe, [folder], out, suffix=suffix)
    assert again.status == "redone"
    assert again.reason == f"The mask was {'cut off' if share else 'empty'}."
    assert np.array_equal(read_mask(row.output), whole)


def test_an_ome_zarr_with_a_lost_chunk_is_done_again(probe, folder_of, out):
    folder = folder_of(1)
    (row,) = run(probe, [folder], out, suffix=".ome.zarr")
    assert statuses(run(probe, [folder], out, suffix=".ome.zarr")) == ["skipped"]
    whole = read_mask(row.output)
    files = (p for p in Path(row.output).rglob("*") if p.is_file())
    next(p for p in files if p.name.isdigit()).unlink()
    assert not read_mask(row.output).any()
    (again,) = run(probe, [folder], out, suffix=".ome.zarr")
    assert (again.status, again.reason) == ("redone", "The mask was cut off.")
    assert np.array_equal(read_mask(row.output), whole)


def test_two_images_of_one_name_have_two_masks(probe, folder_of, out, tmp_path):
    first, second = folder_of(1), tmp_path / "more"
    second.mkdir()
    tifffile.imwrite(second / "scan00.tif", scene()[0][::-1])
    rows = run(probe, [first, second], out)
    names = ["scan00_mask.tif", "more_scan00_mask.tif"]
    assert [Path(row.output).name for row in rows] == names
    masks = [read_mask(row.output) for row in rows]
    assert np.array_equal(masks[1], masks[0][::-1])
    again = run(probe, [second, first], out)
    assert statuses(again) == ["skipped", "skipped"]
    assert [Path(row.output).name for row in again] == names[::-1]


def test_a_later_image_of_the_same_name_takes_no_mask_away(
    probe, folder_of, out, tmp_path
):
    run(probe, [folder_of(1)], out)
    (tmp_path / "more").mkdir()
    tifffile.imwrite(tmp_path / "more" / "SCAN00.tif", scene(80, 80)[0])
    (row,) = run(probe, [tmp_path / "more"], out, resume=False)
    assert Path(row.output).name == "more_SCAN00_mask.tif"
    assert read_mask(out / "scan00_mask.tif").shape == (64, 64)


def test_two_formats_of_one_name_have_two_masks(probe, tmp_path, out):
    (tmp_path / "in").mkdir()
    for seed, suffix in enumerate((".tif", ".npy")):
        image = scene(seed=seed)[0]
        path = tmp_path / "in" / f"a{suffix}"
        np.save(path, image) if suffix == ".npy" else tifffile.imwrite(path, image)
    rows = run(probe, [tmp_path / "in"], out, suffix=".png")
    assert [Path(row.output).name for row in rows] == ["a_mask.png", "a_tif_mask.png"]


def test_masks_that_were_made_among_the_images_are_no_images(probe, folder_of):
    folder = folder_of(2)
    assert statuses(run(probe, [folder], folder)) == ["done", "done"]
    assert statuses(run(probe, [folder], folder)) == ["skipped", "skipped"]
    assert statuses(run(probe, [f"{folder}/*"], folder)) == ["skipped", "skipped"]
    everything = sorted(folder.glob("*.tif"))  # as a shell puts it
    assert statuses(run(probe, everything, folder)) == ["skipped", "skipped"]
    assert len(list(folder.glob("*.tif"))) == 4
    with pytest.raises(InputError, match="only masks"):
        plan_jobs(folder.glob("*_mask.tif"), folder)


def test_masks_of_others_among_the_images_are_named(probe, folder_of, out):
    folder = folder_of(2)
    truth = folder / "scan00_seg.tif"
    shutil.copy(folder / "scan00.tif", truth)
    shutil.copy(folder / "scan00.tif", folder / "alone_seg.tif")
    rows = {Path(row.file).name: row for row in run(probe, [folder], out)}
    assert rows.pop(truth.name).reason == (
        "scan00_seg.tif is a mask of scan00.tif, by its name."
    )
    assert {row.status for row in rows.values()} == {"done"}
    assert len(rows) == 3, "an image may be called so too"


def test_a_dicom_folder_may_hold_its_own_mask(probe, tmp_path):
    folder = tmp_path / "in" / "study"
    folder.mkdir(parents=True)
    for k in range(3):
        plane = scene(seed=k)[0].astype(np.int16)
        make_slice(folder / f"{k}.dcm", plane, (0, 0, 2 * k), k, "1.5")
    for status in ("done", "skipped"):
        (row,) = run(probe, [folder], folder)
        assert row.status == status
    assert read_mask(folder / "study_mask.nii.gz").shape == (3, 64, 64)


def test_a_damaged_record_is_said_and_nothing_is_overwritten(probe, folder_of, out):
    folder = folder_of(2)
    run(probe, [folder], out)
    before = (out / "scan00_mask.tif").read_bytes()
    (out / RECORD).write_bytes(os.urandom(500))
    (out / "scan01_mask.tif").unlink()
    rows = run(probe, [folder], out, resume=False)
    assert statuses(rows) == ["left alone", "done"]
    assert f"{RECORD} is damaged" in rows[0].reason
    assert (out / "scan00_mask.tif").read_bytes() == before
    assert statuses(run(probe, [folder], out)) == ["left alone", "skipped"]


def test_a_line_that_was_cut_off_takes_no_other_along(probe, folder_of, out):
    folder = folder_of(2)
    run(probe, [folder], out)
    record = out / RECORD
    lines = record.read_text().splitlines()
    record.write_text(lines[0] + "\n" + lines[1][:40])
    lost = json.loads(lines[1])["mask"]
    (out / lost).unlink()  # it comes after its line
    assert sorted(statuses(run(probe, [folder], out))) == ["done", "skipped"]
    assert statuses(run(probe, [folder], out)) == ["skipped", "skipped"]


def test_what_appears_while_a_file_is_computed_is_left_alone(
    probe, folder_of, out, monkeypatch
):
    real = work._load_small

    def slowly(scan):
        (out / "scan00_mask.tif").write_bytes(b"precious")
        return real(scan)

    monkeypatch.setattr(work, "_load_small", slowly)
    (row,) = run(probe, [folder_of(1)], out, resume=False)
    assert row.status == "left alone" and "changed meanwhile" in row.reason
    assert (out / "scan00_mask.tif").read_bytes() == b"precious"
    assert not list(out.glob(".*.part*"))


def test_a_report_that_is_not_ours_stays(segmenter, folder_of, out):
    out.mkdir()
    (out / "report.csv").write_text("patient,age\nx,7\n")
    request = Request(str(folder_of(1)), str(out))
    for _ in range(2):
        drive(iter_request(request, segmenter.save, "cpu"))
    assert (out / "report.csv").read_text() == "patient,age\nx,7\n"
    assert len((out / "segmented_report.csv").read_text().splitlines()) == 2


KILLED = """
import os, signal, sys
from napari_segdino import files
from napari_segdino.batch import iter_run, plan_jobs
from napari_segdino.batch.work import read_probe
from napari_segdino.progress import drive

folder, out, probe, before = sys.argv[1:]
replace = os.replace

def killed(source, target):
    if os.path.basename(target) == "scan01_mask.tif":
        if before != "before":
            replace(source, target)
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

files.os.replace = killed
drive(iter_run(plan_jobs([folder], out, resume=True), read_probe(probe, "cpu")))
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_kill_nothing_is_lost_and_nothing_taken_for_done(
    real_probe, folder_of, out, when
):
    folder = folder_of(3)
    command = [sys.executable, "-c", KILLED, folder, out, real_probe, when]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert (out / "scan01_mask.tif").exists() == (when == "after")
    rows = run(read_probe(real_probe, "cpu"), [folder], out)
    assert statuses(rows)[1] == ("done" if when == "before" else "skipped")
    assert set(statuses(rows)) <= {"done", "skipped"}
    for number, row in enumerate(rows):
        assert (read_mask(row.output) == scene(seed=number)[1]).mean() > 0.97


def test_a_file_whose_worker_died_after_writing_it_is_not_left_alone(
    probe, folder_of, out
):
    (job,) = plan_jobs([folder_of(1)], out)
    drive(iter_run([job], probe))
    before = os.stat(out / "scan00_mask.tif").st_mtime_ns
    (row,) = drive(iter_run([job], probe))  # dask gives the same job to another
    assert (row.status, row.reason) == ("done", "")
    assert os.stat(out / "scan00_mask.tif").st_mtime_ns == before
    (row,) = drive(iter_run([replace(job, run="later")], probe))
    assert row.status == "done"
    assert os.stat(out / "scan00_mask.tif").st_mtime_ns > before
