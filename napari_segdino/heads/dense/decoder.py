"""The base of the decoders: frozen levels in, class scores of a tile out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.errors import InputError

N_LEVELS = 4
"""Levels that the published decoders read."""

# Not by the rule of the others, which gives (5, 11, 17, 23).
_PUBLISHED_LEVELS = {24: (4, 11, 17, 23)}


def levels_of(spec: EncoderSpec) -> tuple[int, ...]:
    """Levels that a decoder reads.

    The last block of each quarter of a ViT: (2, 5, 8, 11) of 12 blocks as
    published, and by the same rule (our reading) (7, 15, 23, 31) of 32 and
    (9, 19, 29, 39) of 40; of 24 blocks (4, 11, 17, 23) as published. The last
    four levels of a pyramid (our reading).

    Parameters
    ----------
    spec : EncoderSpec
        The encoder's row.

    Returns
    -------
    tuple of int
        Indices into ``spec.channels``.
    """
    depth = spec.depth
    if spec.family != "vit" or depth < N_LEVELS:
        return tuple(range(max(0, depth - N_LEVELS), depth))
    quarters = tuple(depth * k // N_LEVELS - 1 for k in range(1, N_LEVELS + 1))
    return _PUBLISHED_LEVELS.get(depth, quarters)


def resize(
    maps: torch.Tensor, size: tuple[int, int], align_corners: bool = False
) -> torch.Tensor:
    """Scale maps bilinearly, averaging where they shrink.

    Parameters
    ----------
    maps : torch.Tensor, shape (B, D, h, w), float32
        Maps.
    size : tuple of int
        (Y, X) wanted.
    align_corners : bool
        Whether the centres of the corner cells stay in the corners.

    Returns
    -------
    torch.Tensor, shape (B, D, Y, X)
    """
    y, x = maps.shape[-2:]
    if (y, x) == tuple(size):
        return maps
    shrinks = size[0] < y or size[1] < x
    return functional.interpolate(
        maps,
        size,
        mode="bilinear",
        # torch has no antialiasing with aligned corners.
        align_corners=align_corners and not shrinks,
        antialias=shrinks,
    )


def probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Turn what a decoder scores into probabilities.

    Parameters
    ----------
    logits : torch.Tensor, shape (B, L, Y, X)
        One logit of class 1, or one logit a class.

    Returns
    -------
    torch.Tensor, shape (B, K, Y, X)
        Background first, ``(1 - p, p)`` for one logit; they sum to 1.
    """
    if logits.shape[1] > 1:
        return logits.softmax(1)
    # 1 - sigmoid(x) would lose small probabilities to rounding; sigmoid(-x) does not.
    return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], 1)


class Decoder(nn.Module, ABC):
    """What a dense head trains on the levels of a frozen encoder.

    Parameters
    ----------
    channels : sequence of int
        Width of each level, in the order in which :meth:`forward` gets them.
    n_classes : int
        Classes with background; two classes have one logit.

    Attributes
    ----------
    n_logits : int
        1 for two classes unless the decoder says otherwise, else `n_classes`.

    Notes
    -----
    Each level is standardised, ``(x - mean) * scale``, with fixed numbers that
    are 0 and 1 (nothing is done, as published) until
    :meth:`set_standardisation` is called. This is ours: ViT levels have passed
    the encoder's last norm, the stages of a CNN have not.
    """

    align_corners: ClassVar[bool] = False

    def __init__(self, channels: Sequence[int], n_classes: int = 2) -> None:
        super().__init__()
        if not 1 <= len(channels) <= N_LEVELS:
            raise InputError(f"A decoder reads one to four levels: {len(channels)}.")
        if n_classes < 2:
            raise InputError(f"There must be at least two classes, not {n_classes}.")
        self.channels = tuple(channels)
        self.n_classes = n_classes
        self.n_logits = 1 if n_classes == 2 else n_classes
        for i, depth in enumerate(self.channels):
            # Buffers, so that they are filed with the weights; a list of tensors would
            # not be.
            self.register_buffer(f"mean_{i}", torch.zeros(depth))
            self.register_buffer(f"scale_{i}", torch.ones(depth))

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of ``__init__`` beside channels and classes, for JSON."""
        return {}

    @abstractmethod
    def decode(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Score at the decoder's own resolution.

        Parameters
        ----------
        levels : sequence of torch.Tensor, each (B, D_i, h_i, w_i), float32
            Of one resolution for a ViT; from fine to coarse for a pyramid.

        Returns
        -------
        torch.Tensor, shape (B, n_logits, h, w)
        """

    def forward(
        self, levels: Sequence[torch.Tensor], size: tuple[int, int]
    ) -> torch.Tensor:
        """Score each pixel.

        Parameters
        ----------
        levels : sequence of torch.Tensor, each (B, D_i, h_i, w_i)
            They span the tile; any float type.
        size : tuple of int
            (Y, X) of the tile in pixels.

        Returns
        -------
        torch.Tensor, shape (B, n_logits, Y, X), float32

        Raises
        ------
        InputError
            If the levels' widths are not the decoder's.
        """
        widths = tuple(level.shape[1] for level in levels)
        if widths != self.channels:
            raise InputError(
                f"The decoder reads levels of widths {self.channels}, not {widths}."
            )
        standardised = [self._standardised(i, level) for i, level in enumerate(levels)]
        return resize(self.decode(standardised), size, self.align_corners)

    def set_standardisation(
        self, means: Sequence[torch.Tensor], scales: Sequence[torch.Tensor]
    ) -> None:
        """Set what is taken off and multiplied, level by level, each (D_i,).

        Parameters
        ----------
        means, scales : sequence of torch.Tensor, each (D_i,)
            What is taken off, and what is then multiplied, level by level.
        """
        for i, (mean, scale) in enumerate(zip(means, scales, strict=True)):
            self.get_buffer(f"mean_{i}").copy_(mean)
            self.get_buffer(f"scale_{i}").copy_(scale)

    def _standardised(self, index: int, level: torch.Tensor) -> torch.Tensor:
        mean = self.get_buffer(f"mean_{index}")[:, None, None]
        return (level.float() - mean) * self.get_buffer(f"scale_{index}")[:, None, None]

    def draw(
        self, module: nn.Conv2d | nn.ConvTranspose2d, generator: torch.Generator
    ) -> None:
        """Initialise a convolution by torch's own rule, without the global seed.

        Parameters
        ----------
        module : torch.nn.Conv2d or torch.nn.ConvTranspose2d
            Changed in place.
        generator : torch.Generator
            On the CPU.
        """
        nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
        if module.bias is not None:
            bound = 1 / math.sqrt(max(1, module.weight[0].numel()))
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew from one generator on the CPU.

        Parameters
        ----------
        generator : torch.Generator
            On the CPU.
        """
        self.set_standardisation(
            [torch.zeros(depth) for depth in self.channels],
            [torch.ones(depth) for depth in self.channels],
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                self.draw(module, generator)
            elif isinstance(module, nn.GroupNorm | nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, Scale):
                nn.init.zeros_(module.gamma)


def make_decoder(
    kind: type[Decoder],
    channels: Sequence[int],
    n_classes: int,
    seed: int = 0,
    **options: Any,
) -> Decoder:
    """Make a decoder whose weights depend on the seed alone.

    Parameters
    ----------
    kind : type of Decoder
        Which.
    channels : sequence of int
        Width of each level.
    n_classes : int
        Classes with background.
    seed : int
        The same seed gives the same weights; torch's own seed is not touched.
    **options
        The decoder's own arguments, such as ``width=64``.

    Returns
    -------
    Decoder
        On the CPU, float32.

    Raises
    ------
    InputError
        If it does not take such options.
    """
    try:
        with torch.device("meta"):  # draws nothing from the global generator
            decoder = kind(channels, n_classes, **options)
    except TypeError as error:
        given = ", ".join(f"{name}={value}" for name, value in options.items())
        raise InputError(f"{kind.__name__} cannot be made with {given}.") from error
    # to_empty leaves buffers unset as well: `initialise` sets both.
    decoder = decoder.to_empty(device="cpu").float()
    decoder.initialise(torch.Generator().manual_seed(seed))
    return decoder


class Scale(nn.Module):
    """A learned number, 0 at first, that multiplies its input."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply a tensor of any shape.

        Parameters
        ----------
        x : torch.Tensor
            Of any shape, which stays.
        """
        return self.gamma * x


def same_resolution(levels: Sequence[torch.Tensor]) -> bool:
    """Whether all levels have one resolution, as a ViT's have.

    Parameters
    ----------
    levels : sequence of torch.Tensor, each (B, D, h, w)
        Of one tile.
    """
    return len({level.shape[-2:] for level in levels}) == 1


def grid_size(levels: Sequence[torch.Tensor]) -> tuple[int, int]:
    """Return the cells of 16 pixels: of a ViT's level, of a pyramid's last but one.

    Parameters
    ----------
    levels : sequence of torch.Tensor, each (B, D, h, w)
        From fine to coarse.

    Returns
    -------
    tuple of int
        (h, w).
    """
    level = levels[-2] if len(levels) > 1 else levels[-1]
    return level.shape[-2], level.shape[-1]
