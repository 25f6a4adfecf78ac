"""The Model section: every setting reaches the probe, marks stay."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox

from napari_segdino._qt.mouse import click, stroke
from napari_segdino._qt.widgets.model_panel import (
    ModelPanel,
    read_sides,
    write_sides,
)
from napari_segdino.config import INTENSITIES, FeatureSettings, PredictSettings
from napari_segdino.errors import InputError
from napari_segdino.heads.registry import HEADS, head_class
from napari_segdino.session.settings import Settings, made_for


def choose(combo: QComboBox, text: str) -> None:
    """Pick an entry with the keyboard."""
    combo.setFocus()
    QTest.keyClick(combo, Qt.Key.Key_Home)
    for _ in range(combo.findText(text)):
        QTest.keyClick(combo, Qt.Key.Key_Down)
    assert combo.currentText() == text


def type_in(field: Any, text: str) -> None:
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_it_is_folded_at_first_and_opens_with_a_click(shown: Any) -> None:
    model = shown.dock.model
    assert model.content().height() == 0
    assert not model.head.isEnabled()
    click(model.toggleButton())
    # It unfolds step by step.
    shown.wait(lambda: model.content().height() >= model.content().sizeHint().height())
    assert model.head.isEnabled()
    assert model.width() <= shown.dock.width(), "nothing is cut off"


def test_another_head_learns_the_marks_anew(shown: Any) -> None:
    model = shown.dock.model
    click(model.toggleButton())
    stroke(shown.viewer, shown.annotation.mask, [(50, 52), (50, 66)])
    shown.annotation.mask.mode = "erase"
    stroke(shown.viewer, shown.annotation.mask, [(12, 12), (12, 20)])
    click(shown.dock.actions.retrain)
    shown.rest()
    first, marks = shown.segmenter, shown.annotation.marks.data.copy()
    choose(model.head, "segdino")
    assert shown.segmenter is first, "until the new one is there"
    shown.rest()
    assert shown.segmenter is not first
    assert shown.segmenter.head == "segdino"
    assert "learned anew" in shown.status
    assert model.note.text() == HEADS["segdino"].description
    assert not model.regularise.isEnabled(), "decoders are not regularised"
    assert shown.segmenter.calls[0] == ("partial_fit", [0])
    np.testing.assert_array_equal(shown.annotation.marks.data, marks)


def test_a_recipe_is_chosen_of_those_of_the_head(shown: Any) -> None:
    model, session = shown.dock.model, shown.dock.session
    click(model.toggleButton())
    choose(model.head, "segdino_v2")
    shown.rest()
    own = [model.recipe.itemText(i) for i in range(model.recipe.count())]
    assert own == ["auto", *(r.name for r in head_class("segdino_v2").recipes)]
    choose(model.recipe, "segdino_v2_published")
    shown.rest()
    assert session.segmenter.recipe == "segdino_v2_published"
    assert model.sides.placeholderText() == "256"
    assert model.intensity.currentText() == "8-bit"
    saved = session.state()
    choose(model.recipe, "auto")
    shown.rest()
    assert session.segmenter.recipe is None
    session.restore(json.loads(json.dumps(saved)))
    assert session.segmenter.recipe == model.recipe.currentText()
    assert session.segmenter.recipe == "segdino_v2_published"
    choose(model.head, "mvr")
    shown.rest()
    assert session.segmenter.recipe is None, "it was the other head's"
    assert model.recipe.currentText() == "auto"


def test_views_and_intensity(shown: Any) -> None:
    model, session = shown.dock.model, shown.dock.session
    click(model.toggleButton())
    choose(model.intensity, "ct lung")
    type_in(model.sides, "512, own 512")
    click(model.flips)
    shown.rest()
    made = made_for("probe")
    assert session.segmenter.features == FeatureSettings(
        (512, 0), made.factors, True, intensity="ct lung"
    )
    kept = session.segmenter
    type_in(model.sides, "huge")
    assert "Sizes are pixels" in shown.status
    assert model.sides.text() == "512, own"
    assert session.segmenter is kept
    choose(model.intensity, "auto")
    type_in(model.sides, "own")
    click(model.flips)
    shown.rest()
    assert session.settings.features is None, "as the head is made for again"


def test_two_changes_in_a_row_are_both_made(shown: Any) -> None:
    model, session = shown.dock.model, shown.dock.session
    click(model.toggleButton())
    choose(model.head, "segdino")
    choose(model.intensity, "ct lung")
    shown.rest()
    assert session.settings.head == session.segmenter.head == "segdino"
    assert session.segmenter.features.intensity == "ct lung"


def test_volumes_are_cut_as_is_said(shown: Any) -> None:
    model, session = shown.dock.model, shown.dock.session
    click(model.toggleButton())
    choose(model.slices, "ZYX")
    type_in(model.neighbours, "2")
    shown.rest()
    features = session.segmenter.features
    assert (features.slices, features.neighbours) == ("ZYX", 2)
    choose(model.slices, "Z")
    type_in(model.neighbours, "1")
    shown.rest()
    assert session.settings.features is None


def test_what_is_made_of_predictions_keeps_the_probe(shown: Any) -> None:
    model, probe = shown.dock.model, shown.segmenter
    click(model.toggleButton())
    choose(model.fusion, "mean")
    click(model.regularise)
    type_in(model.z_sigma, "1.5")
    choose(model.z_unit, "mm")
    assert shown.segmenter is probe
    assert probe.predicting == PredictSettings("mean", False, 1.5, "mm")


def test_slices_are_smoothed_by_their_distance(make_user: Any, volume: Any) -> None:
    user = make_user()
    user.open(volume, scale=(3, 0.5, 0.5), units=("um",) * 3)
    user.segment()
    user.annotation.mask.paint((user.annotation.shown(), 50, 60), 1)
    user.annotation.mask.paint((user.annotation.shown(), 25, 25), 0)
    user.retrain()
    assert user.segmenter.spacing[0] == pytest.approx(0.003)


def test_a_loaded_probe_is_shown(shown: Any) -> None:
    probe = type(shown.segmenter)(
        "efficientnet_lite0",
        head="meddino",
        features=FeatureSettings((256,), (1.0,), intensity="ct brain"),
        predicting=PredictSettings(z_sigma=2.0),
    )
    probe.means = np.array([20.0, 90.0])
    shown.dock.session.adopt(probe)
    model = shown.dock.model
    assert model.head.currentText() == "meddino"
    assert model.intensity.currentText() == "ct brain"
    assert model.sides.text() == "256"
    assert model.z_sigma.value() == 2.0
    assert shown.segmenter is probe, "showing changes nothing"


@given(
    head=st.sampled_from(sorted(HEADS)),
    sides=st.lists(st.just(0) | st.integers(32, 4096), unique=True, max_size=4),
)
def test_sizes_are_read_as_they_are_written(head: str, sides: list[int]) -> None:
    assert read_sides(write_sides(tuple(sides))) == tuple(sides)


@pytest.mark.parametrize("text", ["31", "-64", "5000", "512x512", "own?"])
def test_sizes_that_cannot_be(text: str) -> None:
    with pytest.raises(InputError, match="512, 768"):
        read_sides(text)


@pytest.mark.parametrize("intensity", INTENSITIES)
@pytest.mark.parametrize("head", HEADS)
def test_every_choice_can_be_shown(qtbot: Any, head: str, intensity: str) -> None:
    panel = ModelPanel(Settings("e"))
    qtbot.addWidget(panel)
    told: list[Any] = []
    panel.changed.connect(lambda *change: told.append(change))
    panel.setValue(
        Settings("e", head=head, features=FeatureSettings(intensity=intensity))
    )
    assert panel.head.currentText() == head
    assert panel.intensity.currentText() == intensity
    assert told == []


def test_a_long_training_says_so_and_is_cancelled(
    make_user: Any, probe_maker: Any, plane: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_segdino.session.eta.TRIAL", 0.0)
    monkeypatch.setattr("napari_segdino.session.eta.LONG", 0.0)
    user = make_user(show=True, maker=probe_maker, head="segdino")
    user.open(plane)
    click(user.dock.actions.segment)
    user.rest()
    user.annotation.mask.brush_size = 3
    stroke(user.viewer, user.annotation.mask, [(50, 52), (50, 66)])
    user.annotation.mask.mode = "erase"
    stroke(user.viewer, user.annotation.mask, [(12, 12), (12, 20)])
    mask, marks = user.annotation.mask.data.copy(), user.annotation.marks.data.copy()
    texts: list[str] = []
    user.dock.controller.message.connect(texts.append)
    click(user.dock.actions.retrain)
    user.wait(lambda: any("about 1 min" in text for text in texts), 60)
    user.wait(lambda: "Training segdino" in user.dock.status.bar.format(), 60)
    assert user.dock.controller.busy
    click(user.dock.status.cancel)
    user.wait(lambda: not user.dock.controller.busy, 60)
    assert "Stopped" in user.status
    assert not user.segmenter.is_fitted
    np.testing.assert_array_equal(user.annotation.mask.data, mask)
    np.testing.assert_array_equal(user.annotation.marks.data, marks)


def test_what_mvr_predicts_can_be_smoothed_or_left(shown: Any) -> None:
    model = shown.dock.model
    click(model.toggleButton())
    choose(model.head, "mvr")
    shown.rest()
    assert shown.segmenter.head == "mvr"
    assert model.sides.placeholderText() == "512, 768"
    assert model.flips.isChecked()
    click(model.regularise)
    shown.rest()
    assert not shown.segmenter.predicting.regularise
