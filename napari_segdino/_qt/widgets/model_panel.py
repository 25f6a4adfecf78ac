"""What is trained and how images are read: a section of the dock that folds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from napari_segdino._qt.widgets.dialogs import checkpoint_patterns
from napari_segdino._qt.widgets.pages import Collapsible
from napari_segdino._qt.widgets.panels import make_narrow
from napari_segdino.config import FUSIONS, INTENSITIES, SLICES, WINDOWS, Z_UNITS
from napari_segdino.encoders import EncoderStatus, list_encoders
from napari_segdino.errors import InputError
from napari_segdino.heads.registry import HEADS, head_class
from napari_segdino.session.settings import Settings, made_for

OWN_SIZE = "own"
AUTO = "auto"
MAX_SIDE = 4096
MOST_NEIGHBOURS = 4


# No path has this character.
_ASK = "\0file"


class EncoderCombo(QComboBox):  # type: ignore[misc]
    """Lets the user pick an encoder by name, or a file with weights.

    Parameters
    ----------
    value : str
        The encoder to begin with.
    """

    valueChanged = Signal(str)

    def __init__(self, value: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        for status in list_encoders():
            self.addItem("", status.spec.name)
            row = self.count() - 1
            self.setItemData(row, _tooltip(status), Qt.ItemDataRole.ToolTipRole)
        self._say_what_is_here()
        self.insertSeparator(self.count())
        self.addItem("A file...", _ASK)
        self._value = value
        self.setValue(value)
        self.activated.connect(self._on_activated)

    def value(self) -> str:
        """Return the encoder: a name, or the path of a file."""
        return self._value

    def setValue(self, encoder: str) -> None:
        """Show an encoder; a path that is not in the list is added to it.

        Parameters
        ----------
        encoder : str
            A name of the table of encoders, or the path of a file with weights.
        """
        row = self.findData(encoder)
        if row < 0:
            # Above the line and the entry that asks for a file.
            row = self.count() - 2
            self.insertItem(row, Path(encoder).name, encoder)
            self.setItemData(row, encoder, Qt.ItemDataRole.ToolTipRole)
        self._value = encoder
        self.setCurrentIndex(row)

    def showPopup(self) -> None:
        """Open the list, saying what is on this machine by now."""
        self._say_what_is_here()
        super().showPopup()

    def _say_what_is_here(self) -> None:
        for status in list_encoders():
            self.setItemText(self.findData(status.spec.name), item_text(status))

    def _on_activated(self, row: int) -> None:
        chosen = self.itemData(row)
        if chosen == _ASK:
            kinds = f"Checkpoints ({checkpoint_patterns()});;All files (*)"
            chosen, _ = QFileDialog.getOpenFileName(self, "Weights", "", kinds)
        if chosen and chosen != self._value:
            self.setValue(chosen)
            self.valueChanged.emit(chosen)
        else:
            # Back from the entry that asks for a file.
            self.setValue(self._value)


def item_text(status: EncoderStatus) -> str:
    """Return what the list says of an encoder.

    Parameters
    ----------
    status : EncoderStatus
        Says whether its weights are here, and how large a download is.
    """
    name = status.spec.name
    if status.here:
        return name
    if status.download_bytes:
        return f"{name} (download, {_size(status.download_bytes)})"
    return f"{name} (needs a file)"


def _size(count: int) -> str:
    megabytes = count / 1e6
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _tooltip(status: EncoderStatus) -> str:
    licence = f"\nLicence: {status.licence}" if status.licence else ""
    return f"{status.spec.title}{licence}"


class ModelPanel(Collapsible):
    """Shows and changes the head, the views and what is made of predictions.

    Parameters
    ----------
    settings : Settings
        What to show at first.
    """

    changed = Signal(str, object)
    """Name of a field of Settings, and its new value."""
    refused = Signal(str)
    """Emitted with a sentence: what was typed cannot be used, and what can."""

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__("Advanced", "What is trained, and how images are read", parent)
        self._settings = settings
        self.head = _combo(tuple(HEADS))
        self.note = QLabel()
        self.recipe = _combo(())
        self.intensity = _combo(INTENSITIES)
        self.sides = QLineEdit()
        self.flips = QCheckBox("mirrored as well")
        self.slices = _combo(SLICES)
        self.neighbours = QSpinBox()
        self.fusion = _combo(FUSIONS)
        self.regularise = QCheckBox("follow edges")
        self.z_sigma = QDoubleSpinBox()
        self.z_unit = _combo(Z_UNITS)
        self._lay_out()
        self._explain()
        self.setValue(settings)
        self._connect()

    def setValue(self, settings: Settings) -> None:
        """Show settings; emits nothing.

        Parameters
        ----------
        settings : Settings
            Where it has no features of its own, those that the head makes are shown.
        """
        self._settings = settings
        made = made_for(settings.head, settings.recipe)
        shown, predicting = settings.features or made, settings.predicting
        self.head.setCurrentText(settings.head)
        self.note.setText(HEADS[settings.head].description)
        kind = head_class(settings.head)
        self.recipe.clear()
        # A recipe may be another's with options: it is listed while it is in use.
        names = dict.fromkeys((AUTO, *(r.name for r in kind.recipes)))
        chosen = settings.recipe or AUTO
        self.recipe.addItems([*(names | {chosen: None})])
        self.recipe.setCurrentText(chosen)
        self.intensity.setCurrentText(shown.intensity)
        sides = "" if shown.sides == made.sides else write_sides(shown.sides)
        self.sides.setText(sides)
        self.sides.setPlaceholderText(write_sides(made.sides))
        self.flips.setChecked(shown.flips)
        self.slices.setCurrentText(shown.slices)
        self.neighbours.setValue(shown.neighbours)
        self.fusion.setCurrentText(predicting.fusion)
        self.regularise.setChecked(predicting.regularise)
        self.regularise.setEnabled(kind.regularised or kind.sigma > 0)
        self.z_sigma.setValue(predicting.z_sigma)
        self.z_unit.setCurrentText(predicting.z_unit)

    def _connect(self) -> None:
        # Only a hand activates, clicks and finishes editing: showing settings is
        # silent.
        self.head.textActivated.connect(self._on_head)
        self.recipe.textActivated.connect(self._on_recipe)
        self.intensity.textActivated.connect(self._on_features)
        self.sides.editingFinished.connect(self._on_features)
        self.flips.clicked.connect(self._on_features)
        self.slices.textActivated.connect(self._on_features)
        # Not valueChanged: each digit that is typed would begin a new probe.
        self.neighbours.editingFinished.connect(self._on_features)
        self.fusion.textActivated.connect(self._on_predicting)
        self.regularise.clicked.connect(self._on_predicting)
        self.z_sigma.editingFinished.connect(self._on_predicting)
        self.z_unit.textActivated.connect(self._on_predicting)

    def _on_head(self, head: str) -> None:
        self.changed.emit("head", head)

    def _on_recipe(self, recipe: str) -> None:
        self.changed.emit("recipe", None if recipe == AUTO else recipe)

    def _on_features(self) -> None:
        made = made_for(self._settings.head, self._settings.recipe)
        try:
            sides = read_sides(self.sides.text()) or made.sides
        except InputError as error:
            self.refused.emit(str(error))
            self.setValue(self._settings)
            return
        features = replace(
            self._settings.features or made,
            intensity=self.intensity.currentText(),
            sides=sides,
            flips=self.flips.isChecked(),
            slices=self.slices.currentText(),
            neighbours=self.neighbours.value(),
        )
        # None follows the head: another one brings its own.
        new = None if features == made else features
        if new != self._settings.features:
            self.changed.emit("features", new)

    def _on_predicting(self) -> None:
        predicting = replace(
            self._settings.predicting,
            fusion=self.fusion.currentText(),
            regularise=self.regularise.isChecked(),
            z_sigma=self.z_sigma.value(),
            z_unit=self.z_unit.currentText(),
        )
        if predicting != self._settings.predicting:
            self.changed.emit("predicting", predicting)

    def put_first(self, rows: Mapping[str, QWidget]) -> None:
        """Show more choices, before the others.

        Parameters
        ----------
        rows : mapping of str to QWidget
            By what stands before each; the form becomes their parent.
        """
        for place, (name, widget) in enumerate(rows.items()):
            self._form.insertRow(place, name, widget)

    # -- building ----------------------------------------------------------

    def _lay_out(self) -> None:
        inside = QWidget()
        form = self._form = QFormLayout(inside)
        form.setContentsMargins(0, 2, 0, 4)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.note.setWordWrap(True)
        self.note.setEnabled(False)
        self.note.setMinimumHeight(2 * self.fontMetrics().lineSpacing())
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.neighbours.setRange(0, MOST_NEIGHBOURS)
        self.neighbours.setPrefix("± ")
        self.z_sigma.setRange(0, 50)
        self.z_sigma.setSingleStep(0.5)
        self.z_sigma.setDecimals(1)
        self.z_sigma.setSpecialValueText("off")
        form.addRow("Head", self.head)
        form.addRow(self.note)
        form.addRow("Recipe", self.recipe)
        form.addRow("Intensity", self.intensity)
        form.addRow("Sizes", self.sides)
        form.addRow("", self.flips)
        form.addRow("Volumes", _row(self.slices, self.neighbours))
        form.addRow("Fusion", self.fusion)
        form.addRow("Masks", self.regularise)
        form.addRow("Along z", _row(self.z_sigma, self.z_unit))
        self.fill(inside)

    def _explain(self) -> None:
        new = " Your marks are learned anew with it; until then nothing changes."
        self.head.setToolTip(
            "What learns from your strokes. probe draws a new mask at once after each "
            "stroke; segdino, segdino_v2 and meddino are networks that are trained for "
            "seconds to minutes, for many whole masks; mvr has small networks vote."
            + new
        )
        self.recipe.setToolTip(
            "How thoroughly the head is trained. Auto is quick with strokes, thorough "
            "with whole masks; those that end in _quick always take seconds." + new
        )
        windows = ", ".join(
            f"{name} {low:g} to {high:g}" for name, (low, high) in WINDOWS.items()
        )
        self.intensity.setToolTip(
            "Which intensities are shown to the encoder: percentiles of the image, "
            f"or a window, for CT in Hounsfield units ({windows}). Auto is the "
            "encoder's own choice." + new
        )
        self.sides.setToolTip(
            "How large the image is looked at, in pixels of its longer side, such as "
            f"512, 768; {OWN_SIZE} is twice its own, at most 1024. Larger shows finer "
            "detail and takes longer; several are put together." + new
        )
        self.flips.setToolTip("Read each size mirrored too: twice the time." + new)
        self.slices.setToolTip(
            "Which way volumes are cut into slices: z as they lie, or y or x, or all "
            "three, put together when the whole volume is drawn." + new
        )
        self.neighbours.setToolTip(
            "Look at each slice of a volume with so many before and behind it." + new
        )
        self.fusion.setToolTip(
            "How the results of several sizes are put together. entropy is how unsure "
            "one is: at each pixel the surer count more. mean: all count the same. "
            "With one size it changes nothing."
        )
        self.regularise.setToolTip("Have borders of the mask follow edges of the image")
        self.z_unit.setToolTip("Whether that number counts slices or millimetres")
        self.z_sigma.setToolTip(
            "Have neighbouring slices agree, never times. A slice then takes as long "
            "as all that it is smoothed with."
        )


def read_sides(text: str) -> tuple[int, ...]:
    """Read sizes such as ``"512, own"``; empty where nothing is marked.

    Parameters
    ----------
    text : str
        Pixels of the longer side, or ``own``, separated by commas or spaces.

    Returns
    -------
    tuple of int
        In pixels, each once, in the order given; 0 is the tile's own size.

    Raises
    ------
    InputError
        If something else stands there.
    """
    words = [word for word in re.split(r"[,;\s]+", text) if word]
    sides = [0 if word == OWN_SIZE else _pixels(word) for word in words]
    return tuple(dict.fromkeys(sides))


def write_sides(sides: tuple[int, ...]) -> str:
    """Undo :func:`read_sides`.

    Parameters
    ----------
    sides : tuple of int
        In pixels; 0 is the tile's own size.
    """
    return ", ".join(str(side) if side else OWN_SIZE for side in sides)


def _pixels(word: str) -> int:
    if not word.isdecimal() or not 32 <= int(word) <= MAX_SIDE:
        raise InputError(
            f"Sizes are pixels from 32 to {MAX_SIDE}, or {OWN_SIZE}, such as 512, 768."
        )
    return int(word)


def _combo(names: tuple[str, ...]) -> QComboBox:
    combo = QComboBox()
    combo.addItems(names)
    make_narrow(combo, letters=6)
    return combo


def _row(*widgets: QWidget) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return row
