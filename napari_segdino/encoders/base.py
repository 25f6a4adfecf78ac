"""What an encoder is: a frozen network that turns planes into feature levels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Family = Literal["vit", "convnext", "cnn"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """One row of the table of encoders.

    Parameters
    ----------
    name : str
        The name users give, e.g. ``"dinov3_vits16"``.
    title : str
        One line for menus.
    family : {"vit", "convnext", "cnn"}
        ViTs have one stride and many blocks; the others a pyramid.
    timm_name : str
        timm's architecture name.
    timm_tag : str
        timm's tag of the pretrained weights, empty where there are none.
    channels : tuple of int
        Width of each level that can be read: of every block for a ViT, of
        every stage for a pyramid.
    strides : tuple of int
        Pixels per cell, level by level.
    parameters : int
        Number of parameters of the encoder.
    mean, std : tuple of float
        Normalisation of input in [0, 1], per colour channel.
    licence, licence_url : str
        Terms of the weights.
    owner : str
        Who publishes them on the Hugging Face hub.
    bundled : bool
        Whether they come with the installation.
    window : str
        Range of intensities that is taken to [0, 1] unless the user says otherwise,
        one of :data:`napari_segdino.config.INTENSITIES`; empty is percentiles.
    norm_eps : float, optional
        Epsilon of the norms where it is not timm's.
    recognised_as : str
        Architecture that its checkpoints look like, where timm calls it otherwise.
    shape : tuple of (str, int)
        Arguments of timm's model where they are not the name's own.
    hint : str
        In a file's name, tells its weights from others of that architecture.
    teacher : bool
        Whether its file is the teacher of a training checkpoint.
    """

    name: str
    title: str
    family: Family
    timm_name: str
    timm_tag: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    parameters: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    licence: str = ""
    licence_url: str = ""
    owner: str = "timm"
    bundled: bool = False
    window: str = ""
    norm_eps: float | None = None
    recognised_as: str = ""
    shape: tuple[tuple[str, int], ...] = ()
    hint: str = ""
    teacher: bool = False

    @property
    def depth(self) -> int:
        """Number of levels that can be read."""
        return len(self.channels)

    @property
    def multiple(self) -> int:
        """Sides of the input are padded to a multiple of this (pixels)."""
        return max(self.strides)


class Encoder(ABC):
    """A frozen network on a device.

    Attributes
    ----------
    spec : EncoderSpec
        Its row of the table (made up for a ``timm:`` model or a file).
    key : str
        Names architecture and weights; equal keys give equal features. It
        keys the cache and is kept in probe files.
    device : torch.device
        Where it computes.
    precision : str
        In which numbers: a type of torch.
    """

    spec: EncoderSpec
    key: str
    device: torch.device
    precision: str = "float32"

    def at_once(self, size: tuple[int, int]) -> int:
        """Return how many planes are encoded at once with profit.

        Parameters
        ----------
        size : tuple of int
            (Y, X) in pixels, as they are shown.

        Returns
        -------
        int
            By the free memory of the device, once one plane of that size has shown
            how much it takes; 1 on the CPU, which is busy with one.
        """
        return 1

    @abstractmethod
    def encode(
        self, batch: torch.Tensor, levels: Sequence[int]
    ) -> tuple[torch.Tensor, ...]:
        """Encode planes.

        Parameters
        ----------
        batch : torch.Tensor, shape (B, 3, H, W), float32
            Planes with intensities in [0, 1]; any H and W of at least 1.
            They are padded to a multiple of ``spec.multiple`` by repeating
            the border, and the features are cut back to ``ceil(H / stride)``.
        levels : sequence of int
            Which levels, as indices into ``spec.channels``.

        Returns
        -------
        tuple of torch.Tensor, each (B, D, h, w), float16, on the CPU
            One per level asked for; ViT blocks pass the final norm.
        """
