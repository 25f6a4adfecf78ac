"""Probe files: one safetensors file with the settings as JSON in its header.

First the file as such, then the trained probe as its content, and back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.encoders.checkpoint import CHECKPOINT_SUFFIXES
from napari_segdino.errors import DAMAGE, InputError, ModelFileError, unknown_name
from napari_segdino.files import atomic_path
from napari_segdino.heads.registry import current_names, first_name, make_head
from napari_segdino.io.provenance import Provenance
from napari_segdino.schema import check_types

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_log = logging.getLogger(__name__)

FORMAT = "napari-segdino probe"
VERSION = 2
"""In files of version 1, ``mvr`` names the head ``probe``."""

DAMAGED = "{} is damaged: take a copy of it, or train the probe anew."

MOST_CLASSES = 255
"""With background: marks are numbers of 8 bits."""

META = {
    "encoder": str,
    "encoder_key": str,
    "head": str,
    "random_state": int,
    "features": dict[str, Any],
    "predicting": dict[str, Any],
    "recipe": str | None,
    "n_classes": int,
    "class_info": list[dict[str, Any]] | None,
    "channels": int | None,
    "learned": dict[str, Any],
}


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
        raise ModelFileError(f"The model could not be saved: {error}.") from error
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


def provenance_of(model: ModelFile) -> Provenance:
    """Return what masks of a probe are made with.

    Parameters
    ----------
    model : ModelFile
        As read.
    """
    meta = model.meta
    return Provenance(
        # A path on the machine of training may hold the name of a person.
        encoder=re.split(r"[\\/]", meta["encoder"])[-1],
        model=" ".join(filter(None, (meta["head"], meta.get("recipe")))),
        digest=model_digest(model),
    )


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
            # Copies: Windows lets nobody save over a file that is mapped into memory.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
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


# -- a trained probe as the content of a file, and back ---------------------


@dataclass(frozen=True)
class FittedState:
    """What fitting gives an estimator.

    Parameters
    ----------
    model : object
        The trained head.
    samples : dict of str to object
        What it learned from, tile by tile.
    n_classes : int
        Classes with background.
    encoder_key : str
        Names the encoder's weights.
    class_info : object
        Names and colours, or whatever else JSON can hold.
    channels : int, optional
        Of the images it learned from, 3 for grey and RGB; None is not known.
    """

    model: Any
    samples: dict[str, Any]
    n_classes: int
    encoder_key: str
    class_info: Any
    channels: int | None = None


def to_model_file(params: Mapping[str, Any], fitted: FittedState) -> ModelFile:
    """Put parameters and fitted state of an estimator into one file's content.

    Parameters
    ----------
    params : mapping of str to object
        Of a :class:`~napari_segdino.segmenter.Segmenter`.
    fitted : FittedState
        What fitting gave it.

    Returns
    -------
    ModelFile
    """
    head = make_head(params["head"], params["recipe"])
    tensors, stored = head.to_tensors(fitted.model, fitted.samples)
    features = params["features"] or head.default_features()
    meta = {
        "encoder": params["encoder"],
        "encoder_key": fitted.encoder_key,
        "head": head.name,
        "random_state": params["random_state"],
        "features": asdict(features),
        "predicting": asdict(params["predicting"]),
        "recipe": params["recipe"],
        "n_classes": fitted.n_classes,
        "class_info": fitted.class_info,
        "channels": fitted.channels,
        "learned": stored,
    }
    return ModelFile(meta, tensors)


def from_model_file(file: ModelFile) -> tuple[dict[str, Any], FittedState]:
    """Undo :func:`to_model_file`.

    Parameters
    ----------
    file : ModelFile
        As read.

    Returns
    -------
    params : dict of str to object
        All but the device and the cache, which are this machine's.
    fitted : FittedState

    Raises
    ------
    InputError
        If there is no such head.
    ModelFileError
        If the file has settings that there are not.
    LookupError, RuntimeError, TypeError, ValueError
        If something else is missing, or not of the type, shape or range that it has.
    """
    meta = file.meta
    check_types(meta, META)
    # Probes of earlier versions saw each plane alone.
    features = {"neighbours": 0} | meta["features"]
    params = {
        "encoder": meta["encoder"],
        "head": meta["head"],
        "random_state": meta["random_state"],
        "features": _settings(FeatureSettings, features, file.newer),
        "predicting": _settings(PredictSettings, meta["predicting"], file.newer),
        "recipe": _recipe_in(meta),
    }
    head = make_head(params["head"], params["recipe"])
    model, samples = head.from_tensors(file.tensors, meta["learned"])
    if not 2 <= meta["n_classes"] == model.n_classes <= MOST_CLASSES:
        raise ValueError(f"{meta['n_classes']} classes of {model.n_classes}")
    fitted = FittedState(
        model,
        samples,
        meta["n_classes"],
        meta["encoder_key"],
        meta["class_info"],
        meta["channels"] if "channels" in meta else _channels_in(samples),
    )
    return params, fitted


def _recipe_in(meta: Mapping[str, Any]) -> str | None:
    """Return the recipe of a file, None where it cannot be.

    Earlier versions wrote any recipe down; another head's, or options that its own
    does not take, were never read.
    """
    if meta["recipe"] is None:
        return None
    try:
        make_head(meta["head"], meta["recipe"])
    except InputError:
        return None
    recipe: str = meta["recipe"]
    return recipe


def _channels_in(samples: Mapping[str, Any]) -> int | None:
    """Channels of the tiles that a file of an earlier version tells of.

    A key names the range of each channel of the image; see :meth:`Extractor.key`.
    """
    found = [re.search(r"Intensity\(low=\(([^)]*)\)", key) for key in samples]
    counts = [len(m[1].rstrip(",").split(",")) for m in found if m]
    return max(counts, default=None)


def _settings(group: type[T], stored: Mapping[str, Any], newer: bool) -> T:
    """Make a group of settings of what JSON made of it.

    Raises
    ------
    ModelFileError
        If the file has a setting that there is not: masks would be others without
        it. What a newer version added is left out, and logged.
    """
    hints = get_type_hints(group)
    for name in stored.keys() - hints.keys():
        text = unknown_name("setting of a probe", name, hints)
        if not newer:
            raise ModelFileError(text)
        _log.warning("%s A newer version wrote it: it is left out.", text)
    check_types(stored, hints)
    frozen = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in stored.items()
        if name in hints
    }
    return group(**frozen)
