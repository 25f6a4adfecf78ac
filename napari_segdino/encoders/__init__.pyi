from .base import Encoder as Encoder, EncoderSpec as EncoderSpec
from .checkpoint import (
    read_checkpoint as read_checkpoint,
    spec_for_state as spec_for_state,
)
from .device import (
    DEVICES as DEVICES,
    PRECISIONS as PRECISIONS,
    resolve_device as resolve_device,
)
from .frozen import FrozenEncoder as FrozenEncoder
from .load import iter_load_encoder as iter_load_encoder, load_encoder as load_encoder
from .table import (
    BUILTIN_ENCODER as BUILTIN_ENCODER,
    DEFAULT_ENCODER as DEFAULT_ENCODER,
    encoder_names as encoder_names,
    get_spec as get_spec,
)
from .weights import (
    EncoderStatus as EncoderStatus,
    find_weights as find_weights,
    list_encoders as list_encoders,
    weights_folder as weights_folder,
)
