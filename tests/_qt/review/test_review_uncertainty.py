"""What is known of a probe's uncertainty, and what comes next. No window."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_segdino.images.planes import as_planes
from napari_segdino.progress import drive
from napari_segdino.review.places import Place, Ranking, Slice
from napari_segdino.session.session import Session, Settings
from napari_segdino.session.uncertainty import (
    UncertainPlaces,
    UncertainPlane,
    iter_rank,
    iter_uncertain_planes,
)


class Probe:
    is_fitted = True
    model_: object = "first"


def uncertain_places() -> UncertainPlaces:
    session = Session(lambda **_: Probe(), Settings("e"))
    assert session.segmenter.is_fitted
    found = UncertainPlaces(session)
    found.renew()
    return found


def uncertain(plane: int, *places: tuple[int, float], print: int = 1) -> UncertainPlane:
    found = tuple(Place(plane, 5, x, uncertainty, 2.0) for x, uncertainty in places)
    mean = Slice(plane, sum(d for _, d in places), 0.0)
    return UncertainPlane(
        plane, print, np.zeros((9, 9), np.uint8), Ranking(found, (mean,))
    )


def test_places_come_one_by_one_and_then_anew() -> None:
    mine = uncertain_places()
    mine.found("a")[0] = uncertain(0, (10, 0.9), (20, 0.5))
    mine.found("a")[1] = uncertain(1, (10, 0.7))
    seen = []
    for _ in range(4):
        place = mine.next_place("a", [0, 1])
        assert place is not None
        mine.visit("a", place)
        seen.append((place.plane, place.x))
    assert seen == [(0, 10), (1, 10), (0, 20), (0, 10)]
    only = mine.next_place("a", [1])
    assert only is not None
    assert only.plane == 1, "other planes are out of scope"
    assert mine.next_place("b", [0]) is None


def test_a_visited_place_is_known_by_its_surroundings() -> None:
    mine = uncertain_places()
    mine.visit("a", Place(0, 5, 11, 0.4, 2.0))
    mine.found("a")[0] = uncertain(0, (10, 0.9), (20, 0.5))
    place = mine.next_place("a", [0])
    assert place is not None
    assert place.x == 20


def test_slices_come_one_by_one_and_then_anew() -> None:
    mine = uncertain_places()
    for plane, uncertainty in enumerate((0.1, 0.3, 0.2)):
        mine.found("a")[plane] = uncertain(plane, (4, uncertainty))
    found = [mine.next_slice("a") for _ in range(4)]
    assert [s.plane for s in found if s] == [1, 2, 0, 1]


def test_another_probe_is_asked_anew() -> None:
    mine = uncertain_places()
    mine.found("a")[0] = uncertain(0, (10, 0.9))
    mine.images = [("a", 0.5)]
    assert not mine.renew()
    assert mine.covers("a", {0: 1})
    assert not mine.covers("a", {0: 2}), "the marks have changed"
    assert not mine.covers("a", {0: 1, 1: 1})
    mine._session.segmenter.model_ = "second"
    assert mine.renew()
    assert mine.images == []
    assert not mine.covers("a", {0: 1})


# -- the worker's part -----------------------------------------------------


def collect(steps: Any) -> list[UncertainPlane]:
    found: list[Any] = []
    drive(steps, found.append)
    return [step for step in found if isinstance(step, UncertainPlane)]


def learned(probe_maker: Any, plane: np.ndarray) -> tuple[Any, np.ndarray]:
    marks = np.zeros_like(plane)
    marks[49:52, 59:62], marks[24:27, 24:27] = 2, 1
    return probe_maker().fit(plane, marks), marks


def test_only_what_is_new_is_looked_at(probe_maker: Any, plane: np.ndarray) -> None:
    probe, marks = learned(probe_maker, plane)
    planes = as_planes(plane)
    (first,) = collect(iter_uncertain_planes(probe, planes, marks, [0], {}))
    assert first.uncertainty.shape == plane.shape
    assert first.ranking.places
    assert collect(iter_uncertain_planes(probe, planes, marks, [0], {0: first})) == []
    more = marks.copy()
    top = first.ranking.places[0]
    more[top.y, top.x] = 1
    (again,) = collect(iter_uncertain_planes(probe, planes, more, [0], {0: first}))
    assert again.uncertainty is first.uncertainty, "the probe is not asked twice"
    assert again.ranking.places[0] != top


def test_images_the_probe_cannot_read_come_last(
    probe_maker: Any, plane: np.ndarray
) -> None:
    probe, _ = learned(probe_maker, plane)
    photo = as_planes(np.zeros((8, 8, 2), np.uint8), axes="YXC")
    images = [("photo", photo), ("scan", as_planes(plane))]
    found = drive(iter_rank(probe, images))
    assert [name for name, _ in found] == ["scan", "photo"]
    assert 0 < found[0][1] <= 1
    assert found[1][1] == -1
