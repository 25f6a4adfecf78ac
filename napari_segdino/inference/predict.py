"""From features to labels and probabilities, tile by tile, plane by plane."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.inference.blend import Blender, cut_plane, joint_weights
from napari_segdino.progress import Progress, Steps, relay

if TYPE_CHECKING:
    import torch


class Pixels(Protocol):
    """A plane of shape (Y, X, C): an array, or what reads where it is indexed."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X, C)."""

    def __getitem__(self, region: tuple[slice, slice], /) -> NDArray[Any]:
        """Raw pixels of a region."""


@dataclass(frozen=True, slots=True)
class PlaneResult:
    """The prediction of one plane.

    Parameters
    ----------
    index : int
        Flat index of the plane over the image's leading axes.
    labels : numpy.ndarray, shape (Y, X), uint8 or uint16
        0 background, 1.. classes.
    maps : torch.Tensor or numpy.ndarray, shape (K, Y, X), float32
        Probabilities where they were computed: on the encoder's device.
    """

    index: int
    labels: NDArray[np.unsignedinteger]
    maps: torch.Tensor | NDArray[np.float32]

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Shape (K, Y, X), float32: background first; they sum to 1."""
        return as_array(self.maps)


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The prediction of a part of a plane, final: blocks do not overlap.

    Parameters
    ----------
    index : int
        Flat index of the plane over the image's leading axes.
    row : int
        Of blocks in the plane.
    last_in_row, last_in_plane : bool
        Whether the row, or the plane, ends with it.
    y0, x0 : int
        Its first pixel in the plane.
    labels : numpy.ndarray, shape (y, x), uint8 or uint16
        0 background, 1.. classes.
    maps : torch.Tensor or numpy.ndarray, shape (K, y, x), float32
        Probabilities where they were computed: on the encoder's device.
    """

    index: int
    row: int
    last_in_row: bool
    last_in_plane: bool
    y0: int
    x0: int
    labels: NDArray[np.unsignedinteger]
    maps: torch.Tensor | NDArray[np.float32]

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """Shape (K, y, x), float32: background first; they sum to 1."""
        return as_array(self.maps)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the block in its plane."""
        y, x = self.labels.shape
        return slice(self.y0, self.y0 + y), slice(self.x0, self.x0 + x)


@dataclass(frozen=True, slots=True)
class PartResult:
    """A part of a plane that is still being predicted; its borders may change.

    Parameters
    ----------
    index : int
        Flat index of the plane over the image's leading axes.
    y0, x0 : int
        Its first pixel in the plane.
    labels : numpy.ndarray, shape (y, x), uint8 or uint16
        0 background, 1.. classes.
    provisional : bool
        Whether it comes of the smallest view alone, and all of it may change.
    """

    index: int
    y0: int
    x0: int
    labels: NDArray[np.unsignedinteger]
    provisional: bool = False


ScoreTile = Callable[[NDArray[Any]], "torch.Tensor"]
"""Raw pixels (Y, X, C) of a tile to probabilities (K, Y, X)."""


def label_dtype(n_classes: int) -> type[np.unsignedinteger]:
    """Return the smaller of uint8 and uint16 that holds the labels.

    Parameters
    ----------
    n_classes : int
        Classes with background.
    """
    return np.uint8 if n_classes <= 256 else np.uint16


def as_array(maps: torch.Tensor | NDArray[np.float32]) -> NDArray[np.float32]:
    """Return probabilities in the memory of the CPU; what is there is not copied.

    Parameters
    ----------
    maps : torch.Tensor or numpy.ndarray
        On any device.
    """
    return maps if isinstance(maps, np.ndarray) else maps.cpu().numpy()


def labels_of(maps: torch.Tensor) -> NDArray[np.unsignedinteger]:
    """Return the likeliest class of each pixel, the first of equals.

    Parameters
    ----------
    maps : torch.Tensor, shape (K, *pixels)
        Probabilities on any device; of all there is, labels alone leave it.

    Returns
    -------
    numpy.ndarray, shape (*pixels), uint8 or uint16
    """
    import torch

    kind, best = label_dtype(len(maps)), maps[0]
    few = torch.uint8 if kind is np.uint8 else torch.int32
    labels = torch.zeros_like(best, dtype=few)
    # Class by class: argmax over the first axis takes torch a hundred times as long.
    for label, one in enumerate(maps[1:], 1):
        labels.masked_fill_(one > best, label)
        best = torch.maximum(best, one) if label + 1 < len(maps) else best
    return labels.cpu().numpy().astype(kind, copy=False)


def iter_blocks(
    plane: Pixels,
    index: int,
    score: ScoreTile,
    settings: FeatureSettings,
    first_row: int = 0,
) -> Steps[None]:
    """Score a plane tile by tile and give each part as soon as it is final.

    Besides the tile at work, only the seam to the next row is held: ``K * X *
    overlap / 2`` numbers.

    Parameters
    ----------
    plane : Pixels, shape (Y, X, C)
        Raw pixels.
    index : int
        Flat index of the plane.
    score : callable
        Gives the probabilities of a tile.
    settings : FeatureSettings
        Size and overlap of the tiles.
    first_row : int
        Row of blocks to begin with; the tiles above it are scored too, as
        they reach into it.

    Yields
    ------
    Tile
        A tile that was scored for the blocks below it only.
    BlockResult
        Row by row.
    """
    cut = cut_plane(plane.shape, settings)
    blender = Blender(cut)
    # One row earlier: its seam is part of the first row that is wanted.
    for row in range(max(0, first_row - 1), len(cut.rows)):
        for column, span in enumerate(cut.columns):
            tile = cut.tile(row, column)
            maps = blender.add(row, column, score(plane[tile.slices]))
            if row < first_row:
                yield tile
                continue
            labels = labels_of(maps)
            ends = column + 1 == len(cut.columns)
            whole = ends and row + 1 == len(cut.rows)
            y0, x0 = cut.rows[row].first, span.first
            yield BlockResult(index, row, ends, whole, y0, x0, labels, maps)


def predict_plane(
    plane: Pixels, index: int, score: ScoreTile, settings: FeatureSettings
) -> Steps[PlaneResult]:
    """Score a plane tile by tile and blend; :func:`iter_blocks` holds less.

    Parameters
    ----------
    plane, index, score, settings
        See :func:`iter_blocks`.

    Yields
    ------
    BlockResult
        Each part as it is final.

    Returns
    -------
    PlaneResult
    """
    shape = plane.shape[0], plane.shape[1]
    import torch

    total: torch.Tensor | None = None
    labels: NDArray[np.unsignedinteger] | None = None
    for block in iter_blocks(plane, index, score, settings):
        if total is None or labels is None:
            total = torch.as_tensor(block.maps).new_empty((len(block.maps), *shape))
            labels = np.empty(shape, block.labels.dtype)
        total[(slice(None), *block.slices)] = torch.as_tensor(block.maps)
        labels[block.slices] = block.labels
        yield block
    assert total is not None and labels is not None
    return PlaneResult(index, labels, total)


def predict_around(
    plane: Pixels,
    index: int,
    score: ScoreTile,
    settings: FeatureSettings,
    centre: tuple[float, float],
) -> Steps[PlaneResult]:
    """Score a plane tile by tile, those nearest to a pixel first.

    Parameters
    ----------
    plane, index, score, settings
        See :func:`iter_blocks`.
    centre : tuple of float
        (y, x): what the user looks at.

    Yields
    ------
    PartResult
        After each tile.

    Returns
    -------
    PlaneResult
    """
    cut = cut_plane(plane.shape, settings)
    total: torch.Tensor | None = None
    for row, column in cut.around(centre):
        y, x = cut.rows[row], cut.columns[column]
        maps = score(plane[cut.tile(row, column).slices])
        if total is None:
            total = maps.new_zeros((len(maps), *plane.shape[:2]))
        # Weights of all tiles sum to 1 at the end; until then the largest sum is the
        # best there is.
        part = total[:, y.first : y.last, x.first : x.last]
        part += maps[:, y.inner, x.inner] * joint_weights(y, x, maps)
        yield PartResult(index, y.first, x.first, labels_of(part))
    assert total is not None
    return PlaneResult(index, labels_of(total), total)


def read_ahead(
    read: Callable[[int], Pixels],
    indices: Sequence[int],
    score: ScoreTile,
    settings: FeatureSettings,
) -> Iterator[Pixels]:
    """Read planes in order; where an encoder is quicker with several, they go together.

    Parameters
    ----------
    read : callable
        Gives the raw pixels of a plane by its index.
    indices : sequence of int
        Planes of one image.
    score, settings
        See :func:`iter_blocks`.

    Yields
    ------
    array of shape (Y, X, C)
        One plane after the other.
    """
    # A plain function encodes nothing.
    prepare, at_once = (getattr(score, name, None) for name in ("prepare", "at_once"))
    start = 0
    while start < len(indices):
        planes = [read(indices[start])]
        whole = slice(0, planes[0].shape[0]), slice(0, planes[0].shape[1])
        if at_once is not None and cut_plane(planes[0].shape, settings).count == 1:
            stop = start + at_once(planes[0][whole])
            planes += [read(index) for index in indices[start + 1 : stop]]
        if prepare is not None and len(planes) > 1:
            prepare([plane[whole] for plane in planes])
        start += len(planes)
        yield from planes


def iter_planes(
    read: Callable[[int], Pixels],
    indices: Iterable[int],
    score: ScoreTile,
    settings: FeatureSettings,
    text: str,
    centre: tuple[float, float] | None = None,
) -> Steps[None]:
    """Predict planes in the order asked for.

    Parameters
    ----------
    read : callable
        Gives the raw pixels of a plane by its index.
    indices : iterable of int
        Planes.
    score, settings
        See :func:`iter_blocks`.
    text : str
        For the progress.
    centre : tuple of float, optional
        Pixel (y, x) that is looked at.

    Yields
    ------
    Progress
        After each tile; in tiles once the first plane is read.
    PartResult
        After each tile, where there is a `centre` and more than one tile.
    PlaneResult
        After each plane.
    """
    wanted = list(indices)
    done, total = 0, len(wanted)
    yield Progress(done, total, text)
    planes = read_ahead(read, wanted, score, settings)
    for index, plane in zip(wanted, planes, strict=True):
        # Planes of one image have one shape, so the first one tells how many tiles
        # there will be.
        total = len(wanted) * (count := cut_plane(plane.shape, settings).count)
        if centre is None or count == 1:
            steps = predict_plane(plane, index, score, settings)
        else:
            steps = predict_around(plane, index, score, settings, centre)
        result = yield from _counted(steps, done, total, text)
        done += total // len(wanted)
        yield result


def _counted(
    steps: Steps[PlaneResult], done: int, total: int, text: str
) -> Steps[PlaneResult]:
    """Replace what a task yields by its progress, so that it can be cancelled."""
    count = itertools.count(done + 1)

    def counted(step: Any) -> Iterator[Any]:
        if isinstance(step, PartResult):
            yield step
        yield Progress(next(count), total, text)

    return relay(steps, counted)
