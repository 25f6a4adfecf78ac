"""Groups that were clicked, by hand."""

import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder

from napari_segdino.config import CacheSettings
from napari_segdino.errors import InputError
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.clicks import give_groups
from napari_segdino.heads.probe.samples import Sample
from napari_segdino.heads.probe.unsupervised import Groups
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.progress import drive
from napari_segdino.segmenter import Segmenter


def groups_at(*centres):
    basis = Basis((torch.zeros(1),), (torch.eye(1),), False)
    owners = torch.arange(len(centres))
    return Groups(basis, torch.tensor(centres)[:, None], 0.1, owners)


def clicks(*values_and_codes):
    values, codes = zip(*values_and_codes, strict=True)
    return Sample(
        torch.zeros(1, 1, dtype=torch.uint8),
        torch.tensor(values)[:, None].half(),
        torch.tensor(codes, dtype=torch.uint8),
        torch.ones(len(codes)),
        torch.arange(len(codes)),
        torch.ones(len(codes)),
        torch.zeros(1, 1).half(),
        torch.tensor([1]),
    )


def test_a_class_is_the_group_of_its_click():
    given = give_groups(groups_at(0.0, 5.0, 9.0), [clicks((5.1, 2))])
    assert given.owners.tolist() == [0, 1, 0]
    found = given.probabilities(torch.tensor([[0.0], [5.0], [9.0]]))
    assert found.argmax(1).tolist() == [0, 1, 0]
    assert torch.allclose(found.sum(1), torch.ones(3))


def test_no_two_classes_have_one_group():
    given = give_groups(groups_at(0.0, 5.0, 9.0), [clicks((5.0, 2)), clicks((5.5, 4))])
    assert sorted(given.owners.tolist()) == [0, 1, 3]
    assert given.owners[1] == 1, "it is nearer"
    assert given.n_classes == 4


def test_background_clicks_push_a_class_away():
    at = groups_at(0.0, 5.0, 6.0)
    between = clicks((5.5, 2))
    assert give_groups(at, [between, clicks((5.0, 1))]).owners.tolist() == [0, 0, 1]
    assert give_groups(at, [between, clicks((6.0, 1))]).owners.tolist() == [0, 1, 0]


@pytest.fixture
def segmenter(monkeypatch, tmp_path):
    FakeEncoder().installed(monkeypatch)
    return Segmenter("fake", cache=CacheSettings(folder=tmp_path))


def scene():
    """Dark, with two grey squares and a bright one."""
    image = np.random.default_rng(0).integers(0, 20, (96, 96), np.uint8)
    image[10:40, 10:40] += 100
    image[60:84, 60:84] += 100
    image[56:86, 10:40] += 220
    return image


def drawn(segmenter, image, marks):
    found = []
    drive(
        segmenter.iter_from_clicks(image, marks),
        lambda step: found.append(step) if isinstance(step, PlaneResult) else None,
    )
    return found[0].labels


def test_one_click_finds_what_looks_alike(segmenter):
    image = scene()
    marks = np.zeros(image.shape, np.uint8)
    marks[25, 25] = 2
    grey = (image > 90) & (image < 130)
    assert (drawn(segmenter, image, marks) == grey).mean() > 0.97
    marks[:] = 0
    marks[70, 25] = 2
    assert (drawn(segmenter, image, marks) == (image > 200)).mean() > 0.97
    assert not segmenter.is_fitted
    assert segmenter.has_unsupervised, "the next strokes go on from it"


def test_two_classes_are_clicked(segmenter):
    image = scene()
    marks = np.zeros(image.shape, np.uint8)
    marks[25, 25], marks[70, 25] = 3, 2
    wanted = np.where(image > 200, 1, np.where(image > 90, 2, 0))
    assert (drawn(segmenter, image, marks) == wanted).mean() > 0.95


def test_a_slice_of_a_volume_then_its_first_strokes(segmenter):
    image = scene()
    volume = np.stack([image] * 3)
    marks = np.zeros(volume.shape, np.uint8)
    marks[1, 25, 25] = 2
    first = []
    drive(
        segmenter.iter_from_clicks(volume, marks, volume=True, planes=[1]),
        lambda step: first.append(step) if isinstance(step, PlaneResult) else None,
    )
    assert [result.index for result in first] == [1]
    grey = (image > 90) & (image < 130)
    assert (first[0].labels == grey).mean() > 0.97
    marks[1, 5, 20:60] = 1
    segmenter.partial_fit(volume, marks, volume=True)
    found = segmenter.predict(volume, volume=True)[1]
    assert found[grey].mean() > 0.95
    assert found[image < 90].mean() < 0.05


def test_without_a_click_there_is_nothing_to_look_for(segmenter):
    marks = np.zeros((96, 96), np.uint8)
    for code in (0, 1):
        marks[3, 3] = code
        with pytest.raises(InputError, match="click on an object"):
            drawn(segmenter, scene(), marks)
