"""What is published: built, checked, installed where the checkout is not, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SEGMENT = """
import json
import sys
import napari
import numpy as np
from qtpy.QtTest import QTest

y, x = np.mgrid[:64, :64]
disc = np.hypot(y - 30, x - 34) < 16
viewer = napari.Viewer()
viewer.add_image((40 + 150 * disc).astype(np.uint8), name="disc")
_, widget = viewer.window.add_plugin_dock_widget("napari-segdino", "SegDINO")
dock = widget.dock
dock.session.change(encoder="efficientnet_lite0", device="cpu")

import napari_segdino
from napari_segdino._qt.widget import segment

def rest():
    QTest.qWait(50)
    for _ in range(6000):
        if not dock.controller.busy:
            break
        QTest.qWait(10)
    QTest.qWait(50)

rest()
segment(viewer)
rest()
mask = np.asarray(viewer.layers["disc mask"].data) == 1
found = {
    "file": napari_segdino.__file__,
    "version": napari_segdino.__version__,
    "status": dock.status.label.text(),
    "dice": 2 * (mask & disc).sum() / (mask.sum() + disc.sum()),
}
sys.stdout.write(json.dumps(found) + "\\n")
viewer.close()
"""


def run(*command: object, **more: object) -> str:
    # Nothing of the checkout: neither its folder nor what leads to it.
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    clean |= {"PYTHONDONTWRITEBYTECODE": "1"} | dict(more.pop("env", {}))  # type: ignore[call-overload]
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env=clean,
        timeout=300,
        **more,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that was built of it, where there is no git."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "-o", folder, ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


@pytest.fixture(scope="module")
def python(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, and sees what it needs."""
    folder = tmp_path_factory.mktemp("clean") / "env"
    venv.create(folder, with_pip=False)
    scripts = "Scripts" if os.name == "nt" else "bin"
    found = folder / scripts / Path(sys.executable).name
    install = "install", "--no-deps", "--no-index", built["wheel"]
    run(sys.executable, "-m", "pip", "--python", found, *install)
    (installed,) = folder.rglob("napari_segdino/__init__.py")
    # What a .pth file names is put on the path, but no .pth file in there is heeded:
    # the checkout that these tests run from is not seen.
    packages = sysconfig.get_paths()["purelib"]
    (installed.parents[1] / "needed.pth").write_text(packages, encoding="utf-8")
    return found


def about(wheel: Path) -> dict[str, str]:
    """The metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("/METADATA")]
        found = message_from_bytes(archive.read(name))
    return {**dict(found.items()), "text": str(found.get_payload())}


def test_wheel_and_sdist_are_what_an_index_takes(built: dict[str, Path]) -> None:
    told = run(sys.executable, "-m", "twine", "check", "--strict", *built.values())
    assert told.count("PASSED") == 2


def test_the_wheel_has_what_python_does_not_import(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as archive:
        names = archive.namelist()
    wanted = [p for p in (ROOT / "napari_segdino").rglob("*") if p.is_file()]
    caches = {"__pycache__"}
    files = {p.relative_to(ROOT).as_posix() for p in wanted if not caches & {*p.parts}}
    packed = {n for n in names if n.startswith("napari_segdino/")}
    assert packed == files
    assert {f"napari_segdino/{n}" for n in ("napari.yaml", "icon.svg", "py.typed")} <= (
        packed
    )
    assert {n.split("/")[0] for n in names if ".dist-info" not in n} == {
        "napari_segdino"
    }


def test_the_sdist_has_the_tests_and_nothing_that_was_made(
    built: dict[str, Path],
) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames()]
    assert {"LICENSE", "README.md", "tests/conftest.py", "docs/guide.md"} <= set(names)
    assert not [n for n in names if ".venv" in n or n.endswith(".pyc")]


def test_the_manifest_is_valid_and_found_once(python: Path, tmp_path: Path) -> None:
    valid = "from npe2.cli import main; main()"
    run(python, "-c", valid, "validate", "napari-segdino", cwd=tmp_path)
    code = (
        "import npe2; m = npe2.PluginManager.instance(); m.discover();"
        "p = m.get_manifest('napari-segdino');"
        "print(p.icon, p.package_metadata.version)"
    )
    icon, version = run(python, "-c", code, cwd=tmp_path).split()
    assert icon == "napari_segdino:icon.svg"
    assert version == about_version(python)


def about_version(python: Path) -> str:
    code = "import napari_segdino as n; print(n.__version__)"
    return run(python, "-c", code, cwd=python.parent).strip()


def test_an_image_is_segmented_with_what_was_installed(
    built: dict[str, Path], python: Path, tmp_path: Path
) -> None:
    home = {f"XDG_{name}_HOME": str(tmp_path) for name in ("CONFIG", "CACHE", "DATA")}
    home["NAPARI_CONFIG"] = str(tmp_path / "settings.yaml")
    told = run(python, "-c", SEGMENT, env=home, cwd=tmp_path)
    found = json.loads(told.splitlines()[-1])
    assert Path(found["file"]).is_relative_to(python.parents[1])
    assert found["version"] == about(built["wheel"])["Version"]
    assert found["dice"] > 0.9, found["status"]
