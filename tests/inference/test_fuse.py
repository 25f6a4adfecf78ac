import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segdino.errors import InputError
from napari_segdino.inference.fuse import certainty, fuse


def maps_of(*values):
    """One map of a single pixel a view."""
    return [torch.tensor(v)[:, None, None] for v in values]


def test_certainty_by_hand():
    sure, unsure = maps_of([1.0, 0.0], [0.5, 0.5])
    assert certainty(sure).item() == 1
    assert certainty(unsure).item() == pytest.approx(math.exp(-2))
    assert certainty(unsure, 1.0).item() == pytest.approx(math.exp(-1))
    (three,) = maps_of([0.5, 0.5, 0.0])
    expected = math.exp(-math.log(2) / (0.5 * math.log(3)))
    assert certainty(three).item() == pytest.approx(expected)


def test_a_sure_view_weighs_more():
    fused = fuse(maps_of([1.0, 0.0], [0.5, 0.5]))
    share = 1 / (1 + math.exp(-2))
    expected = share + 0.5 * (1 - share)
    assert fused.flatten().tolist() == pytest.approx([expected, 1 - expected])


def test_weights_are_of_each_pixel():
    a = torch.tensor([[[1.0, 0.5]], [[0.0, 0.5]]])
    b = torch.tensor([[[0.5, 0.0]], [[0.5, 1.0]]])
    fused = fuse([a, b])
    assert fused[0, 0, 0] == pytest.approx(0.94040, abs=1e-5)
    assert fused[1, 0, 1] == pytest.approx(0.94040, abs=1e-5)


def test_the_mean_is_plain():
    views = maps_of([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])
    fused = fuse(views, "mean")
    assert fused.flatten().tolist() == pytest.approx([0.5, 0.5])
    assert torch.equal(fuse(iter(views), "mean"), fused)


def test_a_view_that_is_no_number_is_left_out_where_it_is_none():
    views = maps_of([0.25, 0.75], [math.nan, math.nan])
    for how in ("entropy", "mean"):
        assert fuse(views, how).flatten().tolist() == [0.25, 0.75]
    with pytest.raises(InputError, match="no numbers"):
        fuse([views[1]])


def test_what_came_in_stays():
    views = maps_of([1.0, 0.0], [0.5, 0.5])
    copies = [v.clone() for v in views]
    for how in ("entropy", "mean"):
        fuse(views, how)
        assert all(torch.equal(a, b) for a, b in zip(views, copies, strict=True))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 1000), st.floats(0.05, 5))
def test_probabilities_stay_probabilities(n_views, n_classes, seed, temperature):
    g = torch.Generator().manual_seed(seed)
    views = [
        (20 * torch.randn(n_classes, 3, 4, generator=g)).softmax(0)
        for _ in range(n_views)
    ]
    fused = fuse(views, temperature=temperature)
    assert torch.allclose(fused.sum(0), torch.ones(3, 4), atol=1e-5)
    stack = torch.stack(views)
    assert (fused <= stack.amax(0) + 1e-5).all()
    assert (fused >= stack.amin(0) - 1e-5).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: fuse([]),
        lambda: fuse(maps_of([1.0, 0.0]), "best"),
        lambda: fuse(maps_of([1.0, 0.0]), temperature=0),
    ],
)
def test_what_cannot_be_joined_is_refused(make):
    with pytest.raises(InputError):
        make()
