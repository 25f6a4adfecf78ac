"""What leaves the window: the mask as a file, or Python that makes it again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QApplication, QHBoxLayout, QPushButton, QWidget

from napari_segdino._qt.layers.files import origin, proposed_suffix
from napari_segdino._qt.layers.image_layers import title, voxel_spacing
from napari_segdino._qt.messages import SWITCH
from napari_segdino._qt.widgets.dialogs import ask_export_mask, ask_save_script
from napari_segdino._qt.worker.runner import Job

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino.session.script import Script, ScriptImage, ScriptState

DRAWING = ("Click", "Retrain", "Segment", SWITCH)
"""Jobs that draw all planes that are wanted."""


class Exports(QWidget):  # type: ignore[misc]
    """Saves the mask of the image that is picked, or the script that makes it again.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    current : callable
        Returns the annotation of the image that is picked, if any.
    commands : callable
        Returns what is to be done to folders, as words of the command line.
    """

    def __init__(
        self,
        controller: SessionController,
        current: Callable[[], Annotation | None],
        commands: Callable[[], tuple[tuple[str, ...], ...]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._controller, self._current = controller, current
        self._commands = commands
        self._wanted: tuple[Annotation, Path] | None = None
        # By the ids of images: whether the mask was drawn after clicks with nothing
        # learned, and which plane was on screen when it was drawn last.
        self._from_clicks: dict[object, bool] = {}
        self._first: dict[object, int] = {}
        self.mask = QPushButton("Export mask...")
        self.script = QPushButton("Copy as script...")
        self.mask.setToolTip("Save the mask: TIFF, or the scan's own format")
        self.script.setToolTip(
            "Python that makes this mask again, on the clipboard and in a file; what "
            "was learned and painted is written beside it"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.mask, 1)
        row.addWidget(self.script, 1)
        self.mask.clicked.connect(lambda _: self.export())
        self.script.clicked.connect(lambda _: self.copy_script())
        controller.runner.started.connect(self._on_started)
        controller.busy_changed.connect(lambda busy: self.setEnabled(not busy))
        controller.annotations.settled.connect(self._on_settled)

    def export(self) -> None:
        """Ask for a file and write the mask to it."""
        if (annotation := self._drawn()) is None:
            return
        suffix, name = proposed_suffix(annotation.mask), title(annotation.image)
        if path := ask_export_mask(self, f"{name}-mask", suffix):
            self._controller.export_mask(annotation.image, path)

    def copy_script(self) -> None:
        """Ask for a file and write the script to it and to the clipboard."""
        if (annotation := self._drawn()) is None:
            return
        if path := ask_save_script(self, title(annotation.image)):
            self._wanted = annotation, path
            # What was painted just now may not be among the marks yet.
            annotation.mask_sync.sync_all()

    def _drawn(self) -> Annotation | None:
        """Return the annotation that is picked; refuse where no mask is drawn."""
        annotation, annotations = self._current(), self._controller.annotations
        drawn = None if annotation is None else annotations.drawn(annotation.image)
        if drawn is None:
            self._controller.refuse(annotations.lacking())
        return drawn

    def _on_started(self, job: str) -> None:
        annotation = self._current()
        if annotation is None or job not in DRAWING:
            return
        self._from_clicks[annotation.key] = job == "Click"
        if len(annotation.planes) > 1 and annotation.centre() is not None:
            self._first[annotation.key] = annotation.shown()
        else:
            self._first.pop(annotation.key, None)

    def _on_settled(self, annotation: Annotation) -> None:
        if self._wanted is None or self._wanted[0] is not annotation:
            return
        from napari_segdino.session.script import iter_write_script

        (_, path), self._wanted = self._wanted, None
        state = self._state(annotation)
        controller = self._controller
        self._controller.runner.start(
            Job(
                "Script",
                partial(iter_write_script, state, path),
                on_done=self._on_done,
                on_error=controller.report,
            )
        )

    def _on_done(self, script: Script) -> None:
        QApplication.clipboard().setText(script.text)
        text = f"The script is on the clipboard and in {script.path}."
        if script.differs:
            text += (
                f" Its mask differs from this one in {max(script.differs, 1e-3):.1%} "
                "of the pixels, which an earlier model, a box or a copy drew: press "
                "Segment to have the same."
            )
        self._controller.message.emit(text)

    def _state(self, annotation: Annotation) -> ScriptState:
        from napari_segdino.session.learning import fits
        from napari_segdino.session.script import ScriptState

        session = self._controller.session
        segmenter = session.snapshot()
        alone = _drawn_one_by_one(annotation, session.settings.whole_volume)
        others = [
            _as_input(other)
            for other in self._controller.annotations
            if other is not annotation
            and np.any(other.marks.data)
            and fits(segmenter, annotation.planes, other.planes, anew=True)
        ]
        return ScriptState(
            _as_input(annotation),
            tuple(others),
            annotation.mask.data.copy(),
            segmenter,
            session.classes,
            alone,
            None if alone else self._first.get(annotation.key),
            self._from_clicks.get(annotation.key, False),
            proposed_suffix(annotation.mask),
            self._commands(),
        )


def _as_input(annotation: Annotation) -> ScriptImage:
    from napari_segdino.session.script import ScriptImage

    came = origin(annotation.image)
    return ScriptImage(
        title(annotation.image),
        annotation.planes,
        annotation.marks.data.copy(),
        voxel_spacing(annotation.mask),
        came.path,
        came.series,
        came.sample,
    )


def _drawn_one_by_one(annotation: Annotation, whole_volume: bool) -> tuple[int, ...]:
    """Return the planes that were drawn each for itself; empty for all together."""
    planes = annotation.planes
    drawn = [
        plane
        for plane in range(len(planes))
        if annotation.mask_sync.drawn_with(plane) is not None
    ]
    if len(planes) == 1 or (whole_volume and len(drawn) == len(planes)):
        return ()
    return tuple(drawn)
