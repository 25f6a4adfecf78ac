"""The tour: five steps from an image to a mask in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QToolButton, QWidget

from napari_segdino._qt.widgets.tour_panel import Highlight, TourPanel

if TYPE_CHECKING:
    from napari_segdino._qt.dock import SegmentDock


class TourStep(NamedTuple):
    """A step of the tour.

    Parameters
    ----------
    title, text : str
        What it is about, and what to do.
    target : QWidget
        The control that is meant.
    act : str
        On the button that does it for the user; empty for none.
    """

    title: str
    text: str
    target: QWidget
    act: str = ""


class Tour(QObject):  # type: ignore[misc]
    """Shows one step after the other beside the dock, whatever is done meanwhile.

    Parameters
    ----------
    dock : SegmentDock
        With its controls.
    """

    def __init__(self, dock: SegmentDock) -> None:
        super().__init__(dock)
        self._dock, self._steps = dock, _steps(dock)
        self._at = 0
        self.panel: TourPanel | None = None
        self.highlight: Highlight | None = None
        self.button = QToolButton()
        self.button.setText("? Tour")
        self.button.setToolTip("A tour in five steps, from an image to its mask")
        self.button.clicked.connect(lambda _: self.start())

    def start(self) -> None:
        """Show the first step; another tour that is open begins anew."""
        self._at = 0
        if self.panel is None:
            self.panel = TourPanel(self._dock.window())
            self.panel.moved.connect(self._go)
            self.panel.tried.connect(self._dock.inputs.empty.try_it.click)
            self.panel.closed.connect(self._on_closed)
        self._show()

    def close(self) -> None:
        """End the tour, if there is one."""
        if self.panel is not None:
            self.panel.close()

    def _go(self, by: int) -> None:
        self._at = min(max(self._at + by, 0), len(self._steps) - 1)
        self._show()

    def _show(self) -> None:
        assert self.panel is not None
        step = self._steps[self._at]
        self._unmark()
        self.highlight = Highlight(step.target)
        place = self._at + 1, len(self._steps)
        self.panel.show_step(*place, step.title, step.text, step.act)
        self.panel.place_beside(self._dock, step.target)
        self.panel.show()

    def _unmark(self) -> None:
        if self.highlight is not None:
            self.highlight.remove()
            self.highlight = None

    def _on_closed(self) -> None:
        self._unmark()
        if self.panel is not None:
            self.panel.deleteLater()
            self.panel = None


def _steps(dock: SegmentDock) -> list[TourStep]:
    return [
        TourStep(
            "Open an image",
            "Drop a file on the window. Or open a sample: it comes with a few strokes, "
            "and shows at once what they do.",
            dock.inputs,
            "Open a sample",
        ),
        TourStep(
            "Say what is what",
            "Pick a class and paint a short stroke inside an object; pick Background "
            "and paint beside it. Brush, eraser, fill and polygon are napari's own, at "
            "the top left. The sample has its strokes already.",
            dock.classes,
        ),
        TourStep(
            "Segment",
            "Segment draws the mask. It does so without any stroke as well: then it is "
            "what looks alike, and something to correct. On the next slice or image it "
            "draws what was learned before.",
            dock.actions.segment,
        ),
        TourStep(
            "Correct and Retrain",
            "Paint over what is wrong and press Retrain: the mask is drawn anew, and "
            "what you painted stays. On the sample, press it now. Go on until you like "
            "the mask; Ctrl-Z takes a step back.",
            dock.actions.retrain,
        ),
        TourStep(
            "Check and export",
            "The tab Review shows where to look next and what changed. Export mask "
            "saves the mask as a file, Copy as script as Python that makes it again.",
            dock.exports,
        ),
    ]
