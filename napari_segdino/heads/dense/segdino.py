"""The head of SegDINO, first version (arXiv 2509.00833)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import nn

from napari_segdino.errors import InputError
from napari_segdino.heads.dense.decoder import Decoder, resize, same_resolution
from napari_segdino.heads.dense.dense_head import DenseHead
from napari_segdino.heads.dense.recipes import DenseRecipe

Activation = Literal["none", "gelu"]

WIDTHS = (96, 192, 384, 768)
HIDDEN = 128
UPSAMPLING = 4


class SegDINODecoder(Decoder):
    """Four levels brought to one width and one resolution, and classified.

    Each level: 1x1 convolution with bias to 96, 192, 384 or 768 channels, 3x3
    convolution without bias to 128; then all are concatenated and a 1x1
    convolution with bias scores them. Bilinear scaling aligns the corners. On
    ViT-S with one logit this has 2,213,793 parameters, on ViT-B 2,766,753.

    Parameters
    ----------
    channels : sequence of int
        Width of each level.
    n_classes : int
        Classes with background; two classes have one logit.
    upsample_first : bool
        The variant released in December 2025: the first level is enlarged four
        times by a transposed convolution without bias, and the others
        bilinearly to its size (2,475,937 and 3,028,897 parameters). Else the
        variant of the paper's time: scores at the tokens' resolution.
    activation : {"none", "gelu"}
        ``"none"`` as released: the head is affine in the features. ``"gelu"``
        before the last convolution is our reading of the paper's "MLP head".

    Notes
    -----
    Our reading for a pyramid, whose levels differ in resolution: all are
    brought bilinearly to the size of the first, which is at a quarter of the
    pixels, where the transposed convolution brings a ViT's; so that one is
    left out on a pyramid and its weights are not used. With fewer than four
    levels the last widths are used.
    """

    align_corners: ClassVar[bool] = True

    def __init__(
        self,
        channels: Sequence[int],
        n_classes: int = 2,
        *,
        upsample_first: bool = False,
        activation: Activation = "none",
    ) -> None:
        super().__init__(channels, n_classes)
        if activation not in get_args(Activation):
            raise InputError(f"The activation is none or gelu, not {activation!r}.")
        self.activation: Activation = activation
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(depth, width, 1),
                nn.Conv2d(width, HIDDEN, 3, padding=1, bias=False),
            )
            for depth, width in zip(
                self.channels, WIDTHS[-len(self.channels) :], strict=True
            )
        )
        # None keeps its weights out of files, by which the two variants are told apart.
        self.upsample = (
            nn.ConvTranspose2d(HIDDEN, HIDDEN, UPSAMPLING, UPSAMPLING, bias=False)
            if upsample_first
            else None
        )
        self.act = nn.GELU() if activation == "gelu" else nn.Identity()
        self.classify = nn.Conv2d(HIDDEN * len(self.channels), self.n_logits, 1)

    @property
    def options(self) -> dict[str, Any]:
        """See :attr:`Decoder.options`."""
        upsample_first = self.upsample is not None
        return {"upsample_first": upsample_first, "activation": self.activation}

    def decode(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Score at the resolution of the first level; see the base class."""
        maps = [
            branch(level) for branch, level in zip(self.branches, levels, strict=True)
        ]
        if self.upsample is not None and same_resolution(levels):
            maps[0] = self.upsample(maps[0])
        size = maps[0].shape[-2], maps[0].shape[-1]
        aligned = [resize(level, size, self.align_corners) for level in maps]
        scores: torch.Tensor = self.classify(self.act(torch.cat(aligned, 1)))
        return scores


class SegDINO(DenseHead):
    """SegDINO's head, first version.

    The recipe ``segdino`` is the paper's for images of any kind; for 8-bit pictures,
    ``segdino_published`` shows them as the released code does. ``segdino_released`` has
    the transposed convolution of the code released in December 2025.

    References
    ----------
    .. [1] SegDINO: An Efficient Design for Medical and Natural Image Segmentation with
       DINO-V3, arXiv 2509.00833, 2025.
    """

    name = "segdino"
    decoder = SegDINODecoder
    from_masks = from_masks_on_cpu = DenseRecipe("segdino", "segdino")
    from_strokes = from_strokes_on_cpu = DenseRecipe(
        "segdino_quick",
        "segdino",
        sides=(512,),
        steps=60,
        batch=2,
        lr=1e-3,
        schedule="cosine",
        balance="strokes",
    )
    recipes = (
        from_masks,
        replace(
            from_masks, name="segdino_published", intensity="8-bit", squash="bicubic"
        ),
        DenseRecipe("segdino_released", "segdino", options=(("upsample_first", True),)),
        from_strokes,
    )
