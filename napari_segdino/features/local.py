"""Local features: intensity and texture at full resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SIGMAS = (1.0, 2.0, 4.0)
"""Widths of the Gaussians, in pixels."""


def local_features(image: torch.Tensor) -> torch.Tensor:
    """Describe each pixel by what stands around it.

    Parameters
    ----------
    image : torch.Tensor, shape (C, Y, X), float32
        Intensities in [0, 1].

    Returns
    -------
    torch.Tensor, shape (D, Y, X), float16
        Each channel as it is and smoothed at :data:`SIGMAS`, and the gradient
        magnitude of the mean channel at each of these widths.
    """
    import torch

    grey = image.mean(0, keepdim=True)
    planes = [image]
    for sigma in SIGMAS:
        planes.append(_smooth(image, sigma))
        planes.append(_gradient(_smooth(grey, sigma)))
    return torch.cat(planes).half()


def _smooth(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur with a Gaussian, repeating the border."""
    import torch
    from torch.nn import functional

    radius = int(3 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    planes = image[:, None]
    planes = functional.pad(planes, (0, 0, radius, radius), mode="replicate")
    planes = functional.conv2d(planes, kernel[None, None, :, None])
    planes = functional.pad(planes, (radius, radius, 0, 0), mode="replicate")
    return functional.conv2d(planes, kernel[None, None, None, :])[:, 0]


def _gradient(image: torch.Tensor) -> torch.Tensor:
    """Magnitude of central differences."""
    from torch.nn import functional

    padded = functional.pad(image[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    dy = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    dx = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    return (dx * dx + dy * dy).sqrt() / 2
