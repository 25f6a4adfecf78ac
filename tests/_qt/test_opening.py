"""Opening the dock in a window that has just come up."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("open_dock.py")
ROOT = Path(__file__).parents[2]


def test_nothing_heavy_is_imported_by_the_window(tmp_path: Path) -> None:
    """It would not answer meanwhile; a worker imports what encoders need."""
    # As pip does when it installs.
    compileall.compile_dir(ROOT / "napari_segdino", quiet=1)
    home = {f"XDG_{name}_HOME": str(tmp_path) for name in ("CONFIG", "CACHE", "DATA")}
    home["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, SCRIPT],
        env=os.environ | home | {"NAPARI_CONFIG": str(tmp_path / "settings.yaml")},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["window"] == []
    assert {"torch", "timm"} <= set(found["others"])
    assert found["modules"] <= 104, "of ours, before the dock can be used"
