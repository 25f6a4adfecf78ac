"""No damage of a project raises in a slot of the window."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import tifffile
from project_damages import damages
from test_dock import correct
from test_projects import open_file, reopen, save


@pytest.mark.parametrize("every", [83, pytest.param(2, marks=pytest.mark.long)])
def test_a_damaged_project_opens_or_is_refused(
    user: Any, plane: Any, tmp_path: Path, monkeypatch: Any, every: int
) -> None:
    """What is raised in a slot fails a test by itself."""
    tifffile.imwrite(tmp_path / "scan.tif", plane)
    open_file(user, tmp_path / "scan.tif")
    user.segment()
    correct(user)
    user.retrain()
    save(user, tmp_path / "p.segproject", monkeypatch)
    for n in range(0, sum(1 for _ in damages(tmp_path / "p.segproject")), every):
        copy = tmp_path / f"copy{n}"
        shutil.copytree(tmp_path / "p.segproject", copy)
        list(damages(copy))[n]()
        user.viewer.layers.clear()
        reopen(user, copy, monkeypatch)
        assert user.status, n
        assert "Something went wrong" not in user.status, (n, user.status)
        shutil.rmtree(copy)
