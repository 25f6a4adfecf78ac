"""Which images share a probe, by numbers; see test_segmenter for the rest."""

import numpy as np
import pytest

from napari_segdino.errors import ChannelsError
from napari_segdino.images.channels import (
    check_channels,
    count_channels,
    join_channels,
)
from napari_segdino.images.planes import as_planes


def planes(*channels, kind=np.uint8, axes=None):
    image = np.random.default_rng(0).integers(0, 200, (32, 32, *channels))
    return as_planes(image.astype(kind), axes=axes)


def with_alpha(count, kind, opaque):
    image = np.random.default_rng(0).random((32, 32, count)).astype(kind)
    image[..., -1] = opaque
    image[:9, :, -1] = 0
    return as_planes(image)


@pytest.mark.parametrize(
    ("image", "channels"),
    [
        (planes(), 1),
        (planes(1), 1),
        (planes(2), 2),
        (planes(3), 3),
        (planes(4), 3),
        (planes(4, kind=np.uint16), 4),
        (planes(5), 5),
        (with_alpha(2, np.uint8, 255), 1),
        (with_alpha(2, np.uint16, 65535), 1),
        (with_alpha(4, np.uint16, 65535), 3),
        (with_alpha(4, np.float32, 1), 3),
        (with_alpha(2, np.uint8, 254), 2),
    ],
)
def test_alpha_is_no_channel(image, channels):
    assert count_channels(image) == channels


def test_grey_is_rgb_unless_more_neighbours_come_along():
    assert join_channels(1, 3, 1) == join_channels(3, 1, 0) == 3
    assert join_channels(1, 1, 2) == 1
    assert join_channels(1, 3, 2) is join_channels(1, 2, 1) is None


def test_both_numbers_are_named():
    with pytest.raises(
        ChannelsError, match="This image has 2 channels, .* learned from 3 channels"
    ):
        check_channels([planes(2)], 3, 1)
    with pytest.raises(
        ChannelsError, match="Image 3 has 5 channels, but image 1 has 3 channels"
    ):
        check_channels([planes(), planes(3), planes(5)], None, 1)
