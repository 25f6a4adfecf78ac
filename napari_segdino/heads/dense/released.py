"""SegDINO's own checkpoints, backbone and head in one file, read as probes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_segdino.config import PredictSettings
from napari_segdino.encoders.checkpoint import read_tensors
from napari_segdino.encoders.load import load_encoder
from napari_segdino.errors import ModelFileError
from napari_segdino.heads.base import Tensors
from napari_segdino.heads.dense.decoder import N_LEVELS, make_decoder
from napari_segdino.heads.dense.segdino import SegDINODecoder
from napari_segdino.heads.dense.segdino_v2 import SegDINOv2Decoder
from napari_segdino.heads.registry import get_recipe

Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]


def _from_one(name: str) -> Callable[[re.Match[str]], str]:
    """Number from 0 what is numbered from 1."""
    return lambda match: name.format(int(match[1]) - 1)


# Names of arXiv 2509.00833's code, and of arXiv 2606.17972's, in ours.
_V1: Rules = (
    (r"^head\.projects\.", "branches."),
    # Rules apply in order, each to what those before it made of a name: this one is for
    # the line above.
    (r"^(branches\.\d)\.", r"\1.0."),
    (r"^head\.scratch\.layer(\d)_rn\.", _from_one("branches.{}.1.")),
    (r"^head\.scratch\.output_conv\.", "classify."),
    (r"^head\.proj\.", "upsample."),
)
_V2: Rules = (
    (r"^decoder\.token_projections\.", "project."),
    (r"^decoder\.tpa_branch_(\d)\.conv\.", _from_one("adapt.{}.")),
    (r"^decoder\.sad_intra_(\d)\.", _from_one("intra.{}.body.")),
    (r"^decoder\.sad_inter_(\d)\.", _from_one("inter.{}.body.")),
    (r"\.depthwise\.", ".0."),
    (r"\.pointwise\.", ".1."),
    (r"\.norm\.", ".2."),
    (r"\.body\.gamma$", ".body.4.gamma"),
    (r"^decoder\.out_conv\.", "classify."),
)


def read_released(path: Path) -> tuple[dict[str, Any], Tensors]:
    """Read such a checkpoint as what a probe file holds.

    Parameters
    ----------
    path : pathlib.Path
        The checkpoint, which stays the encoder's file.

    Returns
    -------
    meta : dict
    tensors : dict of str to torch.Tensor

    Raises
    ------
    WeightsError
        If it cannot be read, or its encoder is not known.
    ModelFileError
        If it holds no decoder of SegDINO, or another variant of it.
    """
    found = read_tensors(path)
    if own := _under(found, "head", "scratch.output_conv.weight", _V1):
        kind: Any = SegDINODecoder
        first = "branches.{}.0.weight"
        options: dict[str, Any] = {"upsample_first": "upsample.weight" in own}
        recipe = "segdino_published:upsample_first={upsample_first}"
    elif own := _under(found, "decoder", "out_conv.weight", _V2):
        kind, first = SegDINOv2Decoder, "project.{}.weight"
        options = {"width": own["classify.weight"].shape[1]}
        recipe = "segdino_v2_published:width={width}"
    else:
        raise ModelFileError(
            f"{path.name} is not a napari-segdino probe file and holds no decoder of "
            "SegDINO: give it as the encoder."
        )
    logits = len(own["classify.weight"])
    # The released code has one logit for two classes; two logits are of a variant that
    # is not read.
    n_classes = 2 if logits == 1 else logits
    missing = [n for i in range(N_LEVELS) if (n := first.format(i)) not in own]
    if missing or logits == 2:
        raise ModelFileError(f"{path.name} holds another variant of SegDINO's decoder.")
    channels = [own[first.format(i)].shape[1] for i in range(N_LEVELS)]
    decoder = make_decoder(kind, channels, n_classes, **options)
    state = decoder.state_dict()
    fitting = {
        n: t.reshape(state[n].shape) for n, t in own.items() if _fits(state, n, t)
    }
    buffers = {name for name, _ in decoder.named_buffers()}
    if fitting.keys() != own.keys() or state.keys() - buffers != own.keys():
        raise ModelFileError(f"{path.name} holds another variant of SegDINO's decoder.")
    chosen = get_recipe(recipe.format(**options))
    meta = {
        "encoder": str(path.resolve()),
        "encoder_key": load_encoder(path, "cpu").key,
        "head": chosen.head,
        "recipe": chosen.name,
        "random_state": 0,
        "features": asdict(chosen.features),
        "predicting": asdict(PredictSettings()),
        "n_classes": n_classes,
        "class_info": None,
        "channels": 3,
        "learned": {
            "channels": channels,
            "n_classes": n_classes,
            "options": decoder.options,
            "memory": [],
        },
    }
    return meta, {f"head.{name}": t.float() for name, t in (state | fitting).items()}


def _fits(state: Tensors, name: str, tensor: Any) -> bool:
    # The source's gammas are of one element, ours are numbers.
    return name in state and (
        state[name].shape == tensor.shape or state[name].numel() == tensor.numel() == 1
    )


def _under(tensors: Tensors, table: str, anchor: str, rules: Rules) -> Tensors:
    """Return the tensors of a decoder in our names; empty where there is none."""
    whole = f"{table}.{anchor}"
    prefixes = [n.removesuffix(whole) for n in tensors if n.endswith(whole)]
    if not prefixes:
        return {}
    before = min(prefixes, key=len)
    renamed: Tensors = {}
    for name, tensor in tensors.items():
        if name.startswith(f"{before}{table}."):
            new = name.removeprefix(before)
            for pattern, replacement in rules:
                new = re.sub(pattern, replacement, new)
            renamed[new] = tensor
    return renamed
