"""Which marks count as new, and what is learned of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_segdino.errors import InputError
from napari_segdino.images.planes import as_planes
from napari_segdino.progress import drive
from napari_segdino.session.learning import Marked, fits, iter_learn, take_snapshot
from napari_segdino.session.results import Learned, LeftOut
from napari_segdino.session.session import checksum


def marked(name: str = "a", learned: dict[int, int] | None = None) -> Marked:
    """Three planes of 2 by 3 pixels: background in the first, a class in the last."""
    image = np.zeros((3, 2, 3), np.uint8)
    image[2] = 200
    marks = np.zeros(image.shape, np.uint8)
    marks[0, 0], marks[2, 1, :2] = 1, 2
    return Marked(name, as_planes(image, axes="ZYX"), marks, learned or {})


def learn(segmenter: Any, images: list[Marked]) -> list[Any]:
    seen: list[Any] = []
    drive(iter_learn(segmenter, images, images[0]), seen.append)
    return seen


def test_planes_with_new_marks_are_to_be_learned() -> None:
    new = marked()
    snapshot = take_snapshot(new)
    assert snapshot.changed == [0, 2]
    assert snapshot.checksums == {p: checksum(new.marks[p]) for p in (0, 2)}
    assert snapshot.codes == {1, 2}
    new.marks[0, 1, 1] = 2
    assert snapshot.marks[0, 1, 1] == 0, "a copy: the user paints on"
    assert snapshot.marks[0, 0, 0] == 1
    again = take_snapshot(marked(learned=snapshot.checksums))
    assert again.changed == []
    assert again.codes == {1, 2}, "what is known counts as marked, too"


def test_planes_whose_marks_are_gone_are_to_be_learned() -> None:
    known = take_snapshot(marked()).checksums
    erased = marked(learned=known)
    erased.marks[2] = 0
    snapshot = take_snapshot(erased)
    assert snapshot.checksums == {2: 0}
    assert snapshot.codes == {1}
    assert take_snapshot(marked(learned={0: known[0], 1: 0, 2: known[2]})).changed == []


def test_what_is_learned_is_told_plane_by_plane(fake_segmenter: Any) -> None:
    segmenter, one = fake_segmenter(), marked()
    (told,) = [s for s in learn(segmenter, [one]) if isinstance(s, Learned)]
    assert told == Learned("a", take_snapshot(one).checksums)
    assert segmenter.calls == [("partial_fit", [0, 2])]
    np.testing.assert_array_equal(segmenter.means, [0, 200])
    again = marked(learned=told.checksums)
    assert not [s for s in learn(segmenter, [again]) if isinstance(s, Learned)]
    assert len(segmenter.calls) == 1


def test_images_with_other_channels_are_left_out(fake_segmenter: Any) -> None:
    segmenter, one = fake_segmenter(), marked()
    pixels = np.zeros((3, 2, 3, 5), np.uint8)
    other = Marked("five channels", as_planes(pixels, axes="ZYXC"), one.marks, {})
    seen = learn(segmenter, [one, other])
    assert LeftOut(("five channels",)) in seen
    assert [s.image for s in seen if isinstance(s, Learned)] == ["a"]
    assert not fits(segmenter, other.planes)
    assert fits(segmenter, other.planes, anew=True), "a new probe can"
    assert not fits(segmenter, other.planes, one.planes, anew=True)


def test_marks_that_do_not_suffice_are_refused(fake_segmenter: Any) -> None:
    segmenter, one = fake_segmenter(), marked()
    one.marks[2] = 0
    with pytest.raises(InputError, match="Only background is marked"):
        learn(segmenter, [one])
    segmenter.has_unsupervised = True
    # A first mask stands in for the class; the fake itself knows no such help.
    with pytest.raises(InputError, match="Only one class"):
        learn(segmenter, [one])
    assert segmenter.calls == [("partial_fit", [0])]
