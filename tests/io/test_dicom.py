"""DICOM folders and files; every file is made by pydicom, or is its own."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_slices import make_enhanced
from pydicom.data import get_testdata_file

from napari_segdino.errors import ScanError
from napari_segdino.io import can_read, list_series, read_scan
from napari_segdino.io.dicom import is_dicom, iter_read_dicom
from napari_segdino.io.dicom_frames import Slice
from napari_segdino.io.dicom_index import Series, faults, regular_slices
from napari_segdino.io.dicom_pixels import rescaled
from napari_segdino.io.read import iter_read_scan
from napari_segdino.io.scan import ReadOptions
from napari_segdino.progress import Progress, drive


def test_a_series_is_sorted_by_position_and_rescaled(dicom_folder):
    assert can_read(dicom_folder)
    scan = read_scan(dicom_folder)
    assert (scan.axes, scan.shape, scan.format) == ("ZYX", (5, 6, 7), "DICOM")
    assert scan.intensity_unit == "HU"
    wanted = 2 * (100 * np.arange(5)[:, None] + np.arange(6)) - 1000
    assert np.array_equal(scan.data[..., 0], wanted)
    assert scan.spacing == pytest.approx((2.0, 0.5, 0.75))
    assert scan.geometry.origin == (1, 2, 10)
    assert scan.warnings == ()
    assert [name.rsplit("/")[-1] for name in scan.files] == [
        f"{c}.dcm" for c in "cabed"
    ]
    assert scan.layer_kwargs()["translate"] == pytest.approx((10, 2, 1))


def test_the_step_agrees_with_simpleitk(dicom_folder):
    import SimpleITK as sitk

    image = sitk.ReadImage(
        sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(dicom_folder))
    )
    geometry = read_scan(dicom_folder).geometry
    assert geometry.spacing == pytest.approx(image.GetSpacing())
    assert geometry.origin == pytest.approx(image.GetOrigin())
    assert geometry.direction == pytest.approx(image.GetDirection())


def test_several_series_can_be_chosen(dicom_folder, dicom_slice):
    small = dicom_folder / "deeper"
    small.mkdir()
    for k in range(2):
        pixels = np.full((3, 4), k)
        dicom_slice(small / f"{k}.dcm", pixels, (0, 0, k), uid="1.9")
    (dicom_folder / "notes.txt").write_text("not DICOM")
    found = list_series(dicom_folder)
    assert [(one.uid, one.shape) for one in found] == [
        ("1.2.3", (5, 6, 7)),
        ("1.9", (2, 3, 4)),
    ]
    assert found[1].title == "CT series 1.9 (2 x 3 x 4)"
    largest = read_scan(dicom_folder)
    assert largest.shape == (5, 6, 7)
    assert largest.warnings == (
        "2 series are here; number 0, the largest, was taken: "
        "0: CT series 1.2.3 (5 x 6 x 7); 1: CT series 1.9 (2 x 3 x 4).",
    )
    for name in ("1.9", 1, "1", "series 1.9"):
        chosen = read_scan(dicom_folder, series=name)
        assert (chosen.shape, chosen.warnings) == ((2, 3, 4), ())
        assert chosen.series == "1.9"
        assert chosen.all_series == {one.uid: one.title for one in found}
    with pytest.raises(ScanError, match="holds no series '7'; it holds 0: CT series"):
        read_scan(dicom_folder, series="7")


def test_a_name_that_two_series_have_is_not_guessed(dicom_folder, dicom_slice):
    for uid in ("1.8", "1.9"):
        path = dicom_folder / f"{uid}.dcm"
        pixels = np.zeros((3, 4))
        dicom_slice(path, pixels, (0, 0, 0), uid=uid, SeriesDescription="scout")
    with pytest.raises(ScanError, match="holds 2 series called 'scout'; it holds 0: "):
        read_scan(dicom_folder, series="scout")
    assert read_scan(dicom_folder, series="1.9").shape == (3, 4)


def test_progress_counts_the_files_of_a_folder(dicom_folder):
    steps = list(iter_read_scan(dicom_folder))
    counted = [step.done for step in steps if step.text == "Looking for series"]
    assert counted == [0, 1, 2, 3, 4]
    assert {step.total for step in steps} == {0, 5}


def test_the_only_series_is_not_named(dicom_folder):
    scan = read_scan(dicom_folder)
    assert (scan.series, scan.all_series) == ("", {})


def test_what_holds_one_image_has_no_series(itk_file):
    path = itk_file("a.nii", np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(ScanError, match="a.nii holds a single image"):
        read_scan(path, series="T2")


def test_stacks_of_other_sizes_in_one_series_stand_apart(dicom_folder, dicom_slice):
    dicom_slice(dicom_folder / "scout.dcm", np.zeros((9, 9)), (0, 0, 0))
    shapes = {one.uid: one.shape for one in list_series(dicom_folder)}
    assert sorted(shapes.values()) == [(1, 9, 9), (5, 6, 7)]
    assert len(shapes) == 2


def test_missing_slices_are_told_and_do_not_stretch_the_rest(dicom_folder):
    (dicom_folder / "b.dcm").unlink()  # the third
    scan = read_scan(dicom_folder)
    assert scan.shape == (4, 6, 7)
    assert scan.spacing[0] == pytest.approx(2)
    assert "About 1 of the slices" in scan.warnings[0]


def test_uneven_slices_are_told(tmp_path, dicom_slice):
    for k, z in enumerate((0, 2, 4.4, 6.4)):
        dicom_slice(tmp_path / f"{k}.dcm", np.zeros((3, 4)), (0, 0, z))
    (marked,) = read_scan(tmp_path).warnings
    assert marked.startswith("The distance between slices varies from 2.00 to 2.40 mm")


def test_gantry_tilt_is_told(tmp_path, dicom_slice):
    for k in range(4):
        place = (0, k * 2 * np.tan(np.radians(15)), 2 * k)
        dicom_slice(tmp_path / f"{k}.dcm", np.zeros((3, 4)), place)
    scan = read_scan(tmp_path)
    assert "tilted by 15.0 degrees" in scan.warnings[0]
    assert scan.spacing[0] == pytest.approx(2)
    assert np.allclose(scan.geometry.matrix, np.eye(3))


def test_positions_that_come_back_are_time(tmp_path, dicom_slice):
    for t in range(3):
        for k in range(2):
            dicom_slice(
                tmp_path / f"{t}{k}.dcm",
                np.full((3, 4), 10 * t + k),
                (0, 0, 2 * k),
                number=2 * t + k + 1,
            )
    scan = read_scan(tmp_path)
    assert (scan.axes, scan.shape) == ("TZYX", (3, 2, 3, 4))
    wanted = 2 * (10 * np.arange(3)[:, None] + np.arange(2)) - 1000
    assert np.array_equal(scan.data[..., 0, 0], wanted)
    assert scan.spacing == pytest.approx((1, 2, 0.5, 0.75))
    assert scan.warnings == ()


def test_a_series_in_time_with_a_missing_file(tmp_path, dicom_slice):
    """Which time the others of its place are of is not known: the place is left out."""
    for t in range(3):
        for k in range(4):
            value = np.full((3, 4), 10 * t + k)
            place, number = (0, 0, 2 * k), 4 * t + k + 1
            dicom_slice(tmp_path / f"{t}{k}.dcm", value, place, number)
    (tmp_path / "01.dcm").unlink()
    scan = read_scan(tmp_path)
    assert (scan.axes, scan.shape) == ("TZYX", (3, 3, 3, 4))
    stored = (scan.data[..., 0, 0] + 1000) / 2
    assert stored.tolist() == [[0, 2, 3], [10, 12, 13], [20, 22, 23]]
    assert scan.warnings[0].startswith("Left out: 2 of 11 slices, whose places are not")
    assert "About 1 of the slices" in scan.warnings[1] or "varies" in scan.warnings[1]
    assert len(scan.files) == 9


def test_a_slice_that_is_there_twice(dicom_folder):
    again = (dicom_folder / "b.dcm").read_bytes()
    (dicom_folder / "copy.dcm").write_bytes(again)
    scan = read_scan(dicom_folder)
    assert (scan.axes, scan.shape) == ("ZYX", (5, 6, 7))
    assert scan.spacing[0] == pytest.approx(2)
    assert scan.warnings == ("Left out: 1 of 6 slices, whose places are shown twice.",)


def test_slices_without_a_place_are_sorted_by_number(tmp_path, dicom_slice):
    import pydicom

    for k in range(3):
        path = tmp_path / f"{'bca'[k]}.dcm"
        dicom_slice(path, np.full((3, 4), k), (0, 0, 0), number=k + 1)
        tags = pydicom.dcmread(path)
        del tags.ImagePositionPatient
        del tags.ImageOrientationPatient
        tags.save_as(path)
    scan = read_scan(tmp_path)
    assert np.array_equal(scan.data[:, 0, 0], 2 * np.arange(3) - 1000)
    assert "do not say where" in scan.warnings[0]


def test_a_single_file(dicom_folder):
    scan = read_scan(dicom_folder / "a.dcm")
    assert (scan.axes, scan.shape, scan.intensity_unit) == ("YX", (6, 7), "HU")
    assert scan.geometry.size == (7, 6, 1)


def test_a_file_without_a_suffix(dicom_folder):
    path = (dicom_folder / "a.dcm").rename(dicom_folder / "IM0001")
    assert can_read(path)
    assert read_scan(path).shape == (6, 7)


def test_multi_frame_files():
    colours = read_scan(get_testdata_file("SC_rgb_rle_2frame.dcm"))
    assert (colours.axes, colours.shape) == ("TYXC", (2, 100, 100, 3))
    dose = read_scan(get_testdata_file("rtdose.dcm"))
    assert (dose.axes, dose.shape) == ("ZYX", (15, 10, 10))
    assert dose.spacing == pytest.approx((5, 10, 10))


@pytest.mark.parametrize("name", ["rtplan.dcm", "test-SR.dcm", "MR_truncated.dcm"])
def test_what_holds_no_image(name, capfd):
    with pytest.raises(ScanError, match=rf"^{name} (holds no|cannot be read)"):
        read_scan(get_testdata_file(name))
    assert capfd.readouterr() == ("", "")


def test_a_damaged_slice(dicom_folder):
    path = dicom_folder / "a.dcm"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ScanError, match="a.dcm cannot be read: it is damaged"):
        read_scan(dicom_folder)


def test_an_empty_folder(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no")
    assert list_series(tmp_path) == []
    with pytest.raises(ScanError, match="holds no DICOM image"):
        read_scan(tmp_path)


# What belongs to a slice, a frame or a file is read from it


def planes_of(scan):
    """The first value of each plane."""
    return np.asarray(scan.data)[..., 0, 0].tolist()


def test_each_slice_has_its_own_slope_and_intercept(tmp_path, dicom_slice):
    rescale = [(1, 0), (1, -1024), (0.37, 0), (2, 60000)]
    for k, (slope, intercept) in enumerate(rescale):
        tags = {"RescaleSlope": slope, "RescaleIntercept": intercept}
        dicom_slice(tmp_path / f"{k}.dcm", np.full((3, 4), 10 * k), (0, 0, k), **tags)
    assert planes_of(read_scan(tmp_path)) == pytest.approx([0, -1014, 7.4, 60060])
    (tmp_path / "2.dcm").unlink()
    scan = read_scan(tmp_path)
    assert planes_of(scan) == [0, -1014, 60060]
    assert scan.data.dtype.kind == "i"


@pytest.mark.parametrize(
    ("bits", "slope", "intercept"),
    [(12, 1, -1024), (16, 1, -1024), (8, 1, 0), (8, 2, 0), (12, 1, 7), (16, 0.5, 0)],
)
def test_the_number_type_is_that_of_gdcm(tmp_path, dicom_slice, bits, slope, intercept):
    """Features of earlier sessions are found under the type they were made of."""
    import SimpleITK as sitk

    path = tmp_path / "a.dcm"
    about = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    about |= {"BitsStored": bits, "HighBit": bits - 1}
    dicom_slice(path, np.arange(12).reshape(3, 4), (0, 0, 0), **about)
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0]
    ours = read_scan(path).data
    assert ours.dtype == theirs.dtype
    assert np.array_equal(ours, theirs)


def test_signed_and_unsigned_slices_in_one_series(tmp_path, dicom_slice):
    for k, (signed, value) in enumerate([(0, 65535), (1, 65535), (0, 1)]):
        tags = {"PixelRepresentation": signed, "RescaleSlope": 1, "RescaleIntercept": 0}
        dicom_slice(tmp_path / f"{k}.dcm", np.full((3, 4), value), (0, 0, k), **tags)
    assert planes_of(read_scan(tmp_path)) == [65535, -1, 1]


def test_slices_of_other_spacing_or_colour_stand_apart(dicom_folder, dicom_slice):
    dicom_slice(
        dicom_folder / "z.dcm", np.zeros((6, 7)), (1, 2, 20), PixelSpacing=[1, 1]
    )
    found = {one.uid: one.shape for one in list_series(dicom_folder)}
    assert found == {"1.2.3": (5, 6, 7), "1.2.3#2": (1, 6, 7)}
    scan = read_scan(dicom_folder)
    assert scan.spacing == pytest.approx((2, 0.5, 0.75))
    assert "2 series are here" in scan.warnings[0]
    assert read_scan(dicom_folder, series="1.2.3#2").spacing == (1, 1)


OWN_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
FRAMES = np.arange(4)[:, None, None] * 10 + np.zeros((4, 3, 5))


def test_frames_are_sorted_by_their_own_places(tmp_path):
    path = tmp_path / "e.dcm"
    make_enhanced(path, FRAMES, [(1, 2, z) for z in (6, 0, 9, 3)])
    scan = read_scan(path)
    assert (scan.axes, planes_of(scan)) == ("ZYX", [10, 30, 0, 20])
    assert scan.spacing == pytest.approx((3, 0.5, 0.75))
    assert scan.geometry.origin == (1, 2, 0)
    assert scan.warnings == ()


def test_each_frame_has_its_own_slope(tmp_path):
    path = tmp_path / "e.dcm"
    slopes = [1, 2, 0.5, 1]
    make_enhanced(path, FRAMES, [(0, 0, z) for z in range(4)], slopes=slopes)
    assert planes_of(read_scan(path)) == [0, 20, 10, 30]


def test_a_missing_frame_is_told_and_does_not_stretch_the_rest(tmp_path):
    path = tmp_path / "e.dcm"
    make_enhanced(path, FRAMES, [(0, 0, z) for z in (0, 3, 9, 12)])
    scan = read_scan(path)
    assert scan.spacing == pytest.approx((3, 0.5, 0.75))
    assert "About 1 of the slices" in scan.warnings[0]


def test_frames_that_come_back_to_a_place_are_time(tmp_path):
    path = tmp_path / "e.dcm"
    make_enhanced(path, FRAMES, [(0, 0, z) for z in (0, 2, 0, 2)])
    scan = read_scan(path)
    assert (scan.axes, scan.shape) == ("TZYX", (2, 2, 3, 5))
    assert planes_of(scan) == [[0, 10], [20, 30]]


def test_a_file_without_a_preamble(dicom_folder):
    path = dicom_folder / "a.dcm"
    wanted = read_scan(path)
    content = path.read_bytes()
    assert content[128:132] == b"DICM"
    path.write_bytes(content[132:])
    assert np.array_equal(read_scan(path).data, wanted.data)
    assert read_scan(dicom_folder).shape == (5, 6, 7)


def test_every_file_that_pydicom_decodes_has_its_values():
    """Its own test files: all compressions, byte orders and numbers of bits."""
    compared = 0
    for name in sorted(OWN_FILES.rglob("*.dcm")):
        try:
            tags = pydicom.dcmread(name)
            wanted = np.squeeze(tags.pixel_array)
        except Exception:  # noqa: BLE001, S112 - damaged on purpose
            continue
        if tags.PhotometricInterpretation == "PALETTE COLOR":
            continue  # colours here
        slope = float(tags.get("RescaleSlope") or 1)
        scan = read_scan(name, channels_last=True)
        found = np.squeeze(np.asarray(scan.data))
        wanted = wanted * slope + float(tags.get("RescaleIntercept") or 0)
        assert np.allclose(found, wanted), name.name
        assert scan.data.dtype.isnative
        compared += 1
    assert compared >= 50


def test_a_palette_gives_its_colours():
    scan = read_scan(get_testdata_file("examples_palette.dcm"))
    assert (scan.axes, scan.colour) == ("YXC", True)


def test_what_no_library_decodes_is_not_called_damaged(dicom_folder, capfd):
    path = dicom_folder / "a.dcm"
    tags = pydicom.dcmread(path)
    tags.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    tags.PixelData = pydicom.encaps.encapsulate([b"film"])
    tags["PixelData"].VR = "OB"
    tags.save_as(path)
    with pytest.raises(
        ScanError, match=r"a\.dcm .*compression \(MPEG2.* not supported"
    ):
        read_scan(path)
    assert capfd.readouterr() == ("", "")


def series_at(*heights, leaning=0.0):
    """Axial slices at these heights in mm, each moved by `leaning` in y a mm."""
    places = [(0.0, leaning * z, float(z)) for z in heights]
    slices = tuple(Slice(f"{i}.dcm", at, i) for i, at in enumerate(places))
    axial = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    return Series("1.2", "", "CT", (len(slices), 4, 4), axial, slices)


def test_a_file_is_told_by_the_word_after_its_preamble(tmp_path, dicom_slice):
    dicom_slice(tmp_path / "a", np.zeros((2, 2)), (0, 0, 0))
    (tmp_path / "b").write_bytes(b"DICM" + bytes(200))
    (tmp_path / "c").write_bytes(bytes(128))
    assert [is_dicom(tmp_path / name) for name in "abc"] == [True, False, False]


def test_a_folder_is_read_in_steps(dicom_folder):
    steps = []
    scan = drive(iter_read_dicom(dicom_folder, ReadOptions()), steps.append)
    assert all(isinstance(step, Progress) for step in steps)
    assert [(s.done, s.total) for s in steps] == [(i, 5) for i in range(5)] * 2
    assert np.asarray(scan.data)[:, 0, 0].tolist() == [-1000, -800, -600, -400, -200]


def test_places_that_come_back_are_times(tmp_path):
    chosen, repeats, notes = regular_slices(series_at(0, 0, 2, 2, 4))
    assert (chosen.tolist(), repeats) == ([[0, 2], [1, 3]], 2)
    assert notes == (
        "Left out: 1 of 5 slices, whose places are not shown 2 times as the others.",
    )
    chosen, repeats, notes = regular_slices(series_at(0, 2, 2, 4, 6))
    assert (chosen.tolist(), repeats) == ([[0, 1, 3, 4]], 1)
    assert notes == ("Left out: 1 of 5 slices, whose places are shown twice.",)


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (series_at(0, 2, 4), None),
        (series_at(0, 2, 8, 10), "About 2 of the slices are missing"),
        (series_at(0, 2, 4.5), "varies from 2.00 to 2.50 mm; 2.25 mm is used"),
        (series_at(0, 2, 4, leaning=1.0), "tilted by 45.0 degrees"),
        (series_at(0), None),
    ],
)
def test_what_is_wrong_with_slices_is_said(series, words):
    found = faults(series)
    assert len(found) == (words is not None)
    assert all(words in one for one in found)


@pytest.mark.parametrize(
    ("slope", "intercept", "limits", "kind", "values"),
    [
        (1, 0, (0, 4095), "u2", [0, 10]),
        (2, -1000, (0, 4095), "i2", [-1000, -980]),
        (1, 5, (0, 255), "u2", [5, 15]),
        (0.5, 0, (0, 4095), "f8", [0, 5]),
        (-1, 0, (0, 65535), "i4", [0, -10]),
    ],
)
def test_the_type_holds_all_that_a_file_could_say(
    slope, intercept, limits, kind, values
):
    found = rescaled(np.array([0, 10], np.uint16), slope, intercept, limits)
    assert found.dtype == kind
    assert found.tolist() == values
