import dataclasses

import numpy as np
import pytest
import torch

from napari_segdino.errors import InputError
from napari_segdino.heads.probe.components import fit_basis
from napari_segdino.heads.probe.fit import (
    MAX_LANDMARKS,
    PREVIOUS_WEIGHT,
    _landmark_rows,
    count_strokes,
    iter_fit_probe,
    present_classes,
)
from napari_segdino.heads.probe.model import KernelProbe, NetworkProbe
from napari_segdino.heads.probe.probe_head import STEPS
from napari_segdino.heads.probe.samples import UNSUPERVISED, Sample
from napari_segdino.progress import drive


def sample(codes, seed=0, whole=False):
    """Pixels of classes that lie 4 apart on the first feature of two blocks."""
    random = torch.Generator().manual_seed(seed)
    codes = torch.as_tensor(codes, dtype=torch.uint8)
    context = torch.randn(200, 4, generator=random)
    context[:, 0] += 4 * torch.randint(1, 4, (200,), generator=random)
    features = torch.randn(len(codes), 4, generator=random) * 0.3
    features[:, 0] += 4 * codes
    return Sample(
        marks=codes[None],
        features=features.half(),
        codes=codes,
        weights=torch.ones(len(codes)),
        strokes=torch.full((len(codes),), -1 if whole else 0),
        parts=torch.ones(len(codes)),
        context=context.half(),
        widths=torch.tensor([3, 1]),
    )


def fitted(samples, n_classes, joint=True, before=None):
    basis = fit_basis(samples, joint)
    tiles = {str(number): sample for number, sample in enumerate(samples)}
    return drive(iter_fit_probe(tiles, n_classes, basis, 0, STEPS, before))


def scored(probe, one, tile=""):
    vectors = probe.basis.project(one.features)
    return probe.on(tile).probabilities(vectors)


def right(probe, one, tile=""):
    """Share of the marked pixels that are classified as marked."""
    marked = scored(probe, one, tile).argmax(1) + 1
    return float((marked == one.codes.long()).float().mean())


def test_blocks_count_the_same():
    one = sample([1, 2])
    one.context[:, :3] *= 100
    basis = fit_basis([one], joint=False)
    vectors = basis.project(one.context)
    norms = [v.square().sum(1).mean() for v in vectors.split([3, 1], 1)]
    assert np.allclose(norms, 1, atol=0.01)


def test_a_rotation_keeps_distances():
    one = sample([1, 2])
    bases = (fit_basis([one], joint) for joint in (True, False))
    joint, plain = (basis.project(one.context) for basis in bases)
    assert torch.allclose(
        (joint - joint[0]).norm(dim=1), (plain - plain[0]).norm(dim=1), atol=1e-4
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_marked_pixels_are_classified_as_marked(n_classes):
    one = sample([1 + i % n_classes for i in range(30)])
    probe = fitted([one], n_classes)
    probabilities = scored(probe, one)
    assert isinstance(probe, KernelProbe)
    assert torch.allclose(probabilities.sum(1), torch.ones(30))
    assert torch.equal(probabilities.argmax(1) + 1, one.codes.long())


def test_a_class_without_marks_has_no_probability():
    one = sample([1, 3] * 5)
    assert not scored(fitted([one], 3), one)[:, 1].any()


def test_strokes_are_counted_by_class():
    one = dataclasses.replace(
        sample([1, 1, 2, 2, 2]), strokes=torch.tensor([0, 1, 2, 2, 3])
    )
    samples = {"a": one, UNSUPERVISED: sample([1, 2])}
    assert count_strokes(samples) == 4
    assert [count_strokes(samples, code) for code in (1, 2, 3)] == [2, 2, 0]


def test_classes_are_present_where_any_tile_has_a_mark_of_them():
    samples = {"a": sample([1, 1]), "b": sample([4])}
    assert present_classes(samples, 5).tolist() == [True, False, False, True, False]


def test_one_class_is_refused():
    with pytest.raises(InputError, match="Only one class"):
        fitted([sample([2, 2])], 2)


def test_whole_masks_of_several_images_train_a_network():
    whole = [sample([1, 2, 4] * 40, seed, whole=True) for seed in range(3)]
    probe = fitted(whole, 4, joint=False)
    probabilities = scored(probe, whole[0])
    assert isinstance(probe, NetworkProbe)
    assert not probabilities[:, 2].any()
    assert right(probe, whole[0]) > 0.95


def test_the_same_seed_trains_the_same_network():
    whole = [sample([1, 2] * 20, seed, whole=True) for seed in range(3)]
    first, again = fitted(whole, 2), fitted(whole, 2)
    assert torch.equal(first.hidden, again.hidden)


def test_landmarks_are_bounded():
    many = [sample([1, 2] * 200, seed) for seed in range(4)]
    probe = fitted(many, 2)
    assert len(probe.landmarks) <= MAX_LANDMARKS
    assert min(right(probe, one) for one in many) > 0.97


def test_every_stroke_has_a_unit():
    """A hundred images, three strokes each: none drops out."""
    many = []
    for seed in range(100):
        one = sample([1, 2, 2] * 8, seed)
        one.strokes[:] = torch.arange(3).repeat(8)
        many.append(one)
    samples = {str(number): one for number, one in enumerate(many)}
    rows = _landmark_rows(many)
    assert len(rows) == MAX_LANDMARKS
    strokes = torch.cat([100 * i + one.strokes for i, one in enumerate(many)])
    assert len(strokes[rows].unique()) == 300
    probe = fitted(list(samples.values()), 2)
    assert np.mean([right(probe, one, tile) for tile, one in samples.items()]) > 0.97


def test_marks_of_one_image_are_not_undone_by_others():
    """The same look is class 1 on the first image and background on ten later."""
    first, other = sample([2] * 8 + [1] * 8), sample([2] * 8 + [1] * 8, 1)
    swapped = dataclasses.replace(first, codes=3 - first.codes)
    later = [swapped] * 10
    probe = fitted([first, *later], 2)
    assert right(probe, first, "0") > 0.97
    assert right(probe, swapped, "5") > 0.97
    # On a new image the many win.
    assert right(probe, other) == 0


def test_strokes_on_one_tile_say_the_same_of_the_next_slice():
    """A class between many kinds of background: the borders lie where they lay."""
    one = sample([1] * 40 + [2] * 8)
    one.features[:40, 0] = torch.cat(
        [torch.linspace(-8, 4, 20), torch.linspace(9, 24, 20)]
    )
    probe = fitted([one], 2)
    between = torch.zeros(400, 4)
    between[:, 0] = torch.linspace(2, 10, 400)
    way = dataclasses.replace(one, features=between.half())
    here, there = (scored(probe, way, tile) for tile in ("0", "the next slice"))
    assert 0 < here.argmax(1).sum() < 400
    assert torch.equal(here.argmax(1), there.argmax(1))


def test_a_probe_without_its_tile_still_carries_over():
    one, new = sample([1, 2] * 10), sample([1, 2] * 10, seed=7)
    assert right(fitted([one], 2), new, "another tile") > 0.95


def strokes(count):
    """A sample of so many strokes of one pixel each, in turn of both classes."""
    one = sample([1 + i % 2 for i in range(count)])
    return dataclasses.replace(one, strokes=torch.arange(count))


@pytest.mark.parametrize("new", [1, 2])
def test_a_share_of_the_last_probe_stays_with_each_new_stroke(new):
    few, all_of_them = strokes(6), strokes(6 + new)
    before, fresh = fitted([few], 2), fitted([all_of_them], 2)
    found = fitted([all_of_them], 2, before=before)
    assert (before.strokes, found.strokes) == (6, 6 + new)

    def marked(probe):
        return probe.on("0").scores(probe.basis.project(all_of_them.features))

    kept = PREVIOUS_WEIGHT**new
    wanted = kept * marked(before) + (1 - kept) * marked(fresh)
    assert torch.allclose(marked(found), wanted, atol=0.02)
    assert not torch.allclose(marked(found), marked(fresh), atol=0.1)


def test_a_probe_of_other_classes_does_not_stay():
    before = fitted([strokes(6)], 2)
    three = sample([1, 2, 3] * 5)
    assert torch.equal(
        fitted([three], 3, before=before).weight, fitted([three], 3).weight
    )


def test_a_probe_from_few_strokes_says_it_is_less_sure():
    few, some, many = (fitted([strokes(n)], 2).temperature for n in (3, 5, 12))
    assert few > some > many == fitted([strokes(20)], 2).temperature


def fitted_on(images, samples):
    """A probe of these samples, each of the image of this number."""
    numbered = [
        dataclasses.replace(s, image=torch.tensor(n))
        for s, n in zip(samples, images, strict=True)
    ]
    # Slices of a volume, and pictures in one window, have keys that end alike.
    tiles = {f"(4, 'tile {i}', (9, 9))": s for i, s in enumerate(numbered)}
    return drive(iter_fit_probe(tiles, 2, fit_basis(samples, True), 0, STEPS))


@pytest.mark.parametrize("images, same", [((7, 7), True), ((7, 8), False)])
def test_slices_of_a_volume_are_one_image(images, same):
    both = [strokes(6), dataclasses.replace(strokes(8), codes=torch.ones(8).byte())]
    probe = fitted_on(images, both)
    first, second = (scored(probe, both[0], key) for key in probe.tiles)
    assert torch.equal(first, second) is same
    unmarked = scored(probe, both[0], "another tile")
    assert not torch.allclose(first, unmarked, atol=1e-3)


@pytest.mark.parametrize(
    "images, kind",
    [((1, 2, 3), NetworkProbe), ((7,) * 3, KernelProbe), ((7,) * 5, NetworkProbe)],
)
def test_perceptrons_wait_for_more_slices_than_pictures(images, kind):
    whole = [sample([1, 2] * 20, seed, whole=True) for seed in range(len(images))]
    assert isinstance(fitted_on(images, whole), kind)
