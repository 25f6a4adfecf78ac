"""Objects of a live mask: found, numbered, measured and placed."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_segdino.config import ObjectSettings
from napari_segdino.images.planes import as_planes
from napari_segdino.progress import Progress, drive
from napari_segdino.session import object_tasks
from napari_segdino.session.object_tasks import Asked, iter_objects
from napari_segdino.session.session import checksum


def asked(region: tuple[int, ...], **more: Any) -> Asked:
    """Two planes of 4 by 6 pixels; two squares of class 1 and a dot of 2 in the last.

    The squares are 20 bright, the dot 80.
    """
    mask = np.zeros((2, 4, 6), np.uint8)
    mask[1, :2, :2], mask[1, :2, 4:], mask[1, 3, 0] = 1, 1, 2
    image = np.where(mask == 2, 80, np.where(mask == 1, 20, 0)).astype(np.uint8)
    spacing = (0.5, 2.0) if region else (1.0, 0.5, 2.0)
    settings = more.pop("settings", ObjectSettings(split=False))
    planes = as_planes(image, axes="ZYX")
    return Asked(planes, mask, region, spacing, "mm", {1: "cell"}, settings, **more)


def test_objects_of_a_plane() -> None:
    wanted = asked((1,))
    found = drive(iter_objects(wanted))
    assert found.labels.shape == wanted.mask.shape
    assert not found.labels[0].any()
    expected = [[1, 1, 0, 0, 2, 2], [1, 1, 0, 0, 2, 2], [0] * 6, [3, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(found.labels[1], expected)
    assert found.table["class"].tolist() == [1, 1, 2]
    assert found.table["name"].tolist() == ["cell", "cell", "Class 2"]
    # Pixels of 0.5 by 2 mm: a square of four has 4 mm2.
    (area,) = [k for k in found.table if k.startswith("area")]
    np.testing.assert_allclose(found.table[area], [4.0, 4.0, 1.0])
    assert found.checksums == {1: checksum(wanted.mask[1])}


def test_objects_of_a_volume_know_the_masks_of_all_planes() -> None:
    wanted = asked(())
    found = drive(iter_objects(wanted))
    assert found.labels.max() == 3
    assert found.checksums == {p: checksum(wanted.mask[p]) for p in (0, 1)}


def test_a_probe_is_asked_only_where_objects_are_to_be_parted(
    fake_segmenter: Any, monkeypatch: Any
) -> None:
    segmenter = fake_segmenter()
    segmenter.means = np.array([0.0, 20.0, 80.0])
    drive(iter_objects(asked((1,), segmenter=segmenter)))
    assert segmenter.calls == []
    split = ObjectSettings()
    seen: list[Any] = []
    steps = iter_objects(asked((1,), segmenter=segmenter, settings=split))
    drive(steps, seen.append)
    assert segmenter.calls == [("predict", [1])]
    assert all(isinstance(step, Progress) for step in seen)
    # Three classes of 24 pixels, two bytes each.
    monkeypatch.setattr(object_tasks, "MAX_MAPS", 3 * 24 * 2 - 1)
    drive(iter_objects(asked((1,), segmenter=segmenter, settings=split)))
    assert len(segmenter.calls) == 1, "too many bytes to hold"
