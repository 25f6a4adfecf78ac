"""A stroke of the object alone is enough, and takes no more than the object."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import skimage
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2hed
from skimage.io import imread

from napari_segdino import Segmenter
from napari_segdino.errors import InputError
from napari_segdino.heads.probe.samples import BACKGROUND
from napari_segdino.progress import drive

Scene = tuple[NDArray[Any], NDArray[np.bool_]]


def photo(name: str) -> NDArray[Any]:
    return imread(Path(skimage.__file__).parent / "data" / name)


def round_one(shape: tuple[int, ...], y: float, x: float, r: float) -> NDArray[Any]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 < r * r


def where(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Clean a mask."""
    opened = ndimage.binary_opening(values, iterations=2)
    return np.asarray(ndimage.binary_fill_holes(opened))


def coins() -> Scene:
    image = photo("coins.png")[:160, :200]
    return image, where(ndimage.gaussian_filter(image, 1) > 115) & (
        ndimage.gaussian_filter(image, 30) < 170
    )


def cell() -> Scene:
    image = photo("cell.png")[::2, ::2]
    return image, round_one(image.shape, 188, 214, 33)


def tissue() -> Scene:
    image = photo("ihc.png")[::2, ::2]
    brown = ndimage.gaussian_filter(rgb2hed(image)[..., 2], 3)
    return image, where(brown > np.quantile(brown, 0.6))


def retina() -> Scene:
    """The optic disc, in a round picture on black."""
    image = photo("retina.jpg")[::4, ::4]
    return image, round_one(image.shape, 163, 48, 27)


def camera() -> Scene:
    image = photo("camera.png")[::2, ::2]
    labels, _ = ndimage.label(where(ndimage.gaussian_filter(image, 1) < 60))
    return image, labels == np.bincount(labels[labels > 0]).argmax()


def ct() -> Scene:
    """Bone."""
    folder = Path(pydicom.__file__).parent / "data/test_files"
    image = pydicom.dcmread(folder / "CT_small.dcm").pixel_array
    return image, ndimage.gaussian_filter(image, 1) > 1150


def striped() -> Scene:
    """Texture on noise of the same brightness."""
    random = np.random.default_rng(0)
    image = random.normal(120, 25, (160, 160))
    disc = round_one(image.shape, 60, 95, 30)
    stripes = 120 + 35 * np.sign(np.sin(np.arange(160)))
    image[disc] = np.broadcast_to(stripes, image.shape)[disc]
    return image.clip(0, 255).astype(np.uint8), disc


def blob() -> Scene:
    """A small red spot on green."""
    random = np.random.default_rng(0)
    image = random.integers(40, 80, (160, 200, 3)).astype(np.uint8)
    image[..., 1] += 60
    spot = round_one(image.shape, 40, 150, 12)
    image[spot] = image[spot][:, [1, 0, 2]]
    return image, spot


SCENES = [coins, cell, tissue, retina, camera, ct, striped, blob]


def stroke_inside(thing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A dab in the middle of the largest part."""
    depth = ndimage.distance_transform_edt(np.pad(thing, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return round_one(thing.shape, y, x, max(2, min(4, depth.max() - 1)))


def upside_down(first_mask: Any) -> Any:
    """Let a first mask call background what it called class 1."""
    codes = 3 - first_mask.codes
    return replace(first_mask, codes=codes, marks=codes[None].clone())


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    """One encoder and its features for all."""
    return Segmenter("efficientnet_lite0")


@pytest.fixture(scope="module")
def first_mask_of(segmenter: Segmenter) -> Callable[[Callable[[], Scene]], Any]:
    """Give what grouping makes of a scene, computed once."""

    @functools.cache
    def first_mask(scene: Callable[[], Scene]) -> Any:
        drive(anew(segmenter).iter_cluster(scene()[0]))
        return segmenter._pipeline.unsupervised

    return first_mask


def anew(segmenter: Segmenter) -> Segmenter:
    for name in ("model_", "samples_"):
        if hasattr(segmenter, name):
            delattr(segmenter, name)
    return segmenter


@pytest.mark.parametrize("code", [2, 3])
@pytest.mark.parametrize("scene", SCENES)
def test_a_stroke_of_the_object_takes_little_else(
    segmenter: Segmenter, first_mask_of: Callable[..., Any], scene: Any, code: int
) -> None:
    image, thing = scene()
    first_mask = first_mask_of(scene)
    marks = np.where(stroke_inside(thing), code, 0).astype(np.uint8)

    def check(way: str) -> None:
        drawn = segmenter.predict(image) == code - 1
        beside = (drawn & ~thing).sum() / thing.sum()
        assert beside <= 2, f"{way}: {beside:.1f} times the object"
        assert drawn[marks > 0].mean() > 0.9, way

    anew(segmenter).fit(image, marks)
    check("without a first mask")
    for way, its in (
        ("after a first mask", first_mask),
        ("after a first mask upside down", upside_down(first_mask)),
    ):
        anew(segmenter)._pipeline.unsupervised = its
        segmenter.partial_fit(image, marks)
        check(way)


def scope(padded: bool) -> Scene:
    """A pale thing in pink tissue, seen through a tube or in a padded scan."""
    random = np.random.default_rng(0)
    image = random.normal(0, 4, (200, 240, 3)) + [150, 110, 90]
    tissue = ndimage.gaussian_filter(random.normal(0, 1, image.shape[:2]), 3)
    image += 25 * (tissue / tissue.std())[..., None]
    thing = round_one(image.shape[:2], 110, 130, 28)
    image[thing] = random.normal(0, 6, (thing.sum(), 3)) + [200, 170, 120]
    seen = round_one(thing.shape, 99.5, 119.5, 105)
    if padded:
        seen = np.zeros_like(thing)
        seen[15:185, 30:210] = True
    image[~seen] = 0
    return image.clip(0, 255).astype(np.uint8), thing


@pytest.mark.parametrize("padded", [False, True])
def test_the_first_mask_is_the_thing_and_not_the_frame(
    segmenter: Segmenter, padded: bool
) -> None:
    image, thing = scope(padded)
    found: list[Any] = []
    drive(anew(segmenter).iter_cluster(image), found.append)
    drawn = found[-1].labels == 1
    assert drawn[thing].mean() > 0.9
    assert drawn[~thing].mean() < 0.15
    assert not drawn[ndimage.binary_erosion(image.max(-1) == 0, iterations=8)].any()


def test_a_class_that_only_the_first_mask_has_stays(segmenter: Segmenter) -> None:
    random = np.random.default_rng(0)
    disc = round_one((96, 96), 48, 48, 24)
    image = (np.where(disc, 200, 50) + random.normal(0, 5, disc.shape)).astype(np.uint8)
    drive(anew(segmenter).iter_cluster(image))
    marks = np.zeros(image.shape, np.uint8)
    marks[9:12, 9:22] = 3
    found = segmenter.partial_fit(image, marks).predict(image)
    assert (found[disc] == 1).mean() > 0.9
    assert (found[marks > 0] == 2).all()


def overlap(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Dice."""
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize(
    ("scene", "place"),
    [
        (coins, "too much"),
        (coins, "right"),
        (camera, "too much"),
        (camera, "right"),
        (striped, "too much"),
        (striped, "too little"),
    ],
)
def test_one_stroke_leaves_a_good_first_mask(
    segmenter: Segmenter, scene: Any, place: str
) -> None:
    image, thing = scene()
    found: list[Any] = []
    drive(anew(segmenter).iter_cluster(image), found.append)
    first = found[-1].labels == 1
    places = {
        "too much": first & ~thing,
        "too little": thing & ~first,
        "right": thing & first,
    }
    parts = ndimage.label(places[place])[0]
    largest = parts == np.bincount(parts[parts > 0]).argmax()
    code = BACKGROUND if place == "too much" else 2
    marks = np.where(stroke_inside(largest) & largest, code, 0).astype(np.uint8)
    drawn = segmenter.partial_fit(image, marks).predict(image) == 1
    assert overlap(drawn, thing) > overlap(first, thing) - 0.03


def test_background_alone_is_not_enough(segmenter: Segmenter) -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    marks = np.zeros(image.shape, np.uint8)
    marks[5, 5:20] = 1
    with pytest.raises(InputError, match="Only one class"):
        anew(segmenter).fit(image, marks)
