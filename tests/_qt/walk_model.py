"""What masks and marks must be after a user's steps: a model that knows no Qt.

It follows the rules of docs/how_it_works.md by other means than the program: it keeps
every state of a plane whole, and a list of steps, as napari does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

STEPS = 100
"""Steps that napari keeps of a layer."""


@dataclass(frozen=True)
class State:
    """A plane after a step; `alone` if the step changed marks and no mask."""

    mask: np.ndarray
    marks: np.ndarray
    alone: bool = False


@dataclass
class PlaneModel:
    """States of a plane, oldest first."""

    states: list[State]
    now: int = 0

    @property
    def state(self) -> State:
        return self.states[self.now]

    def push(self, state: State) -> None:
        self.states = [*self.states[: self.now + 1], state]
        self.now += 1

    def alone(self, redo: bool) -> bool:
        """Whether the next step to undo or redo changed marks only."""
        at = self.now + redo
        return at < len(self.states) and self.states[at].alone


@dataclass
class ImageModel:
    """The planes of an image and the steps of its mask, the last one last.

    A step names, by plane, the state before and after it. What lies before the
    first step of the model, and after its last one, is not known to it if `older`.
    """

    planes: list[PlaneModel]
    older: bool = False
    undone: list[dict[int, tuple[int, int]]] = field(default_factory=list)
    done: list[dict[int, tuple[int, int]]] = field(default_factory=list)

    @classmethod
    def of(cls, mask: np.ndarray, marks: np.ndarray, older: bool) -> ImageModel:
        pairs = zip(as_planes(mask), as_planes(marks), strict=True)
        return cls([PlaneModel([State(a, b)]) for a, b in pairs], older)

    @property
    def marks(self) -> list[np.ndarray]:
        return [plane.state.marks for plane in self.planes]

    @property
    def masks(self) -> list[np.ndarray]:
        return [plane.state.mask for plane in self.planes]

    def paint(self, plane: int, where: np.ndarray, label: int) -> None:
        """The user says that these pixels are of a class, or background."""
        mask, marks = self.masks[plane].copy(), self.marks[plane].copy()
        mask[where], marks[where] = label, label + 1
        self.step({plane: (mask, marks)})

    def accept(self, plane: int) -> None:
        """The user says that all of a plane is right."""
        mask, marks = self.masks[plane], self.marks[plane]
        self.step({plane: (mask, np.where(marks > 0, marks, mask + 1))})

    def draw(self, masks: dict[int, np.ndarray]) -> None:
        """The program draws planes; what is marked stays."""
        self.step({p: (mask, self.marks[p]) for p, mask in masks.items()})

    def step(self, new: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
        step, pushed = {}, False
        for plane, (mask, marks) in new.items():
            one = self.planes[plane]
            changed = not np.array_equal(mask, one.state.mask)
            if changed or not np.array_equal(marks, one.state.marks):
                one.push(State(mask, marks, alone=not changed))
                pushed = True
            if changed:
                step[plane] = (one.now - 1, one.now)
        if step:
            self.done = [*self.done, step][-STEPS:]
        if pushed:
            self.undone = []

    def back(self, shown: int, redo: bool) -> bool:
        """Undo or redo a step; return whether it is known what must come of it."""
        if self.planes[shown].alone(redo):
            self.planes[shown].now += 1 if redo else -1
            return True
        stack, other = (self.undone, self.done) if redo else (self.done, self.undone)
        if not stack:
            return not self.older
        at = next_step(stack, shown)
        if shown not in stack[at]:
            there = min(stack[at], key=lambda p: (abs(p - shown), p))
            if self.planes[there].alone(redo):
                self.planes[there].now += 1 if redo else -1
                return True
        step = stack.pop(at)
        other.append(step)
        for plane, (before, after) in step.items():
            self.planes[plane].now = after if redo else before
        return True

    def remove_class(self, label: int) -> None:
        """The user takes a class and its marks back: what was before is over."""
        for plane in self.planes:
            mask, marks = plane.state.mask, plane.state.marks
            plane.states, plane.now = (
                [State(mask, np.where(marks == label + 1, 0, marks))],
                0,
            )
        self.done, self.undone, self.older = [], [], True


def next_step(stack: list[dict[int, tuple[int, int]]], shown: int) -> int:
    """The last step on a plane that no later one stands on, else the last of all."""
    after: set[int] = set()
    for at in reversed(range(len(stack))):
        if shown in stack[at]:
            return len(stack) - 1 if after & set(stack[at]) else at
        after |= set(stack[at])
    return len(stack) - 1


def bar(shape: tuple[int, ...], points: Iterable[tuple[int, int]]) -> np.ndarray:
    """What a brush of three pixels passes along a straight line."""
    where = np.zeros(shape, bool)
    (y0, x0), (y1, x1) = points
    where[max(0, y0 - 1) : y1 + 2, max(0, x0 - 1) : x1 + 2] = True
    return where


def pool(mask: np.ndarray, point: tuple[int, int]) -> np.ndarray:
    """What a bucket reaches from a point."""
    labelled, _ = ndimage.label(mask == mask[point])
    return np.asarray(labelled == labelled[point])


def as_planes(data: np.ndarray) -> list[np.ndarray]:
    """Copies of the planes of a mask or marks."""
    return [np.array(p, np.int64) for p in data.reshape(-1, *data.shape[-2:])]
