"""Parts of the dock alone: what they show, and what a hand at them says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox

from napari_segdino._qt.controllers.folder import AS_THE_SCAN, FolderPanel
from napari_segdino._qt.mouse import click
from napari_segdino._qt.widgets.classes_panel import ClassesPanel
from napari_segdino._qt.widgets.input_panel import SeriesCombo
from napari_segdino._qt.widgets.objects_panel import ObjectsPanel
from napari_segdino._qt.widgets.panels import (
    ACCENT,
    ActionPanel,
    StatusPanel,
    make_narrow,
)
from napari_segdino._qt.widgets.slice_strip import COLORS, SliceStrip
from napari_segdino.batch import Row
from napari_segdino.batch.run import Request
from napari_segdino.config import ObjectSettings
from napari_segdino.io.formats import MASK_SUFFIXES
from napari_segdino.progress import Progress
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings


def shown(qtbot: Any, widget: Any) -> Any:
    """Put a widget on the screen."""
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def heard(signal: Any) -> list[Any]:
    """Collect what a signal says from now on."""
    found: list[Any] = []
    signal.connect(lambda *said: found.append(said[0] if said else None))
    return found


# -- classes -----------------------------------------------------------------


@pytest.fixture
def session() -> Session:
    """Classes 1 and 2."""
    session = Session(settings=Settings("e"))
    session.add_class("rim", "#123456")
    return session


def test_the_class_that_is_clicked_is_painted(qtbot: Any, session: Session) -> None:
    panel = shown(qtbot, ClassesPanel(session))
    picked = heard(panel.picked)
    assert panel.value() == 1
    click(panel.rows[2].radio)
    assert (panel.value(), picked) == (2, [2])
    panel.setValue(0)
    assert [row.radio.isChecked() for row in panel.rows] == [True, False, False]
    panel.setValue(7)
    assert panel.value() == 2, "the last one stands for what is no class"
    panel.pick(7)
    assert picked == [2], "only a hand picks, and only what is there"


def test_a_class_is_renamed_by_typing(qtbot: Any, session: Session) -> None:
    panel = shown(qtbot, ClassesPanel(session))
    name = panel.rows[1].name
    name.selectAll()
    QTest.keyClicks(name, " nucleus ")
    QTest.keyClick(name, Qt.Key.Key_Return)
    assert [c.name for c in session.classes] == ["nucleus", "rim"]
    assert panel.rows[1].name.text() == "nucleus"
    assert "Alt-1" in panel.rows[1].radio.toolTip()


def test_classes_come_and_go(qtbot: Any, session: Session) -> None:
    panel = shown(qtbot, ClassesPanel(session))
    gone = heard(panel.removed)
    click(panel.rows[2].remove)
    assert gone == [2], "what becomes of its marks is for others to say"
    assert not panel.rows[0].remove.isVisible(), "background stays"
    session.remove_class(2)
    assert len(panel.rows) == 2
    assert not panel.rows[1].remove.isEnabled(), "so does the last class"
    click(panel.add)
    assert ([c.label for c in session.classes], panel.value()) == ([1, 2], 2)
    panel.release()
    session.add_class()
    assert len(panel.rows) == 3


# -- slices ------------------------------------------------------------------


@pytest.fixture
def strip(qtbot: Any) -> Any:
    """Four slices, 25 pixels each; the second one is on screen."""
    strip = SliceStrip()
    strip.resize(100, 16)
    strip.setValue(["empty", "drawn", "stale", "accepted"], 1, {2})
    return shown(qtbot, strip)


def test_cells_lie_side_by_side(strip: Any) -> None:
    assert [strip.cell(x) for x in (0, 24.9, 25, 99.9)] == [0, 0, 1, 3]
    assert strip.cell(-1) is strip.cell(100) is None
    picked = heard(strip.picked)
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(60, 8))
    assert picked == [2]


def test_each_cell_has_the_colour_of_its_state(strip: Any) -> None:
    picture = strip.grab().toImage()
    middles = [picture.pixelColor(x, 8).name() for x in (12, 37, 62, 87)]
    assert middles == [COLORS[state] for state in strip.states]
    assert picture.pixelColor(62, 2) == QColor("#f0e442"), "its dot"
    assert strip.describe(0) == "Slice 0: not drawn yet"
    assert strip.describe(2) == (
        "Slice 2: drawn with an earlier model; among the most uncertain"
    )


def test_one_slice_needs_no_strip(strip: Any) -> None:
    strip.setValue(["drawn"], 0)
    assert not strip.isVisible()


# -- buttons, progress, the status line --------------------------------------


def test_progress_of_more_bytes_than_qt_can_count(qtbot: Any) -> None:
    panel = shown(qtbot, StatusPanel())
    assert not panel.cancel.isVisible()
    panel.set_busy(True)
    assert panel.cancel.isVisible()
    panel.show_progress(Progress(3 << 32, 4 << 32, "Downloading"))
    assert 4 * panel.bar.value() == 3 * panel.bar.maximum() > 0
    assert panel.bar.text() == "Downloading 75%"
    panel.set_busy(False)
    assert not panel.cancel.isVisible()


def test_how_long_it_has_run_and_will(qtbot: Any) -> None:
    seconds = [0.0]
    panel = shown(qtbot, StatusPanel(clock=lambda: seconds[0]))
    panel.set_busy(False)
    assert panel.time.text() == "", "nothing has run yet"
    panel.set_busy(True)
    panel.show_progress(Progress(0, 0, "Reading"))
    assert panel.time.text() == "0:00"
    panel.show_progress(Progress(0, 40, "Encoding"))
    seconds[0] = 10
    panel.show_progress(Progress(5, 40, "Encoding"))
    assert panel.time.text() == "0:10, about 1:10 left"
    seconds[0] = 80
    panel.set_busy(False)
    panel.say("It is drawn.")
    assert panel.time.text() == "Took 1:20"
    panel.say("Another image.")
    assert panel.time.text() == "", "not of this sentence"
    panel.set_busy(True)
    assert panel.time.text() == "0:00"


def test_the_button_that_comes_next_stands_out(qtbot: Any) -> None:
    panel = shown(qtbot, ActionPanel())
    panel.show_next(panel.retrain)
    filled = [ACCENT in b.styleSheet() for b in (panel.segment, panel.retrain)]
    assert filled == [False, True]


def test_showing_live_is_no_click_on_it(qtbot: Any) -> None:
    panel = shown(qtbot, ActionPanel())
    toggled = heard(panel.live.toggled)
    panel.show_live(True)
    assert (panel.live.isChecked(), toggled) == (True, [])
    panel.live.click()
    assert toggled == [False]


def test_an_offer_lasts_until_the_next_sentence(qtbot: Any) -> None:
    panel, done = shown(qtbot, StatusPanel()), list[str]()
    panel.say("Other channels.", failed=True)
    assert "#d9534f" in panel.styleSheet()
    panel.offer("New model", lambda: done.append("made"))
    assert panel.way_out.isVisible()
    click(panel.way_out)
    assert done == ["made"]
    panel.say("It is made.")
    assert not panel.way_out.isVisible()
    assert "#d9534f" not in panel.styleSheet()


def test_a_long_name_does_not_widen_the_dock(qtbot: Any) -> None:
    plain, narrow = QComboBox(), QComboBox()
    for combo in (plain, narrow):
        qtbot.addWidget(combo)
        combo.addItem("a name of an image that is much longer than the dock is wide")
    make_narrow(narrow)
    assert narrow.minimumSizeHint().width() < plain.minimumSizeHint().width() / 2


# -- series, objects, folders ------------------------------------------------


def test_a_series_is_chosen_by_its_key(qtbot: Any) -> None:
    combo, viewer = shown(qtbot, SeriesCombo()), ViewerModel()
    found = {"1.5": "chest", "1.6": "head"}
    header = {"path": "study", "series": "1.6", "all_series": found}
    image = viewer.add_image(np.eye(4), metadata={"segdino": header})
    chosen = heard(combo.chosen)
    combo.show_image(image)
    assert [combo.itemText(i) for i in range(2)] == ["0: chest", "1: head"]
    assert combo.currentIndex() == 1
    assert chosen == [], "showing is not choosing"
    QTest.keyClick(combo, Qt.Key.Key_Up)
    assert chosen == ["1.5"]
    combo.show_image(None)
    assert combo.count() == 0


def test_objects_are_found_as_is_said(qtbot: Any) -> None:
    panel = shown(qtbot, ObjectsPanel())
    assert panel.value() == ObjectSettings(), "as anywhere else"
    panel.show_unit("µm²")
    assert panel.max_hole.text() == "none", "a special value has no unit"
    panel.max_hole.setValue(3)
    panel.max_size.setValue(50)
    assert panel.max_hole.text() == "3.00 µm²"
    click(panel.split)
    assert not panel.depth.isEnabled()
    wanted = ObjectSettings(split=False, max_size=50, max_hole=3)
    assert panel.value() == wanted


def test_a_folder_is_asked_for_as_the_form_says(qtbot: Any) -> None:
    panel = FolderPanel()
    qtbot.addWidget(panel)
    assert panel.value() == Request("", "")
    shown(qtbot, panel)
    listed = [panel.suffix.itemText(i) for i in range(panel.suffix.count())]
    assert listed == [AS_THE_SCAN, *MASK_SUFFIXES]
    QTest.keyClicks(panel.source.edit, " scans/*.nii.gz ")
    QTest.keyClicks(panel.folder.edit, "masks")
    panel.suffix.setCurrentText(".tif")
    panel.workers.setValue(4)
    click(panel.resume)
    wanted = Request("scans/*.nii.gz", "masks", suffix=".tif", resume=False, workers=4)
    assert panel.value() == wanted
    click(panel.advanced.toggleButton())
    QTest.keyClicks(panel.scheduler, "tcp://host:8786")
    assert panel.value().workers == 0, "the scheduler has workers of its own"
    panel.hide()
    panel.show()
    assert panel.suffix.count() == len(listed), "listed once"


def test_failures_are_listed_by_name_and_reason(qtbot: Any) -> None:
    panel = shown(qtbot, FolderPanel())
    assert not panel.failures.isVisible()
    panel.show_failure(Row("a/b/scan.nii", "", 0.1, "failed", "It is empty."))
    item = panel.failures.topLevelItem(0)
    assert (item.text(0), item.text(1)) == ("scan.nii", "It is empty.")
    assert item.toolTip(0) == "a/b/scan.nii"
    panel.clear()
    assert not panel.failures.isVisible()
