"""Masks come back as they were, in the place of their scan."""

import errno
import os
import resource
import signal

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy.spatial.transform import Rotation

from napari_segdino.errors import ScanError
from napari_segdino.io import Scan, read_mask, read_scan, write_mask
from napari_segdino.io.formats import own_suffix
from napari_segdino.io.geometry import Geometry
from napari_segdino.io.itk import itk_image, mask_grid
from napari_segdino.io.scan import Header

MASK = np.zeros((2, 3, 4), np.uint8)
MASK[1, 2, 3], MASK[0, 1, 1] = 1, 2
ITK_NAMES = ["m.nii", "m.nii.gz", "m.nrrd", "m.mha"]

finite = st.floats(-500, 500)
angles = st.tuples(*[st.floats(-180, 180)] * 3)
shapes = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    shapes,
    st.sampled_from(["u1", "u2", "i4", "bool"]),
    st.tuples(*[st.floats(0.01, 9)] * 3),
    st.tuples(finite, finite, finite),
    angles,
    st.booleans(),
)
def test_geometry_round_trip(
    tmp_path, suffix, shape, dtype, spacing, origin, turn, mirror
):
    """The affine comes back to 1e-6 of the scan's extent, labels exactly."""
    import SimpleITK as sitk

    direction = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    direction = direction * [1, 1, -1 if mirror else 1]
    image = sitk.GetImageFromArray(np.zeros(shape, np.int16))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction.ravel().tolist())
    source = tmp_path / f"scan{suffix}"
    sitk.WriteImage(image, str(source))
    scan = read_scan(source)
    mask = np.arange(scan.data.size).reshape(scan.shape) % 3
    mask = mask.astype(dtype)
    again = read_scan(write_mask(tmp_path / f"mask{suffix}", mask, like=scan))
    extent = 1 + np.abs(scan.affine).max()
    assert np.abs(again.affine - scan.affine).max() < 1e-6 * extent
    assert again.shape == scan.shape
    assert np.array_equal(again.data, mask)
    assert again.data.dtype == np.uint8


@pytest.mark.parametrize("name", ITK_NAMES)
def test_the_scan_can_be_a_path(itk_file, tmp_path, name):
    path = itk_file("s.nii", np.zeros((2, 3, 4)), (0.5, 0.75, 2), (1, 2, 3))
    written = read_scan(write_mask(tmp_path / name, MASK, like=path))
    assert np.array_equal(written.data, MASK)
    assert np.allclose(written.affine, read_scan(path).affine)


def test_a_dicom_folder_gives_its_place_to_nifti(dicom_folder, tmp_path):
    scan = read_scan(dicom_folder)
    mask = (scan.data > 0).astype(int)
    again = read_scan(write_mask(tmp_path / "m.nii.gz", mask, like=dicom_folder))
    assert np.allclose(again.affine, scan.affine, atol=1e-6)
    assert np.array_equal(again.data, mask)


def test_a_flat_mask_of_a_single_slice(dicom_folder, tmp_path):
    scan = read_scan(dicom_folder / "a.dcm")
    mask = np.eye(6, 7, dtype=int)
    again = read_scan(write_mask(tmp_path / "m.nii.gz", mask, like=scan))
    assert again.geometry.size == (7, 6, 1)
    assert np.allclose(again.affine, scan.affine, atol=1e-5)
    assert np.array_equal(again.data, mask)


@pytest.mark.parametrize("flat", [False, True])
def test_time_series_keep_their_time(tmp_path, flat):
    import SimpleITK as sitk

    depth = 1 if flat else 2
    parts = [sitk.GetImageFromArray(np.zeros((depth, 3, 4))) for _ in range(3)]
    image = sitk.JoinSeries(parts)
    image.SetSpacing((0.5, 0.75, 2.0, 1.5))
    sitk.WriteImage(image, str(tmp_path / "t.nii.gz"))
    scan = read_scan(tmp_path / "t.nii.gz")
    assert scan.axes == ("TYX" if flat else "TZYX")
    mask = np.arange(np.prod(scan.shape)).reshape(scan.shape) % 4
    again = read_scan(write_mask(tmp_path / "m.nii.gz", mask, like=scan))
    assert (again.axes, again.spacing) == (scan.axes, scan.spacing)
    assert np.array_equal(again.data, mask)


@pytest.mark.parametrize("name", ["m.tif", "m.ome.tif"])
def test_tiff_keeps_spacing_and_units(tmp_path, name):
    about = {"axes": "ZYX", "spacing": 2.5, "unit": "um"}
    tifffile.imwrite(
        tmp_path / "s.tif",
        np.zeros((2, 3, 4), np.uint8),
        imagej=True,
        resolution=(10, 5),
        metadata=about,
    )
    written = write_mask(tmp_path / name, MASK, like=tmp_path / "s.tif")
    scan = read_scan(written)
    assert (scan.axes, scan.units) == ("ZYX", ("um",) * 3)
    assert scan.spacing == pytest.approx((2.5, 0.2, 0.1))
    assert np.array_equal(scan.data, MASK)
    assert scan.format == ("OME-TIFF" if "ome" in name else "TIFF")
    with tifffile.TiffFile(written) as tif:
        assert tif.pages[0].compression == 8  # deflate
        assert tif.is_ome == ("ome" in name)


def test_millimetres_of_a_nifti_reach_tiff_and_micrometres_of_a_tiff_nifti(
    itk_file, tmp_path
):
    path = itk_file("s.nii", np.zeros((2, 3, 4)), (0.5, 0.75, 2))
    scan = read_scan(write_mask(tmp_path / "m.tif", MASK, like=path))
    assert (scan.spacing, scan.units[0]) == (pytest.approx((2, 0.75, 0.5)), "mm")
    tifffile.imwrite(
        tmp_path / "s.tif",
        MASK,
        imagej=True,
        resolution=(10, 5),
        metadata={"axes": "ZYX", "spacing": 2.5, "unit": "um"},
    )
    scan = read_scan(write_mask(tmp_path / "m.nii", MASK, like=tmp_path / "s.tif"))
    assert scan.spacing == pytest.approx((2.5e-3, 0.2e-3, 0.1e-3))


@pytest.mark.parametrize(
    ("top", "dtype"),
    [(1, "u1"), (255, "u1"), (65535, "u2"), (65536, "u4")],
)
@pytest.mark.parametrize("name", [*ITK_NAMES, "m.tif", "m.ome.tif", "m.npy"])
def test_the_smallest_type_that_holds_the_labels(tmp_path, name, top, dtype):
    mask = np.array([[0, top]], np.int64)
    again = read_scan(write_mask(tmp_path / name, mask)).data
    assert again.dtype == np.dtype(dtype)
    assert np.array_equal(again, mask)


def test_png_holds_labels_not_colours(tmp_path):
    for top in (3, 40000):
        mask = np.array([[0, 1], [2, top]])
        path = write_mask(tmp_path / "m.png", mask)
        assert np.array_equal(np.array(Image.open(path)), mask)
        assert np.array_equal(read_mask(path), mask)


def test_class_names_are_kept_where_there_is_a_place(tmp_path):
    import SimpleITK as sitk

    names = ["liver", "tumour"]
    image = sitk.ReadImage(
        str(write_mask(tmp_path / "m.nrrd", MASK, class_names=names))
    )
    assert image.GetMetaData("Segment2_Name") == "tumour"
    path = write_mask(tmp_path / "m.ome.tif", MASK, class_names=names)
    assert "2 tumour" in tifffile.TiffFile(path).ome_metadata


def test_the_suffix_of_the_scan_is_proposed(itk_file, dicom_folder, tmp_path):
    for name in ("a.nrrd", "a.nii.gz", "a.mha"):
        scan = read_scan(itk_file(name, np.zeros((2, 3, 4))))
        assert own_suffix(scan) == name[1:]
    assert own_suffix(read_scan(itk_file("a.mhd", np.zeros((2, 3, 4))))) == ".mha"
    for path in (dicom_folder, dicom_folder / "a.dcm"):
        assert own_suffix(read_scan(path)) == ".nii.gz"
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
    assert own_suffix(read_scan(tmp_path / "a.jpg")) == ".png"
    assert own_suffix(None) == ".tif"


# What cannot be written


def scan_of(shape):
    n = len(shape)
    return Scan(
        data=np.zeros(shape),
        shape=shape,
        axes="TZYX"[-n:],
        spacing=(1.0,) * n,
        units=("pixel",) * n,
        name="heart",
    )


@pytest.mark.parametrize(
    ("name", "mask", "words"),
    [
        ("m.docx", MASK, r"choose one of \.nii"),
        ("m", MASK, "choose one of"),
        ("m.mhd", MASK, r"not written as \.mhd, choose \.mha"),
        ("m.png", MASK, "PNG holds one plane"),
        ("m.png", np.array([[70000]]), "up to 65535"),
        ("m.nii", np.array([[0.5]]), "whole numbers, not float64"),
        ("m.nii", np.array([[-1]]), "no negative labels"),
        ("m.nii", np.array([[2**40]]), "cannot be written"),
        ("m.nii", np.zeros(5, int), "1 axes"),
    ],
)
def test_what_no_file_can_hold(tmp_path, name, mask, words):
    with pytest.raises(ScanError, match=words):
        write_mask(tmp_path / name, mask)
    assert list(tmp_path.iterdir()) == []


def test_a_mask_of_another_shape(tmp_path):
    words = r"shape \(2, 3, 4\) does not fit the scan heart, whose shape is \(4, 3, 2\)"
    with pytest.raises(ScanError, match=words):
        write_mask(tmp_path / "m.nii", MASK, like=scan_of((4, 3, 2)))


def test_channels_are_not_part_of_the_shape(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    written = write_mask(tmp_path / "m.png", MASK[0], like=tmp_path / "a.png")
    assert np.array_equal(read_mask(written), MASK[0])


ALL_NAMES = [*ITK_NAMES, "m.tif", "m.ome.tif", "m.npy"]


@pytest.mark.parametrize("name", [*ALL_NAMES, "flat.png"])
def test_a_missing_folder(tmp_path, name):
    (tmp_path / "file").write_text("x")
    mask = MASK[0] if name == "flat.png" else MASK
    for folder in ("none", "file"):
        with pytest.raises(ScanError, match=rf"{name} cannot be written: there is no"):
            write_mask(tmp_path / folder / name, mask)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_a_read_only_folder(tmp_path, name, monkeypatch):
    def refuse(path, *_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ScanError, match=rf"{name} cannot be written: .*read-only"):
        write_mask(tmp_path / name, MASK)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_a_full_disk_leaves_the_old_file(tmp_path, name):
    """A real limit on the size of files: the system writes a part and refuses."""
    noise = np.random.default_rng(0).integers(0, 200, (40, 64, 64))
    path = write_mask(tmp_path / name, MASK)
    old = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(ScanError, match=rf"{name} cannot be written: the disk is"):
            write_mask(path, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["m.tif", "m.npy"])
def test_a_full_disk_said_by_the_library(tmp_path, name, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = write_mask(tmp_path / name, MASK)
    old = path.read_bytes()
    monkeypatch.setattr(tifffile, "imwrite", full)
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ScanError, match="the disk is full"):
        write_mask(path, MASK + 1)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_itk_that_writes_something_else_is_noticed(tmp_path, monkeypatch):
    import SimpleITK as sitk

    write = sitk.WriteImage

    def wrong(image, *args, **kwargs):
        write(image * 0, *args, **kwargs)

    monkeypatch.setattr(sitk, "WriteImage", wrong)
    with pytest.raises(ScanError, match="disk is full"):
        write_mask(tmp_path / "m.nrrd", MASK)
    assert list(tmp_path.iterdir()) == []


def test_the_grid_of_a_mask_is_in_millimetres():
    grid = Geometry((4, 3), (500.0, 250.0), (1000.0, 0.0), (1.0, 0.0, 0.0, 1.0))
    header = Header(
        shape=(3, 4),
        axes="YX",
        spacing=(250.0, 500.0),
        units=("um", "um"),
        geometry=grid,
    )
    found = mask_grid((3, 4), header)
    assert (found.spacing, found.origin) == ((0.5, 0.25), (1.0, 0.0))
    assert mask_grid((3, 4), None) == Geometry.plain((3, 4))
    other = mask_grid((6, 8), header)
    assert (other.size, other.origin) == ((8, 6), (0.0, 0.0)), "it is no mask of this"


def test_time_is_the_last_axis_of_an_itk_image():
    plain = Geometry.plain((3, 4))
    header = Header(
        shape=(2, 3, 4),
        axes="TYX",
        spacing=(5.0, 1.0, 1.0),
        units=("s", "mm", "mm"),
        geometry=plain,
    )
    labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    image = itk_image(labels, header)
    assert image.GetSize() == (4, 3, 2)
    assert image.GetSpacing() == (1.0, 1.0, 5.0)
    assert image.GetPixel(3, 2, 1) == labels[1, 2, 3]
