"""The Folder tab: segment many files with a probe."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_segdino._qt.widgets.dialogs import ask_load_probe
from napari_segdino._qt.widgets.pages import Collapsible
from napari_segdino._qt.worker.runner import Job

if TYPE_CHECKING:
    from napari_segdino._qt.controllers.session_controller import SessionController
    from napari_segdino.batch import Row
    from napari_segdino.batch.run import Request

AS_THE_SCAN = "as the scan's"
MAX_WORKERS = 256


class PathEdit(QWidget):  # type: ignore[misc]
    """A path to type, and a button to choose it.

    Parameters
    ----------
    hint : str
        Shown while it is empty.
    tip : str
        What it is for.
    probe : bool
        Choose a probe file, not a folder.
    """

    def __init__(self, hint: str, tip: str, probe: bool = False) -> None:
        super().__init__()
        self._probe = probe
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(hint)
        self.edit.setToolTip(tip)
        self.edit.setMinimumWidth(60)
        self.choose = QToolButton()
        self.choose.setText("...")
        self.choose.setToolTip("Choose in a window")
        self.choose.clicked.connect(self._choose)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.edit, 1)
        row.addWidget(self.choose)

    def value(self) -> str:
        """Return what stands there."""
        return str(self.edit.text()).strip()

    def setValue(self, path: str) -> None:
        """Show a path.

        Parameters
        ----------
        path : str
            Empty shows the hint.
        """
        self.edit.setText(path)

    def _choose(self) -> None:
        if self._probe:
            chosen = str(ask_load_probe(self) or "")
        else:
            chosen = QFileDialog.getExistingDirectory(self, "Folder", self.value())
        if chosen:
            self.setValue(chosen)


class FolderPanel(QWidget):  # type: ignore[misc]
    """What to segment, with which probe, where to; and what failed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.source = PathEdit(
            "folder, or scans/*.nii.gz", "A folder, a file, or a pattern with * in it"
        )
        self.folder = PathEdit(
            "folder of the masks",
            "Masks go here, a report with a line for each file, and a record of what "
            "was made from what",
        )
        self.probe = PathEdit(
            "the present one",
            "A saved model; empty is what this window has learned",
            probe=True,
        )
        self.suffix = QComboBox()
        self.suffix.addItem(AS_THE_SCAN)
        self.workers = QSpinBox()
        self.workers.setRange(0, MAX_WORKERS)
        self.workers.setSpecialValueText("none")
        self.scheduler = QLineEdit()
        self.resume = QCheckBox("Skip masks that are up to date")
        self.resume.setChecked(True)
        self.start = QPushButton("Segment the folder")
        self.failures = QTreeWidget()
        self._lay_out()
        self._explain()

    def value(self) -> Request:
        """Return what is asked for."""
        from napari_segdino.batch.run import Request

        suffix = self.suffix.currentText()
        return Request(
            self.source.value(),
            self.folder.value(),
            self.probe.value(),
            "" if suffix == AS_THE_SCAN else suffix,
            self.resume.isChecked(),
            # A scheduler has workers of its own.
            0 if self.scheduler.text().strip() else self.workers.value(),
            self.scheduler.text().strip(),
        )

    def commands(self) -> tuple[tuple[str, ...], ...]:
        """Return what is asked for as words of the command line, if it is."""
        wanted = self.value()
        return () if wanted.missing() else (wanted.words(),)

    def showEvent(self, event: QShowEvent) -> None:
        """List the formats, whose libraries no window needs that stays on its tab."""
        super().showEvent(event)
        if self.suffix.count() == 1:
            from napari_segdino.io.formats import MASK_SUFFIXES

            self.suffix.addItems(MASK_SUFFIXES)

    def show_failure(self, row: Row) -> None:
        """List a file that failed or was left alone.

        Parameters
        ----------
        row : Row
            Its file, and why there is no mask of it.
        """
        item = QTreeWidgetItem([Path(row.file).name, row.reason])
        item.setToolTip(0, row.file)
        item.setToolTip(1, row.reason)
        self.failures.addTopLevelItem(item)
        self.failures.setVisible(True)

    def clear(self) -> None:
        """List nothing."""
        self.failures.clear()
        self.failures.setVisible(False)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Images", self.source)
        form.addRow("Masks", self.folder)
        form.addRow("Model", self.probe)
        form.addRow("Format", self.suffix)
        for field in (self.suffix, self.workers):
            policy = QSizePolicy.Policy
            field.setSizePolicy(policy.Expanding, policy.Fixed)
        inside = QWidget()
        cluster = QFormLayout(inside)
        cluster.setContentsMargins(0, 2, 0, 4)
        cluster.setVerticalSpacing(4)
        cluster.addRow("Workers", self.workers)
        cluster.addRow("Scheduler", self.scheduler)
        self.advanced = Collapsible("Advanced", "Several processes, or other machines")
        self.advanced.fill(inside)
        self.failures.setHeaderLabels(["File", "Why it was not segmented"])
        self.failures.setRootIsDecorated(False)
        self.failures.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.failures.setMaximumHeight(140)
        self.failures.header().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.failures.setVisible(False)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 6, 0, 0)
        column.setSpacing(4)
        column.addLayout(form)
        column.addWidget(self.resume)
        column.addWidget(self.start)
        column.addWidget(self.advanced)
        column.addWidget(self.failures)
        column.addStretch(1)

    def _explain(self) -> None:
        self.resume.setToolTip(
            "Made from the same image with the same model and settings. What this "
            "program did not make, or was changed since, is always left alone"
        )
        self.start.setToolTip("Draw and save the mask of every file of the folder")
        self.failures.setToolTip("Files that have no new mask, and why")
        self.suffix.setToolTip("Format of the masks")
        self.workers.setToolTip(
            "Processes on this machine, each with an encoder of its own; none is "
            "this window's"
        )
        self.scheduler.setPlaceholderText("tcp://host:8786")
        self.scheduler.setToolTip(
            "Address of the Dask scheduler, which hands work out to other machines; "
            "empty is this machine"
        )


class FolderController(QObject):  # type: ignore[misc]
    """Runs what the panel asks for.

    Parameters
    ----------
    panel : FolderPanel
        The panel.
    controller : SessionController
        Of the window.
    """

    def __init__(
        self,
        panel: FolderPanel,
        controller: SessionController,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._panel, self._controller = panel, controller
        panel.start.clicked.connect(self.start)
        controller.busy_changed.connect(lambda busy: panel.start.setEnabled(not busy))

    def start(self) -> None:
        """Segment the files in the worker."""
        from napari_segdino.batch.run import iter_request

        request, session = self._panel.value(), self._controller.session
        if missing := request.missing():
            self._controller.refuse(missing)
            return
        self._panel.clear()
        # The run reads the present probe from a file, as its workers do.
        save = session.save if session.is_fitted else None
        self._controller.message.emit("Segmenting the folder...")
        self._controller.runner.start(
            Job(
                "Segment folder",
                partial(iter_request, request, save, session.settings.device),
                on_step=self._on_step,
                on_done=partial(self._on_done, request),
                on_error=self._controller.report,
            )
        )

    def _on_step(self, step: Any) -> None:
        from napari_segdino.batch import Row

        if isinstance(step, Row) and step.status in ("failed", "left alone"):
            self._panel.show_failure(step)

    def _on_done(self, request: Request, rows: list[Row]) -> None:
        from napari_segdino.batch.run import find_report

        count = Counter(row.status for row in rows)
        failed = count["failed"]
        parts = [f"{_files(count['done'])} segmented"]
        if count["redone"]:
            whys = dict.fromkeys(r.reason for r in rows if r.status == "redone")
            why = " ".join(whys).rstrip(".")
            parts.append(f"{count['redone']} done again ({why})")
        if count["skipped"]:
            parts.append(f"{count['skipped']} done before")
        if count["left alone"]:
            parts.append(f"{count['left alone']} left alone, listed in the Folder tab")
        if failed:
            parts.append(f"{failed} failed, listed in the Folder tab")
        report = find_report(Path(request.folder))
        text = f"{'; '.join(parts)}. The report is {report}."
        self._controller.message.emit(text)
        if failed:
            self._controller.failed.emit(text)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
