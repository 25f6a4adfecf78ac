"""What changed: counts, overlay, earlier corrections, the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_segdino._qt.controllers.review import overlay_colors, verdict
from napari_segdino._qt.mouse import click
from napari_segdino._qt.widgets.review_panels import NOTHING_YET
from napari_segdino.compressed import Compressed
from napari_segdino.progress import drive
from napari_segdino.review.guard import Guard, StrokeScore
from napari_segdino.session.changes import Difference, Painted, iter_difference
from napari_segdino.session.classes import LabelClass
from napari_segdino.session.results import PlaneUpdate
from napari_segdino.session.settings import made_for


def part(plane: int, before: list[list[int]], after: list[list[int]]) -> PlaneUpdate:
    old, new = (Compressed.of(np.array(m, np.uint8)) for m in (before, after))
    return PlaneUpdate(plane, old, new)


def test_difference_worked_out_by_hand() -> None:
    parts = [part(0, [[0, 1, 2]], [[1, 1, 0]]), part(3, [[1, 0, 0]], [[2, 0, 1]])]
    seen: list[Any] = []
    found = drive(iter_difference(parts, None, paint=True), seen.append)
    assert found == Difference({1: 2, 2: 1}, {1: 1, 2: 1})
    painted = [s for s in seen if isinstance(s, Painted)]
    assert [(p.plane, p.labels.tolist()) for p in painted] == [
        (0, [[1, 0, 4]]),
        (3, [[3, 0, 1]]),
    ]
    seen.clear()
    drive(iter_difference(parts, None, paint=False), seen.append)
    assert not any(isinstance(s, Painted) for s in seen)


def scores(*shares: float) -> tuple[StrokeScore, ...]:
    return tuple(StrokeScore("t", 2, i, 0, 10, s) for i, s in enumerate(shares))


@pytest.mark.parametrize(
    ("before", "after", "text", "regressed"),
    [
        ((), (), "", False),
        ((1.0, 1.0), (1.0, 0.9), "All 2 earlier corrections hold.", False),
        ((1.0, 0.1), (1.0, 0.2), "1 of 2 earlier corrections hold.", False),
        ((1.0, 0.9), (1.0, 0.2), "1 of 2 earlier corrections no longer holds.", True),
        ((1.0, 0.9), (0.1, 0.2), "2 of 2 earlier corrections no longer hold.", True),
    ],
)
def test_verdict(before: Any, after: Any, text: str, regressed: bool) -> None:
    assert verdict(Guard(scores(*before), scores(*after))) == (text, regressed)


def test_colours_of_the_overlay_are_all_different() -> None:
    classes = (LabelClass(1, "a", "#ff7f0e"), LabelClass(3, "b", "#17becf"))
    colors = overlay_colors(classes)
    assert {1, 2, 5, 6} <= set(colors)
    assert len({colors[v] for v in (1, 2, 5, 6)}) == 4


def counts(user: Any) -> str:
    return str(user.dock.review.change.panel.counts.text())


def test_counts_after_retrain(
    train: Callable[..., Any], plane: np.ndarray, contradict: Callable[..., None]
) -> None:
    user = train(plane, review=False)
    contradict(user, (5, 70))
    before = user.annotation.mask.data.copy()
    user.retrain()
    after = user.annotation.mask.data
    gained = int(((after == 1) & (before != 1)).sum())
    lost = int(((before == 1) & (after != 1)).sum())
    assert gained + lost > 0
    user.wait(lambda: f"+{gained:,}" in counts(user))
    assert f"−{lost:,}" in counts(user)


def test_counts_belong_to_the_image_and_the_probe(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    first, panel = user.dock.image, user.dock.review.change.panel
    user.wait(lambda: "+" in counts(user))
    mine = counts(user)
    user.open(plane[::-1].copy(), name="other")
    assert counts(user) == NOTHING_YET
    panel.overlay.click()
    assert not panel.overlay.isChecked()
    assert "Nothing has changed yet" in user.status
    user.dock.inputs.image.setValue(first)
    assert counts(user) == mine
    user.dock.files.new.click()
    assert counts(user) == NOTHING_YET
    assert panel.verdict.text() == ""


def test_overlay_shows_what_changed(
    train: Callable[..., Any], plane: np.ndarray, contradict: Callable[..., None]
) -> None:
    user = train(plane, show=True)
    user.wait(lambda: user.dock.isVisible())
    contradict(user, (5, 70))
    before = user.annotation.mask.data.copy()
    user.retrain()
    after = user.annotation.mask.data.copy()
    click(user.dock.review.change.panel.overlay)
    user.wait(lambda: "scan changes" in user.viewer.layers)
    layer = user.viewer.layers["scan changes"]
    user.wait(lambda: layer.data.any())
    np.testing.assert_array_equal(layer.data == 1, (after == 1) & (before == 0))
    np.testing.assert_array_equal(layer.data == 2, (after == 0) & (before == 1))
    assert user.viewer.layers.selection.active is user.annotation.mask
    user.retrain()  # nothing new was marked
    user.wait(lambda: "+0" in counts(user))
    assert not layer.data.any()


def test_broken_corrections_are_told_and_one_click_goes_back(
    train: Callable[..., Any],
    plane: np.ndarray,
    contradict: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = train(plane, show=True)
    user.wait(lambda: user.dock.isVisible())
    panel = user.dock.review.change.panel
    user.wait(lambda: "+" in counts(user))
    contradict(user, (5, 70))
    model, corrected = user.segmenter.model_, user.annotation.mask.data.copy()
    found = Guard(scores(1.0, 1.0), scores(1.0, 0.1))
    monkeypatch.setattr("napari_segdino.session.changes.guard", lambda *probes: found)
    user.retrain()
    user.wait(lambda: "1 of 2 earlier corrections no longer holds" in user.status)
    assert "no longer holds" in panel.verdict.text()
    assert panel.place.text() == "Model 3 of 3"
    assert panel.back.isEnabled()
    assert not panel.forth.isEnabled()
    assert (user.annotation.mask.data != corrected).any()
    click(panel.back)
    user.rest()
    assert user.segmenter.model_ is model
    np.testing.assert_array_equal(user.annotation.mask.data, corrected)
    assert panel.place.text() == "Model 2 of 3"
    assert panel.verdict.text() == ""
    click(panel.forth)
    user.rest()
    assert user.segmenter.model_ is not model
    assert panel.place.text() == "Model 3 of 3"


def test_earlier_corrections_are_really_asked(
    train: Callable[..., Any], plane: np.ndarray, dot: Callable[..., None]
) -> None:
    user = train(plane)
    dot(user, 0, (5, 70))
    user.retrain()
    panel = user.dock.review.change.panel
    user.wait(lambda: "earlier corrections hold" in panel.verdict.text())
    assert panel.verdict.text() == "All 2 earlier corrections hold."


def test_the_past_reaches_behind_other_views(
    train: Callable[..., Any], plane: np.ndarray
) -> None:
    user = train(plane)
    panel = user.dock.review.change.panel
    user.wait(lambda: panel.back.isEnabled())
    before = user.segmenter.model_
    mirrored = replace(made_for("probe"), flips=True)
    user.dock.model.changed.emit("features", mirrored)
    user.rest()
    assert user.segmenter.features == mirrored
    assert user.segmenter.model_ is not before
    user.wait(lambda: panel.back.isEnabled())
    click(panel.back)
    user.rest()
    assert user.segmenter.features is user.dock.session.settings.features is None
    assert user.segmenter.model_ is before
