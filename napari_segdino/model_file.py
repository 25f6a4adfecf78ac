"""Probe files: one safetensors file with the settings as JSON in its header."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segdino.encoders.checkpoint import CHECKPOINT_SUFFIXES
from napari_segdino.errors import DAMAGE, ModelFileError
from napari_segdino.files import atomic_path
from napari_segdino.heads.registry import current_names, first_name

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

FORMAT = "napari-segdino probe"
VERSION = 2
"""In files of version 1, ``mvr`` names the head ``probe``."""

DAMAGED = "{} is damaged: take a copy of it, or train the probe anew."


@dataclass(frozen=True, slots=True)
class ModelFile:
    """What a probe file holds.

    Parameters
    ----------
    meta : dict
        Settings and names, as JSON can hold them.
    tensors : dict of torch.Tensor
        Weights of the head and what it learned from.
    newer : bool
        Whether it was written by a newer version, though not of another kind.
    """

    meta: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    newer: bool = False


def write_model(path: str | Path, model: ModelFile) -> Path:
    """Write a probe file: whole, or not at all.

    Parameters
    ----------
    path : path
        Where to; an existing file is replaced.
    model : ModelFile
        What to write.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ModelFileError
        If the file cannot be written; what stood there before stays.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = Path(path)
    # Copies, since the format takes no tensors that share memory.
    tensors = {name: t.contiguous().clone() for name, t in model.tensors.items()}
    meta = json.dumps(model.meta)
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "meta": meta,
        "checksum": _checksum(meta, tensors),
    }
    try:
        with atomic_path(path, ModelFileError) as partial:
            save_file(tensors, partial, header)
    except SafetensorError as error:
        _log.error("Writing %s failed", path, exc_info=True)
        raise ModelFileError(f"The probe could not be saved: {error}.") from error
    return path


def _checksum(meta: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """Return a digest of all that a file holds."""
    import torch

    digest = hashlib.blake2b(meta.encode(), digest_size=16)
    # Sorted, since safetensors lays tensors out in an order of its own.
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content = tensor.contiguous().reshape(-1).view(torch.uint8)
        digest.update(content.numpy().data)
    return digest.hexdigest()


def model_digest(model: ModelFile) -> str:
    """Return a digest of all that masks depend on.

    Names and colours of classes do not count, nor does the order in which a file
    holds its parts.

    Parameters
    ----------
    model : ModelFile
        As read.
    """
    meta = {k: v for k, v in model.meta.items() if k != "class_info"}
    # Masks that were made when a head had another name are up to date.
    for name in ("head", "recipe"):
        if meta.get(name):
            meta[name] = first_name(meta[name])
    return _checksum(json.dumps(meta, sort_keys=True), model.tensors)


def read_model(path: str | Path) -> ModelFile:
    """Read a probe file; no code in it is ever run.

    Parameters
    ----------
    path : path
        A file written by :func:`write_model`, or a checkpoint of SegDINO's own code,
        which is told by its suffix.

    Returns
    -------
    ModelFile

    Raises
    ------
    ModelFileError
        If there is no such file, or it is no probe, too new, or not as it was
        written.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"There is no probe file {path}.")
    if path.suffix.lower() in CHECKPOINT_SUFFIXES:
        from napari_segdino.heads.dense.released import read_released

        return ModelFile(*read_released(path))
    try:
        with safe_open(path, framework="pt") as file:
            header: Mapping[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        _log.error("Reading %s failed", path, exc_info=True)
        raise ModelFileError(
            f"{path} is not a probe file, or it is damaged or cut off."
        ) from error
    if header.get("format") != FORMAT:
        raise ModelFileError(f"{path} is not a napari-segdino probe file.")
    major, _, minor = header.get("version", "").partition(".")
    numbered = re.fullmatch(r"[1-9]\d{,3}(\.\d{1,4})?", header.get("version", ""))
    if numbered and int(major) > VERSION:
        raise ModelFileError(
            f"{path} was written by a newer version: update napari-segdino."
        )
    try:
        meta = header["meta"]
        # Files of the first version may have no checksum.
        promised = header.get("checksum", "" if major != "1" else None)
        if not numbered or promised not in (None, _checksum(meta, tensors)):
            raise ValueError(f"the checksum of version {major} is {promised}")
        found = json.loads(meta)
        if int(major) < 2:
            found = current_names(found)
        if any(
            tensor.is_floating_point() and bool(tensor.isnan().any())
            for tensor in tensors.values()
        ):
            raise ValueError("not all numbers are finite")
        return ModelFile(dict(found), tensors, bool(int(minor or 0)))
    except DAMAGE as error:
        _log.error("%s is damaged", path, exc_info=True)
        raise ModelFileError(DAMAGED.format(path)) from error
