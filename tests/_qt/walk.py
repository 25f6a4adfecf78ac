"""A user at random: what may be done in a window, and what must be true after it.

What every pixel must be says the model of walk_model.py.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog
from test_life import Window
from walk_model import ImageModel, as_planes, bar, pool

from napari_segdino._qt import mouse, window_state
from napari_segdino.session.project import PROJECT_FILE, read_labels, read_project
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier
ALT = Qt.KeyboardModifier.AltModifier
NAMES = ("grey", "colour")
HEADS = ("probe", "mvr", "segdino")
ERASE, PAINT, FILL = Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_4

ROWS, SPANS = (25, 26, 50), ((12, 20), (30, 52), (0, 6))
LINES = [(row, span) for row in ROWS for span in SPANS]
POINTS = ((25, 25), (50, 60), (5, 70))
YES_NO = (False, True)


def action(
    needs: Callable[[Walk], Any] = lambda walk: True, **choices: Sequence[Any]
) -> Callable[[Any], Any]:
    """Make a method something that the user may do, with arguments of these."""

    def mark(method: Any) -> Any:
        method.needs, method.choices = needs, choices
        return method

    return mark


class Walk:
    """One window with a grey volume and a colour image."""

    def __init__(
        self,
        viewer: Any,
        maker: Any,
        images: dict[str, np.ndarray],
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        faults: list[str],
    ) -> None:
        self.viewer, self.images, self.folder = viewer, images, folder
        self.monkeypatch, self.faults = monkeypatch, faults
        session = Session(maker, Settings("fake", follow=False))
        window_state.state_of(self.viewer, session)
        self.models: dict[str, ImageModel] = {}
        self.saved: dict[str, list[np.ndarray]] = {}
        for name in NAMES:
            self.add(name)
        self.window = Window(self.viewer)
        self.window.wait(lambda: self.dock.isVisible())
        mouse.click(self.dock.model.toggleButton())
        for name in reversed(NAMES):
            self.pick(name)
            self.begin(name, older=False)

    def go(self, seed: int, actions: int) -> list[str]:
        """Do so many things; tell all of them where something is not right.

        Returns what went wrong, and what a closed dock left behind.
        """
        chance, done = random.Random(seed), list[str]()
        found = [getattr(self, name) for name in sorted(vars(Walk))]
        offered = [one for one in found if hasattr(one, "choices")]
        try:
            for _ in range(actions):
                act = chance.choice([one for one in offered if one.needs(self)])
                given = {name: chance.choice(of) for name, of in act.choices.items()}
                done.append(f"{act.__name__}({given})")
                act(**given)
                assert not self.faults
            return self.end()
        except BaseException as error:
            error.add_note(f"seed {seed}: {', '.join(done)}")
            raise

    def end(self) -> list[str]:
        """Everything is kept on disk; the closed dock leaves nothing."""
        self.settle()
        self.check_autosave()
        self.window.click_x()
        self.window.wait(lambda: self.window.widget.dock is None)
        self.window.holder = self.window.widget = None
        for _ in range(100):
            if not left_behind():
                break
            QTest.qWait(20)
        return [*self.faults, *left_behind()]

    # -- what a user does ----------------------------------------------------

    @action(line=LINES)
    def paint(self, line: Any) -> None:
        self.stroke(PAINT, line, self.dock.classes.value())

    @action(line=LINES)
    def paint_again(self, line: Any) -> None:
        self.stroke(PAINT, line, self.dock.classes.value())

    @action(line=LINES)
    def erase(self, line: Any) -> None:
        self.stroke(ERASE, line, 0)

    @action(point=POINTS)
    def fill(self, point: tuple[int, int]) -> None:
        self.take(FILL)
        model, plane = self.models[self.name], self.annotation.shown()
        where = pool(model.masks[plane], point)
        mouse.stroke(self.viewer, self.annotation.mask, [point])
        model.paint(plane, where, self.dock.classes.value())
        self.compare(live=True)

    @action()
    def undo(self) -> None:
        self.step(redo=False)

    @action()
    def undo_again(self) -> None:
        self.step(redo=False)

    @action()
    def redo(self) -> None:
        self.step(redo=True)

    @action()
    def segment(self) -> None:
        mouse.click(self.dock.actions.segment)
        self.compare(drew=[self.name])

    @action()
    def retrain(self) -> None:
        mouse.press_key(Qt.Key.Key_R, SHIFT)
        self.compare(drew=[self.name])

    @action(train=YES_NO)
    def cancel(self, train: bool) -> None:
        actions = self.dock.actions
        mouse.click(actions.retrain if train else actions.segment)
        mouse.click(self.dock.status.cancel)
        self.compare(drew=[self.name])

    @action(label=range(4))
    def change_class(self, label: int) -> None:
        known = {0, *(c.label for c in self.dock.session.classes)}
        mouse.press_key(getattr(Qt.Key, f"Key_{label}"), ALT)
        if label in known:
            assert self.annotation.mask.selected_label == label

    @action(needs=lambda walk: len(walk.dock.session.classes) < 3)
    def add_class(self) -> None:
        mouse.click(self.dock.classes.add)

    @action(needs=lambda walk: len(walk.dock.session.classes) > 1, last=YES_NO)
    def remove_class(self, last: bool) -> None:
        row = self.dock.classes.rows[-1 if last else 1]
        for model in self.models.values():
            model.remove_class(row.item.label)
        mouse.click(row.remove)
        self.compare(drew=NAMES if self.dock.session.settings.live else ())

    @action()
    def switch_image(self) -> None:
        self.pick(NAMES[1 - NAMES.index(self.name)])
        self.compare()

    @action(needs=lambda walk: walk.name == "grey", plane=range(3))
    def go_to_slice(self, plane: int) -> None:
        self.viewer.dims.set_current_step(0, plane)
        self.compare()

    @action()
    def accept(self) -> None:
        drawn = not self.annotation.mask_sync.blank
        plane = self.annotation.shown()
        mouse.press_key(Qt.Key.Key_A, SHIFT)
        if drawn:
            self.models[self.name].accept(plane)
        self.compare(live=True)

    @action()
    def copy(self) -> None:
        model, plane = self.models[self.name], self.annotation.shown()
        there = plane + 1
        drawn = not self.annotation.mask_sync.blank and there < len(model.planes)
        mouse.press_key(Qt.Key.Key_C, SHIFT)
        if drawn:
            marks = model.marks[there]
            model.draw({there: np.where(marks > 0, marks - 1, model.masks[plane])})
        self.compare()

    @action(kind=("mask", "marks", "image"))
    def delete_layer(self, kind: str) -> None:
        name, one = self.name, self.annotation
        layers = {"mask": one.mask, "marks": one.marks, "image": one.image}
        empty = one.empty
        model = self.models[name]
        mouse.select(self.viewer, layers[kind])
        self.viewer.layers.remove_selected()
        self.settle()
        if kind == "image":
            self.add(name)
            self.settle()
        self.pick(name)
        if kind != "image":
            mouse.click(self.dock.actions.segment)
        self.settle()
        marks, masks = model.marks, model.masks
        if kind == "marks" or (kind == "image" and empty):
            marks = [np.zeros_like(m) for m in marks]
        model = self.begin(name, older=True)
        for got, wanted in zip(model.marks, marks, strict=True):
            np.testing.assert_array_equal(got, wanted)
        self.check_marked(name)
        if kind == "image" and not empty:
            for got, wanted in zip(model.masks, masks, strict=True):
                np.testing.assert_array_equal(got, wanted)
        self.compare(live=True)

    @action(head=HEADS)
    def change_head(self, head: str) -> None:
        combo = self.dock.model.head
        combo.setFocus()
        for _ in range(len(HEADS) + combo.count()):
            if combo.currentText() == head:
                break
            down = combo.findText(head) > combo.currentIndex()
            QTest.keyClick(combo, Qt.Key.Key_Down if down else Qt.Key.Key_Up)
            self.compare(drew=[self.name])
        assert self.dock.session.settings.head == head, self.status

    @action()
    def new_probe(self) -> None:
        mouse.click(self.dock.files.new)
        self.compare()
        assert not self.dock.session.is_fitted

    @action()
    def toggle_live(self) -> None:
        mouse.press_key(Qt.Key.Key_L, SHIFT)
        self.compare(live=True)

    @action(back=YES_NO)
    def walk_the_history(self, back: bool) -> None:
        panel = self.dock.review.change.panel
        mouse.click(panel.back if back else panel.forth)
        self.compare(drew=NAMES)

    @action()
    def save_project(self) -> None:
        folder, panel = self.folder / "p.segproject", self.dock.projects.panel
        worth = self.dock.projects._worth_saving()
        answer = (str(folder), "")
        self.monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: answer)
        mouse.click(panel.save)
        self.compare()
        if worth:
            self.saved = {name: model.marks for name, model in self.models.items()}
            self.check_project(folder)

    @action(needs=lambda walk: walk.saved)
    def open_project(self) -> None:
        answer = str(self.folder / "p.segproject")
        ask = "getExistingDirectory"
        self.monkeypatch.setattr(QFileDialog, ask, lambda *a, **k: answer)
        mouse.click(self.dock.projects.panel.open)
        self.window.wait(lambda: self.status != "Opening the project...")
        self.settle()
        QTest.qWait(100)
        self.settle()
        for name, model in self.models.items():
            both = zip(model.marks, self.saved[name], strict=True)
            wanted = [np.where(a > 0, a, b) for a, b in both]
            self.check_marked(name)
            new = self.begin(name, older=True)
            for got, one in zip(new.marks, wanted, strict=True):
                np.testing.assert_array_equal(got, one)
        self.compare(live=True)

    # -- doing -----------------------------------------------------------------

    @property
    def dock(self) -> Any:
        return self.window.dock

    @property
    def name(self) -> str:
        return str(self.dock.image.name)

    @property
    def annotation(self) -> Any:
        return self.window.annotation

    @property
    def status(self) -> str:
        return str(self.dock.status.label.text())

    def add(self, name: str) -> None:
        self.viewer.add_image(self.images[name], name=name, rgb=name == "colour")

    def pick(self, name: str) -> None:
        combo = self.dock.inputs.image
        self.settle()
        if combo.currentText() != name:
            combo.setFocus()
            down = combo.findText(name) > combo.currentIndex()
            QTest.keyClick(combo, Qt.Key.Key_Down if down else Qt.Key.Key_Up)
            self.settle()
        assert self.name == name

    def begin(self, name: str, older: bool) -> ImageModel:
        """Take the layers as they are for what is known of an image."""
        one = self.of(name)
        self.models[name] = ImageModel.of(one.mask.data, one.marks.data, older)
        return self.models[name]

    def of(self, name: str) -> Any:
        return self.dock.controller.annotations.get(self.viewer.layers[name])

    def take(self, key: Any) -> None:
        """Take a tool of the mask."""
        mask = self.annotation.mask
        if self.viewer.layers.selection.active is not mask:
            mouse.select(self.viewer, mask)
        mouse.press_key(key)
        mask.brush_size = 3

    def stroke(self, key: Any, line: Any, label: int) -> None:
        y, (x0, x1) = line
        self.take(key)
        path, plane = [(y, x0), (y, x1)], self.annotation.shown()
        mouse.stroke(self.viewer, self.annotation.mask, path)
        self.models[self.name].paint(plane, bar((60, 80), path), label)
        self.compare(live=True)

    def step(self, redo: bool) -> None:
        mask = self.annotation.mask
        if self.viewer.layers.selection.active is not mask:
            mouse.select(self.viewer, mask)
        plane = self.annotation.shown()
        known = self.models[self.name].back(plane, redo)
        mouse.press_key(Qt.Key.Key_Z, CTRL | SHIFT if redo else CTRL)
        self.settle()
        if not known:
            self.begin(self.name, older=True)
            self.check_marked(self.name)
        self.compare(live=True)

    def settle(self) -> None:
        """Wait until nothing goes on that would change a mask or marks."""
        QApplication.processEvents()
        QApplication.processEvents()
        self.window.wait(lambda: not self.going_on())

    def going_on(self) -> bool:
        controller = self.dock.controller
        return bool(
            controller.busy
            or controller._preparing is not None
            or self.dock.live._image is not None
            or self.dock.live._timer.isActive()
            or self.dock.projects.restorer._queue
            or self.dock.inputs.image._timer.isActive()
            or self.status.endswith("working...")
            or any(
                one.writer._timer.isActive() or one.mask_sync._timer.isActive()
                for one in controller.annotations
            )
        )

    # -- looking ---------------------------------------------------------------

    def compare(self, drew: Any = (), live: bool = False) -> None:
        """See that masks and marks are as the model says; what was drawn is noted."""
        self.settle()
        if live and self.dock.session.settings.live:
            drew = [self.name]
        for name, model in self.models.items():
            one = self.of(name)
            masks, marks = as_planes(one.mask.data), as_planes(one.marks.data)
            for plane, wanted in enumerate(model.marks):
                np.testing.assert_array_equal(
                    marks[plane], wanted, f"marks of {name}, plane {plane}"
                )
            new = {
                plane: mask
                for plane, mask in enumerate(masks)
                if not np.array_equal(mask, model.masks[plane])
            }
            for plane, mask in new.items() if name not in drew else ():
                np.testing.assert_array_equal(
                    mask, model.masks[plane], f"mask of {name}, plane {plane}"
                )
            model.draw(new)
            self.check_marked(name)

    def check_marked(self, name: str) -> None:
        """See that the mask shows what is marked."""
        one = self.of(name)
        marks = np.asarray(one.marks.data)
        at = marks > 0
        np.testing.assert_array_equal(np.asarray(one.mask.data)[at], marks[at] - 1)

    def check_project(self, folder: Path) -> None:
        """See that a project holds all marks."""
        project, missing = read_project(folder), list[str]()
        for entry in project.images:
            _, marks = read_labels(folder, project, entry, missing)
            for got, wanted in zip(
                as_planes(marks), self.models[entry.name].marks, strict=True
            ):
                np.testing.assert_array_equal(got, wanted, f"{entry.name} on disk")
        assert not missing
        marked = [n for n, m in self.models.items() if any(p.any() for p in m.marks)]
        assert set(marked) <= {entry.name for entry in project.images}

    def check_autosave(self) -> None:
        saver, numbers = self.dock.projects.autosaver, list[int]()
        saver.saved.connect(numbers.append)
        wanted = saver.ask()
        self.window.wait(lambda: bool(numbers) and numbers[-1] >= wanted)
        folder = Path(saver.stored.folder)
        if (folder / PROJECT_FILE).exists():
            self.check_project(folder)
        else:
            assert not any(p.any() for m in self.models.values() for p in m.marks)


def left_behind() -> list[str]:
    """Widgets of ours that live on, or that are windows of their own."""
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    ours = [type(w) for w in QApplication.allWidgets()]
    return sorted({t.__qualname__ for t in ours if "napari_segdino" in t.__module__})
