"""DICOM-SEG that other libraries open, and probability maps."""

import sys

import numpy as np
import pytest
from dicom_slices import make_enhanced

from napari_segdino.errors import ScanError
from napari_segdino.io import (
    Provenance,
    read_mask,
    read_scan,
    write_mask,
    write_probabilities,
)
from napari_segdino.io.napari_plugin import is_mask
from napari_segdino.io.seg import is_seg, write_seg

hd = pytest.importorskip("highdicom")


@pytest.fixture
def mask():
    labels = np.zeros((5, 6, 7), int)
    labels[1:3, 2:5, 1:4] = 1
    labels[4, 0, 0] = 2
    return labels


def test_pydicom_reads_the_segments_slice_by_slice(dicom_folder, tmp_path, mask):
    import pydicom

    path = write_mask(tmp_path / "m.dcm", mask, dicom_folder, ["liver", "tumour"])
    ds = pydicom.dcmread(path)
    assert ds.SOPClassUID == pydicom.uid.SegmentationStorage
    assert [one.SegmentLabel for one in ds.SegmentSequence] == ["liver", "tumour"]
    found = np.zeros_like(mask)
    for frame, about in zip(
        ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True
    ):
        z = about.PlanePositionSequence[0].ImagePositionPatient[2]
        number = about.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[round((z - 10) / 2)][frame > 0] = number
    assert np.array_equal(found, mask)
    shared = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(v) for v in shared.PixelSpacing] == [0.5, 0.75]


def test_highdicom_gives_the_volume_back(dicom_folder, tmp_path, mask):
    scan = read_scan(dicom_folder)
    seg = hd.seg.segread(write_mask(tmp_path / "m.dcm", mask, like=scan))
    uids = [hd.imread(name).SOPInstanceUID for name in scan.files]
    again = seg.get_pixels_by_source_instance(uids, combine_segments=True)
    assert np.array_equal(again, mask)


def test_a_mask_comes_back_with_all_slices_and_classes(dicom_folder, tmp_path, mask):
    scan = read_scan(dicom_folder)
    path = write_mask(tmp_path / "m.dcm", mask, like=scan)
    again = read_scan(path)
    assert np.array_equal(read_mask(path), mask)
    assert (again.axes, again.format) == ("ZYX", "DICOM-SEG")
    assert is_mask(again)
    assert np.allclose(again.affine, scan.affine)
    assert again.warnings == ()


def test_slices_that_another_program_left_out(dicom_folder, tmp_path, mask):
    """highdicom leaves out frames without a segment: here slices 0 and 3."""
    path = write_mask(tmp_path / "m.dcm", mask, like=dicom_folder)
    seg = hd.seg.segread(path)
    keep = [i for i, frame in enumerate(seg.pixel_array) if frame.any()]
    seg.PixelData = np.packbits(
        seg.pixel_array[keep].astype(np.uint8).ravel(), bitorder="little"
    ).tobytes()
    groups = seg.PerFrameFunctionalGroupsSequence
    seg.PerFrameFunctionalGroupsSequence = [groups[i] for i in keep]
    seg.NumberOfFrames = len(keep)
    seg.save_as(path)
    assert np.array_equal(read_mask(path), mask[1:])


def test_a_pixel_is_of_a_fractional_segment_from_half_on(dicom_folder, tmp_path):
    import pydicom
    from pydicom.sr.codedict import codes

    scan = read_scan(dicom_folder)
    shares = np.zeros((5, 6, 7), np.float32)
    shares[1, 2, :5] = 0, 0.4, 0.51, 0.9, 1
    algorithm = hd.AlgorithmIdentificationSequence(
        name="any", version="1", family=codes.cid7162.ArtificialIntelligence
    )
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="any",
        segmented_property_category=codes.SCT.Tissue,
        segmented_property_type=codes.SCT.Tissue,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
    )
    made = hd.seg.Segmentation(
        source_images=[pydicom.dcmread(name) for name in scan.files],
        pixel_array=shares,
        segmentation_type=hd.seg.SegmentationTypeValues.FRACTIONAL,
        segment_descriptions=[segment],
        series_instance_uid=hd.UID(),
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="any",
        manufacturer_model_name="any",
        software_versions="1",
        device_serial_number="0",
        omit_empty_frames=False,
    )
    assert made.MaximumFractionalValue == 255
    made.save_as(tmp_path / "fractions.dcm")
    again = read_mask(tmp_path / "fractions.dcm")
    assert again[1, 2].tolist() == [0, 0, 1, 1, 1, 0, 0]
    assert again.sum() == 3


def test_a_segmentation_is_told_by_its_class(dicom_folder, tmp_path, mask):
    import pydicom

    header = read_scan(dicom_folder).header
    write_seg(tmp_path / "m.dcm", mask.astype(np.uint8), header, (), Provenance())
    assert is_seg(pydicom.dcmread(tmp_path / "m.dcm"))
    assert not is_seg(pydicom.dcmread(header.files[0]))


def test_a_mask_of_frames_that_were_sorted_lies_on_them(tmp_path):
    path = tmp_path / "e.dcm"
    make_enhanced(path, np.zeros((3, 4, 5)), [(0, 0, z) for z in (4, 0, 2)])
    labels = np.zeros((3, 4, 5), int)
    labels[0, 1, 1:3], labels[2, 3, 4] = 1, 2
    written = write_mask(tmp_path / "m.dcm", labels, like=path)
    assert np.array_equal(read_mask(written), labels)


def test_a_single_slice_and_an_empty_mask(dicom_folder, tmp_path):
    slice_ = dicom_folder / "a.dcm"
    one = np.zeros((6, 7), int)
    one[2, 3] = 1
    for labels in (one, one * 0):
        path = write_mask(tmp_path / "m.dcm", labels, like=slice_)
        seg = hd.seg.segread(path)
        assert np.array_equal(seg.pixel_array.reshape(6, 7), labels)


def test_what_is_no_dicom(tmp_path, mask, itk_file):
    path = itk_file("a.nii", mask.astype("u1"))
    for like in (None, path):
        with pytest.raises(ScanError, match="needs a scan that was read from DICOM"):
            write_mask(tmp_path / "m.dcm", mask, like=like)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii"]


def test_files_that_are_gone(dicom_folder, tmp_path, mask):
    scan = read_scan(dicom_folder)
    (dicom_folder / "a.dcm").unlink()
    with pytest.raises(ScanError, match="no longer there"):
        write_mask(tmp_path / "m.dcm", mask, like=scan)


def test_without_highdicom(dicom_folder, tmp_path, mask, monkeypatch):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ScanError, match="pip install highdicom"):
        write_mask(tmp_path / "m.dcm", mask, like=dicom_folder)


def test_files_that_lack_tags(dicom_folder, tmp_path, mask):
    import pydicom

    for path in dicom_folder.iterdir():
        ds = pydicom.dcmread(path)
        del ds.FrameOfReferenceUID
        del ds.StudyInstanceUID
        ds.save_as(path)
    with pytest.raises(ScanError, match="lack tags"):
        write_mask(tmp_path / "m.dcm", mask, like=dicom_folder)


# Probability maps


@pytest.fixture
def maps():
    noise = np.random.default_rng(0).random((3, 5, 6, 7)).astype(np.float32)
    return noise / noise.sum(axis=0)


@pytest.mark.parametrize("name", ["p.nii", "p.nii.gz", "p.nrrd", "p.mha"])
def test_maps_keep_their_place(dicom_folder, tmp_path, maps, name):
    scan = read_scan(dicom_folder)
    again = read_scan(write_probabilities(tmp_path / name, maps, like=scan))
    assert again.axes == "CZYX"
    assert np.array_equal(again.data, maps)
    assert np.allclose(again.affine, scan.affine, atol=1e-6)


@pytest.mark.parametrize("name", ["p.tif", "p.ome.tif"])
def test_maps_name_their_channels(dicom_folder, tmp_path, maps, name):
    path = write_probabilities(tmp_path / name, maps, dicom_folder, ["liver", "tumour"])
    scan = read_scan(path)
    assert (scan.axes, scan.units) == ("CZYX", ("mm",) * 3)
    assert scan.channel_names == ("background", "liver", "tumour")
    assert np.array_equal(scan.data, maps)


def test_flat_maps_of_half_floats(tmp_path, maps):
    half = maps[:, 0].astype(np.float16)
    for name in ("p.nii.gz", "p.tif", "p.npy"):
        path = write_probabilities(tmp_path / name, half)
        data = np.load(path) if name == "p.npy" else read_scan(path).data
        assert data.dtype == np.float32
        assert np.array_equal(data, half)


def test_maps_that_cannot_be_written(tmp_path, maps, dicom_folder):
    with pytest.raises(ScanError, match="choose one of"):
        write_probabilities(tmp_path / "p.png", maps)
    with pytest.raises(ScanError, match="does not fit the scan"):
        write_probabilities(tmp_path / "p.nii", maps[:, :4], like=dicom_folder)
    with pytest.raises(ScanError, match="2 axes"):
        write_probabilities(tmp_path / "p.nii", maps[0, 0])
