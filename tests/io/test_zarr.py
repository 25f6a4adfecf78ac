"""OME-Zarr in, and masks written plane by plane."""

import errno
import os
import shutil
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_segdino.errors import ScanError
from napari_segdino.io import Provenance, Scan, can_read, read_scan, write_mask
from napari_segdino.io.mask_writer import MaskWriter
from napari_segdino.io.omezarr import is_zarr, read_zarr
from napari_segdino.io.omezarr_labels import (
    create_labels,
    finish_labels,
    open_labels,
    register_label,
)
from napari_segdino.io.scan import Header, ReadOptions

AXES = [
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
DATA = np.arange(2 * 3 * 16 * 20, dtype=np.uint16).reshape(2, 3, 16, 20)


def make_image(path, version):
    """Write two levels with zarr itself, in the layout of the standard."""
    group = zarr.open_group(
        str(path), mode="w", zarr_format=2 if version == "0.4" else 3
    )
    datasets = []
    for level, factor in enumerate((1, 2)):
        data = DATA[..., ::factor, ::factor]
        group.create_array(str(level), data=data, chunks=(1, 1, 8, 8))
        scale = [1, 2.0, 0.5 * factor, 0.25 * factor]
        steps = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": [0, 10, 20, 30]},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    about = {
        "multiscales": [{"axes": AXES, "datasets": datasets, "version": version}],
        "omero": {"channels": [{"label": "DAPI"}, {"label": "GFP"}]},
    }
    if version == "0.4":
        group.attrs.update(about)
    else:
        group.attrs["ome"] = {"version": version, **about}
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_levels_names_spacing_and_place(tmp_path, version):
    path = make_image(tmp_path / "a.ome.zarr", version)
    assert can_read(path)
    scan = read_scan(path)
    assert (scan.axes, scan.shape, scan.name) == ("CZYX", DATA.shape, "a")
    assert isinstance(scan.data, da.Array)
    assert np.array_equal(scan.data.compute(), DATA)
    assert [level.shape for level in scan.pyramid] == [(2, 3, 8, 10)]
    assert (scan.spacing, scan.units) == ((2.0, 0.5, 0.25), ("um",) * 3)
    assert scan.channel_names == ("DAPI", "GFP")
    data, kwargs, _kind = scan.layer_data()
    assert (len(data), kwargs["multiscale"], kwargs["channel_axis"]) == (2, True, 0)
    assert kwargs["translate"] == (10, 20, 30)
    assert kwargs["name"] == ["a DAPI", "a GFP"]


def describe(path, array, axes=None, **about):
    """Write one level whose description is given."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.create_array("0", data=array, chunks=(1,) * (array.ndim - 2) + (8, 8))
    steps = about.pop("steps", None)
    dataset = {"path": "0"} | ({"coordinateTransformations": steps} if steps else {})
    image = {"version": "0.4", "datasets": [dataset], **about}
    group.attrs["multiscales"] = [image | ({"axes": axes} if axes else {})]
    return path


def test_versions_before_0_3_have_five_axes_without_names(tmp_path):
    data = np.arange(1 * 2 * 3 * 8 * 9).reshape(1, 2, 3, 8, 9)
    scan = read_scan(describe(tmp_path / "a.zarr", data, version="0.1"))
    assert (scan.axes, scan.shape) == ("CTZYX", (2, 1, 3, 8, 9))
    assert np.array_equal(scan.data.compute()[1, 0], data[0, 1])


@pytest.mark.parametrize(
    ("names", "letters"),
    [
        (["channel", "depth", "height", "width"], "CZYX"),
        (["c", "z", "y", "x"], "CZYX"),
        (["c", "z", "height", "width"], "CZYX"),
        (["ch", "x", "y", "z"], "CZYX"),
    ],
)
def test_axes_are_told_by_type_where_their_names_are_others(tmp_path, names, letters):
    kinds = ["channel", "space", "space", "space"]
    axes = [{"name": n, "type": k} for n, k in zip(names, kinds, strict=True)]
    path = describe(tmp_path / "a.zarr", np.zeros((2, 3, 8, 9), np.uint8), axes)
    assert read_scan(path).axes == letters


def test_axes_that_cannot_be_named(tmp_path):
    axes = [{"name": n} for n in ("phase", "y", "x")]
    path = describe(tmp_path / "a.zarr", np.zeros((2, 8, 9), np.uint8), axes)
    with pytest.raises(ScanError, match="axes phase, y, x, which cannot be named"):
        read_scan(path)


def test_an_axis_that_runs_backwards(tmp_path):
    """Voxel (1, 2, 3) lies at (2, 100 - 0.5 * 2, 1.5), in every format."""
    steps = [
        {"type": "scale", "scale": [2, -0.5, 0.5]},
        {"type": "translation", "translation": [0, 100, 0]},
    ]
    axes = AXES[1:]
    data = np.zeros((3, 8, 9), np.uint8)
    scan = read_scan(describe(tmp_path / "a.zarr", data, axes, steps=steps))
    assert scan.spacing == (2, 0.5, 0.5)
    assert np.allclose(scan.affine @ [1, 2, 3, 1], [2, 99, 1.5, 1])
    mask = data.copy()
    mask[1, 2, 3] = 1
    for name, unit in (("m.nii.gz", 1e-3), ("m.nrrd", 1e-3), ("m.ome.zarr", 1)):
        back = read_scan(write_mask(tmp_path / name, mask, like=scan))
        at = np.argwhere(np.asarray(back.data))[0]
        place = back.affine @ [*at, 1]
        assert np.allclose(place[:3], np.array([2, 99, 1.5]) * unit), name


@pytest.fixture
def plate(tmp_path):
    path = tmp_path / "screen.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    wells = ["A/1", "B/2"]
    group.attrs["plate"] = {"wells": [{"path": one} for one in wells]}
    for value, well in enumerate(wells):
        made = group.create_group(well)
        made.attrs["well"] = {"images": [{"path": "0"}, {"path": "1"}]}
        for field in "01":
            data = np.full((8, 9), 10 * value + int(field), np.uint8)
            describe(path / well / field, data, AXES[2:])
    return path


def test_a_plate_offers_its_wells(plate):
    scan = read_scan(plate)
    assert (scan.shape, int(scan.data[0, 0].compute())) == ((8, 9), 0)
    assert scan.all_series == {"A/1": "well A/1", "B/2": "well B/2"}
    assert "2 images are here; number A/1 was taken" in scan.warnings[0]
    scan = read_scan(plate, series="B/2")
    assert (int(scan.data[0, 0].compute()), scan.name) == (10, "screen B-2")
    assert int(read_scan(plate, series="B/2/1").data[0, 0].compute()) == 11
    assert list(read_scan(plate / "B" / "2").all_series) == ["0", "1"]
    with pytest.raises(ScanError, match=r"no image 'C/3'; it holds A/1, B/2\."):
        read_scan(plate, series="C/3")


def test_a_damaged_chunk_is_told_in_a_sentence(tmp_path):
    path = make_image(tmp_path / "a.zarr", "0.4")
    chunk = max(p for p in (path / "0").rglob("*") if p.is_file() and p.name[0] != ".")
    chunk.write_bytes(b"xx")
    with pytest.raises(ScanError, match=r"a\.zarr cannot be read: a part of it is"):
        read_scan(path).data.compute()


def test_only_the_chunks_asked_for_are_read(tmp_path):
    path = make_image(tmp_path / "a.zarr", "0.4")
    for chunk in (path / "0").rglob("*"):
        if chunk.is_file() and not chunk.name.startswith("."):
            keep = chunk.name in ("0.0.0.0",) or chunk.as_posix().endswith("0/0/0/0/0")
            if not keep:
                chunk.write_bytes(b"broken")
    scan = read_scan(path)
    assert np.array_equal(scan.data[0, 0, :8, :8].compute(), DATA[0, 0, :8, :8])


def test_several_images_in_a_group(tmp_path):
    root = zarr.open_group(str(tmp_path / "b.zarr"), mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    make_image(tmp_path / "b.zarr" / "0", "0.4")
    assert read_scan(tmp_path / "b.zarr").shape == DATA.shape
    with pytest.raises(ScanError, match=r"b\.zarr holds no image '1'; it holds 0"):
        read_scan(tmp_path / "b.zarr", series=1)
    make_image(tmp_path / "b.zarr" / "1", "0.4")
    scan = read_scan(tmp_path / "b.zarr", series="1")
    assert (scan.name, scan.series, list(scan.all_series)) == ("b 1", "1", ["0", "1"])
    assert scan.warnings == ()
    assert "2 images are here" in read_scan(tmp_path / "b.zarr").warnings[0]


def test_plain_arrays(tmp_path):
    zarr.save_array(str(tmp_path / "p.zarr"), DATA[0])
    scan = read_scan(tmp_path / "p.zarr")
    assert (scan.axes, scan.format) == ("ZYX", "Zarr")
    assert np.array_equal(scan.data.compute(), DATA[0])


def test_damaged_groups(tmp_path):
    path = make_image(tmp_path / "a.zarr", "0.4")
    group = zarr.open_group(str(path), mode="r+")
    group.attrs["multiscales"] = [{"axes": AXES, "datasets": []}]
    with pytest.raises(ScanError, match=r"a\.zarr cannot be read: it is damaged"):
        read_scan(path)
    group.attrs["multiscales"] = [{"axes": ["q", "y", "x"], "datasets": []}]
    with pytest.raises(ScanError):
        read_scan(path)
    (path / ".zattrs").write_text("{")
    with pytest.raises(ScanError, match=r"a\.zarr cannot be read"):
        read_scan(path)


# Writing

MASK = (np.arange(3 * 16 * 20).reshape(3, 16, 20) % 7).astype(np.uint8)


def header(shape=(3, 16, 20), **more):
    n = len(shape)
    scan = Scan(
        data=np.zeros(shape, np.uint8),
        shape=shape,
        axes="TZYX"[-n:],
        spacing=(2.0, 0.5, 0.25)[-n:],
        units=("um",) * n,
        name="s",
    )
    return replace(scan, **more).header


def fill(writer, mask=MASK):
    for index in np.random.default_rng(0).permutation(len(mask)):
        writer.write_plane(int(index), mask[index])


@pytest.mark.parametrize("name", ["m.ome.zarr", "m.zarr", "m.npy"])
def test_planes_in_any_order(tmp_path, name):
    path = tmp_path / name
    with MaskWriter(path, header()) as writer:
        fill(writer)
        assert not path.exists()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    scan = read_scan(path)
    assert np.array_equal(np.asarray(scan.data), MASK)
    if name != "m.npy":
        assert (scan.spacing, scan.units) == ((2.0, 0.5, 0.25), ("um",) * 3)


def test_large_masks_get_coarser_levels(tmp_path):
    mask = np.random.default_rng(0).integers(0, 9, (2, 600, 601)).astype(np.uint8)
    with MaskWriter(tmp_path / "m.ome.zarr", header(mask.shape)) as writer:
        fill(writer, mask)
    scan = read_scan(tmp_path / "m.ome.zarr")
    assert [a.shape for a in scan.pyramid] == [(2, 300, 301), (2, 150, 151)]
    assert np.array_equal(scan.pyramid[1].compute(), mask[:, ::4, ::4])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_inside_an_image(tmp_path, version):
    image = make_image(tmp_path / "a.ome.zarr", version)
    scan = read_scan(image)
    for name in ("cells", "nuclei", "cells"):
        with MaskWriter(image / "labels" / name, scan, class_names=["cell"]) as writer:
            fill(writer)
    labels = zarr.open_group(str(image / "labels"), mode="r")
    about = labels.attrs["ome"] if version == "0.5" else labels.attrs
    assert sorted(about["labels"]) == ["cells", "nuclei"]
    one = dict(labels["cells"].attrs)
    one = one["ome"] if version == "0.5" else one
    assert one["image-label"]["properties"] == [{"label-value": 1, "class": "cell"}]
    again = read_scan(image / "labels" / "cells")
    assert np.array_equal(again.data.compute(), MASK)
    assert again.layer_kwargs()["translate"] == (10, 20, 30)
    assert np.array_equal(read_scan(image).data.compute(), DATA)


@pytest.mark.parametrize("name", ["m.ome.zarr", "m.npy"])
def test_a_break_keeps_the_old_mask(tmp_path, name):
    path = tmp_path / name
    with MaskWriter(path, header()) as writer:
        fill(writer)
    with pytest.raises(KeyboardInterrupt), MaskWriter(path, header()) as writer:
        writer.write_plane(0, MASK[0] + 1)
        raise KeyboardInterrupt
    assert np.array_equal(np.asarray(read_scan(path).data), MASK)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["m.ome.zarr", "m.npy"])
def test_a_later_try_goes_on(tmp_path, name):
    path = tmp_path / name
    with (
        pytest.raises(KeyboardInterrupt),
        MaskWriter(path, header(), resume=True) as writer,
    ):
        writer.write_plane(2, MASK[2])
        raise KeyboardInterrupt
    with open(
        tmp_path / f".{name}.unfinished" / "done.txt", "a", encoding="utf-8"
    ) as file:
        file.write("1")  # cut off while it was written
    with MaskWriter(path, header(), resume=True) as writer:
        assert writer.done == {2}
        for index in {0, 1, 2} - writer.done:
            writer.write_plane(index, MASK[index])
    assert np.array_equal(np.asarray(read_scan(path).data), MASK)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_try_of_another_shape_is_not_gone_on_with(tmp_path):
    path = tmp_path / "m.npy"
    with pytest.raises(OverflowError), MaskWriter(path, header(), resume=True) as one:
        one.write_plane(0, MASK[0])
        raise OverflowError
    with MaskWriter(path, header((2, 16, 20)), resume=True) as writer:
        assert writer.done == set()
        fill(writer, MASK[:2])


def test_what_does_not_fit(tmp_path):
    with pytest.raises(ScanError, match="choose one of"):
        MaskWriter(tmp_path / "m.nii", header())
    with (
        pytest.raises(ScanError, match="2 planes missing"),
        MaskWriter(tmp_path / "m.npy", header()) as writer,
    ):
        for index, plane in ((0, MASK[0, :5]), (3, MASK[0]), (-1, MASK[0])):
            with pytest.raises(ScanError, match="does not fit a mask of shape"):
                writer.write_plane(index, plane)
        with pytest.raises(ScanError, match="Label 300 does not fit uint8"):
            writer.write_plane(0, np.full((16, 20), 300))
        writer.write_plane(0, MASK[0])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "m.ome.zarr"
    with MaskWriter(path, header()) as writer:
        fill(writer)
    monkeypatch.setattr(MaskWriter, "_note", full)
    with (
        pytest.raises(ScanError, match=r"m\.ome\.zarr cannot be written: the disk is"),
        MaskWriter(path, header()) as writer,
    ):
        fill(writer)
    assert np.array_equal(read_scan(path).data.compute(), MASK)
    assert [p.name for p in tmp_path.iterdir()] == ["m.ome.zarr"]


def test_a_missing_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(ScanError, match="there is no such folder"),
        MaskWriter(tmp_path / "file" / "m.npy", header()),
    ):
        pytest.fail("it must not come here")


def test_coarser_levels_are_made_band_by_band(tmp_path, monkeypatch):
    import zarr

    mask = np.random.default_rng(0).integers(0, 9, (1, 2300, 40)).astype(np.uint8)
    largest = []
    read = zarr.Array.__getitem__

    def note(array, region):
        found = read(array, region)
        largest.append(np.size(found))
        return found

    with MaskWriter(tmp_path / "m.ome.zarr", header(mask.shape)) as writer:
        fill(writer, mask)
        monkeypatch.setattr(zarr.Array, "__getitem__", note)
    monkeypatch.undo()
    assert max(largest) <= 1024 * 40
    scan = read_scan(tmp_path / "m.ome.zarr")
    assert np.array_equal(scan.pyramid[0].compute(), mask[:, ::2, ::2])
    assert np.array_equal(scan.pyramid[-1].compute(), mask[:, ::16, ::16])


@pytest.mark.parametrize("step", [1, 2])
def test_a_cut_between_the_steps_of_replacing_a_mask_loses_none(
    tmp_path, monkeypatch, step
):
    """The next write, which is cut off as well, finds the old one or the new one."""
    path = tmp_path / "m.ome.zarr"
    mine = tmp_path / ".m.notours.part.ome.zarr"
    mine.mkdir()

    def write(value):
        with MaskWriter(path, header((2, 8, 8))) as writer:
            for plane in range(2):
                writer.write_plane(plane, np.full((8, 8), value, np.uint8))

    write(1)
    rename, rmtree, calls = os.rename, shutil.rmtree, []

    def cut(source, target):
        if len(calls) == step:
            raise KeyboardInterrupt
        calls.append(target)
        rename(source, target)

    def cut_before_sweep(folder, **kwargs):
        if ".part" in str(folder):
            raise KeyboardInterrupt
        rmtree(folder, **kwargs)

    with monkeypatch.context() as power, pytest.raises(KeyboardInterrupt):
        power.setattr("napari_segdino.files.move", cut)
        if step == 2:  # the new one is there, the old one beside it
            power.setattr("napari_segdino.files.shutil.rmtree", cut_before_sweep)
        write(2)
    with pytest.raises(KeyboardInterrupt), MaskWriter(path, header((2, 8, 8))):
        raise KeyboardInterrupt
    assert (np.asarray(read_scan(path).data) == step).all()
    assert sorted(p.name for p in tmp_path.iterdir()) == [mine.name, path.name]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_label_is_made_of_the_version_of_its_image(tmp_path, version):
    image = make_image(tmp_path / "a.ome.zarr", version)
    like = read_zarr(image, ReadOptions()).header
    making, target = image / "labels" / "making", image / "labels" / "cells"
    labels = create_labels(making, target, like, np.uint8)
    assert labels.shape == (3, 16, 20)
    labels[0, 2, 3] = 5
    assert open_labels(making)[0, 2, 3] == 5
    finish_labels(making, like, ("cell",), Provenance())
    shutil.move(making, target)
    register_label(target)
    register_label(target)
    group = zarr.open_group(str(image / "labels"), mode="r")
    about = dict(group.attrs)
    about = about if version == "0.4" else about["ome"]
    assert about["labels"] == ["cells"], "entered once"
    assert group.metadata.zarr_format == (2 if version == "0.4" else 3)
    again = read_zarr(target, ReadOptions())
    assert again.spacing == like.spacing
    assert again.geometry.origin == like.geometry.origin
    assert np.argwhere(np.asarray(again.data)).tolist() == [[0, 2, 3]]


def test_a_folder_is_zarr_by_its_own_files(tmp_path):
    header = Header(shape=(4, 4), axes="YX", spacing=(1, 1), units=("pixel",) * 2)
    create_labels(tmp_path / "m.zarr", tmp_path / "m.ome.zarr", header, np.uint8)
    assert is_zarr(tmp_path / "m.zarr")
    assert not is_zarr(tmp_path)
    register_label(tmp_path / "m.zarr")
    assert not (tmp_path / "zarr.json").exists(), "it lies in no image"
