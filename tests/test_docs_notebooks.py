"""The notebooks of the documentation run, and are those of their scripts."""

import re
import runpy
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "docs" / "notebooks"
MAKER = runpy.run_path(str(NOTEBOOKS / "make_notebooks.py"))
NAMES = [path.stem for path in MAKER["scripts"]()]


def stored(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def kinds(notebook):
    """What each cell gave, by the kind of it."""
    return [
        [[*o.get("data", ())] or [o.name] for o in cell.get("outputs", ())]
        for cell in notebook.cells
    ]


def test_there_is_a_notebook_of_each_script_and_a_link_to_it():
    assert len(NAMES) >= 3
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == set(NAMES)
    page = (ROOT / "docs/scripts.md").read_text()
    assert set(re.findall(r"\(notebooks/(\w+)\.ipynb\)", page)) == set(NAMES)
    nav = (ROOT / "mkdocs.yml").read_text()
    assert set(re.findall(r" notebooks/(\w+)\.md$", nav, re.M)) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_stored_notebook_is_that_of_its_script(name):
    made, kept = MAKER["read_script"](NOTEBOOKS / f"{name}.py"), stored(name)
    nbformat.validate(kept)
    cells = [(c.cell_type, c.id, c.source) for c in kept.cells]
    assert cells == [(c.cell_type, c.id, c.source) for c in made.cells]
    assert kept.metadata == made.metadata


@pytest.mark.parametrize("name", NAMES)
def test_what_is_stored_is_small_and_names_no_machine(name):
    text = (NOTEBOOKS / f"{name}.ipynb").read_text()
    assert len(text) < 300_000
    assert '"image/png"' in text
    pictures = re.sub(r'"image/png": "[^"]*"', "", text)
    assert re.findall(r"(?:/\w+){3,}|[A-Z]:\\\\|[\w-]+\.local\b", pictures) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs_and_gives_what_is_stored(name, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # The package of this checkout, in a process that starts in another folder.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = MAKER["read_script"](NOTEBOOKS / f"{name}.py")
    MAKER["run"](notebook, tmp_path)
    assert kinds(notebook) == kinds(stored(name))


def test_a_cell_that_raises_is_told(tmp_path):
    script = tmp_path / "wrong.py"
    script.write_text("# %%\nprint(1)\n\n# %%\n1 / 0\n")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        MAKER["run"](MAKER["read_script"](script), tmp_path)


def test_a_script_is_read_cell_by_cell(tmp_path):
    script = tmp_path / "two.py"
    script.write_text("# %% [markdown]\n# # A title\n#\n# Text.\n\n# %%\na = 1\n")
    text, code = MAKER["read_script"](script).cells
    assert (text.cell_type, text.source) == ("markdown", "# A title\n\nText.")
    assert (code.cell_type, code.source) == ("code", "a = 1")
