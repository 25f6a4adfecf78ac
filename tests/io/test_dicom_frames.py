"""Where frames and slices of DICOM lie, and what they are a series of."""

import numpy as np
import pydicom
import pytest
from dicom_slices import make_enhanced, make_frames, make_slice

from napari_segdino.io import list_series, read_scan
from napari_segdino.io.dicom_frames import Slice, Stack, gather, numbers

FRAMES = np.arange(4)[:, None, None] * 10 + np.zeros((4, 3, 5))


def planes_of(scan):
    """The first value of each plane."""
    return np.asarray(scan.data)[..., 0, 0].tolist()


DOSE, NUCLEAR = "1.2.840.10008.5.1.4.1.1.481.2", "1.2.840.10008.5.1.4.1.1.20"


@pytest.mark.parametrize(
    ("offsets", "order", "bottom"),
    [
        ((0, 3, 6, 9), (0, 1, 2, 3), 7),
        ((0, -3, -6, -9), (3, 2, 1, 0), -2),
        ((7, 10, 13, 16), (0, 1, 2, 3), 7),
        ((0, 6, 3, 9), (0, 2, 1, 3), 7),
    ],
)
def test_a_dose_lies_where_its_offsets_say(tmp_path, offsets, order, bottom):
    tags = {"GridFrameOffsetVector": list(offsets), "DoseGridScaling": 0.01}
    make_frames(tmp_path / "d.dcm", FRAMES, DOSE, "RTDOSE", DoseUnits="GY", **tags)
    scan = read_scan(tmp_path / "d.dcm")
    assert planes_of(scan) == [10 * i for i in order]
    assert scan.spacing == pytest.approx((3, 0.5, 0.75))
    assert scan.geometry.origin == (5, 6, bottom)
    assert scan.warnings == ("Values are those stored: times 0.01 they are Gy.",)


def test_a_tomogram_lies_where_its_detector_says(tmp_path):
    detector = pydicom.Dataset()
    detector.ImagePositionPatient = [1, 2, 3]
    detector.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    tags = {"DetectorInformationSequence": [detector], "SliceVector": [1, 2, 3, 4]}
    path = tmp_path / "n.dcm"
    make_frames(path, FRAMES, NUCLEAR, "NM", SpacingBetweenSlices=-4, **tags)
    scan = read_scan(path)
    assert (scan.axes, planes_of(scan)) == ("ZYX", [30, 20, 10, 0])
    assert (scan.spacing[0], scan.geometry.origin) == (4, (1, 2, -9))


def test_frames_of_two_orientations_are_two_series(tmp_path):
    turned = [1, 0, 0, 0, 0, -1]

    def own(i):
        turn = ("ImageOrientationPatient", turned)
        return {"PlaneOrientation": turn} if i > 1 else {}

    path = tmp_path / "e.dcm"
    places = [(0, 0, 0), (0, 0, 2), (0, 0, 0), (0, 3, 0)]
    make_enhanced(path, FRAMES, places, own=own)
    scan = read_scan(path)
    assert (len(scan.all_series), planes_of(scan)) == (2, [0, 10])
    assert scan.spacing == pytest.approx((2, 0.5, 0.75))
    other = read_scan(path, series=1)
    assert planes_of(other) == [20, 30]
    assert other.geometry.direction == (1, 0, 0, 0, 0, 1, 0, -1, 0)
    assert other.spacing[0] == 3


def test_frames_of_two_spacings_are_two_series(tmp_path):
    def own(i):
        return {"PixelMeasures": ("PixelSpacing", [i // 2 + 1] * 2)}

    make_enhanced(tmp_path / "e.dcm", FRAMES, [(0, 0, z) for z in range(4)], own=own)
    for i in range(2):
        scan = read_scan(tmp_path / "e.dcm", series=i)
        assert (planes_of(scan), scan.spacing[1]) == ([20 * i, 20 * i + 10], i + 1)


def test_enhanced_files_of_one_frame_each(tmp_path):
    for k, frame in enumerate(FRAMES):
        make_enhanced(tmp_path / f"{9 - k}.dcm", frame[None], [(1, 2, 3 * k)])
    scan = read_scan(tmp_path)
    assert (scan.axes, planes_of(scan)) == ("ZYX", [0, 10, 20, 30])
    assert scan.spacing == pytest.approx((3, 0.5, 0.75))
    assert scan.geometry.origin == (1, 2, 0)


def test_echoes_are_a_choice_and_times_have_their_order(tmp_path):
    def echo(i):
        return {"MREcho": ("EffectiveEchoTime", [5.0, 50.0][i % 2])}

    def time(i):
        return {"FrameContent": ("TemporalPositionIndex", 2 - i % 2)}

    make_enhanced(
        tmp_path / "e.dcm", FRAMES, [(0, 0, i // 2) for i in range(4)], own=echo
    )
    scan = read_scan(tmp_path / "e.dcm")
    assert [title.split("(")[0][-8:] for title in scan.all_series.values()] == [
        "ho 5 ms ",
        "o 50 ms ",
    ]
    assert planes_of(scan) == [0, 20]
    assert planes_of(read_scan(tmp_path / "e.dcm", series=1)) == [10, 30]
    make_enhanced(
        tmp_path / "t.dcm", FRAMES, [(0, 0, i // 2) for i in range(4)], own=time
    )
    assert planes_of(read_scan(tmp_path / "t.dcm")) == [[10, 30], [0, 20]]


@pytest.mark.parametrize(
    "own", [{"EchoTime": [5, 50]}, {"ImageType": [["A", "B", "M"], ["A", "B", "P"]]}]
)
def test_slices_of_two_kinds_in_the_same_places_are_a_choice(tmp_path, own):
    ((name, values),) = own.items()
    for k in range(6):
        at = (0, 0, k // 2)
        tags = {name: values[k % 2], "Modality": "MR"}
        make_slice(
            tmp_path / f"{k}.dcm", np.full((3, 4), k), at, RescaleSlope=1, **tags
        )
    scan = read_scan(tmp_path)
    assert (scan.axes, planes_of(scan)) == ("ZYX", [-1000, -998, -996])
    assert planes_of(read_scan(tmp_path, series=1)) == [-999, -997, -995]


def test_slices_a_few_micrometres_apart_are_not_time(tmp_path):
    for k in range(6):
        tags = {"PixelSpacing": [0.004, 0.004]}
        make_slice(tmp_path / f"{k}.dcm", np.full((3, 4), k), (0, 0, k * 0.004), **tags)
    scan = read_scan(tmp_path)
    assert (scan.axes, scan.warnings) == ("ZYX", ())
    assert scan.spacing == pytest.approx((0.004,) * 3)


def test_rounding_does_not_split_a_series_but_small_pixels_of_two_sizes_do(tmp_path):
    for k in range(6):
        off = 0.995 + 1e-6 * (-1) ** k
        turn = [off, 0.0999, 0, -0.0999, off, 0]
        at = (0, 0, k)
        make_slice(tmp_path / f"{k}.dcm", np.eye(3), at, ImageOrientationPatient=turn)
    assert read_scan(tmp_path).shape == (6, 3, 3)
    for k in range(3):
        sizes = [0.012, 0.012]
        make_slice(tmp_path / f"{k}.dcm", np.eye(3), (0, 0, k), PixelSpacing=sizes)
    for k in range(3, 6):
        sizes = [0.008, 0.008]
        make_slice(tmp_path / f"{k}.dcm", np.eye(3), (0, 0, k), PixelSpacing=sizes)
    assert len(list_series(tmp_path)) == 2


def test_a_table_of_values_is_looked_up(tmp_path):
    path = tmp_path / "a.dcm"
    make_slice(path, np.arange(12).reshape(3, 4), (0, 0, 0))
    tags, table = pydicom.dcmread(path), pydicom.Dataset()
    del tags.RescaleSlope, tags.RescaleIntercept
    table.LUTDescriptor, table.ModalityLUTType = [12, 0, 16], "US"
    values = (np.arange(12) * 1000 + 7).astype("<u2")
    table.add_new("LUTData", "OW", values.tobytes())
    tags.ModalityLUTSequence = [table]
    tags.save_as(path)
    assert np.array_equal(read_scan(path).data.ravel(), values)


def test_zero_spacing_is_not_believed(tmp_path):
    make_slice(tmp_path / "a.dcm", np.eye(3), (0, 0, 0), PixelSpacing=[0, 0])
    assert read_scan(tmp_path / "a.dcm").spacing == (1, 1)


AXIAL, CORONAL = (1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1)


def stack_at(*heights, orientation=AXIAL, spacing=(0.5, 0.5)):
    slices = tuple(Slice(f"{z}", (0.0, 0.0, float(z)), 0) for z in heights)
    return Stack(orientation, spacing, slices)


def test_stacks_fit_but_for_rounding():
    one = stack_at(0)
    assert one.fits(stack_at(1, orientation=(1, 1e-3, 0, 0, 1, 0)))
    assert one.fits(stack_at(1, spacing=(0.5002, 0.5)))
    assert not one.fits(stack_at(1, spacing=(0.51, 0.5)))
    assert not one.fits(stack_at(1, orientation=CORONAL))
    assert not one.fits(stack_at(1, orientation=None))


def test_stacks_of_one_orientation_are_gathered_and_sorted():
    parts = [stack_at(4), stack_at(1, orientation=CORONAL), stack_at(2), stack_at(0)]
    found = gather(parts)
    assert [[one.path for one in stack.slices] for stack in found] == [
        ["0", "2", "4"],
        ["1"],
    ]


def test_elements_of_other_than_so_many_numbers_are_none():
    tags = pydicom.Dataset()
    tags.PixelSpacing = [0.5, 0.25]
    tags.SliceThickness = 2
    tags.SeriesDescription = "ab"
    assert numbers(tags, "PixelSpacing", 2) == (0.5, 0.25)
    assert numbers(tags, "PixelSpacing", 3) is None
    assert numbers(tags, "SeriesDescription", 2) is None
    assert numbers(tags, "ImagePositionPatient", 3) is None
