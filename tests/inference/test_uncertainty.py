import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from napari_segdino.errors import InputError
from napari_segdino.inference.uncertainty import (
    entropy,
    temper,
)


def stack(*foreground):
    p = np.array(foreground, float)
    return np.stack([1 - p, p])


def test_entropy_by_hand():
    got = entropy(stack(0.5, 1.0, 0.0, 0.25))
    assert got[:3].tolist() == [1.0, 0.0, 0.0]
    assert got[3] == pytest.approx(2 - 0.75 * np.log2(3), abs=1e-6)
    assert got.dtype == np.float32
    thirds = entropy(np.full((3, 1), 1 / 3))
    assert thirds[0] == pytest.approx(1)
    assert entropy(np.array([[0.5], [0.5], [0]]))[0] == pytest.approx(
        np.log(2) / np.log(3)
    )
    assert entropy(np.ones((1, 2, 2))).tolist() == [[0, 0], [0, 0]]


@given(
    npst.arrays(np.float32, (4, 3, 5), elements=st.floats(0.0, 1.0, width=32)),
)
def test_entropy_stays_between_nothing_and_all(raw):
    p = (raw + 1e-3) / (raw + 1e-3).sum(0)
    got = entropy(p)
    assert got.shape == (3, 5)
    assert (got >= 0).all() and (got <= 1).all()
    assert np.allclose(got, entropy(p[::-1]), atol=1e-5)


def test_temperature_by_hand():
    p = torch.tensor([[0.2], [0.8]])
    assert temper(p, 2)[:, 0].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert temper(p, 0.5)[1, 0] == pytest.approx(16 / 17)
    assert temper(p, 1)[1, 0] == pytest.approx(0.8)
    sure = torch.tensor([[0.0, 1.0, 0.0]])
    assert temper(sure, 3, axis=1).tolist() == [[0, 1, 0]]
    with pytest.raises(InputError):
        temper(p, 0)


@given(
    npst.arrays(np.float32, (3, 6), elements=st.floats(0.125, 1, width=32)),
    st.floats(0.2, 10),
)
def test_temperature_keeps_the_winner_and_the_sum(raw, temperature):
    p = raw / raw.sum(0)
    got = temper(torch.from_numpy(p), temperature).numpy()
    assert np.allclose(got.sum(0), 1, atol=1e-5)
    winner = np.take_along_axis(got, p.argmax(0)[None], 0)
    assert np.allclose(winner, got.max(0), rtol=1e-4)
