"""What changed: counts by class, the overlay's switch, the way back."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

NOTHING_YET = "Counted after Retrain."
OK, BROKEN = "#4c9a57", "#d9534f"


class ChangePanel(QWidget):  # type: ignore[misc]
    """Shows what a Retrain changed and leads back before it.

    Attributes
    ----------
    overlay : QCheckBox
        Colours the changes in; laid out by the tab beside the heading.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.counts = QLabel()
        self.overlay = QCheckBox("Show changes")
        self.verdict = QLabel()
        self.back = QPushButton("Go back")
        self.place = QLabel()
        self.forth = QPushButton("Forth")
        self._busy, self._steps = False, (False, False)
        self._lay_out()
        self.show_counts([])
        self.show_verdict("")
        self.show_place(0, 0)

    def show_counts(self, rows: Sequence[tuple[str, str, str, int, int]]) -> None:
        """Show what each class gained and lost.

        Parameters
        ----------
        rows : sequence of (name, gained colour, lost colour, gained, lost)
            One a class.
        """
        if not rows:
            self.counts.setText(NOTHING_YET)
            return
        cells = "".join(
            f"<tr><td>{name}&nbsp;&nbsp;</td>"
            f"<td align=right>{_square(more)}&nbsp;+{gained:,}&nbsp;&nbsp;</td>"
            f"<td align=right>{_square(less)}&nbsp;−{lost:,}&nbsp;px</td></tr>"
            for name, more, less, gained, lost in rows
        )
        self.counts.setText(f"<table cellspacing=0>{cells}</table>")

    def show_verdict(self, text: str, broken: bool = False) -> None:
        """Say whether earlier corrections still hold."""
        self.verdict.setText(text)
        color = BROKEN if broken else OK if text else "transparent"
        self.verdict.setStyleSheet(
            f"border-left: 3px solid {color}; padding-left: 5px;"
        )

    def show_place(self, place: int, count: int) -> None:
        """Show where in the history of probes we are."""
        self.place.setText(f"Probe {place} of {count}" if count else "")
        self._steps = place > 1, place < count
        self.set_busy(self._busy)

    def set_busy(self, busy: bool) -> None:
        """Offer the way back and forth only while no job is at work."""
        self._busy = busy
        back, forth = self._steps
        self.back.setEnabled(back and not busy)
        self.forth.setEnabled(forth and not busy)

    def _lay_out(self) -> None:
        self.counts.setTextFormat(Qt.TextFormat.RichText)
        self.counts.setWordWrap(True)
        self.overlay.setToolTip("A layer with what the last Retrain gained and lost")
        self.verdict.setWordWrap(True)
        self.place.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.back.setToolTip(
            "The probe of before the last Retrain and the mask it drew; what you "
            "painted since stays"
        )
        self.forth.setToolTip("The probe and the mask after it again")
        row = QHBoxLayout()
        row.addWidget(self.back)
        row.addWidget(self.place, 1)
        row.addWidget(self.forth)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.counts)
        column.addWidget(self.verdict)
        column.addLayout(row)


def _square(color: str) -> str:
    return f"<font color='{color}'>■</font>"
