"""Scans in the formats of SimpleITK, Pillow and numpy."""

import gzip
import json
import logging
import os
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from napari_segdino.errors import ScanError
from napari_segdino.io import Provenance, can_read, read_mask, read_scan
from napari_segdino.io.npy import read_npy, write_npy
from napari_segdino.io.photo import looked_up, read_photo, turned_upright
from napari_segdino.io.scan import Header, ReadOptions

VOLUME = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
ITK_NAMES = ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mhd"]


@pytest.mark.parametrize("name", ITK_NAMES)
def test_a_volume_arrives_with_its_place(itk_file, name):
    path = itk_file(name, VOLUME, (0.5, 0.75, 2.0), (1, 2, 3), np.diag([-1, 1, -1]))
    scan = read_scan(path)
    assert can_read(path)
    assert (scan.axes, scan.shape, scan.data.dtype) == ("ZYX", (2, 3, 4), np.int16)
    assert np.array_equal(scan.data, VOLUME)
    assert scan.spacing == (2.0, 0.75, 0.5)
    assert scan.units == ("mm",) * 3
    wanted = [[-2, 0, 0, 3], [0, 0.75, 0, 2], [0, 0, -0.5, 1], [0, 0, 0, 1]]
    assert np.allclose(scan.affine, wanted)
    assert scan.name == "a"
    kwargs = scan.layer_kwargs()
    assert kwargs["scale"] == (2.0, 0.75, 0.5)
    assert kwargs["axis_labels"] == ("z", "y", "x")
    assert np.allclose(np.diag(kwargs["affine"]), [-1, 1, -1, 1])


def test_the_kind_of_file_is_named(itk_file):
    kinds = [read_scan(itk_file(name, VOLUME)).format for name in ITK_NAMES]
    assert kinds == ["NIfTI", "NIfTI", "NRRD", "MetaImage", "MetaImage"]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_the_number_type_is_kept(itk_file, dtype):
    scan = read_scan(itk_file("a.nrrd", VOLUME.astype(dtype)))
    assert scan.data.dtype == np.dtype(dtype)


def test_analyze_is_read(itk_file):
    path = itk_file("a.img", VOLUME, (0.5, 0.75, 2.0))
    for one in (path, path.with_suffix(".hdr")):
        scan = read_scan(one)
        assert scan.spacing == (2.0, 0.75, 0.5)
        assert np.array_equal(scan.data, VOLUME)


def test_a_time_series_has_a_time_axis(itk_file, tmp_path):
    import SimpleITK as sitk

    steps = [sitk.GetImageFromArray(VOLUME + 100 * t) for t in range(3)]
    image = sitk.JoinSeries(steps)
    image.SetSpacing((0.5, 0.75, 2.0, 1.5))
    sitk.WriteImage(image, str(tmp_path / "t.nii.gz"))
    scan = read_scan(tmp_path / "t.nii.gz")
    assert (scan.axes, scan.shape) == ("TZYX", (3, 2, 3, 4))
    assert scan.spacing == (1.5, 2.0, 0.75, 0.5)
    assert scan.units == ("s", "mm", "mm", "mm")
    assert scan.plane_spacing == (2.0, 0.75, 0.5)
    kwargs = scan.layer_kwargs()
    assert kwargs["axis_labels"] == ("t", "z", "y", "x")
    assert len(kwargs.get("translate", kwargs.get("affine"))) in (4, 5)


def test_a_single_slice_loses_its_depth_and_keeps_its_place(itk_file):
    scan = read_scan(itk_file("a.nii", VOLUME[:1], (0.5, 0.75, 2.0), (1, 2, 3)))
    assert (scan.axes, scan.shape) == ("YX", (3, 4))
    assert scan.spacing == (0.75, 0.5)
    assert scan.geometry.size == (4, 3, 1)
    assert scan.affine.shape == (4, 4)


def test_components_are_colour_only_when_they_are(itk_file):
    colours = np.zeros((5, 6, 3), np.uint8)
    colour = read_scan(itk_file("c.mha", colours, vector=True))
    assert (colour.axes, colour.colour) == ("YXC", True)
    assert colour.layer_kwargs()["rgb"] is True
    field = np.arange(5 * 6 * 3, dtype=np.float32).reshape(5, 6, 3)
    scan = read_scan(itk_file("f.mha", field, vector=True))
    assert (scan.axes, scan.shape, scan.colour) == ("CYX", (3, 5, 6), False)
    assert np.array_equal(scan.data, np.moveaxis(field, -1, 0))
    assert scan.layer_kwargs()["channel_axis"] == 0
    last = read_scan(itk_file("f.mha", field, vector=True), channels_last=True)
    assert (last.axes, last.shape) == ("YXC", (5, 6, 3))
    assert np.array_equal(last.data, field)
    assert last.channels_first().axes == "CYX"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_upright(tmp_path, orientation):
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = [255, 0, 0]
    turns = {1: 0, 3: 2, 6: 1, 8: 3}  # quarter turns that put it back, clockwise
    stored = Image.fromarray(upright)
    if orientation in turns:
        stored = stored.rotate(90 * turns[orientation], expand=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / "a.jpg", exif=exif, quality=95)
        data = read_scan(tmp_path / "a.jpg").data
        assert data.shape == (40, 60, 3)
        assert data[5, 5, 0] > 200
        assert data[35, 55, 0] < 50
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / "a.jpg", exif=exif)
        tall = orientation in (5, 7)
        shape = read_scan(tmp_path / "a.jpg").shape
        assert shape == ((60, 40, 3) if tall else (40, 60, 3))


@pytest.mark.parametrize(
    ("mode", "axes", "shape", "dtype"),
    [
        ("L", "YX", (4, 5), "u1"),
        ("RGB", "YXC", (4, 5, 3), "u1"),
        ("RGBA", "YXC", (4, 5, 4), "u1"),
        ("LA", "YXC", (4, 5, 4), "u1"),
        ("P", "YXC", (4, 5, 3), "u1"),
        ("1", "YX", (4, 5), "bool"),
        ("I;16", "YX", (4, 5), "u2"),
    ],
)
def test_pictures_of_every_mode(tmp_path, mode, axes, shape, dtype):
    Image.new(mode, (5, 4)).save(tmp_path / "a.png")
    scan = read_scan(tmp_path / "a.png")
    assert (scan.axes, scan.shape) == (axes, shape)
    assert scan.data.dtype == np.dtype(dtype)
    assert scan.units == ("pixel", "pixel")
    assert scan.affine is None


def test_deep_pictures_keep_their_values(tmp_path):
    deep = np.array([[0, 300], [40000, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert np.array_equal(read_scan(tmp_path / "a.png").data, deep)


def test_npy_axes_are_guessed_or_told(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 64, 65), np.float32))
    np.save(tmp_path / "b.npy", np.zeros((200, 200, 20)))
    assert read_scan(tmp_path / "a.npy").axes == "ZYX"
    lazy = read_scan(tmp_path / "a.npy", axes="TYX", lazy=True)
    assert (lazy.axes, type(lazy.data)) == ("TYX", np.memmap)
    with pytest.raises(ScanError, match=r"b\.npy: .*can be \(Z, Y, X\)"):
        read_scan(tmp_path / "b.npy")
    assert read_scan(tmp_path / "b.npy", axes="ZYX").shape == (200, 200, 20)


@pytest.mark.parametrize("kind", ["grey and alpha", "rgb", "rgba"])
def test_png_colours_of_16_bits_keep_them(tmp_path, kind):
    ramp = np.tile(np.arange(1000, dtype="u2") * 60, (8, 1))
    count = {"grey and alpha": 2, "rgb": 3, "rgba": 4}[kind]
    data = np.dstack([ramp + i for i in range(count)])
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(data))
    scan = read_scan(tmp_path / "a.png")
    wanted = data[..., [0, 0, 0, 1]] if count == 2 else data
    assert (scan.axes, scan.colour, scan.data.dtype) == ("YXC", True, np.uint16)
    assert np.array_equal(scan.data, wanted)
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(ScanError, match="damaged"):
        read_scan(tmp_path / "a.png")


def test_headers_survive_json(itk_file):
    scan = read_scan(itk_file("a.nii.gz", VOLUME, (0.5, 0.75, 2.0), (1, 2, 3)))
    again = Header.from_dict(json.loads(json.dumps(scan.to_dict())))
    assert again == scan.header
    with pytest.raises(ScanError, match="not the header"):
        Header.from_dict({"axes": "YX"})


# What cannot be read is one sentence with the file's name


@pytest.mark.parametrize(
    "name", [*ITK_NAMES, "a.hdr", "a.tif", "a.ome.tif", "a.png", "a.jpg", "a.npy"]
)
@pytest.mark.parametrize("content", [b"", b"not what the name says" * 20])
def test_damaged_files(tmp_path, name, content, capfd):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    text = str(caught.value)
    assert text.startswith(name)
    assert text.count(". ") == 0
    assert text.endswith(".")
    assert "\n" not in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.img", "a.nrrd", "a.mha"])
def test_cut_files(itk_file, name):
    path = itk_file(name, np.random.default_rng(0).integers(0, 999, (9, 9, 9)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ScanError, match="it is damaged or not a|ends too early"):
        read_scan(path)


def test_what_nrrd_libraries_do_not_decode_is_named(itk_file):
    path = itk_file("a.nrrd", VOLUME)
    path.write_bytes(path.read_bytes().replace(b"encoding: raw", b"encoding: bzip2"))
    with pytest.raises(ScanError, match="kind bzip2 is not supported"):
        read_scan(path)


@pytest.mark.parametrize("kind", ["c8", "U3", "M8[s]", [("a", "u1"), ("b", "f4")]])
def test_what_is_no_number_is_named(tmp_path, kind):
    np.save(tmp_path / "a.npy", np.zeros((4, 5), kind))
    with pytest.raises(
        ScanError, match=r"(complex numbers|of type .*) are not supported\.$"
    ):
        read_scan(tmp_path / "a.npy")


def test_nothing_is_printed_where_nobody_asked_for_the_log(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"no")
    code = (
        "from napari_segdino.io import read_scan\n"
        "from napari_segdino.errors import ScanError\n"
        "try: read_scan('a.nii')\n"
        "except ScanError: print('told')"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("told\n", "")


def test_details_go_to_the_log(tmp_path, caplog):
    (tmp_path / "a.nrrd").write_bytes(b"no")
    with caplog.at_level(logging.ERROR), pytest.raises(ScanError):
        read_scan(tmp_path / "a.nrrd")
    assert "a.nrrd failed" in caplog.text
    assert "SimpleITK" in caplog.text


def test_packed_files_of_several_members_are_whole(itk_file):
    """Such as bgzip makes: the length noted at the end is the last part's."""
    path = itk_file("a.nii.gz", VOLUME)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:370]) + gzip.compress(content[370:]))
    assert np.array_equal(read_scan(path).data, VOLUME)


def test_cut_photos(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (50, 50, 3)).astype(np.uint8)
    for name in ("a.png", "a.jpg"):
        path = tmp_path / name
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ScanError, match="damaged"):
            read_scan(path)


def test_nothing_there(tmp_path):
    with pytest.raises(ScanError, match=r"x\.nii cannot be read: there is no such"):
        read_scan(tmp_path / "x.nii")
    with pytest.raises(ScanError, match="no scan was found in it"):
        read_scan(tmp_path)
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(ScanError, match="its format is not known"):
        read_scan(tmp_path / "a.docx")


def test_no_objects_are_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ScanError, match="not a NPY file of numbers"):
        read_scan(tmp_path / "a.npy")


def test_no_pixels(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 5)))
    with pytest.raises(ScanError, match="holds no pixels"):
        read_scan(tmp_path / "a.npy")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros((3, 5)))

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(ScanError, match=r"a\.npy cannot be read: .*read-only"):
        read_scan(tmp_path / "a.npy")


def test_can_read_never_raises(tmp_path):
    for odd in ("", "\0", tmp_path / "none.nii", 3.5, None):
        assert can_read(odd) is False
    (tmp_path / "a.docx").write_bytes(b"PK")
    assert not can_read(tmp_path / "a.docx")
    assert not can_read(tmp_path)
    loop = tmp_path / "loop.nii"
    os.symlink(loop, loop)
    assert not can_read(loop)


# Masks


def test_masks_of_yes_and_no(tmp_path):
    truth = np.zeros((16, 16), np.uint8)
    truth[4:12, 4:12] = 1
    Image.fromarray(truth * 255).save(tmp_path / "a.png")
    Image.fromarray(truth * 255).save(tmp_path / "a.jpg")
    Image.fromarray(np.stack([truth * 255] * 3, -1)).save(tmp_path / "rgb.png")
    Image.fromarray(truth.astype(bool)).save(tmp_path / "bits.png")
    for name in ("a.png", "a.jpg", "rgb.png", "bits.png"):
        mask = read_mask(tmp_path / name)
        assert mask.dtype == np.uint8
        assert np.array_equal(mask, truth), name


def test_masks_with_a_palette_give_their_numbers(tmp_path):
    truth = np.array([[0, 1], [2, 3]], np.uint8)
    picture = Image.fromarray(truth, mode="P")
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200])
    picture.save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png"), truth)
    assert read_scan(tmp_path / "a.png").data[1, 0].tolist() == [0, 200, 0]


def test_masks_of_whole_numbers_in_any_type(itk_file):
    truth = np.zeros((2, 3, 4))
    truth[0, 1, 2] = 300
    for dtype in ("u2", "i4", "f4", "f8"):
        mask = read_mask(itk_file("m.nii.gz", truth.astype(dtype)))
        assert mask.dtype.kind in "ui"
        assert np.array_equal(mask, truth)


def test_what_is_no_mask(tmp_path, itk_file):
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "c.png")
    np.save(tmp_path / "n.npy", np.array([[-1, 2]]))
    cases = {
        tmp_path / "c.png": "holds colours",
        tmp_path / "n.npy": "negative values",
        itk_file("f.nii", np.full((2, 3, 4), 0.5)): "holds fractions",
        itk_file("n.mha", np.full((2, 3, 4), np.nan)): "holds fractions",
        itk_file("v.mha", np.zeros((5, 6, 2)), vector=True): "holds channels",
    }
    for path, words in cases.items():
        with pytest.raises(ScanError, match=rf"{path.name} .*{words}"):
            read_mask(path)


@pytest.mark.parametrize(
    ("axes", "units", "wanted"),
    [
        ("ZYX", ("mm", "mm", "mm"), (4, 2, 1)),
        ("TZYX", ("s", "um", "um", "um"), (4e-3, 2e-3, 1e-3)),
        ("ZYX", ("cm", "mm", "mm"), (40, 2, 1)),
        ("CZYX", ("mm", "mm", "mm"), (4, 2, 1)),
        ("ZYX", ("pixel", "mm", "mm"), None),
        ("YX", ("mm", "mm"), None),
        ("TYX", ("mm", "mm", "mm"), None),
    ],
)
def test_distances_of_voxels_in_mm(axes, units, wanted):
    steps = (9.0, 4.0, 2.0, 1.0)[-len(units) :]
    header = Header(shape=(3,) * len(axes), axes=axes, spacing=steps, units=units)
    found = header.voxel_mm
    assert found is None if wanted is None else found == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("orientation", "shown"),
    [
        (1, [[1, 2], [3, 4]]),
        (2, [[2, 1], [4, 3]]),
        (3, [[4, 3], [2, 1]]),
        (4, [[3, 4], [1, 2]]),
        (5, [[1, 3], [2, 4]]),
        (6, [[3, 1], [4, 2]]),
        (7, [[4, 2], [3, 1]]),
        (8, [[2, 4], [1, 3]]),
        (9, [[1, 2], [3, 4]]),
    ],
)
def test_an_orientation_turns_and_mirrors(orientation, shown):
    held = np.array([[1, 2], [3, 4]])
    assert turned_upright(held, orientation).tolist() == shown
    assert turned_upright(held[None], orientation, axis=1)[0].tolist() == shown


def test_a_palette_gives_colours_on_a_new_axis():
    table = np.array([[0, 0, 0], [10, 20, 30]], np.uint8)
    assert looked_up(np.array([[1, 0]]), table).tolist() == [[[10, 20, 30], [0, 0, 0]]]
    assert looked_up(np.array([[1, 0]]), table[:, 0]).tolist() == [[10, 0]]


def test_a_palette_picture_read_as_a_mask_gives_its_numbers(tmp_path):
    from PIL import Image

    picture = Image.fromarray(np.array([[0, 2], [1, 0]], np.uint8), "P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "p.png")
    mask = read_photo(tmp_path / "p.png", ReadOptions(as_mask=True))
    assert (mask.axes, mask.data.tolist()) == ("YX", [[0, 2], [1, 0]])
    shown = read_photo(tmp_path / "p.png", ReadOptions())
    assert (shown.axes, shown.data[0, 1].tolist()) == ("YXC", [0, 255, 0])


def test_an_array_is_mapped_where_that_is_asked_for(tmp_path):
    path, array = tmp_path / "a.npy", np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    write_npy(path, array, None, (), Provenance())
    whole = read_npy(path, ReadOptions(axes="zyx"))
    assert (whole.axes, whole.spacing, whole.units[0]) == ("ZYX", (1, 1, 1), "pixel")
    assert np.array_equal(whole.data, array)
    assert not isinstance(whole.data, np.memmap)
    mapped = read_npy(path, ReadOptions(axes="ZYX", lazy=True))
    assert isinstance(mapped.data, np.memmap)
    with pytest.raises(ScanError, match="does not name 3 different axes"):
        read_npy(path, ReadOptions(axes="YX"))
