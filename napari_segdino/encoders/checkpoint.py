"""Checkpoint files: read without running any code they hold, and recognise."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.encoders.layouts import NESTED, State, convert
from napari_segdino.encoders.table import (
    SAT_MEAN,
    SATELLITE,
    encoder_names,
    get_spec,
    satellite,
)
from napari_segdino.errors import WeightsError

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
"""Suffixes of checkpoints, of encoders and of SegDINO's own code."""

_INDEX = ".index.json"
_SLACK = 1 << 20
_SATELLITE_FILES = ("eadcf0ff", "a6675841")
"""How the SHA-256 of Meta's own files of these weights begins, as their names end."""


def read_checkpoint(path: str | Path) -> State:
    """Read an encoder's checkpoint of any known layout.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` file, a ``.pth`` or ``.pt`` file with tensors and what runs
        no code, the index of a file in parts, or a folder with one of these.

    Returns
    -------
    State
        Tensors in timm's names, and the architecture they are of.

    Raises
    ------
    WeightsError
        The file is missing, empty, cut short, holds code, or is not a known
        encoder's checkpoint.
    """
    tensors = read_tensors(path)
    try:
        return convert(tensors)
    except WeightsError as error:
        text = str(error)
        raise WeightsError(
            f"{Path(path).name} cannot be used: {text[0].lower()}{text[1:]}"
        ) from error


def read_tensors(path: str | Path) -> Tensors:
    """Read a checkpoint's tensors as they are named in the file.

    Parameters
    ----------
    path : str or Path
        As for :func:`read_checkpoint`.

    Returns
    -------
    dict of torch.Tensor
        On the CPU. Names of a table within a table begin with its own and
        :data:`~napari_segdino.encoders.layouts.NESTED`; what is no tensor is left.

    Raises
    ------
    WeightsError
        The file cannot be read, or not without running code.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _read_folder(path)
        if path.name.endswith(_INDEX):
            return _read_parts(path)
        if path.stat().st_size == 0:
            raise WeightsError(f"{path.name} is empty.")
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {_reason(error)}.") from error
    # By content and not by suffix: files of the hub are called .bin, .pth and .ckpt at
    # will.
    if head[:2] == b"PK" or head[:1] == b"\x80":
        found = _flatten(_read_pickle(path))
        if not found:
            raise WeightsError(f"{path.name} holds no table of tensors.")
        return found
    # safetensors: eight bytes of length, then a JSON header.
    if head[8:9] == b"{" and head[:1] != b"{":
        return _read_safetensors(path)
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(
            f"{path.name} is a Git LFS pointer, not the weights: fetch the file itself "
            "with 'git lfs pull', or download it anew."
        )
    if head[:1] == b"<":
        raise WeightsError(
            f"{path.name} is a web page, not weights: the download needs a login or "
            "another link; download the file anew."
        )
    text = head.split(b"\n")[0].decode("ascii", "replace")
    if text.isprintable() and "\ufffd" not in text:
        raise WeightsError(f"{path.name} is text, not weights: {text[:40]!r}.")
    raise WeightsError(f"{path.name} is not a checkpoint file.")


def spec_for_state(state: State, path: str | Path = "") -> EncoderSpec:
    """Make the row of an encoder that was read from a file.

    Parameters
    ----------
    state : State
        What the file holds.
    path : str or Path
        Where it came from. Tensors cannot tell weights from LingBot (``lingbot`` in
        the file's name) or from MedDINOv3 (``meddino``) from the others, so the name
        decides; those from satellite images are known by their name (``sat493m``),
        by the statistics in a ``config.json`` beside them or by their checksum.

    Returns
    -------
    EncoderSpec
        The table's row of that architecture, with the file's normalisation;
        for a size outside the table, a row like it named after timm's model.
    """
    name = str(path).replace("\\", "/").rsplit("/", 1)[-1].lower()
    row = _row_of(state, name, Path(path))
    if row.recognised_as:
        return row
    if SATELLITE in name and row.hint != SATELLITE:
        row = satellite(row)
    parameters = sum(tensor.numel() for tensor in state.tensors.values())
    return replace(row, timm_name=state.timm_name, parameters=parameters)


def _row_of(state: State, name: str, path: Path) -> EncoderSpec:
    """Find the row of an architecture that a file or its name speaks for."""
    rows = [
        row
        for row in map(get_spec, encoder_names())
        if _plain(row.recognised_as or row.timm_name) == _plain(state.timm_name)
    ]
    for row in rows:
        told = bool(row.hint) and row.hint in name
        told = told or (row.hint == SATELLITE and _is_satellite(path))
        # MedDINOv3's own file is known by its tensors as well.
        if told or (row.teacher and state.teacher and row.timm_name == state.timm_name):
            return row
    for row in rows:
        if not row.hint:
            return row
    width = int(state.tensors["cls_token"].shape[-1])
    return replace(
        get_spec("dinov3_vits16"),
        name=_plain(state.timm_name),
        title=_plain(state.timm_name),
        timm_tag="",
        channels=(width,) * 12,
        licence="",
        licence_url="",
    )


def _is_satellite(path: Path) -> bool:
    """Whether what stands beside weights, or their checksum, says satellite images."""
    if not path.exists():
        return False
    folder = path if path.is_dir() else path.parent
    for name in ("preprocessor_config.json", "config.json"):
        try:
            found = json.loads((folder / name).read_text("utf-8"))
            mean = found.get("image_mean") or found["pretrained_cfg"]["mean"]
            if tuple(round(float(value), 3) for value in mean) == SAT_MEAN:
                return True
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    if path.suffix != ".pth" or path.is_dir():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8] in _SATELLITE_FILES


def _plain(timm_name: str) -> str:
    """Name an architecture whether or not query and value biases are kept."""
    return timm_name.removesuffix("_qkvb")


def _read_folder(folder: Path) -> Tensors:
    """Read the one checkpoint in a folder, or in a repository of the hub's cache."""
    files = sorted(p for p in folder.iterdir() if p.suffix in CHECKPOINT_SUFFIXES)
    whole = [p for p in files if p.name == "model.safetensors"]
    parts = sorted(folder.glob(f"*{_INDEX}"))
    found = whole or parts or [p for p in files if p.suffix == ".safetensors"] or files
    found = found or sorted(p for p in folder.glob("snapshots/*") if p.is_dir())
    if len(found) == 1:
        return read_tensors(found[0])
    if not found:
        raise WeightsError(f"The folder {folder} holds no checkpoint.")
    names = ", ".join(p.name for p in found[:3])
    raise WeightsError(f"The folder {folder} holds several, name one of them: {names}.")


def _read_parts(index: Path) -> Tensors:
    try:
        wanted = json.loads(index.read_text("utf-8"))["weight_map"]
        parts = sorted({str(part) for part in wanted.values()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{index} is damaged.") from error
    # An index comes from anywhere: it must not make us read files elsewhere.
    if any("/" in part or "\\" in part for part in parts):
        raise WeightsError(f"{index} names files outside its folder.")
    tensors: Tensors = {}
    for part in parts:
        tensors |= read_tensors(index.parent / part)
    if tensors.keys() != wanted.keys():
        raise WeightsError(f"The parts in {index.parent} do not match their index.")
    return tensors


def _read_safetensors(path: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: Tensors = load_file(path, device="cpu")
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {_reason(error)}.") from error
    except SafetensorError as error:
        raise WeightsError(f"{path.name} is damaged or cut short.") from error
    return tensors


def _read_pickle(path: Path) -> Any:
    import torch

    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
        if is_zip:
            _check_zip(path)
        # By its suffix torch would read it as something else.
        mapped = is_zip and path.suffix != ".safetensors"
        file.seek(0)
        try:
            with torch.serialization.safe_globals(_harmless()):
                return torch.load(
                    path if mapped else file,
                    map_location="cpu",
                    weights_only=True,
                    mmap=mapped,
                )
        except Exception as error:  # noqa: BLE001 - damaged pickles raise anything
            raise WeightsError(f"{path.name} {_refusal(str(error))}.") from error


def _refusal(text: str) -> str:
    """Say what torch's safe loader did not take."""
    if found := re.search(r"GLOBAL (\S+)", text):
        return (
            f"holds more than tensors, {found[1]}, which may run code when opened, so "
            "it is refused: save its state dict or a .safetensors file instead"
        )
    if "Unsupported operand" in text:
        return (
            "is pickled by a protocol that is not read safely: save it by torch.save "
            "without another protocol, or as .safetensors"
        )
    return "is damaged, cut short or no checkpoint of tensors"


def _check_zip(path: Path) -> None:
    """Refuse what is no zip, and what would unpack to much more than it is.

    torch stores its tensors as they are: a compressed entry is none of its own.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
    except (zipfile.BadZipFile, OSError) as error:
        raise WeightsError(f"{path.name} is damaged or cut short.") from error
    if unpacked > 2 * path.stat().st_size + _SLACK:
        raise WeightsError(
            f"{path.name} would unpack to {unpacked / 1e9:.1f} GB, which no checkpoint "
            "does: it is refused."
        )
    if not any(entry.filename.endswith("data.pkl") for entry in entries):
        raise WeightsError(f"{path.name} is an archive of other files: unpack it.")


def _harmless() -> list[Any]:
    """Types that training programs store beside tensors, none of which runs code."""
    import argparse
    import datetime
    import types
    from pathlib import PurePath

    import numpy as np

    array, scalar = (value.__reduce__()[0] for value in (np.zeros(1), np.float64(0)))
    kinds = {type(np.dtype(code)) for code in np.typecodes["All"]}
    # Arrays of objects are made of what else is in the file.
    made = [*(kinds - {type(np.dtype("O"))}), np.dtype, np.ndarray, array, scalar]
    old = [
        (array, "numpy.core.multiarray._reconstruct"),
        (scalar, "numpy.core.multiarray.scalar"),
    ]
    paths = [(PurePath, f"pathlib.{kind}Path") for kind in ("Posix", "Windows")]
    tables = [(lambda *_: {}, "collections.defaultdict"), list, dict, int]
    names = [argparse.Namespace, types.SimpleNamespace, datetime.datetime]
    return [*made, *old, *paths, *tables, *names]


def _flatten(content: Any) -> Tensors:
    """Collect the tensors of tables within tables, each table once."""
    import torch

    found: Tensors = {}
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", content)]
    while waiting:
        path, table = waiting.pop()
        # A pickle may hold a table in itself.
        if id(table) in seen:
            continue
        seen.add(id(table))
        if isinstance(table, list | tuple):
            table = dict(enumerate(table))
        if not isinstance(table, Mapping):
            continue
        inside = []
        for name, value in table.items():
            if isinstance(value, torch.Tensor):
                found[f"{path}{name}"] = value
            else:
                inside.append((f"{path}{name}{NESTED}", value))
        waiting += reversed(inside)
    return found


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
