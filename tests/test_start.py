"""Starting from a box, with the built-in encoder."""

import numpy as np
import pytest

from napari_segdino import Segmenter
from napari_segdino.errors import InputError
from napari_segdino.starter import Starter

Y, X = np.mgrid[:96, :128]
DISC = (Y - 48) ** 2 + (X - 40) ** 2 < 22**2
OTHER = (Y - 50) ** 2 + (X - 98) ** 2 < 16**2
DISC_BOX, OTHER_BOX = (26, 18, 71, 63), (34, 82, 67, 115)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture
def image():
    noise = np.random.default_rng(0).normal(0, 12, DISC.shape)
    return (60 + 90 * (DISC | OTHER) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def segmenter():
    return Segmenter("efficientnet_lite0")


def test_a_box_gives_the_object_and_nothing_outside(segmenter, image):
    mask = segmenter.start(image, [DISC_BOX])
    assert dice(mask == 1, DISC) > 0.96
    outside = np.ones_like(DISC)
    outside[26:71, 18:63] = False
    assert not mask[outside].any(), "though the other disc looks the same"


def test_a_first_mask_needs_no_more_than_a_starter(image):
    mask = Starter("efficientnet_lite0").start(image, [OTHER_BOX])
    assert dice(mask == 1, OTHER) > 0.9


def test_a_loose_box_gives_more_than_its_ellipse(segmenter, image):
    box = (20, 12, 75, 67)
    mask = segmenter.start(image, [box])
    ellipse = ((Y - 47) / 27.5) ** 2 + ((X - 39) / 27.5) ** 2 < 1
    assert dice(mask == 1, DISC) > 0.93 > dice(ellipse, DISC)


def test_two_classes_and_two_calls(segmenter, image):
    both = segmenter.start(image, [DISC_BOX, OTHER_BOX], labels=[1, 2])
    assert dice(both == 1, DISC) > 0.9
    assert dice(both == 2, OTHER) > 0.9
    one_by_one = Segmenter("efficientnet_lite0")
    one_by_one.start(image, [DISC_BOX])
    again = one_by_one.start(image, [OTHER_BOX])
    assert dice(again == 1, DISC | OTHER) > 0.9, "the first box stays"


def test_strokes_go_on_from_a_box_and_outvote_it(segmenter, image):
    segmenter.start(image, [DISC_BOX])
    marks = np.zeros(image.shape, np.uint8)
    for x in (92, 98, 104):
        marks[44:56, x] = 2
    mask = segmenter.partial_fit(image, marks).predict(image)
    assert dice(mask == 1, DISC | OTHER) > 0.9, "painted beyond the box"
    assert segmenter.n_classes_ == 2


def test_what_a_box_taught_holds_on_another_image(segmenter, image):
    segmenter.start(image, [DISC_BOX, OTHER_BOX])
    turned = np.ascontiguousarray(image.T)
    assert dice(segmenter.predict(turned) == 1, (DISC | OTHER).T) > 0.9


def test_a_file_keeps_boxes(segmenter, image, tmp_path):
    segmenter.start(image, [DISC_BOX])
    loaded = Segmenter.load(segmenter.save(tmp_path / "box.segdino"))
    np.testing.assert_array_equal(loaded.predict(image), segmenter.predict(image))
    again = loaded.start(image, [OTHER_BOX])
    assert dice(again == 1, DISC | OTHER) > 0.9, "boxes before the file stay as well"


def test_a_box_on_a_slice_draws_that_slice(segmenter, image):
    volume = np.stack([image, image[::-1], image])
    mask = segmenter.start(volume, [DISC_BOX], planes=[2], volume=True)
    assert mask.shape == volume.shape
    assert not mask[:2].any()
    assert dice(mask[2] == 1, DISC) > 0.9


def test_heads_that_learn_from_masks_refuse_a_box(image):
    with pytest.raises(InputError, match="starts a probe; the head segdino_v2"):
        Segmenter("efficientnet_lite0", head="segdino_v2").start(image, [DISC_BOX])


def test_a_refused_box_leaves_the_estimator_as_it_was(segmenter, image):
    with pytest.raises(InputError, match="at least a pixel"):
        segmenter.start(image, [(5, 5, 5, 9)])
    assert not segmenter.is_fitted


def shifted(mask):
    """As another tool draws it: beside the truth and too small."""
    return np.roll(mask, (3, -3), (0, 1)) & mask


def test_a_given_mask_teaches_and_strokes_outvote_it(segmenter, image):
    wrong = shifted(DISC).astype(np.uint8)
    assert segmenter.adopt_mask(image, wrong) is segmenter
    assert segmenter.n_classes_ == 2
    mask = segmenter.predict(image)
    assert dice(mask == 1, DISC | OTHER) > dice(wrong == 1, DISC | OTHER)
    marks = np.zeros(image.shape, np.uint8)
    for x in (90, 98, 106):
        marks[44:56, x] = 1
    after = segmenter.partial_fit(image, marks).predict(image)
    assert (after == 1)[OTHER].mean() < (mask == 1)[OTHER].mean()


def test_a_given_mask_of_some_slices_with_two_classes(segmenter, image):
    volume = np.stack([image] * 3)
    given = np.zeros(volume.shape, np.uint8)
    given[1] = DISC + 2 * OTHER
    segmenter.adopt_mask(volume, given, volume=True)
    assert len(segmenter.samples_) == 1, "the planes that hold a class"
    assert segmenter.n_classes_ == 3


def test_labels_that_no_class_can_have_are_refused(segmenter, image):
    with pytest.raises(InputError, match="700"):
        segmenter.adopt_mask(image, DISC * 700)


def test_an_empty_mask_is_refused(segmenter, image):
    with pytest.raises(InputError, match="The mask is empty"):
        segmenter.adopt_mask(image, np.zeros(image.shape, np.uint8))
