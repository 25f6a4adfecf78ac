"""Where napari's tools pass over a plane, by the rules that napari paints by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Section:
    """What a window shows of a mask: one of its slices, or a cut across them.

    Parameters
    ----------
    position : tuple of int
        A pixel on it, over all axes of the mask.
    axes : tuple of int
        The two axes on screen, in the order of the mask.
    """

    position: tuple[int, ...]
    axes: tuple[int, int]

    def shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Return the section's own shape of that of the mask.

        Parameters
        ----------
        shape : tuple of int
            Of the mask.
        """
        return shape[self.axes[0]], shape[self.axes[1]]

    def read(self, mask: Any) -> NDArray[Any]:
        """Return a copy of the mask's pixels on the section.

        Parameters
        ----------
        mask : array of int
            The whole mask; numpy, dask or zarr.

        Returns
        -------
        numpy.ndarray, shape (rows, columns)
            Of the two axes on screen.
        """
        at = [slice(None) if i in self.axes else n for i, n in enumerate(self.position)]
        return np.array(mask[tuple(at)])

    def plane(self, shape: tuple[int, ...]) -> int:
        """Return the flat index of the plane of its position.

        Parameters
        ----------
        shape : tuple of int
            Of the mask.

        Returns
        -------
        int
            Over the leading axes of the mask.
        """
        return int(_flat_index(np.array(self.position[:-2])[:, None], shape, 1)[0])

    def split(
        self, footprint: NDArray[np.bool_], shape: tuple[int, ...]
    ) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """Divide pixels of the section among the planes that it cuts.

        Parameters
        ----------
        footprint : numpy.ndarray of bool
            Pixels on the section.
        shape : tuple of int
            Of the mask; its last two axes are a plane's.

        Yields
        ------
        int
            Flat index of a plane.
        numpy.ndarray of bool, shape (Y, X)
            Its pixels.
        """
        where = np.argwhere(footprint)
        pixels = np.tile(self.position, (len(where), 1))
        pixels[:, self.axes] = where
        planes = _flat_index(pixels[:, :-2].T, shape, len(pixels))
        for plane in np.unique(planes):
            out = np.zeros(shape[-2:], bool)
            out[tuple(pixels[planes == plane, -2:].T)] = True
            yield int(plane), out


def _flat_index(
    lead: NDArray[Any], shape: tuple[int, ...], count: int
) -> NDArray[np.intp]:
    if not len(lead):
        return np.zeros(count, np.intp)
    return np.atleast_1d(np.ravel_multi_index(tuple(lead), shape[:-2]))


@dataclass(slots=True)
class Stroke:
    """What the mouse does between press and release.

    Parameters
    ----------
    section : Section
        Where it is painted.
    label : int or None
        What it paints; None if no brush or bucket does.
    points : list of array, shape (2,)
        Where it passed, in pixels of the section.
    filled : numpy.ndarray of bool, optional
        What the bucket confirms on the section; None for the brush.
    """

    section: Section
    label: int | None
    points: list[NDArray[Any]]
    filled: NDArray[np.bool_] | None = None


def stroke_footprint(
    points: list[NDArray[Any]],
    brush_size: float,
    shape: tuple[int, int],
    scale: tuple[float, float],
) -> NDArray[np.bool_]:
    """Return where napari's brush passed, by the rule that napari paints by.

    Parameters
    ----------
    points : list of array, shape (2,)
        Cursor positions (y, x) in pixels.
    brush_size : float
        Diameter, in pixels of the finer axis.
    shape : tuple of int
        Of the plane.
    scale : tuple of float
        Of the layer along Y and X.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X)
    """
    out = np.zeros(shape, bool)
    # As in napari's Labels.paint and interpolate_coordinates: one pixel more or less,
    # and what the brush confirmed would not be what it painted.
    radius = np.floor(brush_size / 2) + 0.5
    norm = np.abs(np.asarray(scale, float))
    norm = norm / norm.min()
    reach = np.floor(radius / norm).astype(int)
    # The first point is joined with itself: a click is a stroke of one dab.
    for start, end in zip([points[0], *points], points, strict=False):
        steps = round(float(np.abs(end - start).max()) / brush_size * 4) + 1
        for point in np.unique(np.round(np.linspace(start, end, steps)), axis=0):
            low = np.maximum(point.astype(int) - reach, 0)
            high = np.minimum(point.astype(int) + reach + 1, shape)
            if (low >= high).any():
                continue
            y, x = np.ogrid[low[0] : high[0], low[1] : high[1]]
            far = ((y - point[0]) * norm[0]) ** 2 + ((x - point[1]) * norm[1]) ** 2
            out[low[0] : high[0], low[1] : high[1]] |= far <= radius**2
    return out


def polygon_footprint(points: ArrayLike, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels that napari's polygon covers, its outline counted.

    Parameters
    ----------
    points : array of float, shape (N, 2)
        Corners (y, x) in pixels.
    shape : tuple of int
        Of the plane.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X)
    """
    from PIL import Image, ImageDraw

    image = Image.new("1", shape[::-1])
    # PIL counts x first; napari cuts corners to whole pixels, too.
    corners = [(int(x), int(y)) for y, x in np.asarray(points, int)]
    ImageDraw.Draw(image).polygon(corners, outline=1, fill=1)
    return np.array(image, bool)


def fill_footprint(
    plane: NDArray[Any], at: tuple[int, int], contiguous: bool
) -> NDArray[np.bool_]:
    """Return the pixels that napari's fill bucket reaches.

    Parameters
    ----------
    plane : numpy.ndarray of int, shape (Y, X)
        The mask before it is filled.
    at : tuple of int
        The pixel (y, x) that is clicked.
    contiguous : bool
        Only those that are connected to it, else all of its label.

    Returns
    -------
    numpy.ndarray of bool, shape (Y, X)
    """
    if not contiguous:
        same: NDArray[np.bool_] = plane == plane[at]
        return same
    from skimage.segmentation import flood

    reached: NDArray[np.bool_] = flood(plane, at, connectivity=1)
    return reached
