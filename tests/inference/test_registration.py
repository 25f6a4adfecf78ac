"""What is marked on a slice is carried to the next ones, moved as the image moves."""

import numpy as np
import pytest
import torch

from napari_segdino.inference.registration import DECAY, LOGIT, iter_carry
from napari_segdino.progress import drive


def texture(seed=0, shape=(48, 64)):
    """Smooth blobs from 0 to 1, shape (1, Y, X)."""
    noise = np.random.default_rng(seed).random(shape)
    spectrum = np.fft.fft2(noise) * np.exp(
        -60 * np.add.outer(*[np.fft.fftfreq(n) ** 2 for n in shape])
    )
    smooth = np.fft.ifft2(spectrum).real
    return ((smooth - smooth.min()) / np.ptp(smooth))[None].astype(np.float32)


def undecided(count, classes=2, shape=(48, 64)):
    return {i: torch.full((classes, *shape), 1 / classes) for i in range(count)}


def tensor(slice_):
    return torch.from_numpy(np.asarray(slice_, np.float32))


def whole(box, label=1):
    """Mark a slice whole: background everywhere but in a box."""
    marks = torch.ones(48, 64, dtype=torch.uint8)
    marks[box] = label + 1
    return marks


BOX = np.s_[15:27, 20:34]


def carried(slices, marks, maps=None):
    maps = undecided(len(slices)) if maps is None else maps
    drive(iter_carry(maps, marks, range(len(slices)), lambda i: tensor(slices[i])))
    return {i: m.numpy() for i, m in maps.items()}


def logit(maps, at):
    return float(np.log(maps[1][at] / maps[0][at]))


def test_it_fades_from_slice_to_slice_on_both_sides():
    maps = carried([texture()] * 5, {2: whole(BOX)})
    for index, distance in ((0, 2), (1, 1), (3, 1), (4, 2)):
        assert logit(maps[index], (20, 25)) == pytest.approx(LOGIT * DECAY**distance)
        assert logit(maps[index], (5, 5)) == pytest.approx(-LOGIT * DECAY**distance)
    np.testing.assert_array_equal(maps[2], 0.5)


def test_it_moves_as_the_image_moves():
    slices = [np.roll(texture(), 2 * i, 2) for i in range(5)]
    maps = carried(slices, {0: whole(BOX)})
    found = maps[4].argmax(0)[:, 10:]
    wanted = np.roll((whole(BOX) - 1).numpy(), 8, 1)[:, 10:]
    assert 2 * (found * wanted).sum() / (found.sum() + wanted.sum()) > 0.95
    stayed = (whole(BOX) - 1).numpy()[:, 10:]
    assert 2 * (found * stayed).sum() / (found.sum() + stayed.sum()) < 0.6


def test_pictures_that_have_nothing_to_do_with_each_other_say_nothing():
    slices = [np.random.default_rng(i).random((1, 48, 64)) for i in range(3)]
    maps = carried(slices, {1: whole(BOX)})
    for index in (0, 2):
        np.testing.assert_allclose(maps[index], 0.5)


def test_what_is_marked_ends_what_was_carried_there():
    gone = whole(np.s_[:0])
    maps = carried([texture()] * 5, {0: whole(BOX), 2: gone})
    assert logit(maps[1], (20, 25)) == pytest.approx(0, abs=1e-5)
    assert logit(maps[3], (20, 25)) == pytest.approx(-LOGIT * DECAY)


def test_what_is_unlabelled_carries_nothing():
    stroke = torch.zeros(48, 64, dtype=torch.uint8)
    stroke[20, 22:30] = 2
    maps = carried([texture()] * 2, {0: stroke})
    assert logit(maps[1], (20, 25)) == pytest.approx(LOGIT * DECAY, rel=1e-4)
    np.testing.assert_allclose(maps[1][:, 30:], 0.5)


def test_the_probe_is_outvoted_only_near_the_marks():
    maps = undecided(30)
    for m in maps.values():
        m[0], m[1] = 0.8, 0.2
    maps = carried([texture()] * 30, {0: whole(BOX)}, maps)
    assert maps[1][1, 20, 25] > 0.8
    assert maps[29][1, 20, 25] < 0.3


def test_of_three_classes_the_marked_one_grows():
    maps = carried([texture()] * 2, {0: whole(BOX, 2)}, undecided(2, classes=3))
    at = maps[1][:, 20, 25]
    assert at.argmax() == 2
    assert at[0] == pytest.approx(at[1])
    np.testing.assert_allclose(maps[1].sum(0), 1, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 64), (48, 1), (2, 2)])
def test_thin_slices_are_left_as_they_are_or_carried(shape):
    marks = torch.ones(shape, dtype=torch.uint8)
    slices = [texture(shape=shape)] * 3
    maps = carried(slices, {1: marks}, undecided(3, shape=shape))
    assert all(np.isfinite(m).all() for m in maps.values())
