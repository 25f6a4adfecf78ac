"""Views: the sizes and flips in which an encoder sees a tile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


ENLARGE = 2.0
"""Tiles are shown at most this many times their size: small objects fill more cells."""

LEAST_SIDE = 256
"""Longer side of a view of factor 1 at least, and a fifth of it of a smaller view: on
smaller ones the deep levels have a handful of cells."""

FINE_SIDE = 1024
"""Longer side that a tile is enlarged or reduced to at most."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to show a tile to the encoder.

    Parameters
    ----------
    side : int
        Length of the longer side in pixels after scaling; 0 is
        :data:`ENLARGE` times the tile's own, at most :data:`FINE_SIDE`, and at
        least :data:`LEAST_SIDE`.
    factor : float
        The side is multiplied by this.
    flip_y, flip_x : bool
        Whether the tile is mirrored before and its features after encoding.
    squash : {"", "bilinear", "bicubic"}
        Interpolation by which the tile becomes a square; empty keeps its aspect
        ratio.
    """

    side: int = 0
    factor: float = 1.0
    flip_y: bool = False
    flip_x: bool = False
    # Keys of features hold what is printed of a view: probe files hold keys.
    squash: str = field(default="", repr=False)

    @property
    def flips(self) -> list[int]:
        """Tensor axes that are mirrored."""
        return [a for a, on in ((-2, self.flip_y), (-1, self.flip_x)) if on]


def grows(shape: tuple[int, int], view: View) -> bool:
    """Whether a view shows a tile larger than others because the tile is small.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) of the tile in pixels.
    view : View
        The view.
    """
    own = ENLARGE * max(shape) * view.factor
    return not view.side and own < _least(view)


def _least(view: View) -> float:
    # A small view beside a large one is what carries from one scan to the next.
    return LEAST_SIDE if view.factor >= 1 else LEAST_SIDE / 5


def view_size(shape: tuple[int, int], view: View, multiple: int) -> tuple[int, int]:
    """Size in which a tile is shown.

    Both sides are multiples of `multiple`, so that features span the tile
    exactly; the aspect ratio changes by less than one cell unless it is squashed.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) of the tile.
    view : View
        The view.
    multiple : int
        Pixels of the encoder's coarsest cell.

    Returns
    -------
    tuple of int
        (Y, X) in pixels.
    """
    longest = max(shape)
    side = (view.side or min(ENLARGE * longest, FINE_SIDE)) * view.factor
    if grows(shape, view):
        side = _least(view)
    # Squashed tiles become squares whatever their shape, as the published code shows
    # pictures.
    sides = (longest, longest) if view.squash else shape
    y, x = (max(1, round(n * side / longest / multiple)) * multiple for n in sides)
    return y, x


def show(image: torch.Tensor, view: View, multiple: int) -> torch.Tensor:
    """Scale and mirror a tile.

    Parameters
    ----------
    image : torch.Tensor, shape (C, Y, X), float32
        A tile with intensities in [0, 1].
    view : View
        The view.
    multiple : int
        See :func:`view_size`.

    Returns
    -------
    torch.Tensor, shape (C, Y', X')
    """
    size = view_size((image.shape[-2], image.shape[-1]), view, multiple)
    scaled = scale(image, size, view.squash or "bilinear")
    # Bicubic interpolation overshoots at edges.
    return scaled.clamp(0, 1).flip(view.flips)


def scale(image: torch.Tensor, size: tuple[int, int], mode: str) -> torch.Tensor:
    """Scale an image, averaging where it shrinks, as Pillow does.

    Parameters
    ----------
    image : torch.Tensor, shape (C, Y, X), float32
        Any range, which bicubic may leave.
    size : tuple of int
        (Y, X) wanted.
    mode : {"bilinear", "bicubic"}
        The interpolation.

    Returns
    -------
    torch.Tensor, shape (C, Y', X')
    """
    from torch.nn import functional

    return functional.interpolate(
        image[None], size, mode=mode, antialias=True, align_corners=False
    )[0]
