"""The parts of the dock: what to segment with, the buttons, the status line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt import keys
from napari_segdino._qt.channels import channels_of
from napari_segdino._qt.channels_panel import ChannelsPanel
from napari_segdino._qt.encoder_combo import EncoderCombo
from napari_segdino._qt.layer_combo import ImageCombo
from napari_segdino._qt.layers import channel_axis
from napari_segdino._qt.series import SeriesCombo
from napari_segdino.encoders import DEVICES
from napari_segdino.progress import Progress
from napari_segdino.session.settings import Settings

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

PRIMARY = (
    "QPushButton { background: #2f6fde; color: white; font-weight: bold; "
    "padding: 6px; border-radius: 4px; }"
    "QPushButton:hover { background: #4380e8; }"
    "QPushButton:disabled { background: #47536b; color: #9aa4b5; }"
)


def heading(text: str) -> QLabel:
    """Return a small heading."""
    label = QLabel(text.upper())
    label.setStyleSheet("font-size: 9pt; font-weight: bold; color: #8a93a5;")
    return label


def stacked(*widgets: QWidget) -> QWidget:
    """Return a page with widgets one below the other."""
    page = QWidget()
    column = QVBoxLayout(page)
    column.setContentsMargins(0, 6, 0, 0)
    column.setSpacing(4)
    for widget in widgets:
        column.addWidget(widget)
    column.addStretch(1)
    return page


class InputPanel(QWidget):  # type: ignore[misc]
    """Which image, how much of it, and with which encoder.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The window.
    settings : Settings
        What to show at first.

    Attributes
    ----------
    device : QComboBox
        Where it computes; laid out by the dock among what is rarely changed.
    """

    changed = Signal(str, object)
    """Name of a field of Settings, and its new value."""

    def __init__(
        self, viewer: Viewer, settings: Settings, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.image = ImageCombo(viewer)
        self.series = SeriesCombo()
        self.channels = ChannelsPanel()
        self.slice = QRadioButton("Slice")
        self.volume = QRadioButton("Volume")
        self.follow = QCheckBox("Follow me")
        self.note = QLabel()
        self.encoder = EncoderCombo(settings.encoder)
        self.device = QComboBox()
        self.device.addItems(DEVICES)
        self._lay_out()
        self.setValue(settings)
        self.volume.toggled.connect(lambda on: self.changed.emit("whole_volume", on))
        self.follow.clicked.connect(lambda on: self.changed.emit("follow", on))
        self.encoder.valueChanged.connect(lambda v: self.changed.emit("encoder", v))
        self.device.textActivated.connect(lambda v: self.changed.emit("device", v))

    def setValue(self, settings: Settings) -> None:
        """Show settings."""
        (self.volume if settings.whole_volume else self.slice).setChecked(True)
        self.follow.setChecked(settings.follow)
        self.follow.setEnabled(not settings.whole_volume)
        self.encoder.setValue(settings.encoder)
        self.device.setCurrentText(settings.device)

    def show_image(self, image: Image | None) -> None:
        """Offer a choice of slices, and of series, only where there are any."""
        sliders = 0 if image is None else image.ndim - 2
        if sliders and channel_axis(image) is not None:
            sliders -= 1
        self.scope.setEnabled(sliders > 0)
        self.note.setVisible(sliders > 0)
        self.show_channels(image)
        self.series.show_image(image)
        several = self.series.count() > 1
        self.series.setVisible(several)
        self._series_label.setVisible(several)

    def show_channels(self, image: Image | None) -> None:
        """Offer a choice of channels where there is one."""
        channels = [] if image is None else channels_of(self._viewer, image)
        self.channels.setValue(channels)
        self.channels.setVisible(bool(channels))
        self._channels_label.setVisible(bool(channels))

    def _lay_out(self) -> None:
        self.image.setToolTip("The image to segment: that of the selected layer")
        self.series.setToolTip(
            "The folder or file holds several images: choose another one; those that "
            "are open stay, with their masks"
        )
        self.slice.setToolTip("Draw only the slice that is shown")
        self.volume.setToolTip("Draw every slice, the one that is shown first")
        self.follow.setToolTip(
            "Draw each slice that I go to with the present model, once I rest on it; "
            "what I painted stays, and Ctrl-Z takes it back"
        )
        self.note.setStyleSheet("color: #d9a441;")
        # Nothing below jumps when it comes and goes.
        self.note.setMinimumHeight(self.fontMetrics().lineSpacing())
        self.encoder.setToolTip("The frozen network whose features are used")
        self.device.setToolTip("Where it computes; auto takes a GPU if there is one")
        self.scope = QWidget()
        scope = QHBoxLayout(self.scope)
        scope.setContentsMargins(0, 0, 0, 0)
        scope.setSpacing(8)
        scope.addWidget(self.slice)
        scope.addWidget(self.volume)
        scope.addWidget(self.follow)
        for combo in (self.image, self.series, self.encoder, self.device):
            combo.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            combo.setMinimumContentsLength(8)
            combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Image", self.image)
        self._series_label = QLabel("Series")
        form.addRow(self._series_label, self.series)
        self._channels_label = QLabel("Channels")
        form.addRow(self._channels_label, self.channels)
        form.addRow("Draw", self.scope)
        form.addRow(self.note)
        form.addRow("Encoder", self.encoder)


class ActionPanel(QWidget):  # type: ignore[misc]
    """Segment, Retrain, live; progress and Cancel."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.segment = QPushButton("Segment")
        self.retrain = QPushButton("Retrain")
        self.live = QCheckBox("Live: retrain while I paint")
        self.bar = QProgressBar()
        self.cancel = QPushButton("Cancel")
        self._segment_key, self._retrain_key = QLabel(), QLabel()
        self._lay_out()
        self.set_busy(False)
        keys.follow_keys(self, self._explain)

    def set_busy(self, busy: bool) -> None:
        """Show or hide progress and Cancel."""
        self.bar.setRange(0, 0 if busy else 1)
        self.bar.setFormat("")
        self.bar.setEnabled(busy)
        self.cancel.setEnabled(busy)
        # Nothing below jumps when they come and go.
        self._under.setCurrentIndex(int(busy))

    def show_live(self, on: bool) -> None:
        """Show whether it retrains by itself; emits nothing."""
        self.live.blockSignals(True)
        self.live.setChecked(on)
        self.live.blockSignals(False)

    def show_progress(self, step: Progress) -> None:
        """Show how far the job has come."""
        # Qt counts in 32 bits; downloads are counted in bytes.
        scale = max(1, step.total >> 20)
        self.bar.setRange(0, step.total // scale)
        self.bar.setValue(step.done // scale)
        self.bar.setFormat(f"{step.text} %p%" if step.total else step.text)

    def _explain(self) -> None:
        names = (keys.SEGMENT, keys.RETRAIN, keys.LIVE)
        segment, retrain, live = (keys.key_of(name) for name in names)
        self._segment_key.setText(segment)
        self._retrain_key.setText(retrain)
        self.segment.setToolTip(
            f"Draw the mask ({segment}). With nothing learned yet, a first "
            "guess is made from the image alone. Retrain counts it as one stroke of "
            "each group, less with every stroke of yours and no more after six; the "
            "marks layer does not show it."
        )
        self.retrain.setToolTip(
            f"Learn from your corrections and draw the mask again ({retrain}). "
            "What you painted stays."
        )
        self.live.setToolTip(f"Retrain by itself when the brush rests ({live})")

    def _lay_out(self) -> None:
        self.segment.setStyleSheet(PRIMARY)
        self.retrain.setStyleSheet(PRIMARY)
        self.cancel.setToolTip("Stop; what has been drawn stays")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        hints, progress = QWidget(), QWidget()
        for page in (hints, progress):
            QHBoxLayout(page).setContentsMargins(0, 0, 0, 0)
        for column, (button, hint) in enumerate(
            ((self.segment, self._segment_key), (self.retrain, self._retrain_key))
        ):
            grid.addWidget(button, 0, column)
            hint.setEnabled(False)
            hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
            hints.layout().addWidget(hint)
        progress.layout().addWidget(self.bar, 1)
        progress.layout().addWidget(self.cancel)
        self._under = QStackedLayout()
        self._under.addWidget(hints)
        self._under.addWidget(progress)
        grid.addLayout(self._under, 1, 0, 1, 2)
        grid.addWidget(self.live, 2, 0, 1, 2)


class FilePanel(QWidget):  # type: ignore[misc]
    """Save and load the probe, export the mask."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.save = QPushButton("Save probe...")
        self.load = QPushButton("Load probe...")
        self.export = QPushButton("Export mask...")
        self.new = QPushButton("New probe")
        self.save.setToolTip("Keep what was learned, for other images and machines")
        self.load.setToolTip("Go on with a probe that was saved before")
        self.export.setToolTip("Save the mask: TIFF, or the scan's own format")
        self.new.setToolTip(
            "Start anew; masks and marks stay, and Go back in the Review tab brings "
            "the old probe"
        )
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for i, button in enumerate((self.save, self.load, self.export, self.new)):
            grid.addWidget(button, i // 2, i % 2)


class StatusPanel(QFrame):  # type: ignore[misc]
    """One sentence: what happened and what to do next."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = QLabel()
        self.label.setWordWrap(True)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.way_out = QPushButton()
        self._act: Callable[[], None] = lambda: None
        self.way_out.clicked.connect(lambda: self._act())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.label)
        layout.addWidget(self.way_out)
        self.say("")

    def showEvent(self, event: QShowEvent) -> None:
        """Keep room for four lines; font and padding come with napari's style."""
        super().showEvent(event)
        shown, width = self.label.text(), self.label.width()
        self.label.setText("\n".join("1234"))
        self.label.setMinimumHeight(self.label.heightForWidth(width))
        self.label.setText(shown)

    def say(self, text: str, failed: bool = False) -> None:
        """Show a sentence."""
        self.way_out.hide()
        self.label.setText(text)
        color = "#d9534f" if failed else "#2f6fde"
        self.setStyleSheet(
            f"StatusPanel {{ border-left: 3px solid {color}; "
            "background: rgba(127, 127, 127, 30); }"
        )

    def offer(self, text: str, act: Callable[[], None]) -> None:
        """Show a button below the sentence, until there is another one."""
        self._act = act
        self.way_out.setText(text)
        self.way_out.show()
