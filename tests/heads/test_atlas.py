"""Where in a volume classes lie: made by hand, and through the estimator."""

import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder

from napari_segdino import Segmenter, marks_from_mask
from napari_segdino.batch import iter_predict_blocks
from napari_segdino.config import CacheSettings, FeatureSettings
from napari_segdino.heads.probe.atlas import CAP, CELLS, FLOOR, check_place, make_atlas
from napari_segdino.heads.probe.samples import Place, Sample
from napari_segdino.inference.predict import BlockResult
from napari_segdino.progress import drive


def slices_of(mask, image=1, borders=(0, 1, 0, 1), whole=True):
    """A sample of each slice of a volume whose marks are a whole mask."""
    none = torch.zeros(0)
    return [
        Sample(
            marks=torch.from_numpy(plane + 1),
            features=none[:, None],
            codes=torch.tensor([1], dtype=torch.uint8),
            weights=none,
            strokes=torch.tensor([-1 if whole else 0]),
            parts=none,
            context=none[:, None],
            widths=none,
            image=torch.tensor(image),
            place=torch.tensor([i, len(mask), *borders], dtype=torch.float32),
        )
        for i, plane in enumerate(mask)
    ]


def corner(z=0, y=0, x=0):
    """A volume of 8 voxels a side with an object in one of its corners."""
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[4 * z :, 4 * y :, 4 * x :][:4, :4, :4] = 1
    return mask


def test_a_class_is_likely_where_it_lay_and_ruled_out_nowhere():
    atlas = make_atlas(slices_of(corner(1, 0, 1)), 2)
    factors = atlas.factors[1].numpy()
    assert factors.shape == (CELLS,) * 3
    low, high = CELLS // 8, -CELLS // 8
    # An eighth of the volume is eight times as often there as on average.
    assert factors[high, low, high] == pytest.approx(np.sqrt((8 + 1) / 2), abs=0.02)
    assert factors[low, low, high] == pytest.approx(np.sqrt(1 / 2), abs=0.02)
    assert factors.max() <= np.sqrt((CAP + FLOOR) / (1 + FLOOR))


def test_slices_are_read_between_the_cells():
    atlas = make_atlas(slices_of(corner(1, 0, 0)), 2)
    even = torch.full((2, 6, 10), 0.5)
    first, last = (atlas.apply(even, i, 5) for i in (0, 4))
    assert first.shape == even.shape
    np.testing.assert_allclose(last.sum(0), 1, atol=1e-6)
    assert last[1, 0, 0] > 0.6 and last[1, -1, -1] < 0.5
    assert first[1, 0, 0] < 0.5


def test_tiles_of_a_slice_are_put_together():
    mask = corner(0, 0, 1)
    left = slices_of(mask[:, :, :4], borders=(0, 1, 0, 0.5))
    right = slices_of(mask[:, :, 4:], borders=(0, 1, 0.5, 1))
    whole = make_atlas(slices_of(mask), 2)
    assert torch.equal(make_atlas(left + right, 2).factors, whole.factors)


def test_slices_that_are_not_marked_are_read_between_their_neighbours():
    mask = np.repeat(corner(0, 1, 0)[:1], 8, 0)  # the same on all slices
    some = make_atlas([s for i, s in enumerate(slices_of(mask)) if i % 3 != 1], 2)
    whole = make_atlas(slices_of(mask), 2)
    assert torch.allclose(some.factors, whole.factors, atol=1e-5)


@pytest.mark.parametrize(
    "samples",
    [
        slices_of(corner())[:3],
        slices_of(corner(), whole=False),
        slices_of(corner()[:1]),
        # Each says that the object is not where the other has it.
        slices_of(corner(0, 0, 0), image=1) + slices_of(corner(1, 1, 1), image=2),
    ],
    ids=["few slices", "strokes", "a picture", "volumes that differ"],
)
def test_there_is_no_atlas(samples):
    assert make_atlas(samples, 2) is None


def test_volumes_that_agree_make_one():
    both = slices_of(corner(1), image=1) + slices_of(corner(1), image=2)
    one = make_atlas(slices_of(corner(1)), 2)
    assert torch.equal(make_atlas(both, 2).factors, one.factors)


@pytest.mark.parametrize(
    "place",
    [
        (3, 3, 0, 1, 0, 1),
        (0, 3, 0.5, 0.5, 0, 1),
        (0, 3, 0, 1.5, 0, 1),
        (-1, 3, 0, 1, 0, 1),
    ],
)
def test_a_place_outside_of_its_volume_is_refused(place):
    with pytest.raises(ValueError, match="lies in no volume"):
        check_place(Place(*place))


@pytest.fixture
def segmenter(monkeypatch, tmp_path):
    FakeEncoder().installed(monkeypatch)
    return Segmenter(
        "fake",
        features=FeatureSettings(),
        cache=CacheSettings(1 << 26, 0, tmp_path),
        random_state=0,
    )


def alike(seed):
    """A volume with eight boxes that look alike; the third is the organ."""
    boxes, organ = np.zeros((2, 12, 32, 128), np.uint8)
    for x in range(4, 128, 16):
        boxes[3:9, 8:24, x : x + 8] = 1
    organ[3:9, 8:24, 36:44] = 1
    noise = np.random.default_rng(seed).integers(0, 30, boxes.shape)
    return (noise + 150 * boxes).astype(np.uint8), organ


def test_of_what_looks_alike_the_one_in_its_place_is_found(segmenter, tmp_path):
    image, organ = alike(0)
    segmenter.fit(image, marks_from_mask(organ), volume=True)
    other = alike(1)[0]
    found = segmenter.predict(other, volume=True)
    middles = found[6, 16, 8::16]
    # Without a place half of the boxes are taken for the organ.
    assert middles[2] == 1 and not middles[[0, 1, 4, 5, 6, 7]].any()
    # A file of the probe knows it too, and so does a volume predicted block by block.
    loaded = Segmenter.load(segmenter.save(tmp_path / "organ.segdino"))
    np.testing.assert_array_equal(loaded.predict(other, volume=True), found)
    blocks = np.zeros_like(found)

    def keep(step):
        if isinstance(step, BlockResult):
            blocks[step.index][step.slices] = step.labels

    drive(iter_predict_blocks(segmenter, other, volume=True), keep)
    np.testing.assert_array_equal(blocks, found)


def test_a_picture_knows_no_place(segmenter):
    image, organ = alike(0)
    segmenter.fit(list(image), list(marks_from_mask(organ)), volume=False)
    assert segmenter.model_.atlas is None
