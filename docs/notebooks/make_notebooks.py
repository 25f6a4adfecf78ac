"""Make the notebooks of the documentation, with what their cells give.

    python docs/notebooks/make_notebooks.py [NAME ...]

A notebook is a Python script in this folder, whose cells begin with ``# %%``, and text
with ``# %% [markdown]``. The scripts are what is edited; make docs-notebooks runs this.
"""

from __future__ import annotations

import argparse
import io
import re
from base64 import b64decode, b64encode
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

HERE = Path(__file__).parent
SECONDS = 300
COLOURS = 64
"""Of a picture: shades of grey and two colours need no more."""

_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.M)
_HASH = re.compile(r"^# ?", re.M)


def scripts() -> list[Path]:
    """The scripts that notebooks are made of."""
    return sorted(path for path in HERE.glob("*.py") if path != Path(__file__))


def read_script(path: Path) -> NotebookNode:
    """Return the notebook of a script, nothing run.

    Parameters
    ----------
    path : pathlib.Path
        Of the script.
    """
    _, *parts = _CELL.split(path.read_text(encoding="utf-8"))
    cells = []
    for number, (text, source) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        if text:
            cell = new_markdown_cell(_HASH.sub("", source).strip())
        else:
            cell = new_code_cell(source.strip())
        # Random ones would change with every run.
        cell.id = f"cell-{number}"
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def run(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run the cells of a notebook and keep what they give.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        Changed in place.
    folder : pathlib.Path
        Where it runs.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raises.
    """
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        # What a slow machine prints late is not lost, nor told as two outputs.
        iopub_timeout=SECONDS,
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    # Which Python ran it is of no use to a reader.
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            # Warnings name the paths of the machine that they came up on.
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
        for output in cell.get("outputs", ()):
            if picture := output.get("data", {}).get("image/png"):
                output.data = {"image/png": smaller(picture)}
            elif "text/markdown" in output.get("data", {}):
                del output.data["text/plain"]  # the name of a class
    return notebook


def smaller(picture: str) -> str:
    """Return a PNG with fewer colours, both in base 64."""
    image = Image.open(io.BytesIO(b64decode(picture))).convert("RGB")
    kept = io.BytesIO()
    image.quantize(COLOURS).save(kept, "PNG", optimize=True)
    return b64encode(kept.getvalue()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [path.stem for path in scripts()]
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    for name in parser.parse_args().names or names:
        path = HERE / f"{name}.ipynb"
        nbformat.write(run(read_script(path.with_suffix(".py")), HERE), path)
        print(f"{path.name}: {path.stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main()
