import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_segdino.features.extract import triples
from napari_segdino.features.views import FINE_SIDE, View, show, view_size


def test_sizes_by_hand():
    assert view_size((384, 300), View(), 32) == (768, 608)
    assert view_size((384, 300), View(factor=0.5), 32) == (384, 288)
    assert view_size((100, 10), View(factor=0.5), 32) == (96, 32)
    assert view_size((100, 10), View(100), 32) == (96, 32)
    assert view_size((50, 35), View(), 32) == (256, 192), "small planes are enlarged"
    assert view_size((45, 35), View(factor=0.5), 32) == (64, 32)
    assert view_size((3000, 1500), View(), 32) == (1024, 512)
    assert view_size((384, 300), View(512), 16) == (512, 400)


@given(
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)), st.sampled_from([14, 16, 32])
)
def test_sides_are_multiples_within_bounds(shape, multiple):
    size = view_size(shape, View(), multiple)
    assert all(n % multiple == 0 and n > 0 for n in size)
    assert max(size) <= FINE_SIDE + multiple


def test_mirrored_and_back_is_the_same():
    image = torch.rand(3, 64, 96)
    view = View(256, flip_x=True, flip_y=True)
    feature_settings = show(image, view, 32)
    assert feature_settings.shape == (3, 160, 256) or feature_settings.shape == (
        3,
        192,
        256,
    )
    assert torch.equal(feature_settings.flip(view.flips), show(image, View(256), 32))


def test_channels_go_in_threes():
    image = torch.arange(4.0)[:, None, None].expand(4, 2, 2)
    groups = triples(image)
    assert [g[:, 0, 0].tolist() for g in groups] == [[0, 1, 2], [3, 3, 3]]
    assert [g[:, 0, 0].tolist() for g in triples(image[1:2])] == [[1, 1, 1]]


def test_squashed_planes_are_squares():
    assert view_size((300, 120), View(256, squash="bicubic"), 16) == (256, 256)
    assert view_size((90, 2000), View(squash="bilinear"), 32) == (1024, 1024)


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
def test_squashed_as_pillow_does(how):
    plane = np.random.default_rng(0).random((130, 70)).astype(np.float32)
    wanted = Image.fromarray(plane).resize(
        (64, 64), getattr(Image.Resampling, how.upper())
    )
    shown = show(torch.from_numpy(plane)[None], View(64, squash=how), 32)
    np.testing.assert_allclose(shown[0], np.clip(wanted, 0, 1), atol=2e-6)
