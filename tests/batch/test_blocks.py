import tracemalloc
from pathlib import Path

import dask.array
import numpy as np
import pytest
import SimpleITK as sitk
import zarr
from batch_scene import scene

from napari_segdino import Segmenter
from napari_segdino.batch import iter_predict_blocks, iter_predict_to
from napari_segdino.batch.jobs import Job
from napari_segdino.batch.work import read_probe, run_job
from napari_segdino.batch.writer import BlockWriter
from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.errors import InputError, NotFittedError, ScanError
from napari_segdino.images import lazy
from napari_segdino.inference.predict import BlockResult
from napari_segdino.io import Header, read_mask, read_scan
from napari_segdino.progress import Progress, drive


def header(shape, axes="YX"):
    return Header(
        shape=shape,
        axes=axes,
        spacing=(1.0,) * len(shape),
        units=("pixel",) * len(shape),
    )


def joined(segmenter, image, shape, **kwargs):
    labels = np.full((int(np.prod(shape[:-2])), *shape[-2:]), 99, np.uint8)
    for step in iter_predict_blocks(segmenter, image, **kwargs):
        if isinstance(step, BlockResult):
            labels[(step.index, *step.slices)] = step.labels
    return labels.reshape(shape)


def memory_mapped(image, folder):
    np.save(folder / "image.npy", image)
    return np.load(folder / "image.npy", mmap_mode="r")


WAYS = {
    "numpy": lambda image, _: image,
    "dask": lambda image, _: dask.array.from_array(image, chunks=50),
    "zarr": lambda image, _: zarr.array(image, chunks=(33,) * image.ndim),
    "memory map": memory_mapped,
}


@pytest.mark.parametrize("way", WAYS)
def test_blocks_give_the_labels_that_predict_gives(segmenter, tmp_path, way):
    image, mask = scene(150, 120, seed=1)
    lazily = WAYS[way](image, tmp_path)
    found = joined(segmenter, lazily, image.shape)
    assert np.array_equal(found, segmenter.predict(image))
    assert (found == mask).mean() > 0.98


def test_colour_volumes(segmenter):
    image, _ = scene(150, 70, seed=1)
    colour = np.stack([image] * 3, -1)
    volume = np.stack([colour, colour[::-1]])
    segmenter.fit(colour[:64, :64], scene()[1] + 1)
    found = joined(segmenter, dask.array.from_array(volume), volume.shape[:-1])
    assert np.array_equal(found, segmenter.predict(volume))


class Watched:
    """An array that notes how much is read of it at once."""

    def __init__(self, image):
        self.image, self.shape, self.dtype = image, image.shape, image.dtype
        self.largest = 0

    def __getitem__(self, key):
        found = self.image[key]
        self.largest = max(self.largest, found.size)
        return found


@pytest.mark.parametrize("band", [0, lazy.BAND_BYTES])
def test_no_plane_is_read_as_a_whole(segmenter, monkeypatch, band):
    monkeypatch.setattr(lazy, "BAND_BYTES", band)
    monkeypatch.setattr("napari_segdino.features.intensity.SAMPLED_PIXELS", 2000)
    image = Watched(scene(400, 120, seed=1)[0])
    drive(iter_predict_blocks(segmenter, image))
    assert image.largest == (64 * 120 if band else 64 * 64)


def test_no_features_are_kept(segmenter):
    image, _ = scene(150, 120, seed=1)
    pipeline = drive(segmenter.iter_pipeline())
    before = pipeline.extractor.cache._bytes
    drive(iter_predict_blocks(segmenter, image))
    assert pipeline.extractor.cache._bytes == before


def test_what_learned_nothing_says_so(fake_encoder):
    with pytest.raises(NotFittedError):
        drive(iter_predict_blocks(Segmenter("fake"), np.zeros((9, 9))))


def run(segmenter, image, path, stop_after=None, **kwargs):
    """Predict into a mask; cancel after some tiles. Return the tiles that it took."""
    writer = BlockWriter(path, header(image.shape), resume=True, **kwargs)
    steps = iter_predict_to(segmenter, image, writer)
    with writer:
        for step in steps:
            if stop_after is not None and step.done >= stop_after:
                steps.close()
                raise KeyboardInterrupt
    return step.total


@pytest.mark.parametrize("name", ["mask.npy", "mask.ome.zarr"])
def test_a_cancelled_mask_goes_on_where_it_stopped(segmenter, tmp_path, name):
    image, _ = scene(330, 120, seed=1)
    with pytest.raises(KeyboardInterrupt):
        run(segmenter, image, tmp_path / name, stop_after=11)
    assert not (tmp_path / name).exists()
    tiles = run(segmenter, image, tmp_path / "whole.npy")
    rest = run(segmenter, image, tmp_path / name)
    assert rest == tiles - 6  # three rows of three are done; the last is scored anew
    expected = segmenter.predict(image)
    assert np.array_equal(read_mask(tmp_path / name), expected)
    assert np.array_equal(read_mask(tmp_path / "whole.npy"), expected)
    assert not [p for p in tmp_path.iterdir() if "unfinished" in p.name]


def test_what_another_probe_left_is_not_gone_on_with(segmenter, tmp_path):
    image, _ = scene(330, 120, seed=1)
    path = tmp_path / "mask.npy"
    with pytest.raises(KeyboardInterrupt):
        run(segmenter, image, path, stop_after=11, made_by="one")
    assert run(segmenter, image, path, made_by="other") == run(
        segmenter, image, tmp_path / "whole.npy"
    )


def test_finished_planes_are_left_out(segmenter, tmp_path):
    volume = np.stack([scene(seed=z)[0] for z in range(4)])
    path = tmp_path / "mask.npy"
    for stop in (2, None):
        writer = BlockWriter(path, header(volume.shape, "ZYX"), resume=True)
        steps = iter_predict_to(segmenter, volume, writer, axes="ZYX")
        if stop:
            with pytest.raises(KeyboardInterrupt), writer:
                for step in steps:
                    if step.done == stop:
                        raise KeyboardInterrupt
        else:
            with writer:
                seen = list(steps)
    assert seen[-1] == Progress(2, 2, "Predicting")
    expected = segmenter.predict(volume, axes="ZYX")
    assert np.array_equal(np.load(path), expected)


def test_a_plane_that_is_not_whole_is_no_mask(segmenter, tmp_path):
    image, _ = scene(150, 120)
    path = tmp_path / "mask.npy"
    with (
        pytest.raises(ScanError, match="not whole"),
        BlockWriter(path, header(image.shape)) as writer,
    ):
        steps = iter_predict_to(segmenter, image, writer)
        for _ in range(4):
            next(steps)
    assert not list(Path(tmp_path).glob("*mask*"))


def test_a_mask_lies_where_its_scan_does(segmenter, tmp_path):
    image, _ = scene(150, 120)
    like = Header(shape=image.shape, axes="YX", spacing=(0.5, 0.25), units=("um",) * 2)
    with BlockWriter(tmp_path / "m.ome.zarr", like) as writer:
        drive(iter_predict_to(segmenter, image, writer))
    assert read_scan(tmp_path / "m.ome.zarr").spacing == (0.5, 0.25)


def test_copy_on_write_maps_keep_their_changes(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(5000, np.uint8))
    changed = np.load(tmp_path / "a.npy", mmap_mode="c")
    changed[7] = 1
    lazy.forget_pages(changed)
    assert changed[7] == 1


def deep(count, seed=0):
    """A volume whose planes differ, so that smoothing along z changes labels."""
    planes = [scene(90, 70, seed=seed + z)[0] for z in range(count)]
    for z in range(0, count, 3):
        planes[z] = planes[z][::-1]
    return np.stack(planes)


Z_WAYS = {
    "slices": (PredictSettings(z_sigma=1.5), None),
    "limited by thick slices": (PredictSettings(z_sigma=4.0), (5.0, 1.0, 1.0)),
    "mm": (PredictSettings(z_sigma=3.0, z_unit="mm"), (2.0, 1.0, 1.0)),
}


@pytest.mark.parametrize("way", Z_WAYS)
def test_planes_smoothed_along_z_are_those_of_the_whole(segmenter, tmp_path, way):
    predicting, spacing = Z_WAYS[way]
    volume = deep(11)
    plain = segmenter.predict(volume, axes="ZYX")
    segmenter.set_params(predicting=predicting)
    expected = segmenter.predict(volume, axes="ZYX", spacing=spacing)
    assert not np.array_equal(plain, expected)
    lazily = dask.array.from_array(volume, chunks=(1, 40, 40))
    how = {"axes": "ZYX", "spacing": spacing}
    found = joined(segmenter, lazily, volume.shape, **how)
    assert np.array_equal(found, expected)
    some = joined(segmenter, lazily, volume.shape, planes=[9, 4], **how)
    assert np.array_equal(some[[4, 9]], expected[[4, 9]])
    assert (some[[3, 5, 8, 10]] == 99).all()


def test_volumes_of_a_series_over_time_are_smoothed_apart(segmenter):
    volume = np.stack([deep(4), deep(4, seed=50)])
    # One tile, a fixed window: nothing is measured on the image as a whole.
    shown = FeatureSettings(tile=128, overlap=16, intensity="ct soft tissue")
    segmenter.set_params(features=shown, predicting=PredictSettings(z_sigma=1.0))
    segmenter.fit(scene()[0], scene()[1] + 1)
    found = joined(segmenter, volume, volume.shape, axes="TZYX")
    for time, one in zip(found, volume, strict=True):
        assert np.array_equal(time, segmenter.predict(one, axes="ZYX"))
    movie = joined(segmenter, volume[0], volume[0].shape, axes="TYX")
    plain = [segmenter.predict(plane) for plane in volume[0]]
    assert np.array_equal(movie, plain), "time is not smoothed"


def test_a_smoothed_mask_goes_on_where_it_stopped(segmenter, tmp_path):
    volume = deep(9)
    segmenter.set_params(predicting=PredictSettings(z_sigma=0.5))
    path = tmp_path / "mask.npy"
    how = {"axes": "ZYX", "spacing": (1.0, 1.0, 1.0)}
    writer = BlockWriter(path, header(volume.shape, "ZYX"), resume=True)
    with pytest.raises(KeyboardInterrupt), writer:
        for _ in iter_predict_to(segmenter, volume, writer, **how):
            if len(writer.done) == 4:
                raise KeyboardInterrupt
    writer = BlockWriter(path, header(volume.shape, "ZYX"), resume=True)
    with writer:
        seen = list(iter_predict_to(segmenter, volume, writer, **how))
    # Five planes are left, and the two before them are read again.
    assert seen[-1] == Progress(7 * 4, 7 * 4, "Predicting")
    expected = segmenter.predict(volume, axes="ZYX", spacing=how["spacing"])
    assert np.array_equal(np.load(path), expected)


def test_memory_does_not_grow_with_the_number_of_smoothed_planes(segmenter):
    segmenter.set_params(predicting=PredictSettings(z_sigma=0.5))

    def peak(count):
        volume = deep(count)
        tracemalloc.start()
        drive(iter_predict_blocks(segmenter, volume, axes="ZYX"))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)
    of_all = 32 * 2 * 90 * 70 * 4
    assert peak(40) - peak(8) < of_all / 4


def test_a_window_that_does_not_fit_is_refused(segmenter, monkeypatch):
    volume = deep(5)
    segmenter.set_params(predicting=PredictSettings(z_sigma=1.0))
    # Ten planes of two classes in single precision, and twelve bytes more.
    needed = 2 * 90 * 70 * (4 * 10 + 12)
    monkeypatch.setattr("napari_segdino.batch.blocks.WINDOW_BYTES", needed)
    drive(iter_predict_blocks(segmenter, volume, axes="ZYX"))
    monkeypatch.setattr("napari_segdino.batch.blocks.WINDOW_BYTES", needed - 1)
    with pytest.raises(InputError, match="smooths along z over more than fits"):
        drive(iter_predict_blocks(segmenter, volume, axes="ZYX"))
    drive(iter_predict_blocks(segmenter, volume, axes="TYX"))


@pytest.mark.parametrize("suffix", [".ome.zarr", ".nii.gz"])
def test_a_file_is_smoothed_by_the_distance_of_its_slices(
    segmenter, tmp_path, monkeypatch, suffix
):
    volume = deep(7)
    scan = sitk.GetImageFromArray(volume)
    scan.SetSpacing((1.0, 1.0, 5.0))
    sitk.WriteImage(scan, str(tmp_path / "scan.nii.gz"))
    segmenter.set_params(predicting=PredictSettings(z_sigma=2.0))
    probe = read_probe(segmenter.save(tmp_path / "probe.segdino"))
    (tmp_path / "out").mkdir()
    row = run_job(Job(tmp_path / "scan.nii.gz", tmp_path / "out", suffix), probe)
    assert row.status == "done", row.reason
    expected = segmenter.predict(volume, axes="ZYX", spacing=(5.0, 1.0, 1.0))
    other_axes = segmenter.predict(volume, axes="ZYX")
    assert not np.array_equal(expected, other_axes)
    assert np.array_equal(read_mask(row.output), expected)
    # A window that does not fit is held all the same where the mask does.
    monkeypatch.setattr("napari_segdino.batch.blocks.WINDOW_BYTES", 0)
    row = run_job(Job(tmp_path / "scan.nii.gz", tmp_path / "out", suffix), probe)
    assert row.status == ("failed" if suffix == ".ome.zarr" else "done")


def test_rows_that_are_done_stay_done(tmp_path):
    path, left = tmp_path / "m.npy", (slice(0, 2), slice(0, 3))
    writer = BlockWriter(path, header((2, 4, 3), "ZYX"), resume=True)
    with pytest.raises(KeyboardInterrupt), writer:
        for rows, last in ((1, False), (2, True)):
            writer.write_block(0, left, np.full((2, 3), 7))
            writer.finish_row(0, rows, last)
        writer.write_block(1, left, np.full((2, 3), 9))
        writer.finish_row(1, 1, last=False)
        raise KeyboardInterrupt
    with BlockWriter(path, header((2, 4, 3), "ZYX"), resume=True) as again:
        assert (again.done, again.rows_done(1)) == ({0}, 1)
        again.write_block(1, (slice(2, 4), slice(0, 3)), np.full((2, 3), 5))
        again.finish_row(1, 2, last=True)
    assert np.load(path)[:, :, 0].tolist() == [[7, 7, 0, 0], [9, 9, 5, 5]]


def test_a_whole_mask_is_shown_before_it_takes_its_name(tmp_path):
    path, seen = tmp_path / "m.npy", []

    def publish(content):
        seen.append((np.load(content).tolist(), path.exists()))

    with BlockWriter(path, header((1, 2)), publish=publish) as writer:
        writer.write_plane(0, np.array([[3, 4]]))
    assert seen == [([[3, 4]], False)]
    assert np.load(path).tolist() == [[3, 4]]
