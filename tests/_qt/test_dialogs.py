"""Every format that the export dialog offers can be exported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_slices import make_slice
from napari.layers import Labels
from qtpy.QtWidgets import QFileDialog

from napari_segdino._qt.layers.files import mask_writer, proposed_suffix
from napari_segdino._qt.widgets.dialogs import ask_export_mask
from napari_segdino.io import read_scan
from napari_segdino.io.formats import MASK_SUFFIXES


@pytest.fixture
def mask(tmp_path: Path) -> Labels:
    """The mask of a slice read from DICOM, as the dock makes it."""
    path = tmp_path / "slice.dcm"
    make_slice(path, np.zeros((6, 7)), (0, 0, 0))
    kwargs = read_scan(path).layer_kwargs()
    labels = np.zeros((6, 7), np.uint8)
    labels[1, 2:4], labels[3, 3] = 1, 2
    shared = ("scale", "units", "axis_labels", "metadata", "translate")
    return Labels(labels, **{name: kwargs[name] for name in shared if name in kwargs})


def offered(shown: str) -> list[str]:
    """Suffixes in the filters of a dialog."""
    return [s for one in re.findall(r"\((.*?)\)", shown) for s in one.split()]


def test_all_that_is_offered_can_be_written(
    qtbot: Any, mask: Labels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def take(parent: Any, title: str, name: str, filters: str) -> tuple[str, str]:
        assert name == "mask.nii.gz"
        asked.extend(filters.split(";;"))
        return "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", take)
    assert ask_export_mask(None, "mask", proposed_suffix(mask)) is None
    assert asked[0].startswith("NIfTI"), "the proposed one comes first"
    assert {s.removeprefix("*") for s in offered("".join(asked))} == set(MASK_SUFFIXES)
    for shown in asked:
        names = [f"m{s.removeprefix('*')}" for s in offered(shown)]
        for name in (*names, "plain"):
            folder = tmp_path / f"{shown.split()[0]}-{name}"
            folder.mkdir()
            monkeypatch.setattr(
                QFileDialog,
                "getSaveFileName",
                lambda *_, chosen=str(folder / name), how=shown: (chosen, how),
            )
            path = ask_export_mask(None, "mask", ".nii.gz")
            assert path is not None
            assert mask_writer(mask, path)() == [str(path)]
            assert [p.name for p in folder.iterdir()] == [path.name]
            assert path.name.startswith(name)
