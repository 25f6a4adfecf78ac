"""The dense heads by name; importing this imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from napari_segdino.errors import InputError
from napari_segdino.heads.dense.decoder import DenseHead
from napari_segdino.heads.dense.meddino import MedDINOHead
from napari_segdino.heads.dense.segdino import SegDINOHead
from napari_segdino.heads.dense.segdino_v2 import SegDINOv2Head

DENSE_HEADS: dict[str, type[DenseHead]] = {
    head.name: head for head in (SegDINOHead, SegDINOv2Head, MedDINOHead)
}


def make_head(
    name: str, channels: Sequence[int], n_classes: int, seed: int = 0, **options: Any
) -> DenseHead:
    """Make a head whose weights depend on the seed alone.

    Parameters
    ----------
    name : str
        A key of `DENSE_HEADS`.
    channels : sequence of int
        Width of each level.
    n_classes : int
        Classes with background.
    seed : int
        The same seed gives the same weights; torch's own seed is not touched.
    **options
        The head's own arguments, such as ``width=64``.

    Returns
    -------
    DenseHead
        On the CPU, float32.

    Raises
    ------
    InputError
        If there is no such head or option.
    """
    if name not in DENSE_HEADS:
        known = ", ".join(DENSE_HEADS)
        raise InputError(f"There is no dense head named {name!r}; there are {known}.")
    try:
        with torch.device("meta"):  # draws nothing from the global generator
            head = DENSE_HEADS[name](channels, n_classes, **options)
    except TypeError as error:
        raise InputError(f"The head {name} has no such option: {error}.") from error
    head = head.to_empty(device="cpu").float()
    head.initialise(torch.Generator().manual_seed(seed))
    return head
