"""What to segment: the image, its channels, the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QRadioButton,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_segdino._qt.keys import native
from napari_segdino._qt.layers.channels import Channel, channels_of
from napari_segdino._qt.layers.files import all_series, origin
from napari_segdino._qt.layers.image_layers import channel_axis
from napari_segdino._qt.layers.layer_combo import ImageCombo
from napari_segdino._qt.widgets.model_panel import EncoderCombo
from napari_segdino._qt.widgets.pages import QUIET
from napari_segdino._qt.widgets.panels import in_a_row, make_narrow
from napari_segdino._qt.widgets.slice_strip import SliceStrip
from napari_segdino.encoders import DEVICES
from napari_segdino.session.settings import Settings

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

ROWS_SHOWN = 4


class ChannelsPanel(QListWidget):  # type: ignore[misc]
    """Lists the channels of an image; one of them stays checked."""

    changed = Signal(list)
    """The channels that are checked now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._channels: list[Channel] = []
        self.setToolTip(
            "What the image is segmented on; other channels need a new model"
        )
        self.setVerticalScrollMode(self.ScrollMode.ScrollPerPixel)
        self.itemChanged.connect(self._on_item)

    def value(self) -> list[Channel]:
        """Return the channels that are checked."""
        checked = Qt.CheckState.Checked
        rows = enumerate(self._channels)
        return [c for i, c in rows if self.item(i).checkState() == checked]

    def setValue(self, channels: Sequence[Channel]) -> None:
        """List channels.

        Parameters
        ----------
        channels : sequence of Channel
            In the order of the rows; emits nothing.
        """
        if list(channels) == self._channels:
            return
        self._channels = list(channels)
        with signals_blocked(self):
            self.clear()
            for channel in channels:
                self.addItem(_row(channel))
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """Return a height for all rows, four at most."""
        # A list of Qt's asks for the same height whatever it holds.
        row = self.sizeHintForRow(0) if self.count() else 0
        height = row * min(ROWS_SHOWN, self.count()) + 2 * self.frameWidth()
        return QSize(super().sizeHint().width(), height)

    def minimumSizeHint(self) -> QSize:
        """Do not grow for a long name."""
        return QSize(60, self.sizeHint().height())

    def _on_item(self, item: QListWidgetItem) -> None:
        chosen = self.value()
        if chosen:
            self.changed.emit(chosen)
            return
        with signals_blocked(self):
            # The last one stays checked: without a channel there is no image.
            item.setCheckState(Qt.CheckState.Checked)


def _row(channel: Channel) -> QListWidgetItem:
    item = QListWidgetItem(channel.name)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
    state = Qt.CheckState.Checked if channel.used else Qt.CheckState.Unchecked
    item.setCheckState(state)
    return item


class SeriesCombo(QComboBox):  # type: ignore[misc]
    """Lists the series beside that of an image; there only if there are several."""

    chosen = Signal(str)
    """The user wants to see this one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.activated.connect(lambda i: self.chosen.emit(self.itemData(i)))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the column: a series is not read in passing."""
        event.ignore()

    def show_image(self, image: Image | None) -> None:
        """List the series of an image's folder.

        Parameters
        ----------
        image : napari.layers.Image, optional
            The one that is picked; None lists nothing.
        """
        titles = {} if image is None else all_series(image)
        self.clear()
        for number, (series, title) in enumerate(titles.items()):
            self.addItem(f"{number}: {title}", series)
        if image is not None:
            self.setCurrentIndex(self.findData(origin(image).series))


class NoImage(QFrame):  # type: ignore[misc]
    """Takes files that are dropped, and has a button for a sample."""

    dropped = Signal(list)
    """Paths of files or folders."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAcceptDrops(True)
        self.label = QLabel("Drop an image here, or open a sample:")
        self.label.setWordWrap(True)
        self.try_it = QPushButton("Try it")
        self.label.setToolTip("Or take File > Open in the menu of the window")
        self.try_it.setToolTip("Open a small picture of coins to play with")
        row = in_a_row(self.label, self.try_it)
        row.setContentsMargins(10, 10, 10, 10)
        self.setLayout(row)
        self.setStyleSheet(
            f"NoImage {{ border: 1px dashed {QUIET}; border-radius: 4px; }}"
        )

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take what is a file."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Tell of the files."""
        event.acceptProposedAction()
        self.dropped.emit([Path(u.toLocalFile()) for u in event.mimeData().urls()])


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
    encoder, device : QComboBox
        What it computes with; laid out by the dock among what is rarely changed.
    """

    changed = Signal(str, object)
    """Name of a field of Settings, and its new value."""

    def __init__(
        self, viewer: Viewer, settings: Settings, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.empty = NoImage()
        self.image = ImageCombo(viewer)
        self.series = SeriesCombo()
        self.channels = ChannelsPanel()
        self.slice = QRadioButton("Slice")
        self.volume = QRadioButton("Volume")
        self.follow = QCheckBox("Follow me")
        self.note = QLabel()
        self.slices = SliceStrip()
        self.encoder = EncoderCombo(settings.encoder)
        self.device = QComboBox()
        self.device.addItems(DEVICES)
        self._lay_out()
        self.setValue(settings)
        # Of two radio buttons one tells; showing settings toggles it too, which the
        # session takes for no change.
        self.volume.toggled.connect(lambda on: self.changed.emit("whole_volume", on))
        self.follow.clicked.connect(lambda on: self.changed.emit("follow", on))
        self.encoder.valueChanged.connect(lambda v: self.changed.emit("encoder", v))
        self.device.textActivated.connect(lambda v: self.changed.emit("device", v))

    def setValue(self, settings: Settings) -> None:
        """Show settings.

        Parameters
        ----------
        settings : Settings
            Those of the session; others of its fields are shown elsewhere.
        """
        (self.volume if settings.whole_volume else self.slice).setChecked(True)
        self.follow.setChecked(settings.follow)
        self.follow.setEnabled(not settings.whole_volume)
        self.encoder.setValue(settings.encoder)
        self.device.setCurrentText(settings.device)

    def show_image(self, image: Image | None) -> None:
        """Offer a choice of slices, and of series, only where there are any.

        Parameters
        ----------
        image : napari.layers.Image, optional
            The one that is picked; None where the window has none.
        """
        sliders = 0 if image is None else image.ndim - 2
        if sliders and channel_axis(image) is not None:
            sliders -= 1
        self.empty.setVisible(image is None)
        for one in (self.image, self._image_label):
            one.setVisible(image is not None)
        for one in (self.scope, self._scope_label, self.note, self.slices):
            one.setVisible(sliders > 0)
        self.show_channels(image)
        self.series.show_image(image)
        several = self.series.count() > 1
        self.series.setVisible(several)
        self._series_label.setVisible(several)

    def show_channels(self, image: Image | None) -> None:
        """Offer a choice of channels where there is one.

        Parameters
        ----------
        image : napari.layers.Image, optional
            The one that is picked; None has no channels.
        """
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
            f"what I painted stays, and {native('Ctrl-Z')} takes it back"
        )
        self.note.setStyleSheet("color: #d9a441;")
        # Nothing below jumps when it comes and goes.
        self.note.setMinimumHeight(self.fontMetrics().lineSpacing())
        self.encoder.setToolTip(
            "The network that looks at the image. It stays as it is: yours is learned "
            "on top of it. Larger ones see more and take longer."
        )
        self.device.setToolTip("Where it computes; auto takes a GPU if there is one")
        self.scope = QWidget()
        scope = QHBoxLayout(self.scope)
        scope.setContentsMargins(0, 0, 0, 0)
        scope.setSpacing(8)
        scope.addWidget(self.slice)
        scope.addWidget(self.volume)
        scope.addWidget(self.follow)
        for combo in (self.image, self.series, self.encoder, self.device):
            make_narrow(combo)
        self._image_label, self._scope_label = QLabel("Image"), QLabel("Draw")
        self._series_label, self._channels_label = QLabel("Series"), QLabel("Channels")
        # Not a form: that keeps the gaps between rows that are hidden.
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        rows = (
            (self._image_label, self.image),
            (self._series_label, self.series),
            (self._channels_label, self.channels),
            (self._scope_label, self.scope),
        )
        grid.addWidget(self.empty, 0, 0, 1, 2)
        for row, (label, field) in enumerate(rows, 1):
            grid.addWidget(label, row, 0)
            grid.addWidget(field, row, 1)
        grid.addWidget(self.slices, len(rows) + 1, 0, 1, 2)
        grid.addWidget(self.note, len(rows) + 2, 0, 1, 2)
