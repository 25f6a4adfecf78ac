"""NIfTI as nibabel writes it; masks lie on their scan for nibabel and SimpleITK."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_segdino.errors import ScanError
from napari_segdino.io import (
    Provenance,
    read_mask,
    read_scan,
    write_mask,
    write_probabilities,
)
from napari_segdino.io.nifti import read_nifti, write_nifti, write_nifti_maps
from napari_segdino.io.scan import ReadOptions

DATA = np.arange(7 * 6 * 5, dtype=np.int16).reshape(7, 6, 5)
STRAIGHT = np.diag([0.5, 0.75, 3.0, 1.0])


def turned(degrees, off=0.0):
    """Straight axes turned about z, one of them off the right angle."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix = matrix @ STRAIGHT
    matrix[0, 2] += off
    matrix[:3, 3] = (4, -5, 6)
    return matrix


def save(path, data=DATA, sform=STRAIGHT, qform=STRAIGHT, codes=(1, 1), kind=None):
    image = (kind or nib.Nifti1Image)(data, np.eye(4))
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    nib.save(image, path)
    return path


def places(path):
    """What nibabel and SimpleITK think where the voxels lie."""
    image = sitk.ReadImage(str(path))
    found = nib.load(path)
    header = found.header
    forms = header["sform_code"], header["qform_code"], found.affine
    qform = header.get_qform()
    return [*forms, qform, image.GetOrigin(), image.GetSpacing(), image.GetDirection()]


def same_places(one, other):
    return all(
        np.allclose(a, b) for a, b in zip(places(one), places(other), strict=True)
    )


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("codes", [(1, 1), (2, 0), (0, 1), (4, 2)])
def test_place_and_values_are_nibabels(tmp_path, suffix, codes):
    path = save(
        tmp_path / f"s{suffix}", sform=turned(20), qform=turned(20), codes=codes
    )
    scan = read_scan(path)
    assert np.array_equal(scan.data, DATA.T)
    assert scan.data.dtype == np.int16
    assert scan.warnings == ()
    voxel = scan.affine @ [2, 3, 4, 1]  # z, y, x to S, P, L
    right, anterior, up = (nib.load(path).affine @ [4, 3, 2, 1])[:3]
    assert np.allclose(voxel[:3], [up, -anterior, -right], atol=1e-5)
    mask = (scan.data > 50).astype(int)
    written = write_mask(tmp_path / f"m{suffix}", mask, like=scan)
    assert np.array_equal(read_mask(written), mask)
    assert same_places(written, path)


def test_the_sform_counts_where_both_differ_and_the_mask_keeps_both(tmp_path):
    path = save(tmp_path / "s.nii.gz", sform=turned(0), qform=STRAIGHT)
    scan = read_scan(path)
    (told,) = scan.warnings
    assert told == "sform and qform of the file differ by 6: the sform counts."
    assert scan.geometry.origin == (-4, 5, 6)
    written = write_mask(tmp_path / "m.nii.gz", np.ones(scan.shape, int), like=scan)
    assert same_places(written, path)
    assert np.allclose(nib.load(written).affine, turned(0))


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("codes", [(1, 1), (0, 1), (1, 0), (0, 0)])
def test_pairs_of_files_are_read_as_single_ones(tmp_path, kind, codes):
    path = save(tmp_path / "s.img", DATA, turned(20), turned(20), codes, kind)
    for one in (path, path.with_suffix(".hdr")):
        scan = read_scan(one)
        assert np.array_equal(scan.data, DATA.T)
        right, anterior, up = (nib.load(path).affine @ [4, 3, 2, 1])[:3]
        voxel = scan.affine @ [2, 3, 4, 1]
        assert np.allclose(voxel[:3], [up, -anterior, -right], atol=1e-5)
        written = write_mask(tmp_path / "m.nii", np.ones(scan.shape, int), like=scan)
        assert np.allclose(nib.load(written).affine, nib.load(path).affine)


def test_channels_of_a_pair_of_files(tmp_path):
    data = np.arange(240).reshape(4, 5, 6, 1, 2).astype(np.int16)
    nib.save(nib.Nifti1Pair(data, np.eye(4)), tmp_path / "s.img")
    scan = read_scan(tmp_path / "s.img")
    assert scan.axes == "CZYX"
    assert np.array_equal(scan.data, data[..., 0, :].T)


def test_analyze_lies_where_nibabel_says(tmp_path):
    affine = np.diag([-2.0, 3, 4, 1])
    affine[:3, 3] = 10, -20, 5
    path = tmp_path / "s.img"
    nib.save(nib.Spm2AnalyzeImage(DATA, affine), path)
    scan = read_scan(path)
    assert (scan.format, np.array_equal(scan.data, DATA.T)) == ("Analyze", True)
    assert "which side is left" in scan.warnings[0]
    mask = write_mask(tmp_path / "m.nii", np.ones(scan.shape, int), like=scan)
    assert np.allclose(nib.load(mask).affine, nib.load(path).affine)


def test_no_place_is_told(tmp_path):
    path = save(tmp_path / "s.nii", codes=(0, 0))
    assert "does not say where it lies" in read_scan(path).warnings[0]


def test_axes_almost_at_right_angles_are_taken_as_such(tmp_path):
    path = save(tmp_path / "s.nii", sform=turned(17, 2e-3), codes=(1, 0))
    scan = read_scan(path)
    assert scan.spacing == pytest.approx((3, 0.75, 0.5), abs=1e-4)
    assert scan.warnings == ()
    direction = np.reshape(scan.geometry.direction, (3, 3))
    assert np.allclose(direction @ direction.T, np.eye(3), atol=1e-9)
    written = write_mask(tmp_path / "m.nii", np.ones(scan.shape, int), like=scan)
    assert np.allclose(nib.load(written).affine, nib.load(path).affine)
    for other in (".nrrd", ".mha"):
        write_mask(tmp_path / f"m{other}", np.ones(scan.shape, int), like=scan)


def test_a_shear_is_told_and_kept_in_masks(tmp_path):
    path = save(tmp_path / "s.nii", sform=turned(0, 0.3), codes=(1, 0))
    scan = read_scan(path)
    assert "5.7 degrees off right angles" in scan.warnings[0]
    theirs = nib.load(path).affine
    at = scan.affine @ [4, 3, 2, 1]
    assert np.allclose((theirs @ [2, 3, 4, 1])[:3], at[:3][::-1] * [-1, -1, 1])
    written = write_mask(tmp_path / "m.nii.gz", np.ones(scan.shape, int), like=scan)
    assert np.allclose(nib.load(written).affine, theirs)
    written = write_mask(tmp_path / "m.nrrd", np.ones(scan.shape, int), like=scan)
    assert np.allclose(read_scan(written).affine, scan.affine)
    assert "5.7 degrees" in read_scan(written).warnings[0]


def test_a_shear_within_the_plane_is_in_the_layers_affine(tmp_path):
    sform = STRAIGHT.copy()
    sform[0, 1] = 0.3
    path = save(tmp_path / "s.nii", sform=sform, codes=(1, 0))
    kwargs = read_scan(path).layer_kwargs()
    shown = kwargs["affine"] @ np.diag([*kwargs["scale"], 1])
    assert abs(shown[2, 1]) == pytest.approx(0.3)


def test_degenerate_places_are_told(tmp_path):
    flat = STRAIGHT.copy()
    flat[:, 1] = flat[:, 0]
    for sform in (flat, STRAIGHT * [1, 1, 0, 1]):
        scan = read_scan(save(tmp_path / "s.nii", sform=sform, codes=(1, 0)))
        assert scan.warnings
        write_mask(tmp_path / "m.nrrd", np.ones(scan.shape, int), like=scan)


def test_a_scan_that_is_gone_leaves_its_place(tmp_path):
    path = save(tmp_path / "s.nii.gz", sform=turned(20), qform=turned(20))
    scan = read_scan(path)
    wanted = nib.load(path).affine
    path.unlink()
    written = write_mask(tmp_path / "m.nii.gz", np.ones(scan.shape, int), like=scan)
    assert np.allclose(nib.load(written).affine, wanted, atol=1e-5)


def test_the_fifth_axis_is_channels(tmp_path):
    vectors = np.random.default_rng(0).random((7, 6, 5, 1, 3)).astype(np.float32)
    scan = read_scan(save(tmp_path / "v.nii.gz", vectors))
    assert (scan.axes, scan.shape) == ("CZYX", (3, 5, 6, 7))
    assert np.array_equal(scan.data[1], vectors[..., 0, 1].T)
    mask = np.ones(scan.spatial_shape, int)
    written = write_mask(tmp_path / "m.nii.gz", mask, like=scan)
    assert nib.load(written).shape == (7, 6, 5)
    both = np.random.default_rng(0).random((7, 6, 5, 2, 3)).astype(np.float32)
    scan = read_scan(save(tmp_path / "v.nii.gz", both))
    assert (scan.axes, scan.shape) == ("CTZYX", (3, 2, 5, 6, 7))


def test_nifti_2_is_read_and_its_masks_are_nifti_2(tmp_path):
    path = save(tmp_path / "s.nii", kind=nib.Nifti2Image)
    scan = read_scan(path)
    assert np.array_equal(scan.data, DATA.T)
    written = write_mask(tmp_path / "m.nii", np.ones(scan.shape, int), like=scan)
    assert isinstance(nib.load(written), nib.Nifti2Image)


def test_more_voxels_than_nifti_1_can_count(tmp_path):
    mask = np.zeros((2, 40000), np.uint8)
    mask[1, 39999] = 3
    written = write_mask(tmp_path / "m.nii.gz", mask)
    assert np.array_equal(read_mask(written), mask)


def test_rescaled_values_become_floats(tmp_path):
    image = nib.Nifti1Image(DATA, STRAIGHT)
    image.header.set_slope_inter(0.3, -7)
    path = tmp_path / "s.nii"
    nib.save(image, path)
    scan = read_scan(path)
    assert np.allclose(scan.data, nib.load(path).get_fdata().T)
    assert scan.data.dtype == np.float32
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert np.array_equal(scan.data, theirs), "features of earlier sessions are found"
    written = write_mask(tmp_path / "m.nii", (scan.data > 0).astype(int), like=scan)
    assert read_mask(written).max() == 1, (
        "the slope of the scan is not that of the mask"
    )


def test_colours(tmp_path):
    kind = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
    data = np.zeros((7, 6, 5), kind)
    data["R"], data["B"] = DATA % 200, 7
    scan = read_scan(save(tmp_path / "c.nii", data))
    assert (scan.axes, scan.shape, scan.colour) == ("ZYXC", (5, 6, 7, 3), True)
    assert np.array_equal(scan.data[..., 0], (DATA % 200).T)
    assert (scan.data[..., 2] == 7).all()
    mask = np.ones(scan.spatial_shape, int)
    assert nib.load(write_mask(tmp_path / "m.nii", mask, like=scan)).shape == (7, 6, 5)


def test_units_other_than_millimetres_and_seconds(tmp_path):
    image = nib.Nifti1Image(np.zeros((7, 6, 5, 2), np.uint8), STRAIGHT)
    image.header.set_xyzt_units("micron", "msec")
    image.header.set_zooms((0.5, 0.75, 3, 250))
    nib.save(image, tmp_path / "s.nii")
    scan = read_scan(tmp_path / "s.nii")
    assert scan.spacing == pytest.approx((0.25, 3e-3, 0.75e-3, 0.5e-3))
    assert scan.units == ("s", "mm", "mm", "mm")
    mask = np.ones(scan.shape, int)
    again = nib.load(write_mask(tmp_path / "m.nii", mask, like=scan))
    assert again.header.get_xyzt_units() == ("micron", "msec")
    assert again.header.get_zooms() == (0.5, 0.75, 3, 250)


def test_big_endian_files(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nib.save(nib.Nifti1Image(DATA, STRAIGHT, header), tmp_path / "s.nii")
    scan = read_scan(tmp_path / "s.nii")
    assert np.array_equal(scan.data, DATA.T)
    assert scan.data.dtype.isnative


def test_what_is_not_read(tmp_path):
    path = save(tmp_path / "c.nii", DATA.astype(np.complex64))
    with pytest.raises(ScanError, match="complex numbers are not supported"):
        read_scan(path)


def test_probabilities_keep_the_place_of_their_scan(tmp_path):
    path = save(tmp_path / "s.nii.gz", sform=turned(20), qform=turned(20))
    maps = np.random.default_rng(0).random((2, 5, 6, 7)).astype(np.float32)
    written = write_probabilities(tmp_path / "p.nii.gz", maps, like=path)
    assert np.array_equal(read_scan(written).data, maps)
    assert np.allclose(nib.load(written).affine, nib.load(path).affine)
    image = sitk.ReadImage(str(written))
    assert image.GetNumberOfComponentsPerPixel() == 2
    assert np.array_equal(np.moveaxis(sitk.GetArrayFromImage(image), -1, 0), maps)


def test_a_file_of_any_program_counts_x_first_and_lies_in_ras(tmp_path):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    matrix = np.diag([2.0, 3.0, 4.0, 1.0])
    matrix[:3, 3] = 10, 20, 30
    image = nib.Nifti1Image(values, matrix)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "a.nii")
    scan = read_nifti(tmp_path / "a.nii", ReadOptions())
    assert (scan.axes, scan.shape, scan.spacing) == ("ZYX", (4, 3, 2), (4, 3, 2))
    assert scan.data[3, 2, 1] == values[1, 2, 3]
    assert scan.geometry.origin == (-10, -20, 30), "left and posterior are positive"
    assert scan.geometry.direction == (-1, 0, 0, 0, -1, 0, 0, 0, 1)


def test_a_mask_without_a_scan_is_read_back_in_its_place(tmp_path):
    labels = np.zeros((2, 3, 4), np.uint8)
    labels[1, 2, 3] = 7
    write_nifti(tmp_path / "m.nii.gz", labels, None, ("ignored",), Provenance())
    again = read_nifti(tmp_path / "m.nii.gz", ReadOptions())
    assert np.array_equal(again.data, labels)
    assert (again.spacing, again.warnings) == ((1, 1, 1), ())
    assert np.allclose(again.affine, np.eye(4))


def test_maps_lie_on_the_fifth_axis(tmp_path):
    maps = np.stack([np.full((3, 4), 0.25), np.full((3, 4), 0.75)]).astype(np.float32)
    write_nifti_maps(tmp_path / "p.nii", maps, None, (), Provenance())
    found = nib.load(tmp_path / "p.nii")
    assert found.shape == (4, 3, 1, 1, 2)
    assert found.header.get_intent()[0] == "vector"
    assert np.asarray(found.dataobj)[0, 0, 0, 0].tolist() == [0.25, 0.75]
