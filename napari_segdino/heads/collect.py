"""Collecting what is learned from: samples of the marked tiles of images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.features.extract import Extractor, Views, views_of
from napari_segdino.features.intensity import Intensity, find_intensity
from napari_segdino.features.tiles import Tile, cut_tiles
from napari_segdino.features.views import view_size
from napari_segdino.heads.base import COPY, Head
from napari_segdino.heads.dense.augment import augmented
from napari_segdino.heads.probe.samples import PIXELS_PER_CLASS, Parts, Place, is_whole
from napari_segdino.heads.probe.stroke_parts import ALONE, CutShare, share_tiles
from napari_segdino.images.planes import Planes
from napari_segdino.images.reslice import depth_of
from napari_segdino.marks import as_codes
from napari_segdino.progress import Progress, Steps

TEXT = "Encoding marked planes"

FLOAT16_BYTES = 2


def iter_collect(
    samples: dict[str, Any],
    head: Head,
    extractor: Extractor,
    image: Planes,
    marks: Any,
    planes: Sequence[int] | None,
    settings: FeatureSettings,
    seed: int,
    share: CutShare = ALONE,
) -> Steps[None]:
    """Sample the marked tiles of an image; forget those without marks.

    Parameters
    ----------
    samples : dict of str to object
        What is stored, by the key of the tile; changed in place.
    head : Head
        Samples tiles.
    extractor : Extractor
        Encodes tiles that are new.
    image : Planes
        The image.
    marks : array of int
        Its marks, in its spatial shape.
    planes : sequence of int, optional
        Planes to look at; None is all.
    settings : FeatureSettings
        Tiles and views.
    seed : int
        Seed of what is drawn.
    share : CutShare
        What marks count here, if the image is one of several cuts.

    Yields
    ------
    Progress
    """
    indices = range(len(image)) if planes is None else planes
    intensity = find_intensity(image, settings, extractor.encoder.spec)
    number: int | None = None
    marked_now: set[str] = set()
    for done, index in enumerate(indices):
        yield Progress(done, len(indices), TEXT)
        marked = as_codes(marks[image.index(index)])
        # Planes without marks are read all the same once there are samples: their marks
        # may have been erased.
        if not samples and not marked.any():
            continue
        plane = image.read(index)
        if number is None:
            number = number_of(image, {index: plane})
        tiles = cut_tiles(image.plane_shape, settings.longest_tile, settings.overlap)
        views = len(learned_views(head, settings))
        shares = share_tiles(marked, tiles, views, number, share)
        for tile, parts in zip(tiles, shares, strict=True):
            parts = replace(parts, place=_place(image, index, tile))
            pixels, tile_marks = plane[tile.slices], marked[tile.slices]
            for key, sampled in _sample_tile(
                samples,
                head,
                extractor,
                pixels,
                tile_marks,
                intensity,
                settings,
                seed,
                parts,
            ):
                if not sampled and key in marked_now:
                    continue  # a plane of the same pixels without marks of its own
                # Also where the marks are new: fewer copies may be wanted than there
                # were.
                for old in [k for k in samples if k.partition(COPY)[0] == key]:
                    del samples[old]
                samples.update(sampled)
                marked_now.update({key} if sampled else ())
            yield Progress(done, len(indices), TEXT)


def _place(image: Planes, index: int, tile: Tile) -> Place:
    """Where a tile lies in its volume; a plane that is in none is its only slice."""
    (y, x), depth = image.plane_shape, depth_of(image)
    borders = tile.y0 / y, tile.y1 / y, tile.x0 / x, tile.x1 / x
    return Place(index % depth, depth, *borders)


def number_of(image: Planes, read: Mapping[int, NDArray[Any]]) -> int:
    """Return a number that tells an image from others, the same in every session.

    Of its shape and the pixels of its first plane and of the one in its middle.

    Parameters
    ----------
    image : Planes
        The image.
    read : mapping of int to numpy.ndarray
        Planes that are read already.
    """
    digest = hashlib.blake2b(repr(image.spatial_shape).encode(), digest_size=7)
    for index in sorted({0, len(image) // 2}):
        plane = read[index] if index in read else image.read(index)
        # blake2b reads whole buffers only; a plane may be a view with strides.
        digest.update(np.ascontiguousarray(plane).data)
    return int.from_bytes(digest.digest())


def learned_views(head: Head, settings: FeatureSettings) -> tuple[Views, ...]:
    """Return the views that a head learns from: all, or the first alone.

    Parameters
    ----------
    head : Head
        Says which.
    settings : FeatureSettings
        Sizes and flips.
    """
    views = views_of(settings)
    return views[:1] if head.learns_from_one_view else views


def _sample_tile(
    samples: Mapping[str, Any],
    head: Head,
    extractor: Extractor,
    pixels: NDArray[Any],
    marks: NDArray[Any],
    intensity: Intensity,
    settings: FeatureSettings,
    seed: int,
    parts: Parts,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key of a tile in each view, with the samples of it and of its copies."""
    for views in learned_views(head, settings):
        key = extractor.key(pixels, intensity, views)
        if not marks.any():
            yield key, {}
            continue
        grid = extractor.grid(pixels, intensity, views)
        sampled = {key: head.sample(grid, marks, seed, samples.get(key), parts)}
        if count := head.copies(marks):
            scaled = np.moveaxis(intensity.apply(pixels), 0, -1)
            # The copies are made of scaled intensities, so they are not scaled again.
            unit = Intensity((0.0,) * scaled.shape[-1], (1.0,) * scaled.shape[-1])
            for number, (image, marked) in enumerate(
                augmented(scaled, marks, count, seed)
            ):
                grid = extractor.grid(image, unit, views)
                copy = head.sample(grid, marked, seed)
                sampled[f"{key}{COPY}{number}"] = copy
        yield key, sampled


def sample_bytes(
    head: Head,
    spec: EncoderSpec,
    feature_settings: FeatureSettings,
    marks: NDArray[Any],
    channels: int,
) -> int:
    """Return the bytes of features that a head keeps of one plane.

    A decoder keeps whole levels, the others those of some pixels of each tile.

    Parameters
    ----------
    head : Head
        Samples tiles.
    spec : EncoderSpec
        The encoder's row.
    feature_settings : FeatureSettings
        Tiles and views.
    marks : numpy.ndarray of int, shape (Y, X)
        Its marks; tiles without any are not kept.
    channels : int
        Of the image: each three of them are encoded.
    """
    shape = int(marks.shape[0]), int(marks.shape[1])
    longest, overlap = feature_settings.longest_tile, feature_settings.overlap
    total = 0.0
    for tile in cut_tiles(shape, longest, overlap):
        marked = marks[tile.slices]
        if not marked.any():
            continue
        for views in learned_views(head, feature_settings):
            for view in views:
                # A level counts in cells of its stride, whatever the size that is
                # shown.
                shown = np.prod(view_size(tile.shape, view, spec.multiple))
                of_levels = sum(
                    spec.channels[n]
                    * (shown / spec.strides[n] ** 2 if head.keeps_levels else 1)
                    for n in head.levels(spec)
                )
                kept = 1 + head.copies(marked)
                if not head.keeps_levels:
                    kept = _sampled_pixels(marked) + head.context_pixels
                total += of_levels * kept
    return int(total) * FLOAT16_BYTES * -(-channels // 3)


def _sampled_pixels(marks: NDArray[Any]) -> int:
    """Pixels that are taken of a whole mask; those of strokes are next to none."""
    if not is_whole(marks):
        return 0
    counts = np.unique(marks[marks > 0], return_counts=True)[1]
    return int(np.minimum(counts, PIXELS_PER_CLASS).sum())
