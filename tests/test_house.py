"""Rules of the house that a machine can check."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "timm", "napari", "qtpy", "SimpleITK", "dask", "zarr", "skimage")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_imports_go_one_way():
    lint = "from importlinter.cli import lint_imports_command as c; c()"
    found = run(sys.executable, "-c", lint, "--config", "setup.cfg")
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    "module", ["napari_segdino", "napari_segdino.segmenter", "napari_segdino.cli"]
)
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*sys.modules)"
    found = run(sys.executable, "-c", code)
    assert found.returncode == 0, found.stderr
    loaded = set(found.stdout.split())
    assert module in loaded
    assert not loaded & set(HEAVY)


def test_base_dependencies_name_no_qt():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[\[<>=]", d)[0].lower() for d in project["dependencies"]}
    assert "qtpy" in names
    assert not names & {"pyqt5", "pyqt6", "pyside2", "pyside6", "napari"}


def test_the_readme_names_commands_that_exist():
    from napari_segdino.cli import main

    text = (ROOT / "README.md").read_text()
    named = set(re.findall(r"^napari-segdino (\w+)", text, re.M))
    assert named
    assert named <= set(main.commands)


def test_files_that_the_readme_shows_are_there():
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(((?!https?:)[^)#]+)\)", text)
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert not missing


def test_every_test_of_the_window_is_in_one_part():
    wanted = sorted(
        str(p.relative_to(ROOT)) for p in ROOT.glob("tests/_qt/**/test_*.py")
    )
    parts = sorted(
        set(re.findall(r"test-pyqt5-\w-\w", (ROOT / "Makefile").read_text()))
    )
    plans = [run("make", "--dry-run", part).stdout for part in parts]
    found = [name for plan in plans for name in re.findall(r"tests/_qt/\S+\.py", plan)]
    assert sorted(found) == wanted
