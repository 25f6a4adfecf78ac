import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_segdino.config import ObjectSettings
from napari_segdino.errors import InputError, ScanError
from napari_segdino.inference.instances import iter_find_objects
from napari_segdino.inference.measure import measure_objects, write_table
from napari_segdino.progress import drive

JOINED = ObjectSettings(split=False)


def find_objects(*args, **kwargs):
    return drive(iter_find_objects(*args, **kwargs))


def disc(shape, centre, radius, spacing=None):
    steps = spacing or (1,) * len(shape)
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    parts = zip(axes, centre, steps, strict=True)
    return sum(((a - c) * s) ** 2 for a, c, s in parts) <= radius**2


def count(objects):
    return len(objects.classes) - 1


def test_touching_discs_are_two_objects_cut_between_them():
    mask = disc((40, 60), (20, 18), 12) | disc((40, 60), (20, 40), 12)
    assert count(find_objects(mask, settings=JOINED)) == 1
    found = find_objects(mask)
    assert count(found) == 2
    assert np.array_equal(found.labels > 0, mask)
    left = found.labels == found.labels[20, 18]
    assert left[:, :28].sum() == mask[:, :28].sum()
    assert not left[:, 31:].any()


def test_one_disc_stays_one_whatever_its_size():
    for radius in (1, 2, 3, 5, 9, 14):
        found = find_objects(disc((33, 35), (16, 17), radius))
        assert count(found) == 1, radius


def test_how_deep_a_neck_must_be():
    mask = np.zeros((30, 60), bool)
    mask[5:25, 5:25] = mask[5:25, 35:55] = mask[9:21, 25:35] = True
    # 20 wide, the neck 12: the way falls from 11 to 7, by 0.36
    assert count(find_objects(mask, settings=ObjectSettings(depth=0.3))) == 2
    assert count(find_objects(mask, settings=ObjectSettings(depth=0.45))) == 1


def test_low_probability_parts_what_distance_does_not():
    mask = np.zeros((20, 40), np.uint8)
    mask[5:15, 5:35] = 1
    likely = np.where(mask, 0.9, 0.1)
    likely[:, 19:21] = 0.4
    assert count(find_objects(mask)) == 1
    found = find_objects(mask, np.stack([1 - likely, likely]))
    assert count(found) == 2
    assert found.labels[10, 7] != found.labels[10, 32]


def test_spacing_decides_what_is_a_neck():
    spacing = (5.0, 1.0, 1.0)
    shape = (9, 31, 31)
    mask = disc(shape, (4, 15, 15), 14, spacing)
    assert count(find_objects(mask, spacing=spacing)) == 1
    both = disc((17, 31, 31), (4, 15, 15), 14, spacing)
    both |= disc((17, 31, 31), (9, 15, 15), 14, spacing)
    found = find_objects(both, spacing=spacing)
    assert count(found) == 2
    assert found.labels[4, 15, 15] != found.labels[9, 15, 15]


def test_classes_are_kept_apart_and_numbered_in_order():
    mask = np.zeros((12, 12), np.uint8)
    mask[1:4, 1:4], mask[1:4, 4:8], mask[8:11, 1:4] = 2, 1, 2
    found = find_objects(mask, settings=JOINED)
    assert found.classes.tolist() == [0, 1, 2, 2]
    assert np.array_equal(found.classes[found.labels], mask)
    assert (found.labels[2, 2], found.labels[9, 2]) == (2, 3)


def test_sizes_are_in_the_unit_of_the_spacing():
    mask = np.zeros((10, 20), bool)
    mask[1:3, 1:3] = mask[1:4, 6:10] = mask[1:9, 12:18] = True  # 4, 12, 48 pixels
    for pixel, low, high, expected in [
        (1.0, 0, np.inf, 3),
        (1.0, 4, 48, 3),
        (1.0, 5, 48, 2),
        (1.0, 5, 47, 1),
        (2.0, 49, np.inf, 1),
        (2.0, 48, 100, 1),
    ]:
        settings = ObjectSettings(split=False, min_size=low, max_size=high)
        found = find_objects(mask, spacing=(pixel, pixel), settings=settings)
        assert count(found) == expected


def test_holes_are_filled_up_to_a_size_and_never_over_another_class():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:18, 2:18] = 1
    mask[5:7, 5:7] = 0  # a hole of 4
    mask[10:13, 10:13] = 0  # a hole of 9
    mask[14, 14] = 2
    mask[2, 5] = 0  # open to the outside
    settings = ObjectSettings(split=False, max_hole=4)
    found = find_objects(mask, settings=settings)
    one = found.labels == 1
    assert one[5:7, 5:7].all()
    assert not one[10:13, 10:13].any()
    assert found.classes[found.labels[14, 14]] == 2
    assert not one[2, 5]
    assert one.sum() == (mask == 1).sum() + 4


@given(npst.arrays(np.uint8, (9, 11), elements=st.integers(0, 3)), st.booleans())
@settings(max_examples=60)
def test_every_pixel_keeps_its_class_when_nothing_is_filtered(mask, split):
    found = find_objects(mask, settings=ObjectSettings(split=split))
    assert np.array_equal(found.classes[found.labels], mask)
    assert np.array_equal(
        np.unique(found.labels[mask > 0]), np.arange(1, len(found.classes))
    )


def test_an_empty_mask_has_no_objects():
    found = find_objects(np.zeros((4, 5), np.uint8))
    assert found.classes.tolist() == [0]
    assert len(measure_objects(found.labels)["label"]) == 0


def test_a_volume_measured_by_hand():
    labels = np.zeros((3, 4, 5), np.int32)
    labels[0:2, 1:3, 1:4] = 1
    labels[2, 0, 0] = 7
    image = np.arange(60.0).reshape(3, 4, 5)
    classes = np.array([0, 1, 0, 0, 0, 0, 0, 2])
    table = measure_objects(labels, image, (2.0, 0.5, 0.5), "mm", classes)
    assert table["label"].tolist() == [1, 7]
    assert table["class"].tolist() == [1, 2]
    assert table["pixels"].tolist() == [12, 1]
    assert table["volume_mm3"].tolist() == [6.0, 0.5]
    assert table["diameter_mm"][0] == pytest.approx((36 / np.pi) ** (1 / 3))
    assert [table[a][0] for a in "zyx"] == [0.5, 1.5, 2.0]
    inside = image[labels == 1]
    assert table["mean"][0] == pytest.approx(inside.mean())
    assert table["std"][0] == pytest.approx(inside.std())
    assert (table["min"][0], table["max"][0]) == (6.0, 33.0)
    assert table["mean"][1] == 40.0


def test_each_channel_has_its_intensities():
    labels = np.ones((2, 2), np.int32)
    image = np.stack([np.full((2, 2), 3), np.array([[0, 2], [4, 6]])], -1)
    table = measure_objects(labels, image, spacing=(0.5, 2), units="um")
    assert table["area_um2"].tolist() == [4.0]
    assert (table["mean_0"][0], table["mean_1"][0]) == (3.0, 3.0)
    assert (table["min_1"][0], table["max_1"][0]) == (0.0, 6.0)
    assert "class" not in table and "area_px2" in measure_objects(labels)


def test_shapes_that_do_not_fit_are_refused():
    mask = np.ones((4, 4), np.uint8)
    for call in [
        lambda: find_objects(mask, spacing=(1, 1, 1)),
        lambda: find_objects(mask, spacing=(1, 0)),
        lambda: find_objects(mask, np.ones((2, 4, 5))),
        lambda: find_objects(np.ones(4, np.uint8)),
        lambda: measure_objects(mask, np.ones((4, 5))),
        lambda: measure_objects(mask, np.ones((4, 4, 2, 2))),
    ]:
        with pytest.raises(InputError):
            call()


def test_the_table_as_csv(tmp_path):
    labels = np.array([[1, 1, 0], [0, 0, 2]], np.int32)
    path = write_table(tmp_path / "t.csv", measure_objects(labels))
    rows = list(csv.DictReader(path.open()))
    assert [r["label"] for r in rows] == ["1", "2"]
    assert [float(r["area_px2"]) for r in rows] == [2.0, 1.0]
    with pytest.raises(ScanError):
        write_table(tmp_path / "missing" / "t.csv", {})
