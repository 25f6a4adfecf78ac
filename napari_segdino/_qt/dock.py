"""The dock: shows the session, hands every click on to the controller."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_segdino._qt import keys
from napari_segdino._qt.controllers.automatic import (
    Follower,
    LiveRetrain,
    SliceOverview,
)
from napari_segdino._qt.controllers.corrections import (
    Corrector,
    paint_what_is_picked,
    pick_label,
    remove_class,
    suit_color,
    take_brush,
)
from napari_segdino._qt.controllers.exports import Exports
from napari_segdino._qt.controllers.folder import FolderController, FolderPanel
from napari_segdino._qt.controllers.next_step import NextStep
from napari_segdino._qt.controllers.objects import ObjectsController
from napari_segdino._qt.controllers.probe_switch import ModelFiles, ProbeSwitch
from napari_segdino._qt.controllers.projects import Projects
from napari_segdino._qt.controllers.review import ReviewPanel
from napari_segdino._qt.controllers.series import SeriesController
from napari_segdino._qt.controllers.session_controller import SessionController
from napari_segdino._qt.controllers.start import GivenMask, StartTools
from napari_segdino._qt.controllers.tour import Tour
from napari_segdino._qt.keys import Keys
from napari_segdino._qt.layers.channels import Channel, image_of, use
from napari_segdino._qt.layers.files import open_files
from napari_segdino._qt.messages import NO_IMAGE
from napari_segdino._qt.preferences import PLUGIN
from napari_segdino._qt.widgets.classes_panel import ClassesPanel
from napari_segdino._qt.widgets.input_panel import InputPanel
from napari_segdino._qt.widgets.model_panel import ModelPanel
from napari_segdino._qt.widgets.objects_panel import ObjectsPanel
from napari_segdino._qt.widgets.pages import (
    ColumnScroll,
    Pages,
    Step,
    in_reading_order,
    stacked,
)
from napari_segdino._qt.widgets.panels import (
    ActionPanel,
    FilePanel,
    StatusPanel,
    heading,
)
from napari_segdino._qt.widgets.tools_panel import KeysPanel, ToolsPanel
from napari_segdino._qt.window_state import state_of
from napari_segdino.errors import InputError
from napari_segdino.session.preload import start_preloading
from napari_segdino.session.session import Session

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_segdino._qt.layers.annotation import Annotation

SAMPLE = "coins"
"""What *Try it* opens."""


class SegmentDock(QWidget):  # type: ignore[misc]
    """Segment an image, correct the mask, retrain.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The window.
    session : Session, optional
        What a window that had no dock yet knows; a new one if not given.
    """

    def __init__(
        self,
        napari_viewer: Viewer,
        session: Session | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer = napari_viewer
        state = state_of(napari_viewer, session)
        self.session = state.session
        self.controller = SessionController(napari_viewer, state, self)
        controller, current = self.controller, self._current_annotation
        self.actions = ActionPanel()
        self.next_step = NextStep(self.actions, controller, lambda: self.image, self)
        self.live = LiveRetrain(controller, self)
        self.switch = ProbeSwitch(controller, self)
        self.inputs = InputPanel(napari_viewer, self.session.settings)
        self.model = ModelPanel(self.session.settings)
        self.classes = ClassesPanel(self.session)
        self.files = FilePanel()
        self.model_files = ModelFiles(self.files, controller, self)
        self.given = GivenMask(controller, current)
        self.projects = Projects(controller, self)
        self.folder = FolderPanel()
        self.folders = FolderController(self.folder, controller, self)
        self.exports = Exports(controller, current, self.folder.commands)
        self.objects = ObjectsPanel()
        self.object_finder = ObjectsController(
            self.objects, controller, lambda: self.image, self
        )
        self.status = StatusPanel()
        self.tabs = Pages()
        pick = self.inputs.image.setValue
        self.series = SeriesController(
            self.inputs.series, controller, lambda: self.image, pick, self
        )
        self.review = ReviewPanel(controller, current, self._go_to)
        self.tools = ToolsPanel()
        self.corrector = Corrector(self.tools, controller, current, self)
        buttons, label = (self.tools.from_clicks, self.tools.box), self.classes.value
        self.clicks = StartTools(*buttons, controller, current, label, self)
        self.follower = Follower(controller, self.review.idle, current, self)
        strip, uncertain = self.inputs.slices, self.review.suggest.most_uncertain
        self.slices = SliceOverview(strip, controller, current, uncertain, self)
        self.keys_list = KeysPanel()
        self.tour = Tour(self)
        self._closed = False
        self._at_segment: tuple[Layer | None, ...] = ()
        self._last_marked = ""
        self._lay_out()
        self._connect()
        self._keys = Keys(self.viewer, {})
        keys.follow_keys(self, self._bind_keys)
        self.status.say(self.next_step.sentence())
        # Importing torch would slow down what is done before.
        self.controller.prepared.connect(start_preloading)
        self.controller.prepared.connect(self._on_prepared)
        self._on_image(self.image)
        if self.image is None:
            start_preloading()

    @property
    def image(self) -> Image | None:
        """The image layer that is picked."""
        return self.inputs.image.value()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop the work and give keys and layers back."""
        self.release()
        super().closeEvent(event)

    def release(self) -> None:
        """Stop the work and let go of the window; safe to call twice."""
        if self._closed:
            return
        self._closed = True
        self._keys.release()
        self.tour.close()
        self.clicks.put_down()
        self.follower.close()
        self.slices.close()
        self.review.release()
        self.projects.close()
        self.object_finder.close()
        self.live.close()
        self.controller.close()
        for part in (self.classes, self.inputs.image, self.given):
            part.release()
        self.session.settings_changed.disconnect(self._show_settings)

    # -- building ----------------------------------------------------------

    def _lay_out(self) -> None:
        first = {"Encoder": self.inputs.encoder, "Computes on": self.inputs.device}
        self.model.put_first(first)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(4)
        image = self.inputs, self.classes, self.model
        first_step = Step(1, "Image and classes", *image)
        first_step.header.addWidget(self.tour.button)
        for widget in (
            self.projects.recovery.bar,
            first_step,
            Step(2, "Segment and correct", self.actions, self.tools),
            Step(3, "Check and export", self.exports, self.tabs),
            self.keys_list,
        ):
            column.addWidget(widget)
        column.addStretch(1)
        files = stacked(
            heading("Model"),
            self.files,
            heading("Project"),
            self.projects.panel,
            heading("Mask of another tool"),
            self.given,
        )
        # First: Review works things out in the background while it is shown.
        self.tabs.addTab(files, "Files")
        self.tabs.addTab(self.review, "Review")
        self.tabs.addTab(self.objects, "Objects")
        self.tabs.addTab(self.folder, "Folder")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(ColumnScroll(inside), 1)
        outer.addWidget(self.status)
        in_reading_order(self)

    def _connect(self) -> None:
        self.inputs.image.valueChanged.connect(self._on_image)
        self.inputs.image.picked.connect(self._show_picked)
        self.inputs.image.listed.connect(self._on_listed)
        self.inputs.channels.changed.connect(self._choose_channels)
        self.inputs.empty.dropped.connect(partial(open_files, self.viewer))
        sample = partial(self.viewer.open_sample, PLUGIN, SAMPLE)
        self.inputs.empty.try_it.clicked.connect(lambda _: sample())
        self.inputs.changed.connect(self._on_setting)
        self.model.changed.connect(self._on_setting)
        self.classes.picked.connect(self.pick_class)
        self.classes.removed.connect(self._remove_class)
        self.actions.segment.clicked.connect(self.segment)
        self.actions.retrain.clicked.connect(self.retrain)
        self.actions.live.toggled.connect(self._on_live)
        self.status.cancel.clicked.connect(self._cancel)
        self.model_files.renewed.connect(self.review.refresh)
        self.controller.message.connect(self.status.say)
        for tool in (self.model, self.corrector, self.clicks):
            tool.refused.connect(partial(self.status.say, failed=True))
        self.controller.failed.connect(partial(self.status.say, failed=True))
        self.controller.channels.differ.connect(self._offer_new)
        self.controller.progressed.connect(self.status.show_progress)
        self.controller.busy_changed.connect(self._on_busy)
        self.controller.drawn.connect(self._on_drawn)
        self.controller.annotations.label_picked.connect(self.classes.setValue)
        self.follower.noted.connect(self.inputs.note.setText)
        self.follower.drew.connect(self.projects.autosaver.ask)
        self.projects.restorer.waiting_changed.connect(self.inputs.image.refresh)
        self.projects.restorer.restored.connect(self.review.refresh)
        self.session.settings_changed.connect(self._show_settings)

    def _bind_keys(self) -> None:
        if self._closed:
            return
        actions = {
            keys.key_of(keys.SEGMENT): self.segment,
            keys.key_of(keys.RETRAIN): self.retrain,
            keys.key_of(keys.LIVE): self.actions.live.toggle,
            keys.key_of(keys.NEXT_PLACE): self.review.suggest.next_place,
            keys.key_of(keys.NEXT_SLICE): self.review.suggest.next_slice,
            keys.key_of(keys.ACCEPT): self.corrector.accept,
            keys.key_of(keys.COPY): self.corrector.copy,
            keys.key_of(keys.COPY_IN_TIME): self.corrector.copy_in_time,
            keys.key_of(keys.ACCEPT_TO_HERE): self.corrector.accept_to_here,
            keys.key_of(keys.INTERPOLATE): self.corrector.interpolate,
            keys.key_of(keys.FROM_CLICKS): self.tools.from_clicks.toggle,
            keys.key_of(keys.BOX): self.tools.box.toggle,
            keys.key_of(keys.SHOW): self.corrector.toggle_mask,
            keys.key_of(keys.OUTLINE): self.tools.outline.toggle,
        }
        for label in range(10):
            actions[keys.CLASS.format(label)] = partial(self.classes.pick, label)
        self._keys.release()
        self._keys = Keys(self.viewer, actions)

    # -- what the user does ------------------------------------------------

    def segment(self) -> None:
        """Draw the mask of the image, which is brought on screen if it is not there."""
        image = self.image
        if image is not None and not self.controller.screen.shows(image):
            self.controller.screen.show(image)
        self._at_segment = (self.viewer.layers.selection.active,)
        self.controller.segment(image)

    def retrain(self) -> None:
        """Learn from the corrections and draw the mask again."""
        self.controller.retrain(self.image)

    def pick_class(self, label: int) -> None:
        """Paint this label from now on; 0 is background."""
        if (annotation := self._current_annotation()) is not None:
            pick_label(self.viewer, annotation, label, take=not self.clicks.in_hand)

    def _cancel(self) -> None:
        self.status.cancel.setEnabled(False)
        self.controller.cancel()

    def _remove_class(self, label: int) -> None:
        try:
            remove_class(self.session, self.controller.annotations, label)
        except InputError as error:
            self.status.say(str(error), failed=True)

    def _go_to(self, image: Image) -> None:
        self.inputs.image.setValue(image)
        self._show_picked(image)

    def _show_picked(self, image: Image) -> None:
        """Bring an image that was picked in the list on screen, ready to work on."""
        self.controller.screen.show(image)
        annotation = self.controller.annotations.drawn(image)
        active = self.viewer.layers.selection.active
        if active is None or image_of(self.viewer, active) != image:
            self.viewer.layers.selection.active = (
                annotation.mask if annotation else image
            )

    def _choose_channels(self, chosen: list[Channel]) -> None:
        if self.image is not None:
            use(self.viewer, self.image, chosen)
            self.inputs.image.refresh()

    def _offer_new(self, annotation: Annotation) -> None:
        act = partial(self.controller.channels.renew_for, annotation.image)
        self.status.offer("New model for this image", act)

    def _current_annotation(self) -> Annotation | None:
        return self.controller.annotations.get(self.image) if self.image else None

    # -- what happens ------------------------------------------------------

    def _on_image(self, image: Image | None) -> None:
        self.inputs.show_image(image)
        self.series.show_image(image)
        if image is None:
            self._last_marked = self.controller.annotations.what_stays() or NO_IMAGE
            self.status.say(self._last_marked)
        elif self.status.label.text() in (NO_IMAGE, self._last_marked):
            # What was said of the mask of another image is not true of this one.
            self.status.say(self.next_step.sentence())
        if (annotation := self._current_annotation()) is not None:
            self.classes.setValue(int(annotation.mask.selected_label))
        self.clicks.put_down()
        suit_color(self.session, self.controller.annotations, image)
        self.next_step.refresh()
        self.controller.prepare(image)
        self._on_prepared()
        self.review.refresh()
        self.follower.refresh()

    def _on_listed(self) -> None:
        self.controller.annotations.follow_channels()
        self.inputs.show_channels(self.image)

    def _on_prepared(self) -> None:
        paint_what_is_picked(self._current_annotation(), self.classes)
        self.object_finder.show_image(self.image)
        self.corrector.refresh()
        self.slices.refresh()

    def _on_setting(self, name: str, value: object) -> None:
        if name in ("encoder", "head", "features", "recipe"):
            self.switch.switch(self.image, **{name: value})
        else:
            self.session.change(**{name: value})

    def _on_live(self, on: bool) -> None:
        if on and self.image is None:
            self.actions.live.setChecked(False)
            self.controller.refuse(NO_IMAGE)
        else:
            self._on_setting("live", on)

    def _on_busy(self, busy: bool) -> None:
        self.status.set_busy(busy)
        if not busy:
            # What was picked and could not be had is not shown any more.
            self._show_settings()

    def _on_drawn(self) -> None:
        annotation = self._current_annotation()
        self._last_marked = self.status.label.text()
        before, self._at_segment = self._at_segment, ()
        if annotation is not None and not self.clicks.in_hand:
            take_brush(self.viewer, annotation, self.classes.value(), *before)
        # The layers of a project are there before anybody asks how they look.
        self.corrector.refresh()

    def _show_settings(self) -> None:
        self.inputs.setValue(self.session.settings)
        self.actions.show_live(self.session.settings.live)
        self.model.setValue(self.session.settings)
