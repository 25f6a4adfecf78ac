"""Channels that lie in several arrays are read as one, and no more than is asked."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest

from napari_segdino.images.channel_stack import ChannelStack, Part
from napari_segdino.images.planes import as_planes


class Watched:
    """An array that remembers how many of its pixels were read."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.read = 0

    def __getitem__(self, index: Any) -> np.ndarray:
        found = self.data[index]
        self.read += found.size
        return found


def test_layers_become_channels() -> None:
    one = np.arange(24).reshape(2, 3, 4)
    stack = ChannelStack([Part(one), Part(da.from_array(one * 10))])
    assert stack.shape == (2, 3, 4, 2)
    np.testing.assert_array_equal(stack[1], np.stack([one[1], one[1] * 10], -1))
    np.testing.assert_array_equal(stack[0, 1:, 2, 1], one[0, 1:, 2] * 10)
    np.testing.assert_array_equal(np.asarray(stack)[..., 0], one)


@pytest.mark.parametrize(
    ("axis", "shape"), [(0, (3, 4, 5)), (1, (3, 1, 4, 5)), (None, (2, 3, 4, 5))]
)
def test_an_axis_of_channels(axis: int | None, shape: tuple[int, ...]) -> None:
    data = np.arange(120).reshape(2, 3, 4, 5)
    if axis == 1:
        data = data.swapaxes(0, 1)
    at = 0 if axis is None else 1
    part = Part(data, axis, at)
    assert part.shape == shape
    wanted = data if axis is None else np.take(data, [1], axis)
    whole = wanted.reshape(shape)
    np.testing.assert_array_equal(part.read(()), whole)
    np.testing.assert_array_equal(part.read((0, 0)), whole[0, 0])
    np.testing.assert_array_equal(
        part.read((0, 0, slice(1, 3), 2)) if len(shape) == 4 else part.read((0, 2)),
        whole[0, 0, 1:3, 2] if len(shape) == 4 else whole[0, 2],
    )


def test_only_the_plane_is_read() -> None:
    first, second = (Watched(np.ones((5, 6, 7), np.uint16)) for _ in range(2))
    planes = as_planes(ChannelStack([Part(first), Part(second)]), axes="ZYXC")
    assert planes.read(3).shape == (6, 7, 2)
    assert (first.read, second.read) == (42, 42)
    series = Watched(np.ones((4, 5, 6, 7), np.uint8))
    planes = as_planes(ChannelStack([Part(series, 0, 2)]), axes="ZYXC")
    planes.read(0)
    assert series.read == 42


def test_four_channels_of_eight_bits_are_not_rgba() -> None:
    parts = [Part(np.zeros((2, 2), np.uint8))] * 4
    assert ChannelStack(parts).dtype == np.uint16
    assert ChannelStack(parts)[()].dtype == np.uint16
    assert ChannelStack(parts[:3]).dtype == np.uint8
