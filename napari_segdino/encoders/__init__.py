"""Encoders: frozen networks that turn planes into feature levels.

Importing this package loads neither torch nor timm nor anything of the network.
"""

from napari_segdino.encoders.base import Encoder, EncoderSpec
from napari_segdino.encoders.checkpoint import read_checkpoint, spec_for_state
from napari_segdino.encoders.device import DEVICES, resolve_device
from napari_segdino.encoders.frozen import PRECISIONS, FrozenEncoder
from napari_segdino.encoders.load import iter_load_encoder, load_encoder
from napari_segdino.encoders.table import (
    BUILTIN_ENCODER,
    DEFAULT_ENCODER,
    encoder_names,
    get_spec,
)
from napari_segdino.encoders.weights import (
    EncoderStatus,
    find_weights,
    list_encoders,
    weights_folder,
)

__all__ = [
    "BUILTIN_ENCODER",
    "DEFAULT_ENCODER",
    "DEVICES",
    "PRECISIONS",
    "Encoder",
    "EncoderSpec",
    "EncoderStatus",
    "FrozenEncoder",
    "encoder_names",
    "find_weights",
    "get_spec",
    "iter_load_encoder",
    "list_encoders",
    "load_encoder",
    "read_checkpoint",
    "resolve_device",
    "spec_for_state",
    "weights_folder",
]
