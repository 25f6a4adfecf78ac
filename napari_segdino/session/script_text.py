"""The lines of a script that makes the mask of a window again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segdino import __version__

if TYPE_CHECKING:
    from napari_segdino.session.script import ScriptState

_NEEDED = (
    ("from pathlib import Path", ("Path",)),
    ("import numpy as np", ("np",)),
    ("import tifffile", ("tifffile",)),
    ("from napari_segdino import {}", ("Segmenter",)),
    ("from napari_segdino.config import {}", ("FeatureSettings", "PredictSettings")),
    ("from napari_segdino.inference.predict import {}", ("PlaneResult",)),
    ("from napari_segdino.io import {}", ("read_scan", "sample_scan", "write_mask")),
    ("from napari_segdino.marks import {}", ("apply_marks",)),
)
"""What lines may need, with the names they need it for."""

_GAPS_AFTER = ("Path", "tifffile")


class Folder(Enum):
    """How a script finds what lies beside it."""

    OWN = "Path(__file__).resolve().parent"
    NAMED = "Path({})"


@dataclass(frozen=True)
class ScriptInput:
    """How a script reads an image and what was painted on it.

    Parameters
    ----------
    call : str
        Reads the scan.
    axes : str
        Of its data.
    spacing : tuple of float, optional
        Distances along z, y and x in mm.
    marks : str
        Name of the file of marks.
    """

    call: str
    axes: str
    spacing: tuple[float, ...] | None
    marks: str


def literal(value: Any) -> str:
    """Return a value as it is written in Python; of settings only what is chosen.

    Parameters
    ----------
    value : object
        A string, a number, a tuple or a group of settings.
    """
    if isinstance(value, str):
        # In double quotes, as the rest of a script.
        return json.dumps(value, ensure_ascii=False)
    if not is_dataclass(value) or isinstance(value, type):
        return repr(value)
    chosen = {f.name: getattr(value, f.name) for f in fields(value)}
    same = type(value)()
    named = [f"{n}={literal(v)}" for n, v in chosen.items() if v != getattr(same, n)]
    return f"{type(value).__name__}({', '.join(named)})"


def script_text(
    state: ScriptState, inputs: Sequence[ScriptInput], path: Path, folder: Folder
) -> str:
    """Return a script.

    Parameters
    ----------
    state : ScriptState
        What it does.
    inputs : sequence of ScriptInput
        How its images are read, in the order of its images.
    path : pathlib.Path
        Where it will lie.
    folder : Folder
        How it finds what lies beside it.
    """
    body = [
        f"folder = {folder.value.format(literal(str(path.parent)))}",
        "",
        *_reading(state, inputs),
    ]
    if state.segmenter.is_fitted:
        body += ["", "", *_learning(state, inputs), "", ""]
    else:
        body += [""]
    body += [*_drawing(state, inputs[0], path), *_commands(state, path)]
    lines = [*_heading(state), "", *_imports("\n".join(body)), "", *body]
    return "\n".join(lines) + "\n"


def _heading(state: ScriptState) -> list[str]:
    name = Path(state.image.path).name or state.image.name
    if state.image.sample:
        name = f"the sample {state.image.sample[-1]}"
    names = ", ".join(f"{c.label} {c.name}" for c in state.classes)
    # A name may hold what ends a docstring.
    name, names = (text.replace("\\", "/").replace('"', "'") for text in (name, names))
    return [
        f'"""The mask of {name}, as it was made in the window.',
        "",
        f"Labels: 0 background, {names}. Written by napari-segdino {__version__}.",
        '"""',
    ]


def _imports(body: str) -> list[str]:
    lines: list[str] = []
    for line, names in _NEEDED:
        used = [name for name in names if re.search(rf"\b{name}\b", body)]
        if used:
            lines.append(line.format(", ".join(used)))
        if names[0] in _GAPS_AFTER and lines and lines[-1]:
            lines.append("")
    return lines


def _end(number: int) -> str:
    return "" if number == 0 else f"_{number + 1}"


def _reading(state: ScriptState, inputs: Sequence[ScriptInput]) -> list[str]:
    lines = ["# The image, and what was painted: 0 unlabelled, 1 background, 2 class 1"]
    for number, one in enumerate(inputs):
        end = _end(number)
        if number == 1:
            lines += ["", "# What else was learned from"]
        lines.append(f"scan{end} = {one.call}")
        lines.append(f"marks{end} = tifffile.imread(folder / {literal(one.marks)})")
        if one.spacing is not None:
            lines.append(f"spacing{end} = {one.spacing!r}  # mm along z, y and x")
    return lines


def _how(one: ScriptInput, end: str = "") -> str:
    text = f"axes={literal(one.axes)}"
    return text if one.spacing is None else f"{text}, spacing=spacing{end}"


def _made(state: ScriptState) -> str:
    """Return the call that makes a segmenter like that of the window."""
    params = state.segmenter.get_params()
    fresh = type(state.segmenter)().get_params()
    named = [
        f"{name}={literal(value)}"
        for name, value in params.items()
        # How much is kept in memory and on disk changes no mask.
        if name not in ("encoder", "cache") and value != fresh[name]
    ]
    return f"Segmenter({', '.join([literal(params['encoder']), *named])})"


def _learning(state: ScriptState, inputs: Sequence[ScriptInput]) -> list[str]:
    lines = [
        "def learn_anew():",
        '    """Learn what is painted at once: in the window it came bit by bit."""',
        f"    segmenter = {_made(state)}",
    ]
    for number, one in enumerate(inputs):
        end = _end(number)
        if number and not state.others[number - 1].marks.any():
            continue
        lines.append(
            f"    segmenter.partial_fit(scan{end}.data, marks{end}, {_how(one, end)})"
        )
    return [*lines, "    return segmenter"]


def _drawing(state: ScriptState, one: ScriptInput, path: Path) -> list[str]:
    device = state.segmenter.device
    if state.segmenter.is_fitted:
        where = "" if device == "auto" else f", device={literal(device)}"
        model = literal(f"{path.stem}-model.segdino")
        lines = [
            "# What was learned. The mask of learn_anew() is close to this one's.",
            f"segmenter = Segmenter.load(folder / {model}{where})",
        ]
    else:
        lines = ["# Nothing was learned yet", f"segmenter = {_made(state)}"]
    lines += ["", *_planes(state, one), ""]
    lines += [
        "# What was painted stays as it was painted.",
        "labels = apply_marks(labels, marks)",
    ]
    out = f"folder / {literal(f'{path.stem}-mask{state.suffix}')}, labels, like=scan"
    if state.segmenter.is_fitted:
        lines.append("made = segmenter.provenance()")
        out += ", provenance=made"
    return [*lines, f"write_mask({out})"]


def _planes(state: ScriptState, one: ScriptInput) -> list[str]:
    """Return the lines that draw the mask."""
    together = not state.one_by_one and state.first is None
    if state.segmenter.is_fitted and together:
        return [f"labels = segmenter.predict(scan.data, {_how(one)})"]
    how = f"axes={literal(one.axes)}"
    call = f"segmenter.{state.method}(scan.data, "
    if state.method == "iter_predict":
        how = _how(one)
    elif state.method == "iter_from_clicks":
        call += "marks, "
    else:
        how += f", n_classes={state.n_groups}"
    lines = [
        "labels = np.zeros(marks.shape, np.uint8)",
        "planes = labels.reshape(-1, *labels.shape[-2:])",
    ]
    indent = ""
    if state.one_by_one:
        lines.append("# Each for itself, as in the window: neighbours were not drawn.")
        lines.append(f"for plane in {list(state.one_by_one)}:")
        indent, how = "    ", f"{how}, planes=[plane]"
    elif state.first is not None:
        count, away = len(state.image.planes), f"abs(plane - {state.first})"
        lines.append("# What was on screen first, without waiting for the others.")
        lines.append(f"order = sorted(range({count}), key=lambda plane: {away})")
        how += ", planes=order, centre=(0, 0)"
    return [
        *lines,
        f"{indent}for step in {call}{how}):",
        f"{indent}    if isinstance(step, PlaneResult):",
        f"{indent}        planes[step.index] = step.labels",
    ]


def _commands(state: ScriptState, path: Path) -> list[str]:
    """Return what does the same to other images on the command line, as comments."""
    if not state.segmenter.is_fitted:
        return []
    own = "-m", str(path.with_name(f"{path.stem}-model.segdino"))
    commands = state.commands or (("IMAGES", "-o", "MASKS"),)
    lines = [
        shlex.join(
            ("napari-segdino", "predict", *words, *(() if "-m" in words else own))
        )
        for words in commands
    ]
    return ["", "# Other images, on the command line:", *(f"#   {x}" for x in lines)]
