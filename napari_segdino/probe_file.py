"""A trained probe as the content of a file, and back."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar, get_type_hints

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.errors import InputError, ModelFileError, unknown_name
from napari_segdino.heads.registry import make_head
from napari_segdino.model_file import ModelFile
from napari_segdino.schema import check_types

T = TypeVar("T")

_log = logging.getLogger(__name__)

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
