"""The head of SegDINO, second version (arXiv 2606.17972)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from napari_segdino.errors import InputError
from napari_segdino.heads.dense.decoder import Decoder, Scale, grid_size, resize
from napari_segdino.heads.dense.dense_head import DenseHead
from napari_segdino.heads.dense.recipes import AUGMENTED_COPIES, DenseRecipe

FACTORS = (8, 4, 2, 1)
GROUPS = 32


class CellNorm(nn.GroupNorm):
    """A group norm that takes one cell alone, which torch's refuses."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalise maps.

        Parameters
        ----------
        input : torch.Tensor, shape (B, width, h, w)
            Maps; h and w may be 1.
        """
        how = self.num_groups, self.weight, self.bias, self.eps
        # functional.group_norm refuses a group of one value.
        return torch.group_norm(input, *how)


class ScaleAwareBlock(nn.Module):
    """A residual block: ``x + gamma * GELU(GroupNorm(pointwise(depthwise(x))))``.

    Parameters
    ----------
    width : int
        Channels; a multiple of 32. Gamma is one number, 0 at first.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.Conv2d(width, width, 1, bias=False),
            CellNorm(GROUPS, width),
            nn.GELU(),
            Scale(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Refine maps.

        Parameters
        ----------
        x : torch.Tensor, shape (B, width, h, w)
            Maps.
        """
        refined: torch.Tensor = self.body(x)
        return x + refined


class SegDINOv2Decoder(Decoder):
    """Token Pyramid Adaptation, then Scale-Aware Decoding.

    Adaptation: each level goes by a 1x1 convolution without bias to one width,
    is enlarged bilinearly 8, 4, 2 and 1 times (corners not aligned), and passes
    a 3x3 convolution without bias. Decoding: one block in each scale, then from
    coarse to fine the coarser map is added and one more block applied; a 1x1
    convolution with bias scores the finest map, at half the pixels of a ViT
    with patches of 16. With one logit, parameters on ViT-S / ViT-B:
    928,905 / 1,125,513 at width 128, 3,299,593 / 3,692,809 at 256 (published),
    12,366,345 / 13,152,777 at 512 ("for more challenging" data).

    Parameters
    ----------
    channels : sequence of int
        Width of each level.
    n_classes : int
        Classes with background; two classes have one logit.
    width : int
        64, 128, 256 or 512; any multiple of 32. 64 is ours, for a CPU.

    Notes
    -----
    Our reading: the coarsest map passes its second block with nothing added,
    since there are four of them. Our reading for a pyramid: its levels are
    brought to the same sizes as a ViT's, 8, 4, 2 and 1 times the grid of
    16 pixels a cell, which is its last but one level.
    """

    def __init__(
        self, channels: Sequence[int], n_classes: int = 2, *, width: int = 256
    ) -> None:
        super().__init__(channels, n_classes)
        if width <= 0 or width % GROUPS:
            raise InputError(f"The width is a multiple of {GROUPS}, not {width}.")
        self.width = width
        count = len(self.channels)
        self.project = nn.ModuleList(
            nn.Conv2d(depth, width, 1, bias=False) for depth in self.channels
        )
        self.adapt = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(count)
        )
        self.intra = nn.ModuleList(ScaleAwareBlock(width) for _ in range(count))
        self.inter = nn.ModuleList(ScaleAwareBlock(width) for _ in range(count))
        self.classify = nn.Conv2d(width, self.n_logits, 1)

    @property
    def options(self) -> dict[str, Any]:
        """See :attr:`Decoder.options`."""
        return {"width": self.width}

    def pyramid(self, levels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Adapt tokens to a pyramid.

        Parameters
        ----------
        levels : sequence of torch.Tensor, each (B, D, h, w)
            See :meth:`Decoder.decode`.

        Returns
        -------
        list of torch.Tensor, each (B, width, h, w)
            From fine to coarse.
        """
        h, w = grid_size(levels)
        maps = []
        for i, factor in enumerate(FACTORS[-len(levels) :]):
            projected = self.project[i](levels[i])
            maps.append(self.adapt[i](resize(projected, (h * factor, w * factor))))
        return maps

    def decode(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Score at half the pixels; see the base class."""
        maps = self.pyramid(levels)
        total: torch.Tensor | None = None
        for i in reversed(range(len(maps))):
            here: torch.Tensor = self.intra[i](maps[i])
            if total is not None:
                here = here + resize(total, (here.shape[-2], here.shape[-1]))
            total = self.inter[i](here)
        scores: torch.Tensor = self.classify(total)
        return scores


class SegDINOv2(DenseHead):
    """SegDINO's head, second version.

    It is trained at the published width where the encoder is on a GPU (whole masks:
    ``segdino_v2``), and at a quarter of it on a CPU (``segdino_v2_cpu``), so that
    20 images take minutes on one core. ``segdino_v2_constant`` has the constant
    learning rate of the released code, ``segdino_v2_published`` shows 8-bit pictures as
    that does besides.

    References
    ----------
    .. [1] SegDINO, second version, arXiv 2606.17972, 2026.
    """

    name = "segdino_v2"
    decoder = SegDINOv2Decoder
    # The learning rates are of the released code; cosine is ours: others saw the
    # score swing by 1.5 points from epoch to epoch at a constant rate, and a third
    # of that with it.
    from_masks = DenseRecipe(
        "segdino_v2",
        "segdino_v2",
        options=(("width", 256),),
        views=AUGMENTED_COPIES,
        weight_decay=0.01,
        schedule="cosine",
    )
    from_masks_on_cpu = replace(
        from_masks, name="segdino_v2_cpu", options=(("width", 64),), lr=5e-4
    )
    from_strokes_on_cpu = DenseRecipe(
        "segdino_v2_quick",
        "segdino_v2",
        options=(("width", 64),),
        steps=40,
        batch=1,
        lr=1e-3,
        weight_decay=0.01,
        schedule="cosine",
        balance="strokes",
    )
    from_strokes = replace(
        from_strokes_on_cpu,
        name="segdino_v2_quick:width=256",
        options=from_masks.options,
    )
    recipes = (
        from_masks,
        replace(from_masks, name="segdino_v2_constant", schedule="constant"),
        replace(
            from_masks,
            name="segdino_v2_published",
            schedule="constant",
            intensity="8-bit",
            squash="bilinear",
        ),
        from_masks_on_cpu,
        from_strokes_on_cpu,
    )
