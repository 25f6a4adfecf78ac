"""Classifiers of pixels: a kernel machine from strokes, perceptrons from masks.

From strokes it is kernel logistic regression with a landmark for each marked pixel
that was sampled: its optimum is unique, it is refitted in hundredths of a second and
forgets no stroke. From whole masks of several images perceptrons with one hidden
layer, trained by gradient descent, do better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol

import torch
from torch.nn import functional

from napari_segdino.heads.probe.atlas import Atlas
from napari_segdino.heads.probe.basis import CHUNK, Basis

TILE_WEIGHT = 0.3
"""Share of the kernel that is an image's own: the per-image term."""

LOWEST_TEMPERATURE, ONE_STROKE_TEMPERATURE = 0.25, 1.7
"""Temperature of a probe from many strokes, and of one from a single stroke."""


class VectorModel(Protocol):
    """What classifies vectors: a trained probe, or groups found without labels."""

    @property
    def basis(self) -> Basis:
        """What makes vectors of features."""

    @property
    def temperature(self) -> float:
        """Temperature that calibrates the regularised probabilities."""

    def on(self, tile: str, mean: torch.Tensor | None = None) -> VectorModel:
        """Return the model for a tile.

        Parameters
        ----------
        tile : str
            Its key.
        mean : torch.Tensor, shape (J,), optional
            Of its vectors.
        """

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Classify vectors.

        Parameters
        ----------
        vectors : torch.Tensor, shape (N, J)
            See :meth:`Basis.vectors`.

        Returns
        -------
        torch.Tensor, shape (N, K)
            They sum to 1.
        """


@dataclass(frozen=True, slots=True)
class KernelProbe:
    """Kernel logistic regression over the vectors of a basis, each class against all.

    Parameters
    ----------
    basis : Basis
        Makes vectors of features.
    landmarks : torch.Tensor, shape (N, J)
        Vectors that the kernel is evaluated at.
    weight : torch.Tensor, shape (N, K)
        Weight of each landmark for each class, on tiles without marks; the bias
        is their sum.
    present : torch.Tensor, shape (K,), bool
        Classes with marks; the others have probability 0.
    length_scale : float
        Of the Gaussian kernel.
    landmark_tiles : torch.Tensor, shape (N,), int64
        Tile on which each landmark was marked, an index into `tiles`.
    tiles : tuple of str
        Keys of these tiles.
    strokes : int
        How many it learned from.
    previous : KernelProbe, optional
        The probe whose mask its last strokes corrected.
    images : tuple of int
        Number of the image that each of the tiles is of. Empty, as in files of earlier
        versions: each is an image of its own.
    priors : mapping of str to (torch.Tensor of shape (B, 9), float)
        By the key of a tile, boxes that were drawn on it and what part of their prior
        is left; see :func:`napari_segdino.heads.probe.boxes.add_prior`.
    atlas : Atlas, optional
        Where in a volume each class usually lies.
    """

    basis: Basis
    landmarks: torch.Tensor
    weight: torch.Tensor
    present: torch.Tensor
    length_scale: float
    landmark_tiles: torch.Tensor
    tiles: tuple[str, ...]
    strokes: int = 0
    previous: KernelProbe | None = None
    images: tuple[int, ...] = ()
    priors: Mapping[str, tuple[torch.Tensor, float]] = field(default_factory=dict)
    atlas: Atlas | None = None

    @property
    def n_classes(self) -> int:
        """Classes with background."""
        return len(self.present)

    @property
    def temperature(self) -> float:
        """Calibrated on held-out strokes: below 1 from seven strokes on."""
        if not self.strokes:  # a file of before they were counted
            return LOWEST_TEMPERATURE
        return max(LOWEST_TEMPERATURE, ONE_STROKE_TEMPERATURE / self.strokes)

    def on(self, tile: str, mean: torch.Tensor | None = None) -> KernelProbe:
        """Return the probe for a tile: what was marked on its image weighs more there.

        Parameters
        ----------
        tile : str
            Its key.
        mean : torch.Tensor, shape (J,), optional
            Not used.
        """
        if tile not in self.tiles:
            return self
        # A file of before 'images': each tile is an image of its own.
        where = self.landmark_tiles.device
        images = torch.tensor(self.images or range(len(self.tiles)), device=where)
        image = images[self.tiles.index(tile)]
        here = (images[self.landmark_tiles] == image)[:, None]
        return replace(
            # Weights are stored times 1 - TILE_WEIGHT, the kernel of landmarks of other
            # images; within an image it is 1.
            self,
            weight=torch.where(here, self.weight / (1 - TILE_WEIGHT), self.weight),
        )

    def scores(self, vectors: torch.Tensor) -> torch.Tensor:
        """Score the classes with marks, each by itself.

        Parameters
        ----------
        vectors : torch.Tensor, shape (N, J)
            See :meth:`Basis.vectors`.

        Returns
        -------
        torch.Tensor, shape (N, classes with marks)
            Logits.
        """
        active = self.weight[:, self.present]
        parts = vectors.split(CHUNK)
        at = self.landmarks, self.length_scale
        scores = [gaussian_kernel(part, *at) @ active for part in parts]
        return torch.cat(scores) + active.sum(0)

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Classify vectors.

        Parameters
        ----------
        vectors : torch.Tensor, shape (N, J)
            See :meth:`Basis.vectors`.

        Returns
        -------
        torch.Tensor, shape (N, K), float32
            They sum to 1; 0 for classes without marks.
        """
        # One sigmoid a class and not a softmax: each class was fitted against the rest.
        each = torch.sigmoid(self.scores(vectors))
        result = each.new_zeros(len(vectors), len(self.present))
        result[:, self.present] = each / each.sum(1, keepdim=True).clamp_min(1e-9)
        return result


@dataclass(frozen=True, slots=True)
class NetworkProbe:
    """A small ensemble of perceptrons with one hidden layer.

    Parameters
    ----------
    basis : Basis
        Makes vectors of features.
    hidden, hidden_bias : torch.Tensor, shapes (E, J, H) and (E, 1, H)
        First layer of each of E members.
    output, output_bias : torch.Tensor, shapes (E, H, K) and (E, 1, K)
        Second layer; minus infinity for classes without marks.
    centring : torch.Tensor, shape (E,)
        Part of a tile's mean vector that each member takes off its vectors.
    atlas : Atlas, optional
        Where in a volume each class usually lies.
    """

    basis: Basis
    hidden: torch.Tensor
    hidden_bias: torch.Tensor
    output: torch.Tensor
    output_bias: torch.Tensor
    centring: torch.Tensor
    atlas: Atlas | None = None

    temperature: ClassVar[float] = 1.0

    @property
    def n_classes(self) -> int:
        """Classes with background."""
        return self.output.shape[-1]

    def on(self, tile: str, mean: torch.Tensor | None = None) -> NetworkProbe:
        """Return the probe for a tile with its mean taken off where members do so.

        Parameters
        ----------
        tile : str
            Its key.
        mean : torch.Tensor, shape (J,), optional
            Of its vectors; None takes nothing off.
        """
        if mean is None or not self.centring.any():
            return self
        # Taking a mean off the vectors is taking what it gives off the bias.
        shift = self.centring[:, None, None] * (mean @ self.hidden)[:, None]
        return replace(self, hidden_bias=self.hidden_bias - shift)

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Classify vectors; see :meth:`KernelProbe.probabilities`."""
        parts = []
        for part in vectors.split(CHUNK):
            units = functional.gelu(part @ self.hidden + self.hidden_bias)
            parts.append((units @ self.output + self.output_bias).mean(0).softmax(1))
        return torch.cat(parts)


Probe = KernelProbe | NetworkProbe


def gaussian_kernel(
    a: torch.Tensor, b: torch.Tensor, length_scale: float
) -> torch.Tensor:
    """Evaluate a Gaussian kernel between two sets of vectors.

    Parameters
    ----------
    a, b : torch.Tensor, shapes (N, J) and (M, J)
        Vectors.
    length_scale : float
        In the vectors' unit.

    Returns
    -------
    torch.Tensor, shape (N, M)
        ``exp(-|a - b|^2 / (2 length_scale^2))``.
    """
    scale = 1 / length_scale**2
    # |a - b|^2 expanded: one matrix product does most of the work. Rounding can bring
    # it below 0, hence the clamp.
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)
    exponent = torch.addmm(squares, a, b.T, beta=-scale / 2, alpha=scale)
    return exponent.clamp_max_(0).exp_()
