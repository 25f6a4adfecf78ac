"""A trained probe as the content of a file, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.heads.learners import make_learner
from napari_segdino.heads.recipes import get_recipe
from napari_segdino.model_file import ModelFile


@dataclass(frozen=True)
class Learned:
    """What an estimator has learned.

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


def pack_probe(params: Mapping[str, Any], learned: Learned) -> ModelFile:
    """Put parameters of an estimator and what it learned into one file's content.

    Parameters
    ----------
    params : mapping of str to object
        Of a :class:`~napari_segdino.segmenter.Segmenter`.
    learned : Learned
        What it learned.

    Returns
    -------
    ModelFile
    """
    learner = make_learner(params["head"], params["recipe"])
    tensors, kept = learner.pack(learned.model, learned.samples)
    features = params["features"] or learner.features()
    meta = {
        "encoder": params["encoder"],
        "encoder_key": learned.encoder_key,
        "head": params["head"],
        "random_state": params["random_state"],
        "features": asdict(features),
        "predicting": asdict(params["predicting"]),
        "recipe": params["recipe"],
        "n_classes": learned.n_classes,
        "class_info": learned.class_info,
        "channels": learned.channels,
        "learned": kept,
    }
    return ModelFile(meta, tensors)


def unpack_probe(file: ModelFile) -> tuple[dict[str, Any], Learned]:
    """Undo :func:`pack_probe`.

    Parameters
    ----------
    file : ModelFile
        As read.

    Returns
    -------
    params : dict of str to object
        All but the device and the cache, which are this machine's.
    learned : Learned
    """
    meta = file.meta
    # Probes of earlier versions saw each plane alone.
    shown = {"neighbours": 0} | {k: _frozen(v) for k, v in meta["features"].items()}
    params = {
        "encoder": meta["encoder"],
        "head": meta["head"],
        "random_state": meta["random_state"],
        "features": FeatureSettings(**shown),
        "predicting": PredictSettings(**meta["predicting"]),
        "recipe": meta["recipe"],
    }
    if meta["recipe"] is not None and get_recipe(meta["recipe"]).head != meta["head"]:
        # Earlier versions wrote any recipe down; where it was another head's, it
        # was never read.
        params["recipe"] = None
    learner = make_learner(params["head"], params["recipe"])
    model, samples = learner.unpack(file.tensors, meta["learned"])
    learned = Learned(
        model,
        samples,
        meta["n_classes"],
        meta["encoder_key"],
        meta["class_info"],
        meta["channels"] if "channels" in meta else _channels_in(samples),
    )
    return params, learned


def _channels_in(samples: Mapping[str, Any]) -> int | None:
    """Channels of the tiles that a file of an earlier version tells of.

    A key names the range of each channel of the image; see :meth:`Extractor.key`.
    """
    found = [re.search(r"Intensity\(low=\(([^)]*)\)", key) for key in samples]
    counts = [len(m[1].rstrip(",").split(",")) for m in found if m]
    return max(counts, default=None)


def _frozen(value: Any) -> Any:
    """Undo what JSON does to tuples."""
    return tuple(value) if isinstance(value, list) else value
