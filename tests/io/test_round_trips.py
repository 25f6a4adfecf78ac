"""Any scan that another library wrote: read here, its mask lies on it for a third."""

from ast import literal_eval
from pathlib import Path
from tempfile import mkdtemp

import imagecodecs
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile
import zarr
from dicom_slices import make_enhanced, make_slice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy.spatial.transform import Rotation

from napari_segdino.io import read_scan, write_mask

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=6)
KINDS = st.sampled_from(["u1", "i2", "u2", "i4", "f4"])
STEPS = st.tuples(*[st.floats(0.01, 9)] * 3)
PLACES = st.tuples(*[st.floats(-500, 500)] * 3)
PICTURES = st.tuples(st.integers(2, 9), st.integers(2, 9)) | st.tuples(
    st.integers(2, 9), st.integers(2, 9), st.sampled_from([3, 4])
)
TURNS = st.tuples(*[st.floats(-180, 180)] * 3)


def examples(count):
    """Settings for tests with a folder of their own."""
    check = HealthCheck.function_scoped_fixture
    return settings(max_examples=count, deadline=None, suppress_health_check=[check])


def pixels(shape, kind):
    return (np.arange(np.prod(shape)) % 120).reshape(shape).astype(kind)


def mask_of(scan):
    return (np.arange(np.prod(scan.shape)).reshape(scan.shape) % 3).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@examples(15)
@given(SHAPES, KINDS, STEPS, PLACES, TURNS, st.booleans())
def test_nibabel_to_simpleitk(tmp_path, suffix, shape, kind, steps, place, turn, flip):
    affine = np.eye(4)
    turned = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    affine[:3, :3] = turned * [1, 1, -1 if flip else 1] * steps
    affine[:3, 3] = place
    data = pixels(shape, kind)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, 2)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / f"s{suffix}")
    scan = read_scan(tmp_path / f"s{suffix}")
    assert np.array_equal(scan.data, data.T)
    mask = mask_of(scan)
    path = write_mask(tmp_path / f"m{suffix}", mask, like=scan)
    one, other = (sitk.ReadImage(str(p)) for p in (path, tmp_path / f"s{suffix}"))
    assert np.array_equal(sitk.GetArrayFromImage(one), mask)
    assert one.GetOrigin() == other.GetOrigin()
    assert one.GetSpacing() == other.GetSpacing()
    assert one.GetDirection() == other.GetDirection()
    assert np.allclose(nib.load(path).affine, affine, atol=1e-4)


@examples(10)
@given(SHAPES, STEPS, PLACES, st.integers(-1000, 1000), st.integers(1, 3))
def test_pydicom_to_nibabel(tmp_path_factory, shape, steps, place, intercept, slope):
    folder = tmp_path_factory.mktemp("series")
    data = pixels(shape, "u2")
    for k, plane in enumerate(data):
        at = (*place[:2], place[2] + k * steps[2])
        about = {"RescaleSlope": slope, "RescaleIntercept": intercept}
        spacing = [round(step, 6) for step in steps[1::-1]]
        make_slice(folder / f"{k}.dcm", plane, at, PixelSpacing=spacing, **about)
    scan = read_scan(folder)
    assert np.array_equal(scan.data, data.astype(int) * slope + intercept)
    mask = mask_of(scan)
    image = nib.load(write_mask(folder / "m.nii.gz", mask, like=scan))
    assert np.array_equal(np.asarray(image.dataobj).T, mask)
    wanted = np.diag([-1, -1, 1, 1]) @ np.diag([*steps, 1])
    wanted[:3, 3] = np.array(place) * [-1, -1, 1]
    assert np.allclose(image.affine, wanted, atol=1e-3)


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
@examples(15)
@given(SHAPES, KINDS, STEPS)
def test_ome_tiff_to_tifffile(tmp_path, suffix, shape, kind, steps):
    data = pixels(shape, kind)
    about = {"axes": "ZYX"}
    for axis, step in zip("ZYX", steps, strict=True):
        about |= {f"PhysicalSize{axis}": step, f"PhysicalSize{axis}Unit": "µm"}
    grey = {"photometric": "minisblack", "metadata": about}
    tifffile.imwrite(tmp_path / "s.ome.tif", data, **grey)
    scan = read_scan(tmp_path / "s.ome.tif")
    assert np.array_equal(scan.data, data)
    assert scan.spacing == pytest.approx(steps)
    mask = mask_of(scan)
    path = write_mask(tmp_path / f"m{suffix}", mask, like=scan)
    assert np.array_equal(tifffile.imread(path), mask)
    assert read_scan(path).spacing == pytest.approx(steps, rel=1e-4)


@examples(15)
@given(SHAPES, KINDS, STEPS, PLACES, st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_zarr_to_zarr(tmp_path_factory, shape, kind, steps, place, ways):
    folder = tmp_path_factory.mktemp("group")
    data, signed = (
        pixels(shape, kind),
        [s * w for s, w in zip(steps, ways, strict=True)],
    )
    group = zarr.open_group(str(folder / "s.ome.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=data, chunks=(1, 3, 4))
    moved = [{"type": "scale", "scale": signed}]
    moved.append({"type": "translation", "translation": list(place)})
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "zyx"]
    datasets = [{"path": "0", "coordinateTransformations": moved}]
    group.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": datasets}
    ]
    scan = read_scan(folder / "s.ome.zarr")
    assert np.array_equal(scan.data.compute(), data)
    mask = mask_of(scan)
    path = write_mask(folder / "m.ome.zarr", mask, like=scan)
    written = zarr.open_group(str(path), mode="r")
    assert np.array_equal(written["0"][:], mask)
    (image,) = written.attrs["multiscales"]
    scale, *rest = image["datasets"][0]["coordinateTransformations"]
    assert scale["scale"] == pytest.approx(signed)
    found = rest[0]["translation"] if rest else [0, 0, 0]
    assert found == pytest.approx(list(place))


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@examples(8)
@given(SHAPES, KINDS, STEPS, PLACES, TURNS)
def test_simpleitk_to_nibabel(tmp_path, suffix, shape, kind, steps, place, turn):
    image = sitk.GetImageFromArray(pixels(shape, kind))
    image.SetSpacing(steps)
    image.SetOrigin(place)
    turned = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    image.SetDirection(turned.ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / f"s{suffix}"))
    scan = read_scan(tmp_path / f"s{suffix}")
    assert np.array_equal(scan.data, pixels(shape, kind))
    mask = mask_of(scan)
    found = nib.load(write_mask(tmp_path / "m.nii.gz", mask, like=scan))
    assert np.array_equal(np.asarray(found.dataobj).T, mask)
    wanted = np.eye(4)
    wanted[:3, :3], wanted[:3, 3] = turned * steps, place
    assert np.allclose(found.affine, np.diag([-1, -1, 1, 1]) @ wanted, atol=1e-3)


@examples(8)
@given(SHAPES, STEPS, PLACES, st.booleans(), st.randoms())
def test_enhanced_dicom_to_simpleitk(tmp_path, shape, steps, place, single, chance):
    folder = Path(mkdtemp(dir=tmp_path))  # each example has its own files
    data, order = pixels(shape, "u2"), list(range(shape[0]))
    chance.shuffle(order)
    at = [(*place[:2], place[2] + k * steps[2]) for k in order]
    groups = [[k] for k in range(len(order))] if single else [range(len(order))]
    for i, group in enumerate(groups):
        frames = data[[order[k] for k in group]]
        where = [[round(v, 6) for v in at[k]] for k in group]
        spacing = [round(step, 6) for step in steps[1::-1]]
        make_enhanced(folder / f"{i}.dcm", frames, where, spacing)
    scan = read_scan(folder)
    assert np.array_equal(scan.data, data)
    mask = mask_of(scan)
    found = sitk.ReadImage(str(write_mask(folder / "m.nii.gz", mask, like=scan)))
    assert np.array_equal(sitk.GetArrayFromImage(found), mask)
    assert np.allclose(found.GetSpacing(), steps, atol=1e-4)
    assert np.allclose(found.GetOrigin(), place, atol=1e-4)


@examples(15)
@given(hnp.arrays(st.sampled_from(["u1", "u2"]), PICTURES))
def test_imagecodecs_to_pillow(tmp_path, picture):
    (tmp_path / "s.png").write_bytes(imagecodecs.png_encode(picture))
    scan = read_scan(tmp_path / "s.png")
    assert np.array_equal(scan.data, picture)
    assert scan.data.dtype == picture.dtype
    mask = (np.arange(np.prod(scan.spatial_shape)) % 3).reshape(scan.spatial_shape)
    with Image.open(write_mask(tmp_path / "m.png", mask, like=scan)) as found:
        assert np.array_equal(np.asarray(found), mask)


@pytest.mark.parametrize("kind_of_pair", [nib.Nifti1Pair, nib.Spm99AnalyzeImage])
@examples(10)
@given(SHAPES, st.sampled_from(["u1", "i2", "f4"]), STEPS, PLACES)
def test_pair_to_simpleitk(tmp_path, kind_of_pair, shape, kind, steps, place):
    """Header and voxels in two files; that of ANALYZE has no place but its middle."""
    folder = Path(mkdtemp(dir=tmp_path))
    data, affine = pixels(shape, kind), np.diag([*steps, 1.0])
    affine[:3, 3] = place
    nib.save(kind_of_pair(data, affine), folder / "s.img")
    wanted = nib.load(folder / "s.img").affine
    scan = read_scan(folder / "s.hdr")
    assert np.array_equal(scan.data, data.T)
    assert np.array_equal(read_scan(folder / "s.img").data, data.T)
    mask = mask_of(scan)
    found = sitk.ReadImage(str(write_mask(folder / "m.nii", mask, like=scan)))
    assert np.array_equal(sitk.GetArrayFromImage(found), mask)
    corner = np.array(found.TransformIndexToPhysicalPoint((0, 0, 0))) * [-1, -1, 1]
    far = tuple(n - 1 for n in shape)
    end = np.array(found.TransformIndexToPhysicalPoint(far)) * [-1, -1, 1]
    assert np.allclose(corner, wanted[:3, 3], atol=1e-3)
    assert np.allclose(end, (wanted @ [*far, 1])[:3], atol=1e-3)


@examples(15)
@given(SHAPES, st.sampled_from(["u1", "u2", "f4"]), STEPS)
def test_imagej_to_pillow(tmp_path, shape, kind, steps):
    data, (z, y, x) = pixels(shape, kind), steps
    about = {"axes": "ZYX", "spacing": z, "unit": "um"}
    place = tmp_path / "s.tif"
    tifffile.imwrite(
        place, data, imagej=True, resolution=(1 / x, 1 / y), metadata=about
    )
    scan = read_scan(place)
    assert np.array_equal(scan.data, data)
    assert scan.axes == "ZYX"
    assert scan.spacing == pytest.approx(steps, rel=1e-3)
    mask = mask_of(scan)
    with Image.open(write_mask(tmp_path / "m.tif", mask, like=scan)) as found:
        for number, plane in enumerate(mask):
            found.seek(number)
            assert np.array_equal(np.asarray(found), plane)


@examples(20)
@given(
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
    | hnp.array_shapes(min_dims=3, max_dims=3, min_side=5, max_side=9),
    st.sampled_from(["?", "u1", ">i2", "<u4", "f2", ">f8"]),
    st.booleans(),
)
def test_numpy_to_plain_bytes(tmp_path, shape, kind, fortran):
    """The mask is read by what the format's description says, without numpy.load."""
    data = pixels(shape, kind)
    place = tmp_path / "s.npy"
    np.save(place, np.asfortranarray(data) if fortran else data)
    axes = "ZYX"[-len(shape) :]
    scan = read_scan(place, axes=axes)
    assert np.array_equal(scan.data, data)
    assert np.array_equal(read_scan(place, axes=axes, lazy=True).data, data)
    mask = mask_of(scan)
    content = write_mask(tmp_path / "m.npy", mask, like=scan).read_bytes()
    head = 10 + int.from_bytes(content[8:10], "little")
    about = literal_eval(content[10:head].decode())
    assert about == {"descr": "|u1", "fortran_order": False, "shape": mask.shape}
    assert content[head:] == mask.tobytes()


FRAMES = st.tuples(st.integers(2, 4), st.integers(3, 6), st.integers(3, 6))
"""pydicom does not unpack frames of less than 8 pixels of one bit."""


@examples(8)
@given(FRAMES, STEPS, PLACES, st.integers(1, 3), st.randoms())
def test_highdicom_and_back_to_pydicom(tmp_path, shape, steps, place, count, chance):
    """A segmentation of highdicom's is read as a mask; ours is read by pydicom."""
    folder = Path(mkdtemp(dir=tmp_path))
    (folder / "scan").mkdir()
    spacing = [round(step, 6) for step in steps[1::-1]]
    for k, plane in enumerate(pixels(shape, "u2")):
        at = (*place[:2], place[2] + k * steps[2])
        make_slice(folder / "scan" / f"{k}.dcm", plane, at, PixelSpacing=spacing)
    scan = read_scan(folder / "scan")
    mask = mask_of(scan) % (count + 1)
    mask.flat[: count + 1] = range(count + 1)
    path = write_mask(folder / "m.dcm", mask, like=scan)
    tags = pydicom.dcmread(path)
    found = np.zeros_like(mask)
    bottom = place[2]
    frames = np.atleast_3d(tags.pixel_array).reshape(-1, *shape[1:])
    for frame, about in zip(frames, tags.PerFrameFunctionalGroupsSequence, strict=True):
        z = about.PlanePositionSequence[0].ImagePositionPatient[2]
        # Of a single segment it is told once for all frames.
        group = about if count > 1 else tags.SharedFunctionalGroupsSequence[0]
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[round((float(z) - bottom) / steps[2])][frame > 0] = number
    assert np.array_equal(found, mask)
    sources = [pydicom.dcmread(name) for name in scan.files]
    chance.shuffle(sources)
    theirs = segmentation(sources, [mask[scan_place(s, place, steps)] for s in sources])
    theirs.save_as(folder / "theirs.dcm")
    again = read_scan(folder / "theirs.dcm")
    assert np.array_equal(again.data, mask)
    assert np.allclose(again.affine, scan.affine, atol=1e-3)


def scan_place(tags, place, steps):
    """Which slice of its scan a file is."""
    return round((float(tags.ImagePositionPatient[2]) - place[2]) / steps[2])


def segmentation(sources, planes):
    """A DICOM-SEG as highdicom writes it, slices in the order given."""
    hd = pytest.importorskip("highdicom")
    code = hd.sr.CodedConcept("85756007", "SCT", "Tissue")
    about = hd.seg.SegmentDescription
    labels = np.stack(planes)
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=labels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            about(n, f"class {n}", code, code, hd.seg.SegmentAlgorithmTypeValues.MANUAL)
            for n in range(1, int(labels.max()) + 1)
        ],
        series_instance_uid=hd.UID(),
        series_number=2,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=False,
    )
