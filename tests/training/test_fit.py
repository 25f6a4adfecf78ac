import numpy as np
import pytest
import torch

from napari_segdino.errors import InputError
from napari_segdino.heads.mvr import NetworkProbe, RadialProbe
from napari_segdino.progress import drive
from napari_segdino.training.fit import MAX_UNITS, fit_basis, iter_fit_probe
from napari_segdino.training.samples import Sample


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
        context=context.half(),
        widths=torch.tensor([3, 1]),
    )


def fitted(samples, n_classes, joint=True):
    basis = fit_basis(samples, joint)
    return drive(iter_fit_probe(samples, n_classes, basis, seed=0))


def scored(probe, one):
    vectors = probe.basis.project(one.features.split([3, 1], 1))
    return probe.probabilities(vectors)


def test_blocks_count_the_same():
    one = sample([1, 2])
    one.context[:, :3] *= 100
    basis = fit_basis([one], joint=False)
    vectors = basis.project(one.context.split([3, 1], 1))
    norms = [v.square().sum(1).mean() for v in vectors.split([3, 1], 1)]
    assert np.allclose(norms, 1, atol=0.01)


def test_a_rotation_keeps_distances():
    one = sample([1, 2])
    blocks = one.context.split([3, 1], 1)
    joint, plain = (fit_basis([one], joint).project(blocks) for joint in (True, False))
    assert torch.allclose(
        (joint - joint[0]).norm(dim=1), (plain - plain[0]).norm(dim=1), atol=1e-4
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_marked_pixels_are_classified_as_marked(n_classes):
    one = sample([1 + i % n_classes for i in range(30)])
    probe = fitted([one], n_classes)
    probabilities = scored(probe, one)
    assert isinstance(probe, RadialProbe)
    assert torch.allclose(probabilities.sum(1), torch.ones(30))
    assert torch.equal(probabilities.argmax(1) + 1, one.codes.long())


def test_a_class_without_marks_has_no_probability():
    one = sample([1, 3] * 5)
    assert not scored(fitted([one], 3), one)[:, 1].any()


def test_one_class_is_refused():
    with pytest.raises(InputError, match="Only one class"):
        fitted([sample([2, 2])], 2)


def test_whole_masks_of_several_images_train_a_network():
    whole = [sample([1, 2, 4] * 40, seed, whole=True) for seed in range(3)]
    probe = fitted(whole, 4, joint=False)
    probabilities = scored(probe, whole[0])
    assert isinstance(probe, NetworkProbe)
    assert not probabilities[:, 2].any()
    right = probabilities.argmax(1) + 1 == whole[0].codes.long()
    assert right.float().mean() > 0.95


def test_the_same_seed_trains_the_same_network():
    whole = [sample([1, 2] * 20, seed, whole=True) for seed in range(3)]
    first, again = fitted(whole, 2), fitted(whole, 2)
    assert torch.equal(first.hidden, again.hidden)


def test_units_are_bounded():
    many = [sample([1, 2] * 200, seed) for seed in range(4)]
    probe = fitted(many, 2)
    assert len(probe.units) <= MAX_UNITS
    right = [
        (scored(probe, one).argmax(1) + 1 == one.codes.long()).float().mean()
        for one in many
    ]
    assert min(right) > 0.97
