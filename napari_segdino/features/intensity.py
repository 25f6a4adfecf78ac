"""Intensities of any image brought to [0, 1], the same for all its planes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import (
    CT_Z_SCORE,
    INTENSITIES,
    WINDOWS,
    FeatureSettings,
)
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.errors import InputError, unknown_name
from napari_segdino.images.planes import Planes

SAMPLED_PLANES = 9
SAMPLED_PIXELS = 1 << 18

Z_SPAN = 4
"""Spreads on either side of the mean of a scan that become 0 and 1."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """The range that becomes [0, 1].

    Parameters
    ----------
    low, high : tuple of float
        One value a channel, in the image's own units.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def apply(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        """Scale a plane.

        Parameters
        ----------
        plane : numpy.ndarray, shape (Y, X, C)
            Any number type; NaN counts as `low`.

        Returns
        -------
        numpy.ndarray, shape (C', Y, X), float32
            In [0, 1]; a constant channel becomes 0. The alpha channel of an
            8-bit RGBA plane is left out.
        """
        plane = colour_channels(plane)
        count = plane.shape[-1]
        scaled = np.zeros((count, *plane.shape[:-1]), np.float32)
        # Neighbours of a grey plane share its one range.
        bounds = np.broadcast_to((self.low, self.high), (2, count)).T.tolist()
        for c, (low, high) in enumerate(bounds):
            if not high > low:
                continue
            # float64: float32 loses small differences of 32-bit integers before they
            # are scaled. One channel at a time, since it takes twice the memory.
            channel = plane[..., c].astype(np.float64)
            channel -= low
            channel /= high - low
            np.nan_to_num(channel, copy=False, nan=0.0)
            scaled[c] = channel.clip(0.0, 1.0, out=channel)
        return scaled


def colour_channels(plane: NDArray[Any]) -> NDArray[Any]:
    """Drop the alpha channel of an 8-bit plane of four channels.

    Parameters
    ----------
    plane : numpy.ndarray, shape (Y, X, C)
        Any number type; others than RGBA of 8 bits stay as they are.
    """
    # Four channels of another type are four stains of a microscope, not RGBA.
    if plane.dtype == np.uint8 and plane.shape[-1] == 4:
        return plane[..., :3]
    return plane


def find_intensity(
    planes: Planes, settings: FeatureSettings, encoder: EncoderSpec
) -> Intensity:
    """Return the range of an image that the settings ask for.

    Parameters
    ----------
    planes : Planes
        The image.
    settings : FeatureSettings
        Name the preset, or the percentiles.
    encoder : EncoderSpec
        Has a preset of its own where it was trained on one.

    Raises
    ------
    InputError
        If there is no intensity preset of that name.
    """
    planes, name = planes.measured, settings.intensity
    if name == "auto":
        name = encoder.window or "percentile"
    if name == "percentile":
        return measure_intensity(planes, settings.percentiles)
    if name == CT_Z_SCORE:
        values = _sampled(planes).astype(np.float64).clip(*WINDOWS["meddinov3"])
        mean, spread = np.nanmean(values, 0), np.nanstd(values, 0)
        low, high = mean - Z_SPAN * spread, mean + Z_SPAN * spread
        return Intensity(tuple(low.tolist()), tuple(high.tolist()))
    if name not in WINDOWS:
        raise InputError(unknown_name("intensity preset", name, INTENSITIES))
    first, last = WINDOWS[name]
    channels = colour_channels(planes.read(0)).shape[-1]
    return Intensity((first,) * channels, (last,) * channels)


def measure_intensity(
    planes: Planes, percentiles: tuple[float, float] = (0.5, 99.5)
) -> Intensity:
    """Find the range of an image from a fixed sample of its planes.

    Colour channels share one range, so that colours stay as they are; other
    channels have one each.

    Parameters
    ----------
    planes : Planes
        The image.
    percentiles : tuple of float
        Which percentiles become 0 and 1.

    Returns
    -------
    Intensity
    """
    # A fixed sample: the range must not depend on which planes are asked for.
    pixels = _sampled(planes)
    channels = pixels.shape[-1]
    groups = (
        [list(range(channels))] if channels == 3 else [[c] for c in range(channels)]
    )
    low, high = [0.0] * channels, [0.0] * channels
    for group in groups:
        bounds = _range(pixels[:, group], percentiles)
        for c in group:
            low[c], high[c] = bounds
    return Intensity(tuple(low), tuple(high))


def _sampled(planes: Planes) -> NDArray[Any]:
    picks = np.unique(np.linspace(0, len(planes) - 1, SAMPLED_PLANES).astype(int))
    return np.concatenate(
        [_sample(planes.read(int(i)), SAMPLED_PIXELS // len(picks)) for i in picks]
    )


def _sample(plane: NDArray[Any], limit: int) -> NDArray[Any]:
    """Take at most about `limit` pixels of a plane on a regular grid."""
    step = max(1, int(np.ceil(np.sqrt(plane.shape[0] * plane.shape[1] / limit))))
    pixels = colour_channels(plane)[::step, ::step]
    return pixels.reshape(-1, pixels.shape[-1])


def _percentile(counts: NDArray[np.intp], share: float) -> float:
    """Do what numpy's percentile does, of values 0, 1, .. that occur so often."""
    until = counts.cumsum()
    last = int(until[-1]) - 1
    at = share * last
    below = math.floor(at)
    # The value at an index of the sorted values is the first whose count passes it.
    indices = [below, min(below + 1, last)]
    first, second = (float(v) for v in np.searchsorted(until, indices, side="right"))
    part, rise = at - below, second - first
    # As numpy rounds it: keys of stored features hold these numbers.
    return first + rise * part if part < 0.5 else second - rise * (1 - part)


def _range(
    values: NDArray[Any], percentiles: tuple[float, float]
) -> tuple[float, float]:
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2 and values.size:
        # Counted and not sorted: every refit asks for the range of its image.
        counts = np.bincount(values.ravel())
        low, high = (_percentile(counts, share / 100) for share in percentiles)
        if high <= low:
            present = np.flatnonzero(counts)
            low, high = float(present[0]), float(present[-1])
        return low, high
    values = values.astype(np.float64)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    low, high = (float(v) for v in np.percentile(finite, percentiles))
    # Nearly constant, such as a few bright spots on black: the percentiles fall
    # together.
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    return low, high
