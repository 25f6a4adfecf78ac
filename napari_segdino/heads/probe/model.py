"""The probes of DINO-MVR, our reading: one hidden layer on the last levels.

DINO-MVR (arXiv 2605.07221) trains small perceptrons on the last three blocks and
does not say their width, units or loss. From strokes, the hidden layer here is one
of radial units, one for each marked pixel that was kept: it has a unique optimum,
refits in hundredths of a second and forgets no stroke. From whole masks of several
images it is an ordinary one, trained by gradient descent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.heads.probe.basis import CHUNK, Basis

if TYPE_CHECKING:
    import torch


TILE_WEIGHT = 0.3
"""Share of what is said on a tile that holds for this tile alone."""

SUREST, UNSURE = 0.25, 1.7
"""Temperature of a probe from many strokes, and of one from few, times strokes."""


def levels_of(spec: EncoderSpec) -> tuple[int, ...]:
    """Levels read: the last three blocks of a ViT, all of a pyramid."""
    if spec.family == "vit":
        return tuple(range(spec.depth - 3, spec.depth))
    return tuple(range(spec.depth))


@dataclass(frozen=True, slots=True)
class KernelProbe:
    """Radial units over the vectors of a basis, one contest a class.

    Parameters
    ----------
    basis : Basis
        Makes vectors of features.
    units : torch.Tensor, shape (N, J)
        Centres of the radial units.
    weight : torch.Tensor, shape (N, K)
        Weight of each unit for each class, on tiles without marks; the bias
        is their sum.
    present : torch.Tensor, shape (K,), bool
        Classes with marks; the others have probability 0.
    length : float
        Width of the units.
    own : torch.Tensor, shape (N,), int64
        Tile on which each unit was marked.
    tiles : tuple of str
        Keys of these tiles.
    strokes : int
        How many it learned from.
    before : RadialProbe, optional
        The probe that its last strokes corrected.
    """

    basis: Basis
    units: torch.Tensor
    weight: torch.Tensor
    present: torch.Tensor
    length: float
    own: torch.Tensor
    tiles: tuple[str, ...]
    strokes: int = 0
    before: KernelProbe | None = None

    @property
    def temperature(self) -> float:
        """Fitted on strokes not learned from: from seven on surer than it says."""
        return max(SUREST, UNSURE / self.strokes) if self.strokes else SUREST

    def on(self, tile: str) -> KernelProbe:
        """Return the probe for a tile: what was marked on it weighs more there.

        Parameters
        ----------
        tile : str
            Its key.
        """
        import torch

        if tile not in self.tiles:
            return self
        here = (self.own == self.tiles.index(tile))[:, None]
        return replace(
            self, weight=torch.where(here, self.weight / (1 - TILE_WEIGHT), self.weight)
        )

    def scores(self, vectors: torch.Tensor) -> torch.Tensor:
        """Logits of vectors (N, J) for the classes with marks, each by itself."""
        import torch

        active = self.weight[:, self.present]
        parts = vectors.split(CHUNK)
        seen = [radial(part, self.units, self.length) @ active for part in parts]
        return torch.cat(seen) + active.sum(0)

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
        import torch

        won = torch.sigmoid(self.scores(vectors))
        result = torch.zeros(len(vectors), len(self.present))
        result[:, self.present] = won / won.sum(1, keepdim=True).clamp_min(1e-9)
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
    """

    basis: Basis
    hidden: torch.Tensor
    hidden_bias: torch.Tensor
    output: torch.Tensor
    output_bias: torch.Tensor

    temperature: ClassVar[float] = 1.0

    def on(self, tile: str) -> NetworkProbe:
        """Return the probe for a tile, the same for all."""
        return self

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Classify vectors; see :meth:`KernelProbe.probabilities`."""
        import torch
        from torch.nn import functional

        parts = []
        for part in vectors.split(CHUNK):
            units = functional.gelu(part @ self.hidden + self.hidden_bias)
            parts.append((units @ self.output + self.output_bias).mean(0).softmax(1))
        return torch.cat(parts)


Probe = KernelProbe | NetworkProbe


def radial(a: torch.Tensor, b: torch.Tensor, length: float) -> torch.Tensor:
    """Gaussian radial kernel of vectors (N, J) and (M, J): shape (N, M)."""
    import torch

    scale = 1 / length**2
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)
    exponent = torch.addmm(squares, a, b.T, beta=-scale / 2, alpha=scale)
    return exponent.clamp_max_(0).exp_()
