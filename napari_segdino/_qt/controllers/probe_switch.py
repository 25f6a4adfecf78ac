"""A new probe for another encoder, head, view or channels, from a file or from none."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_segdino._qt.layers.annotations import NOT_TRAINED
from napari_segdino._qt.layers.image_layers import title
from napari_segdino._qt.messages import SWITCH, summary
from napari_segdino._qt.widgets import dialogs
from napari_segdino._qt.worker.runner import Job
from napari_segdino.session.classes import BACKGROUND_MARK
from napari_segdino.session.results import LeftOut, Switched

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino._qt.layers.annotation import Annotation
    from napari_segdino._qt.widgets.panels import FilePanel
    from napari_segdino.errors import ChannelsError


class ProbeSwitch(QObject):  # type: ignore[misc]
    """Changes settings that the probe is bound to.

    The present probe stays until the new one has its encoder and has learned the
    marks there are, and where that fails or is cancelled.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    def __init__(
        self, controller: SessionController, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._controller = controller
        self._changes: dict[str, Any] = {}
        controller.busy_changed.connect(self._on_busy)

    def switch(self, image: Image | None, **changes: Any) -> None:
        """Make a new probe and draw the mask of an image with it.

        Parameters
        ----------
        image : napari.layers.Image, optional
            The image that is picked.
        **changes
            Fields of :class:`~napari_segdino.session.settings.Settings`; those of a
            switch that is under way go with them.
        """
        from napari_segdino.session.tasks import iter_switch

        controller, session = self._controller, self._controller.session
        if "head" in changes:
            changes = {"recipe": None} | changes  # recipes are each a head's own
        # The job that begins now takes the place of one that is at work, and has to
        # make its changes as well.
        self._changes |= changes
        annotation = controller.annotations.get(image) if image is not None else None
        steps = partial(
            iter_switch,
            session.segmenter,
            session.candidate(**self._changes),
            dict(self._changes),
            [one.marked() for one in controller.annotations],
        )
        if annotation is None:
            self._load(steps)
            return
        drawn = partial(
            steps,
            annotation.marked(),
            annotation.mask.data,
            annotation.wanted(session.settings.whole_volume),
            annotation.centre(),
            controller.uncertainty_wanted(),
        )
        controller.draw(annotation, SWITCH, drawn)

    def _load(self, steps: Any) -> None:
        """Have the new probe take over with nothing to draw."""
        controller = self._controller

        def done(_: Any) -> None:
            fitted = controller.session.is_fitted
            controller.message.emit(summary(SWITCH, grouped=False, fitted=fitted))

        controller.message.emit(f"{SWITCH}: working...")
        controller.runner.start(
            Job(SWITCH, steps, self._take, on_done=done, on_error=controller.report)
        )

    def _take(self, step: Any) -> None:
        if isinstance(step, Switched):
            self._controller.history.switch(step.segmenter, **step.changes)

    def _on_busy(self, busy: bool) -> None:
        if not busy:
            # Whatever came of it: the next one begins from the settings there are.
            self._changes = {}


class ChannelKeeper(QObject):  # type: ignore[misc]
    """Begins new probes for other channels, and says what a probe leaves out.

    Parameters
    ----------
    controller : SessionController
        Of the window.
    """

    differ = Signal(object)
    """The annotation whose image has other channels than the probe learned from."""

    def __init__(self, controller: SessionController) -> None:
        super().__init__(controller)
        self._controller = controller
        self._told: set[tuple[int, Any]] = set()
        self._left_out = ""
        controller.annotations.channels_changed.connect(self._on_channels)

    def refuse(self, annotation: Annotation, error: ChannelsError) -> None:
        """Say that a probe does not fit an image; the dock has a button for it.

        Parameters
        ----------
        annotation : Annotation
            Of the image that it does not fit.
        error : ChannelsError
            Its text is the sentence.
        """
        self._controller.message.emit(str(error))
        self._controller.failed.emit(str(error))
        self.differ.emit(annotation)

    def renew_for(self, image: Image) -> None:
        """Begin a new probe with what is marked on an image, and draw it at once.

        Parameters
        ----------
        image : napari.layers.Image
            The layer that stands for the image.
        """
        controller, annotation = (
            self._controller,
            self._controller.annotations.get(image),
        )
        controller.history.renew()
        some = annotation is not None and any(
            (
                annotation.marks.data[annotation.planes.index(plane)] > BACKGROUND_MARK
            ).any()
            for plane in range(len(annotation.planes))
        )
        (controller.start if some else controller.segment)(image)

    def note_left_out(self, annotation: Annotation, step: LeftOut) -> None:
        """Note which images a probe cannot learn from as well.

        Parameters
        ----------
        annotation : Annotation
            That is drawn now.
        step : LeftOut
            What the job yielded; each image is told once a probe.
        """
        probe = id(self._controller.session.segmenter)
        names = [
            title(other.image)
            for other in self._controller.annotations
            if other.key in step.images and (probe, other.key) not in self._told
        ]
        self._told |= {(probe, key) for key in step.images}
        if names:
            self._left_out = (
                f"The marks of {' and '.join(names)} were left out: other channels "
                f"than {title(annotation.image)} has. "
            )

    def left_out(self) -> str:
        """Return the sentence about images that were left out, once."""
        text, self._left_out = self._left_out, ""
        return text

    def _on_channels(self, annotation: Annotation) -> None:
        """Begin a new probe where the last one knows the image by other channels."""
        session, planes = self._controller.session, annotation.planes
        count = planes.array.shape[-1] if planes.axes.endswith("C") else 1
        some = f"{count} channel{'s' * (count != 1)}"
        text = f"{title(annotation.image)} is read on {some} now"
        fitted = session.is_fitted
        if not fitted or session.learned.get(annotation.key):
            self._controller.cancel()
            self._controller.history.renew()
            text += ", with a new model" if fitted else ""
        self._controller.message.emit(
            f"{text}: press Retrain, or Segment where nothing is marked."
        )


class ModelFiles(QObject):  # type: ignore[misc]
    """Does what the buttons of the panel say.

    Parameters
    ----------
    panel : FilePanel
        The buttons.
    controller : SessionController
        Of the window.
    """

    renewed = Signal()
    """A new model was begun."""

    def __init__(
        self,
        panel: FilePanel,
        controller: SessionController,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._panel, self._controller = panel, controller
        panel.save.clicked.connect(self._save)
        panel.load.clicked.connect(self._load)
        panel.new.clicked.connect(self._renew)
        controller.busy_changed.connect(lambda busy: panel.setEnabled(not busy))

    def _save(self) -> None:
        controller = self._controller
        if not controller.session.is_fitted:
            controller.refuse(controller.annotations.lacking(NOT_TRAINED))
        elif (path := dialogs.ask_save_probe(self._panel)) is not None:
            controller.save_probe(path)

    def _load(self) -> None:
        if (path := dialogs.ask_load_probe(self._panel)) is not None:
            self._controller.load_probe(path)

    def _renew(self) -> None:
        controller = self._controller
        lacking = controller.annotations.lacking("")
        if lacking and not controller.session.is_fitted:
            controller.refuse(lacking)
            return
        controller.history.renew()
        self.renewed.emit()
        controller.message.emit(
            "A new model: Retrain learns from all marks that are there. Go back in "
            "the Review tab brings the old one."
        )
