"""What was done to an image in a window, as a script that gives the same mask.

A probe remembers in which order strokes came, what was undone and what it was loaded
with. The script therefore reads what was learned from a file, and says beside it how
the same strokes are learned anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import SegDINOError
from napari_segdino.files import atomic_path
from napari_segdino.images.planes import Planes, as_planes
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.io.read import can_read, read_scan
from napari_segdino.io.sample import sample_scan
from napari_segdino.io.scan import Scan
from napari_segdino.marks import apply_marks
from napari_segdino.progress import Progress, Steps
from napari_segdino.session.classes import LabelClass
from napari_segdino.session.project.about import image_print
from napari_segdino.session.script_text import (
    Folder,
    ScriptInput,
    literal,
    script_text,
)

OWN_SAMPLES = "napari-segdino"
"""Plugin whose samples are read without a file."""


@dataclass(frozen=True)
class ScriptImage:
    """An image of a window, and what was painted on it.

    Parameters
    ----------
    name : str
        For people.
    planes : Planes
        Its pixels.
    marks : numpy.ndarray of int
        A copy.
    spacing : tuple of float, optional
        Distances along z, y and x in mm.
    path, series : str
        Where it was read from, if it was, and which of several there.
    sample : tuple of str
        Plugin and name of a sample; empty for anything else.
    """

    name: str
    planes: Planes
    marks: NDArray[Any]
    spacing: tuple[float, ...] | None = None
    path: str = ""
    series: str = ""
    sample: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScriptState:
    """What a script does again.

    Parameters
    ----------
    image : ScriptImage
        Whose mask it makes.
    others : tuple of ScriptImage
        What else was learned from.
    mask : numpy.ndarray of int
        The mask as it is, a copy.
    segmenter : Segmenter
        A copy of the window's, which may have learned nothing yet.
    classes : tuple of LabelClass
        Those of the session.
    one_by_one : tuple of int
        Planes that were drawn each for itself; empty where all were drawn together.
    first : int, optional
        Plane that was on screen when all were drawn: it did not wait for the others,
        and is drawn without what they say.
    from_clicks : bool
        The mask was drawn after clicks, with nothing learned.
    suffix : str
        Of the mask's file.
    commands : tuple of tuple of str
        What was done to folders, as words of the command line without the model.
    """

    image: ScriptImage
    others: tuple[ScriptImage, ...]
    mask: NDArray[Any]
    segmenter: Any
    classes: tuple[LabelClass, ...]
    one_by_one: tuple[int, ...] = ()
    first: int | None = None
    from_clicks: bool = False
    suffix: str = ".tif"
    commands: tuple[tuple[str, ...], ...] = ()

    @property
    def method(self) -> str:
        """What of a segmenter draws the planes."""
        if self.segmenter.is_fitted:
            return "iter_predict"
        return "iter_from_clicks" if self.from_clicks else "iter_cluster"

    @property
    def n_groups(self) -> int:
        """Groups that were looked for with nothing learned."""
        return max(c.label for c in self.classes) + 1


@dataclass(frozen=True)
class Script:
    """A script that was written.

    Parameters
    ----------
    path : pathlib.Path
        The file; what it reads lies beside it.
    text : str
        The same to be pasted anywhere: it names the folder.
    differs : float
        Share of the pixels of the mask that are others than in the window.
    """

    path: Path
    text: str
    differs: float


def iter_write_script(state: ScriptState, path: Path) -> Steps[Script]:
    """Write a script, and beside it what was painted and learned.

    Parameters
    ----------
    state : ScriptState
        What to do again.
    path : pathlib.Path
        A ``.py`` file; the others begin with its name.

    Yields
    ------
    Progress

    Returns
    -------
    Script

    Raises
    ------
    ScanError, ModelFileError
        If a file cannot be written.
    """
    inputs: list[ScriptInput] = []
    for number, image in enumerate((state.image, *state.others), 1):
        yield Progress(0, 0, "Writing the script")
        end = f"-{number}" if number > 1 else ""
        inputs.append((yield from _iter_input(image, path, end)))
    model = path.with_name(f"{path.stem}-model.segdino")
    if state.segmenter.is_fitted:
        state.segmenter.save(model)
    drawn = yield from _iter_draw(state)
    differs = float(np.mean(apply_marks(drawn, state.image.marks) != state.mask))
    text = {
        kind: script_text(state, inputs, path, kind)
        for kind in (Folder.OWN, Folder.NAMED)
    }
    with atomic_path(path) as temporary:
        temporary.write_text(text[Folder.OWN], encoding="utf-8")
    return Script(path, text[Folder.NAMED], differs)


def _iter_input(image: ScriptImage, path: Path, end: str) -> Steps[ScriptInput]:
    """Find how an image is read again, and write its marks."""
    import tifffile

    marks = path.with_name(f"{path.stem}-marks{end}.tif")
    with atomic_path(marks) as temporary:
        how = {"compression": "zlib", "photometric": "minisblack"}
        tifffile.imwrite(temporary, image.marks, **how)
    wanted = image_print(image.planes)
    for call, read in _readers(image, path.parent):
        try:
            scan = read()
            found = image_print(as_planes(scan.data, axes=scan.axes))
        except SegDINOError:
            continue
        if found == wanted:
            return ScriptInput(call, scan.axes, image.spacing, marks.name)
    # Made in memory, changed since, or of a format that another plugin reads.
    copy = path.with_name(f"{path.stem}-image{end}.npy")
    yield from _iter_save(image.planes, copy)
    call = f'read_scan(folder / "{copy.name}", axes="{image.planes.axes}")'
    return ScriptInput(call, image.planes.axes, image.spacing, marks.name)


def _readers(
    image: ScriptImage, folder: Path
) -> Iterator[tuple[str, Callable[[], Scan]]]:
    """Yield calls that may read an image, and what they do."""
    if image.sample and image.sample[0] == OWN_SAMPLES:
        name = image.sample[1]
        yield f'sample_scan("{name}")', lambda: sample_scan(name)
    if image.path and can_read(image.path):
        path, series = Path(image.path), image.series
        where = literal(image.path)
        if path.is_relative_to(folder):
            where = f"folder / {literal(path.relative_to(folder).as_posix())}"
        # A file that was not loaded in the window is not loaded by the script either.
        lazy = type(image.planes.array) is not np.ndarray
        how: dict[str, Any] = {"series": series} if series else {}
        how |= {"lazy": True} if lazy else {}
        named = "".join(f", {key}={literal(value)}" for key, value in how.items())
        yield f"read_scan({where}{named})", partial(read_scan, path, **how)


def _iter_save(planes: Planes, path: Path) -> Steps[None]:
    array = planes.array
    kind, shape = np.dtype(array.dtype), tuple(int(n) for n in array.shape)
    with atomic_path(path) as temporary:
        out = np.lib.format.open_memmap(temporary, "w+", kind, shape)
        for plane in range(len(planes)):
            yield Progress(plane, len(planes), "Saving the image")
            index = planes.index(plane)
            out[index] = np.asarray(array[index])
        out.flush()


def _iter_draw(state: ScriptState) -> Steps[NDArray[Any]]:
    """Draw the mask as the script does."""
    image, array = state.image, state.image.planes.array
    labels = np.zeros(image.marks.shape, np.uint8)
    planes = labels.reshape(-1, *labels.shape[-2:])
    how: dict[str, Any] = {"axes": image.planes.axes}
    if state.method == "iter_predict":
        how["spacing"] = image.spacing
    elif state.method == "iter_from_clicks":
        how["marks"] = image.marks
    else:
        how["n_classes"] = state.n_groups
    # As the window drew: planes for themselves each in a call of its own; else from the
    # one on screen outwards, where a centre makes the first not wait for the others.
    calls: list[list[int] | None] = [[plane] for plane in state.one_by_one]
    if not calls and (first := state.first) is not None:
        order = sorted(range(len(planes)), key=lambda plane: abs(plane - first))
        calls, how["centre"] = [order], (0, 0)
    for only in calls or [None]:
        for step in getattr(state.segmenter, state.method)(array, planes=only, **how):
            if isinstance(step, PlaneResult):
                planes[step.index] = step.labels
            elif isinstance(step, Progress):
                yield step
    return labels
