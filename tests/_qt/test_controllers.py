"""What buttons and layers set off, each controller by itself and without a window."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from napari_segdino._qt.controllers.automatic import SliceOverview
from napari_segdino._qt.controllers.autosave import Autosaver, Recovery
from napari_segdino._qt.controllers.corrections import (
    BUSY,
    Corrector,
    pick_label,
    remove_class,
    take_brush,
)
from napari_segdino._qt.controllers.folder import FolderController, FolderPanel
from napari_segdino._qt.controllers.probe_switch import ChannelKeeper, ProbeSwitch
from napari_segdino._qt.controllers.project_state import take_state
from napari_segdino._qt.controllers.projects import Projects
from napari_segdino._qt.controllers.restore import Restorer
from napari_segdino._qt.controllers.series import SeriesController
from napari_segdino._qt.controllers.session_controller import SessionController
from napari_segdino._qt.controllers.start import StartTools, is_click
from napari_segdino._qt.controllers.suggester import Suggester, readable_images
from napari_segdino._qt.layers.annotation import is_accepted
from napari_segdino._qt.layers.annotations import NO_MASK, NOT_TRAINED
from napari_segdino._qt.messages import NO_IMAGE
from napari_segdino._qt.widgets.input_panel import SeriesCombo
from napari_segdino._qt.widgets.slice_strip import SliceStrip
from napari_segdino._qt.widgets.tools_panel import ToolsPanel
from napari_segdino._qt.worker.drawing import Drawing
from napari_segdino._qt.worker.idle import IdleTask
from napari_segdino.errors import InputError
from napari_segdino.inference.predict import PartResult, PlaneResult
from napari_segdino.session.probe_state import fitted_state
from napari_segdino.session.project import read_project
from napari_segdino.session.results import Learned, LeftOut, Trained


def bright(plane: np.ndarray) -> np.ndarray:
    """What the fake segmenter calls class 1 with nothing learned: nearer 200 than 0."""
    return (plane > 100).astype(np.uint8)


def mark(annotation: Any, label: int, at: tuple[int, int]) -> None:
    """Paint a dot of 9 pixels on the slice that is shown."""
    annotation.mask_sync.dot(at, label)


def train(headless: Any, data: np.ndarray, name: str = "scan") -> Any:
    """Open an image and train the probe on a dot in the square and one beside it."""
    annotation = headless.open(data, name)
    mark(annotation, 1, (25, 25))
    mark(annotation, 0, (5, 5))
    headless.controller.retrain(annotation.image)
    headless.rest()
    return annotation


# -- Segment and Retrain -----------------------------------------------------


def test_segment_makes_the_layers_and_draws_the_mask(headless: Any, plane: Any) -> None:
    controller: SessionController = headless.controller
    controller.segment(None)
    assert headless.told == [NO_IMAGE]
    image = headless.viewer.add_image(plane, name="scan")
    controller.segment(image)
    assert controller.busy, "also while the layers are made"
    headless.rest()
    assert [x.name for x in headless.viewer.layers] == [
        "scan",
        "scan mask",
        "scan marks",
    ]
    np.testing.assert_array_equal(headless.viewer.layers[1].data, bright(plane))
    assert not headless.viewer.layers[2].data.any(), "a first mask is no mark"
    assert headless.told[1] == "Segment: working..."
    assert headless.told[-1].startswith("A first mask, from the image alone")


def test_retrain_learns_and_keeps_what_was_painted(headless: Any, plane: Any) -> None:
    annotation = train(headless, plane)
    assert headless.session.is_fitted
    assert headless.told[-1].startswith("Learned your corrections")
    # The middling field (90) is nearer to 20, the mean of background, than to 200.
    np.testing.assert_array_equal(annotation.mask.data, bright(plane))
    mark(annotation, 1, (50, 60))
    headless.controller.segment(annotation.image)
    headless.rest()
    assert annotation.mask.data[50, 60] == 1, "marked, whatever the probe says"
    assert annotation.mask.data[46, 51] == 0


def test_retrain_without_marks_is_refused(headless: Any, plane: Any) -> None:
    annotation = headless.open(plane)
    headless.controller.retrain(annotation.image)
    headless.rest()
    assert headless.told[-1].startswith("Nothing is marked")
    assert not headless.session.is_fitted


def test_a_job_in_the_way_is_stopped(headless: Any, volume: Any) -> None:
    annotation = headless.open(volume)
    headless.session.change(whole_volume=True)
    done: list[bool] = []
    headless.controller.segment(annotation.image)
    headless.controller.when_free(lambda: done.append(headless.controller.busy))
    assert done == [], "not while it is at work"
    headless.wait(lambda: bool(done))
    assert done == [False]
    headless.controller.when_free(lambda: done.append(True))
    assert done == [False, True], "at once where nothing is in the way"


# -- drawing -----------------------------------------------------------------


def test_what_a_job_yields_goes_where_it_belongs(headless: Any, plane: Any) -> None:
    annotation, session = headless.open(plane), headless.session
    drawing = Drawing(annotation, session, headless.history)
    before = fitted_state(session.segmenter)
    session.segmenter.means = np.array([20.0, 200.0])
    drawing.take(Learned(annotation.key, {0: 17}))
    assert session.learned == {annotation.key: {0: 17}}
    drawing.take(Trained(before, fitted_state(session.segmenter)))
    assert headless.history.place == (2, 2)
    part = np.ones((10, 20), np.uint8)
    drawing.take(PartResult(0, 30, 40, part))
    headless.wait(lambda: annotation.mask.data.any())
    assert annotation.mask.data[30:40, 40:60].all()
    assert annotation.mask.data.sum() == 200
    labels = bright(plane)
    drawing.take(PlaneResult(0, labels, np.zeros((2, 60, 80), np.float32)))
    annotation.writer.finish()
    headless.wait(lambda: np.array_equal(annotation.mask.data, labels))
    assert annotation.mask_sync.drawn_with(0) == headless.history.present


def test_a_cancelled_job_draws_no_more(headless: Any, plane: Any) -> None:
    annotation = headless.open(plane)
    drawing = Drawing(annotation, headless.session, headless.history)
    labels = bright(plane)
    drawing.take(PlaneResult(0, labels, np.zeros((2, 60, 80), np.float32)))
    drawing.end(cancelled=True)
    QTest.qWait(50)
    assert not annotation.mask.data.any()
    assert drawing.trained is None


# -- tools -------------------------------------------------------------------


def test_a_hand_that_shakes_still_clicks() -> None:
    assert is_click((10, 10), (13, 7))
    assert not is_click((10, 10), (10, 14))


def test_a_click_is_a_dot_and_draws_what_looks_alike(
    headless: Any, plane: Any, qtbot: Any
) -> None:
    button, box, current = QPushButton(), QPushButton(), list[Any]()
    for one in (button, box):
        qtbot.addWidget(one)
        one.setCheckable(True)
    tool = StartTools(
        button,
        box,
        headless.controller,
        lambda: current[0] if current else None,
        lambda: 1,
    )
    refused: list[str] = []
    tool.refused.connect(refused.append)
    button.click()
    assert refused == [NO_IMAGE] and not button.isChecked()
    annotation = headless.open(plane)
    current.append(annotation)
    button.click()
    assert annotation.mask.mode == "pan_zoom", "dragging moves the view"
    event = SimpleNamespace(
        type="mouse_press", pos=(0, 0), position=(25.2, 24.9), button=1
    )
    (press,) = (
        call
        for call in annotation.mask.mouse_drag_callbacks
        if getattr(call, "__self__", None) is tool
    )
    steps = press(annotation.mask, event)
    next(steps)
    event.type = "mouse_release"
    assert next(steps, "over") == "over"
    QTest.qWait(10)
    headless.rest()
    assert (annotation.marks.data[24:27, 24:27] == 2).all()
    assert (annotation.marks.data > 0).sum() == 9
    np.testing.assert_array_equal(annotation.mask.data, plane == 200)
    tool.put_down()
    assert annotation.mask.mode == "paint"
    assert press not in annotation.mask.mouse_drag_callbacks


def test_the_brush_is_taken_unless_another_tool_is(headless: Any, volume: Any) -> None:
    viewer, annotation = headless.viewer, headless.open(volume)
    mask, marks = annotation.mask, annotation.marks
    viewer.layers.selection.active = annotation.image
    take_brush(viewer, annotation, 1)
    assert viewer.layers.selection.active is mask
    assert (mask.mode, mask.brush_size) == ("paint", 3), "60 // 40, at least 3"
    assert (mask.selected_label, marks.selected_label) == (1, 2)
    mask.mode = "fill"
    take_brush(viewer, annotation, 0)
    assert (mask.mode, mask.selected_label) == ("fill", 1), "another tool is in hand"
    pick_label(viewer, annotation, 0)
    assert (mask.mode, mask.selected_label) == ("fill", 0)
    viewer.layers.selection.active = marks
    pick_label(viewer, annotation, 1)
    assert (marks.mode, marks.selected_label) == ("paint", 2)


def test_a_class_goes_with_its_marks(headless: Any, volume: Any) -> None:
    annotation = headless.open(volume)
    headless.session.add_class()
    annotation.marks.data[0, 3, 4], annotation.marks.data[4, 5, 6] = 3, 2
    remove_class(headless.session, headless.controller.annotations, 2)
    assert annotation.marks.data[0, 3, 4] == 0
    assert annotation.marks.data[4, 5, 6] == 2
    with pytest.raises(InputError, match="One class has to stay"):
        remove_class(headless.session, headless.controller.annotations, 1)


@pytest.fixture
def corrector(make_headless: Any, volume: Any, qtbot: Any) -> Any:
    """Five slices, the third on screen; the tools, and why nothing was done."""
    headless = make_headless()
    annotation, panel, refused = headless.open(volume), ToolsPanel(), list[str]()
    panel.whole.set_open(True)
    qtbot.addWidget(panel)
    headless.viewer.dims.set_current_step(0, 2)
    made = Corrector(panel, headless.controller, lambda: annotation)
    made.refused.connect(refused.append)
    return SimpleNamespace(
        tools=made, panel=panel, refused=refused, of=annotation, headless=headless
    )


def test_a_slice_is_accepted_whole(corrector: Any) -> None:
    corrector.panel.accept.click()
    assert corrector.refused == [NO_MASK]
    mark(corrector.of, 1, (25, 25))
    assert not is_accepted(corrector.of, 2)
    corrector.panel.accept.click()
    assert is_accepted(corrector.of, 2) and not is_accepted(corrector.of, 1)
    assert corrector.headless.told[-1].startswith("4,791 pixels of this slice")
    corrector.panel.accept.click()
    assert corrector.headless.told[-1] == "This slice was accepted before."


def test_a_copy_is_a_proposal_on_the_next_slice(corrector: Any) -> None:
    mark(corrector.of, 1, (25, 25))
    corrector.panel.copy.click()
    corrector.headless.wait(lambda: corrector.of.mask.data[3].any())
    np.testing.assert_array_equal(corrector.of.mask.data[3], corrector.of.mask.data[2])
    assert not corrector.of.marks.data[3].any()
    assert corrector.of.shown() == 3
    corrector.headless.viewer.dims.set_current_step(0, 4)
    corrector.panel.copy.click()
    assert corrector.refused == ["There is no next slice."]


def test_slices_are_accepted_as_far_as_the_one_on_screen(corrector: Any) -> None:
    mark(corrector.of, 1, (25, 25))
    corrector.panel.accept_to_here.click()
    assert corrector.refused[0].startswith("Accept a slice first")
    corrector.panel.accept.click()
    corrector.panel.copy.click()
    corrector.headless.wait(lambda: corrector.of.mask.data[3].any())
    corrector.headless.viewer.dims.set_current_step(0, 4)
    corrector.panel.accept_to_here.click()
    accepted = [is_accepted(corrector.of, p) for p in range(5)]
    assert accepted == [False, False, True, True, False]
    assert "1 without a mask were left out" in corrector.headless.told[-1]


def test_nothing_is_corrected_while_the_mask_is_drawn(corrector: Any) -> None:
    mark(corrector.of, 1, (25, 25))
    corrector.headless.controller.segment(corrector.of.image)
    corrector.panel.accept.click()
    assert corrector.refused == [BUSY]
    corrector.headless.rest()


def test_the_mask_looks_as_the_tools_say(corrector: Any) -> None:
    corrector.panel.opacity.setValue(30)
    corrector.panel.outline.click()
    assert (corrector.of.mask.opacity, corrector.of.mask.contour) == (0.3, 2)
    corrector.tools.toggle_mask()
    assert not corrector.of.mask.visible
    corrector.of.mask.opacity = 0.8
    corrector.tools.refresh()
    assert corrector.panel.opacity.value() == 80
    assert corrector.of.mask.opacity == 0.8, "showing changes nothing"


# -- another probe -----------------------------------------------------------


def test_another_head_takes_over_once_it_is_there(headless: Any, plane: Any) -> None:
    annotation = train(headless, plane)
    first = headless.session.segmenter
    headless.session.change(recipe="of the probe")
    switch = ProbeSwitch(headless.controller)
    switch.switch(annotation.image, head="mvr")
    assert headless.session.segmenter is first
    headless.rest()
    second = headless.session.segmenter
    assert (second.head, headless.session.settings.head) == ("mvr", "mvr")
    assert headless.session.settings.recipe is None, "recipes are each a head's own"
    assert second.calls == [("partial_fit", [0]), ("predict", [0])]
    assert headless.told[-1].startswith("Your marks were learned anew")


def test_an_encoder_that_cannot_be_had_changes_nothing(
    headless: Any, no_popups: list[str]
) -> None:
    first = headless.session.segmenter
    ProbeSwitch(headless.controller).switch(None, encoder="missing")
    headless.rest()
    assert headless.session.segmenter is first
    assert headless.session.settings.encoder == "efficientnet_lite0"
    assert no_popups == ["missing cannot be fetched: there is no network."]


def test_what_a_probe_leaves_out_is_said_once(headless: Any, plane: Any) -> None:
    one, other = headless.open(plane, "grey"), headless.open(plane, "five")
    keeper: ChannelKeeper = headless.controller.channels
    keeper.note_left_out(one, LeftOut((other.key,)))
    assert keeper.left_out().startswith("The marks of five were left out: other")
    assert keeper.left_out() == ""
    keeper.note_left_out(one, LeftOut((other.key,)))
    assert keeper.left_out() == "", "of each probe and image once"


# -- projects ----------------------------------------------------------------


def test_what_goes_into_a_project(headless: Any, plane: Any) -> None:
    annotation = train(headless, plane)
    state = take_state(headless.session, [annotation], headless.history)
    (saved,) = state.images
    assert (saved.entry.name, saved.entry.shape) == ("scan", (60, 80))
    assert saved.mask is annotation.mask.data, "nothing is copied"
    assert dict(saved.entry.learned) == headless.session.learned[annotation.key]
    assert len(state.probes) == 2, "before Retrain and after it"
    training = take_state(headless.session, [annotation], headless.history, True)
    assert (training.probes, training.keep_probes) == ((), True)
    assert training.images[0].entry.learned == {}, "learned again if it is lost"


def test_a_project_is_saved_once_there_is_work(
    headless: Any, plane: Any, tmp_path: Path, qtbot: Any
) -> None:
    projects = Projects(headless.controller)
    qtbot.addWidget(projects.panel)
    qtbot.addWidget(projects.recovery.bar)
    projects.save(tmp_path / "p.segproject")
    assert headless.told == [NO_IMAGE]
    annotation = headless.open(plane)
    projects.save(tmp_path / "p.segproject")
    assert headless.told[-1] == NO_MASK
    mark(annotation, 1, (25, 25))
    projects.save(tmp_path / "p.segproject")
    headless.wait(lambda: "was saved" in headless.told[-1])
    (entry,) = read_project(tmp_path / "p.segproject").images
    assert entry.name == "scan"
    projects.close()


def test_work_is_kept_and_offered_to_the_next_window(
    make_headless: Any, plane: Any, autosaves: Path, qtbot: Any
) -> None:
    first = make_headless()
    saver = Autosaver(first.controller, autosaves)
    annotation = first.open(plane)
    with qtbot.waitSignal(saver.saved):
        mark(annotation, 1, (25, 25))
    assert (saver.stored.folder / "project.json").exists()
    marked = annotation.marks.data.copy()
    saver.close()
    saver.stored.let_go()  # as when its process ends
    second = make_headless()
    saver = Autosaver(second.controller, autosaves)
    restorer = Restorer(second.controller)
    recovery = Recovery(autosaves, restorer, saver)
    qtbot.addWidget(recovery.bar)
    second.wait(lambda: recovery.bar.label.text() != "")
    assert recovery.bar.label.text().startswith("Unsaved work on scan was kept")
    recovery.bar.restore.click()
    second.wait(lambda: "Open the image scan (60 x 80)" in recovery.bar.label.text())
    image = second.viewer.add_image(plane, name="scan")
    second.wait(lambda: not restorer.waiting)
    restored = second.controller.annotations.get(image)
    np.testing.assert_array_equal(restored.marks.data, marked)
    restorer.close()
    saver.close()
    recovery.close()


def test_what_a_project_has_is_kept_no_longer(
    headless: Any, plane: Any, autosaves: Path, qtbot: Any
) -> None:
    saver = Autosaver(headless.controller, autosaves)
    annotation = headless.open(plane)
    with qtbot.waitSignal(saver.saved):
        mark(annotation, 1, (25, 25))
    folder, asked = saver.stored.folder, saver.asked
    saver.forget(asked - 1)
    assert folder.exists(), "something has changed since"
    saver.forget(asked)
    assert not folder.exists()
    saver.close()


# -- places, slices, series, folders -----------------------------------------


def test_places_are_looked_for_once_there_is_a_probe(headless: Any, plane: Any) -> None:
    current: list[Any] = []
    suggester = Suggester(
        headless.controller,
        IdleTask(headless.controller),
        lambda: current[0] if current else None,
        current.append,
    )
    suggester.next_place()
    assert headless.told == [NO_IMAGE]
    annotation = headless.open(plane)
    suggester.next_slice()
    assert headless.told[-1] == NOT_TRAINED
    train_more = train(headless, plane, "trained")
    current.append(train_more)
    suggester.next_slice()
    assert headless.told[-1] == "This image has one slice only."
    assert suggester.most_uncertain(annotation) == [], "nothing is known yet"
    suggester.release()
    suggester.panel.deleteLater()


def test_only_images_that_can_be_read_are_ranked(headless: Any, plane: Any) -> None:
    headless.open(plane, "scan")
    headless.viewer.add_image(np.zeros((2,) * 15, np.uint8), name="of many axes")
    (found,) = readable_images(headless.viewer)
    assert found[0] == "scan"
    assert found[1].spatial_shape == (60, 80)


def test_the_strip_shows_what_was_done_to_each_slice(
    headless: Any, volume: Any, qtbot: Any
) -> None:
    annotation, strip = headless.open(volume), SliceStrip()
    qtbot.addWidget(strip)
    headless.viewer.dims.set_current_step(0, 2)
    overview = SliceOverview(
        strip, headless.controller, lambda: annotation, lambda _: [4]
    )
    overview.refresh()
    headless.wait(lambda: strip.states == ["empty"] * 5)
    mark(annotation, 1, (25, 25))
    annotation.mask_sync.accept(3)
    wanted = ["empty", "empty", "marked", "accepted", "empty"]
    headless.wait(lambda: strip.states == wanted)
    assert strip.current == 2 and set(strip.uncertain) == {4}
    strip.picked.emit(1)
    assert annotation.shown() == 1
    headless.wait(lambda: strip.current == 1)
    overview.close()


def test_another_series_takes_the_place_and_gives_it_back(
    headless: Any, volume: Any, qtbot: Any
) -> None:
    found = {"1": "chest", "2": "head"}

    def add(series: str) -> Any:
        header = {"path": "study", "series": series, "all_series": found}
        return headless.viewer.add_image(
            volume, name=found[series], metadata={"segdino": header}
        )

    chest, head = add("1"), add("2")
    picked = [chest]
    combo = SeriesCombo()
    qtbot.addWidget(combo)
    controller = SeriesController(
        combo, headless.controller, lambda: picked[-1], picked.append
    )
    headless.viewer.dims.set_current_step(0, 4)
    controller.choose("2")
    assert picked[-1] is head
    assert head.visible and not chest.visible
    assert headless.viewer.dims.current_step[0] == 2, "the middle slice"
    assert headless.told == ["Back at head."]
    controller.choose("1")
    assert chest.visible and not head.visible
    assert headless.viewer.dims.current_step[0] == 4, "as it was left"
    controller.choose("1")
    assert len(picked) == 3, "it is there already"


def test_a_folder_is_not_begun_before_it_is_named(headless: Any, qtbot: Any) -> None:
    panel = FolderPanel()
    qtbot.addWidget(panel)
    controller = FolderController(panel, headless.controller)
    panel.start.click()
    assert headless.told == ["Choose the folder with the images first."]
    panel.source.setValue("nowhere")
    controller.start()
    assert headless.told[-1] == "Choose a folder for the masks first."
    assert not headless.controller.busy
