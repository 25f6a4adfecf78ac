"""The Review tab: where to look, what each Retrain changed, how good it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_segdino._qt.controllers.score_review import ScoreReview
from napari_segdino._qt.controllers.suggester import Suggester
from napari_segdino._qt.layers.image_layers import title
from napari_segdino._qt.layers.mask_writer import Piece
from napari_segdino._qt.layers.overlays import Overlay
from napari_segdino._qt.widgets.dialogs import ask_export_table
from napari_segdino._qt.widgets.panels import heading
from napari_segdino._qt.widgets.review_panels import ChangePanel
from napari_segdino._qt.worker.idle import IdleTask
from napari_segdino._qt.worker.runner import Job

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino._qt.worker.drawing import Drawing
    from napari_segdino.review.guard import Guard
    from napari_segdino.session.changes import Difference, Painted
    from napari_segdino.session.classes import LabelClass
    from napari_segdino.session.probe_history import MaskUpdate

NO_SCORES = "There are no scores yet: pick a reference, or Retrain and wait."


class HistoryNavigator(QObject):  # type: ignore[misc]
    """Puts earlier probes back, and has the probe follow undo and redo.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    moved = Signal()
    """The probe of another state is there."""

    def __init__(
        self, controller: SessionController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        controller.annotations.undone.connect(partial(self._follow, back=True))
        controller.annotations.redone.connect(partial(self._follow, back=False))

    def step(self, by: int) -> None:
        """Go to the probe before (-1) or after (1), and to the masks it had.

        The masks are drawn as one step that can be undone; what was painted
        since stays painted.

        Parameters
        ----------
        by : int
            Either -1 or 1.
        """
        # A job at work would go on with the probe that is put away.
        self._controller.when_free(partial(self._step, by))

    def _step(self, by: int) -> None:
        controller = self._controller
        found = controller.history.step(by)
        if found is None:
            return
        update, masks = found
        annotations = {w.key: w for w in controller.annotations}
        # Images that were closed have no mask to draw.
        here = {name: mask for name, mask in masks.items() if name[0] in annotations}

        def draw(step: tuple[Any, int, Any]) -> None:
            key, plane, labels = step
            # Named as a mask update: Ctrl-Z brings probe and mask back together.
            annotations[key].writer.add(Piece(plane, labels, update))

        def done(_: Any) -> None:
            for key in {key for key, _ in here}:
                annotations[key].writer.finish()
            controller.message.emit(self._where())

        from napari_segdino.session.tasks import iter_unpack

        steps = partial(iter_unpack, here)
        controller.runner.start(Job("History", steps, on_step=draw, on_done=done))
        self.moved.emit()

    def _follow(self, annotation: Annotation, update: MaskUpdate, back: bool) -> None:
        """Have the probe follow when a mask update is undone or redone."""
        index = self._controller.history.find(annotation.key, update, back)
        if index is not None:
            self._controller.when_free(partial(self._put_back, index))

    def _put_back(self, index: int) -> None:
        self._controller.history.go(index)
        self._controller.message.emit(self._where())
        self.moved.emit()

    def _where(self) -> str:
        place, count = self._controller.history.place
        if self._controller.session.is_fitted:
            return f"Model {place} of {count} is back, with its mask."
        if place == 1:
            return "Back before the first Retrain: mask and model are as they were."
        return "The new model is back: Retrain learns from all marks that are there."


MORE, LESS = "#00ff6a", "#ff1f4b"
"""Mixed into a class's colour where it was gained and where it was lost."""

UNCHANGED = "Nothing has changed yet: correct the mask and press Retrain first."


class ChangeReview(QObject):  # type: ignore[misc]
    """Compares the mask before and after each Retrain while the user rests.

    Parameters
    ----------
    controller : SessionController
        Says when it has trained.
    idle : IdleTask
        Does the comparing.
    current : callable
        Returns the annotation of the image that is picked, or None.
    """

    def __init__(
        self,
        controller: SessionController,
        idle: IdleTask,
        current: Callable[[], Annotation | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.panel = ChangePanel()
        self.navigator = HistoryNavigator(controller, self)
        self._controller, self._idle, self._current = controller, idle, current
        self._drawing: Drawing | None = None
        self._found: Difference | None = None
        self._told = False
        self._overlay = Overlay(controller, "changes", self)
        self.panel.overlay.toggled.connect(self._on_overlay)
        self.panel.back.clicked.connect(partial(self.navigator.step, -1))
        self.panel.forth.clicked.connect(partial(self.navigator.step, 1))
        self._overlay.gone.connect(partial(self.panel.overlay.setChecked, False))
        self.navigator.moved.connect(self._forget)
        controller.trained.connect(self._on_trained)

    def release(self) -> None:
        """Take the layers away and let go of the window."""
        self._overlay.release()

    def refresh(self) -> None:
        """Show what belongs to the image that is picked, and where we are."""
        if self.panel.overlay.isChecked():
            self._show_overlay(True)
        self._show_found()
        self.panel.show_place(*self._controller.history.place)
        if self._controller.history.place == (0, 0):
            self._forget()

    def _on_trained(self, drawing: Drawing) -> None:
        self._forget()
        self._drawing = drawing
        self._idle.ask("compare", self._make)

    def _forget(self) -> None:
        """What was compared is no longer what is shown."""
        self._idle.drop("compare")
        if self._drawing is not None:
            self._overlay.clear(self._drawing.annotation)
        self._drawing, self._found, self._told = None, None, False
        self._show_found()
        self.panel.show_place(*self._controller.history.place)

    def _on_overlay(self, on: bool) -> None:
        if on and self._of_this() is None:
            self.panel.overlay.setChecked(False)
            self._controller.refuse(self._controller.annotations.lacking(UNCHANGED))
        else:
            self._show_overlay(on)

    def _of_this(self) -> Drawing | None:
        """Return the last mask update, if it was of this image and with this probe."""
        drawing, session = self._drawing, self._controller.session
        if drawing is None or drawing.annotation is not self._current():
            return None
        if not session.is_fitted or drawing.trained is None:
            return None
        # Undo, a file or New probe may have brought another one.
        same = drawing.trained.after.get("model_") is session.segmenter.model_
        return drawing if same else None

    def _show_overlay(self, on: bool) -> None:
        annotation = self._current()
        if not on or annotation is None:
            self._overlay.hide()
            return
        self._overlay.show(annotation)
        self._overlay.color(
            annotation, overlay_colors(self._controller.session.classes)
        )
        if self._drawing is not None:
            self._idle.ask("compare", self._make)

    def _make(self) -> Job | None:
        drawing = self._drawing
        if drawing is None:
            return None
        from napari_segdino.session.changes import iter_difference

        paint = self.panel.overlay.isChecked()
        return Job(
            "Comparing",
            partial(iter_difference, tuple(drawing.parts), drawing.trained, paint),
            on_step=partial(self._take, drawing.annotation),
            on_done=self._keep,
        )

    def _take(self, annotation: Annotation, painted: Painted) -> None:
        self._overlay.draw(annotation, painted.plane, painted.labels)

    def _keep(self, found: Difference) -> None:
        self._found = found
        self._show_found()
        text, regressed = verdict(found.guard)
        # Comparing may begin anew, with colours, and find the same.
        if regressed and not self._told:
            self._told = True
            self._controller.message.emit(
                f"{text} Go back in the Review tab, or go on."
            )

    def _show_found(self) -> None:
        """Show what was found, if it is of the image and the probe that are there."""
        found = self._found
        if found is None or self._of_this() is None:
            self.panel.show_counts([])
            self.panel.show_verdict("")
            return
        rows = [
            (
                escape(one.name),
                _mixed(one.color, MORE),
                _mixed(one.color, LESS),
                found.gained.get(one.label, 0),
                found.lost.get(one.label, 0),
            )
            for one in self._controller.session.classes
        ]
        self.panel.show_counts(rows)
        self.panel.show_verdict(*verdict(found.guard))


class ReviewPanel(QWidget):  # type: ignore[misc]
    """The tab with its three parts.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    current : callable
        Returns the annotation of the image that is picked, or None.
    pick : callable
        Picks an image.
    """

    def __init__(
        self,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        pick: Callable[[Image], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.idle = IdleTask(controller, self)
        self.suggest = Suggester(controller, self.idle, current, pick, self)
        self.change = ChangeReview(controller, self.idle, current, self)
        self.score = ScoreReview(controller, self.idle, current, self)
        self._controller, self._current = controller, current
        self._lay_out()
        self.score.panel.export.clicked.connect(self._export)
        controller.trained.connect(self.refresh)
        controller.prepared.connect(self.refresh)
        controller.session.probe_changed.connect(self._on_probe)
        controller.busy_changed.connect(self._on_busy)

    def release(self) -> None:
        """Stop and let go of the window."""
        self._controller.session.probe_changed.disconnect(self._on_probe)
        self._controller.trained.disconnect(self.refresh)
        self._controller.prepared.disconnect(self.refresh)
        self.idle.close()
        self.suggest.release()
        self.change.release()
        self.score.release()

    def refresh(self, _: object = None) -> None:
        """Follow another image, another probe, or being shown."""
        self.suggest.refresh()
        self.change.refresh()
        self.score.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what happened while the tab was hidden."""
        super().showEvent(event)
        self.refresh()

    def _on_probe(self) -> None:
        if not self._controller.busy:
            self.refresh()

    def _on_busy(self, busy: bool) -> None:
        self.score.panel.export.setEnabled(not busy)
        self.change.panel.set_busy(busy)
        if not busy:
            self.change.refresh()

    def _export(self) -> None:
        rows = self.score.rows()
        if not rows:
            self._controller.refuse(self._controller.annotations.lacking(NO_SCORES))
            return
        annotation = self._current()
        path = ask_export_table(
            self, f"{title(annotation.image)}-scores" if annotation else "scores"
        )
        if path is not None:
            self._controller.export_scores(rows, path)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(6)
        changed = QHBoxLayout()
        changed.addWidget(heading("What changed"), 1)
        changed.addWidget(self.change.panel.overlay)
        column.addWidget(heading("Where to look"))
        column.addWidget(self.suggest.panel)
        column.addLayout(changed)
        column.addWidget(self.change.panel)
        column.addWidget(heading("How good"))
        column.addWidget(self.score.panel)
        column.addStretch(1)


def verdict(found: Guard | None) -> tuple[str, bool]:
    """Say in one sentence whether earlier corrections hold.

    Returns
    -------
    text : str
        Empty where there are none.
    regressed : bool
        Whether some hold no more.
    """
    if found is None or not found.after:
        return "", False
    count, regressed = len(found.after), len(found.regressed)
    if regressed:
        verb = "holds" if regressed == 1 else "hold"
        return f"{regressed} of {count} earlier corrections no longer {verb}.", True
    holding = sum(score.satisfied for score in found.after)
    amount = "All" if holding == count else f"{holding} of"
    return f"{amount} {count} earlier corrections hold.", False


def overlay_colors(classes: tuple[LabelClass, ...]) -> dict[int | None, Any]:
    """Return the colours of what classes gained (odd) and lost (even).

    Parameters
    ----------
    classes : tuple of LabelClass
        Class `k` gains as ``2 k - 1`` and loses as ``2 k``.
    """
    colors: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    for one in classes:
        colors[2 * one.label - 1] = _mixed(one.color, MORE)
        colors[2 * one.label] = _mixed(one.color, LESS)
    return colors


def _mixed(color: str, other: str, share: float = 0.65) -> str:
    """Mix two colours ``"#rrggbb"``; `share` is that of the second."""
    pairs = [(int(color[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round((1 - share) * a + share * b):02x}" for a, b in pairs)
