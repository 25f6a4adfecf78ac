"""The head of MedDINOv3: multi-scale token aggregation (arXiv 2509.02379)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from napari_segdino.errors import InputError
from napari_segdino.heads.dense.decoder import Decoder, grid_size, resize
from napari_segdino.heads.dense.dense_head import DenseHead
from napari_segdino.heads.dense.recipes import DenseRecipe

STAGES = 4
SLOPE = 1e-2
EPS = 1e-6


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each position of (B, D, h, w)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise maps.

        Parameters
        ----------
        x : torch.Tensor, shape (B, D, h, w)
            Maps.
        """
        normed: torch.Tensor = self.norm(x.permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)


class MedDINODecoder(Decoder):
    """Four blocks concatenated and enlarged 16 times in four stages.

    Each stage is a transposed convolution of 2 with stride 2 and bias that
    halves the channels, a layer norm over channels, and GELU: 3072, 1536, 768,
    384, 192 on ViT-B. A 1x1 convolution with bias scores the pixels. With one
    logit this has 25,076,353 parameters on ViT-B and 6,271,297 on ViT-S.

    Parameters
    ----------
    channels : sequence of int
        Width of each level.
    n_classes : int
        Classes with background; two classes have one logit.
    width : int
        0 is the published width, the sum of the levels'. Else a 1x1
        convolution brings the concatenated levels to this many channels first
        (ours; 256 is the light head: 568,289 parameters on ViT-S, 961,505 on
        ViT-B).
    two_logits : bool
        Whether two classes have a logit each, as published, and not one.
    he : bool
        Whether weights are drawn as published, as He et al. do for leaky rectifiers of
        slope 0.01, with biases of 0; a few steps from there do not get as far.

    Notes
    -----
    Our reading for a pyramid: its levels are brought bilinearly, averaging
    where they shrink, to the grid of 16 pixels a cell, which is its last but
    one level. The epsilon of the norm, 1e-6, is our reading too.
    """

    def __init__(
        self,
        channels: Sequence[int],
        n_classes: int = 2,
        *,
        width: int = 0,
        two_logits: bool = False,
        he: bool = False,
    ) -> None:
        super().__init__(channels, n_classes)
        if two_logits:
            self.n_logits = n_classes
        self.two_logits, self.he = two_logits, he
        if width < 0 or 0 < width < 2**STAGES:
            raise InputError(f"The width is 0 or at least 16, not {width}.")
        self.width = width
        total = sum(self.channels)
        # Identity and not None: names of the weights are the same either way.
        self.reduce = nn.Conv2d(total, width, 1) if width else nn.Identity()
        stages, depth = [], width or total
        for _ in range(STAGES):
            half = max(1, depth // 2)
            stages += [nn.ConvTranspose2d(depth, half, 2, 2), ChannelNorm(half)]
            stages += [nn.GELU()]
            depth = half
        self.stages = nn.Sequential(*stages)
        self.classify = nn.Conv2d(depth, self.n_logits, 1)

    @property
    def options(self) -> dict[str, Any]:
        """See :attr:`Decoder.options`."""
        return {"width": self.width, "two_logits": self.two_logits, "he": self.he}

    def draw(
        self, module: nn.Conv2d | nn.ConvTranspose2d, generator: torch.Generator
    ) -> None:
        """Initialise a convolution, as published if it is to be."""
        if not self.he:
            super().draw(module, generator)
            return
        # torch counts the fan_in of a transposed convolution over its output channels.
        nn.init.kaiming_normal_(module.weight, a=SLOPE, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

    def decode(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Score at 16 times the tokens' resolution; see the base class."""
        size = grid_size(levels)
        joined = torch.cat([resize(level, size) for level in levels], 1)
        scores: torch.Tensor = self.classify(self.stages(self.reduce(joined)))
        return scores


class MedDINO(DenseHead):
    """The head of MedDINOv3.

    The source's 1000 epochs of 250 steps of 896 x 896 train an encoder as well; 50
    epochs of images at 512 are ours.

    References
    ----------
    .. [1] MedDINOv3: How to adapt vision foundation models for medical image
       segmentation?, arXiv 2509.02379, 2025.
    """

    name = "meddino"
    decoder = MedDINODecoder
    from_masks = from_masks_on_cpu = DenseRecipe(
        "meddino",
        "meddino",
        sides=(512,),
        options=(("two_logits", True), ("he", True)),
        lr=3e-4,
        weight_decay=5e-2,
        betas=(0.9, 0.98),
        schedule="linear",
        loss="dice_ce",
        clip=12.0,
    )
    from_strokes = from_strokes_on_cpu = DenseRecipe(
        "meddino_quick",
        "meddino",
        options=(("width", 256), ("two_logits", True)),
        steps=40,
        batch=1,
        lr=1e-3,
        weight_decay=5e-2,
        betas=(0.9, 0.98),
        schedule="linear",
        loss="dice_ce",
        clip=12.0,
        balance="strokes",
    )
    recipes = (from_masks, from_strokes)
