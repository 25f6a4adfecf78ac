"""Undo, redo and corrections, played without any window."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_segdino.marks import apply_marks
from napari_segdino.session.mask_history import Edit, PlaneHistory

SHAPE = (3, 4)


class Plane:
    """A plane of a mask with napari's undo, its marks and its history."""

    def __init__(self) -> None:
        self.mask = np.zeros(SHAPE, np.uint8)
        self.seen = self.mask.copy()
        self.marks = np.zeros(SHAPE, np.uint8)
        self.history = PlaneHistory(self.mask)
        self.undone: list[tuple[np.ndarray, np.ndarray]] = []
        self.done: list[tuple[np.ndarray, np.ndarray]] = []

    def look(self, painted: bool) -> None:
        if (self.mask != self.seen).any():
            self.marks = self.history.see(self.seen, self.mask, self.marks, painted)
            self.seen = self.mask.copy()

    def _edit(self, new: np.ndarray) -> bool:
        if (new == self.mask).all():
            return False
        self.done.append((self.mask, new))
        self.undone.clear()
        self.mask = new
        return True

    def paint(self, at: tuple[int, int], label: int) -> None:
        new = self.mask.copy()
        new[at] = label
        self._edit(new)
        self.look(painted=True)

    def draw(self, prediction: np.ndarray) -> None:
        if self._edit(apply_marks(prediction, self.marks)):
            self.seen = self.mask.copy()
            self.history.wrote(self.mask)

    def undo(self) -> None:
        if self.done:
            self.undone.append(self.done.pop())
            self.mask = self.undone[-1][0]
            self.look(painted=False)

    def redo(self) -> None:
        if self.undone:
            self.done.append(self.undone.pop())
            self.mask = self.done[-1][1]
            self.look(painted=False)


def test_undoing_an_update_marks_nothing() -> None:
    plane = Plane()
    plane.draw(np.eye(*SHAPE, dtype=np.uint8))
    plane.paint((0, 3), 1)
    marks = plane.marks.copy()
    assert marks[0, 3] == 2
    plane.draw(np.ones(SHAPE, np.uint8))
    plane.undo()
    np.testing.assert_array_equal(plane.marks, marks)
    plane.undo()
    assert not plane.marks.any()
    plane.redo()
    np.testing.assert_array_equal(plane.marks, marks)


def test_undo_and_redo_name_the_updates_on_the_way() -> None:
    masks = [np.full(SHAPE, n, np.uint8) for n in range(4)]
    history = PlaneHistory(masks[0])
    marks = np.zeros(SHAPE, np.uint8)
    history.wrote(masks[1], "first")
    history.see(masks[1], masks[2], marks, painted=True)
    history.wrote(masks[3], "second")
    assert history.passed(2) == [("second", False)]
    history.see(masks[3], masks[0], marks, painted=False)
    assert history.passed(3) == [("second", True), ("first", True)]
    history.see(masks[0], masks[2], marks, painted=False)
    assert history.passed(0) == [("first", False)]
    assert history.passed(2) == []


def test_painting_an_update_back_by_hand_counts() -> None:
    plane = Plane()
    plane.draw(np.eye(*SHAPE, dtype=np.uint8))
    update = plane.mask.copy()
    update[2, 3] = 1
    plane.draw(update)
    plane.paint((2, 3), 0)  # as it was before the update, but painted
    assert plane.marks[2, 3] == 1


def test_undo_of_several_steps_at_once() -> None:
    plane = Plane()
    plane.paint((0, 0), 1)
    plane.paint((1, 1), 2)
    plane.mask = np.zeros(SHAPE, np.uint8)  # two undos before anybody looked
    plane.look(painted=False)
    assert not plane.marks.any()


def test_marks_painted_directly_outlive_undo() -> None:
    plane = Plane()
    plane.paint((0, 0), 1)
    plane.marks[2, 2] = 3  # in the marks layer
    plane.marks[0, 0] = 1  # and over what the stroke marked
    plane.undo()
    assert plane.marks[2, 2] == 3
    assert plane.marks[0, 0] == 1


def test_confirming_stroke_comes_and_goes() -> None:
    plane = Plane()
    plane.paint((0, 0), 1)
    brush = np.zeros(SHAPE, bool)
    brush[0, 1] = True
    history = plane.history
    plane.marks = history.confirm(plane.mask, brush, 0, plane.marks, alone=0)
    assert plane.marks[0, 1] == 1
    assert history.confirmed(redo=False) == 0
    back = history.step_confirmed(False, plane.marks)
    assert back[0, 1] == 0
    assert back[0, 0] == 2, "the stroke before stays"
    undo = history.confirmed(redo=False)
    assert undo is None, "what comes next is napari's to undo"
    assert history.confirmed(redo=True) == 0
    again = history.step_confirmed(True, back)
    assert again[0, 1] == 1
    assert history.confirmed(redo=True) is None


def test_confirmed_part_of_a_stroke_is_undone_with_it() -> None:
    plane = Plane()
    plane.paint((0, 0), 1)
    brush = np.zeros(SHAPE, bool)
    brush[0, :2] = True
    plane.mask = plane.mask.copy()
    plane.mask[0, 1] = 1
    plane.done.append((plane.seen, plane.mask))
    plane.look(painted=True)
    brush[0, 0] = True
    plane.marks[0, 0] = 0
    plane.marks = plane.history.confirm(plane.mask, brush, 1, plane.marks, alone=None)
    assert plane.marks[0, 0] == 2
    plane.undo()
    assert plane.marks[0, 0] == 0
    assert plane.marks[0, 1] == 0


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("paint"),
            st.tuples(st.integers(0, 2), st.integers(0, 3)),
            st.integers(0, 2),
        ),
        st.tuples(st.just("draw"), st.integers(0, 4)),
        st.tuples(st.just("undo")),
        st.tuples(st.just("redo")),
    ),
    max_size=25,
)


@given(steps)
def test_marks_follow_undo_and_redo(todo: list[tuple]) -> None:
    """Marks are always those of the strokes that are done and not undone."""
    plane = Plane()
    marked: list[np.ndarray] = [plane.marks.copy()]  # after each step that is done
    ahead: list[np.ndarray] = []
    for step in todo:
        before = len(plane.done)
        if step[0] == "paint":
            plane.paint(step[1], step[2])
        elif step[0] == "draw":
            seed = np.random.default_rng(step[1])
            plane.draw(seed.integers(0, 3, SHAPE).astype(np.uint8))
        else:
            getattr(plane, step[0])()
        if step[0] in ("paint", "draw") and len(plane.done) > before:
            ahead = []
            marked.append(plane.marks.copy())
        elif step[0] == "undo" and len(plane.done) < before:
            ahead.append(marked.pop())
        elif step[0] == "redo" and len(plane.done) > before:
            marked.append(ahead.pop())
        np.testing.assert_array_equal(plane.mask, plane.seen)
        where = plane.marks > 0
        np.testing.assert_array_equal(plane.mask[where], plane.marks[where] - 1)


def test_edit_leaves_later_marks_alone() -> None:
    before, after = np.array([[0, 0]]), np.array([[2, 2]])
    edit = Edit.between(before, after)
    marks = np.array([[2, 1]])  # the second was marked otherwise since
    edit.undo(marks)
    np.testing.assert_array_equal(marks, [[0, 1]])
    edit.redo(marks)
    np.testing.assert_array_equal(marks, [[2, 1]])
