"""Where voxels lie: SimpleITK's frame, napari's frame, and between them.

SimpleITK counts x, y, z and measures in millimetres in the patient's LPS
frame: x grows to the Left, y to the Posterior (back), z to the Superior
(head). Arrays, and napari's world, count z, y, x. So the matrices here have
both rows and columns reversed: columns are the array's axes (z, y, x), rows
are the world's (S, P, L).

napari shows the last two axes of an array and lets the others be sliders,
which only works while world axis k belongs to array axis k. Scans taken in
sagittal or coronal planes therefore get the world's axes reordered
(:func:`view_frame`); their true matrix stays in the header. Flips are kept:
NIfTI files, whose arrays mostly run towards the anterior, come out with the
front up and the patient's left on the right, as radiologists have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

SHEAR_DEGREES = 0.5
"""Axes further than this off right angles are named in the warnings."""

SHEARED = (
    "The axes are {:.1f} degrees off right angles: slices that lean are shown "
    "straight, masks keep the scan's own place."
)


@dataclass(frozen=True)
class Geometry:
    """A voxel grid in space, in SimpleITK's order.

    Parameters
    ----------
    size : tuple of int
        Voxels along x, y and, for a volume, z.
    spacing : tuple of float
        Distance between voxels (mm, or the unit of the header), x first.
    origin : tuple of float
        Position of the first voxel's centre, LPS.
    direction : tuple of float
        Rows of the direction matrix, one after the other (4 or 9 numbers).
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return len(self.size)

    @property
    def array_shape(self) -> tuple[int, ...]:
        """Shape of an array on this grid: (Z, Y, X) or (Y, X)."""
        return self.size[::-1]

    @property
    def matrix(self) -> Matrix:
        """Direction with rows (S, P, L) and columns (z, y, x); no spacing."""
        direction = np.array(self.direction, float).reshape(self.ndim, self.ndim)
        return direction[::-1, ::-1].copy()

    @property
    def affine(self) -> Matrix:
        """Voxel index (z, y, x, 1) to position (S, P, L, 1), homogeneous."""
        affine = np.eye(self.ndim + 1)
        affine[:-1, :-1] = self.matrix * np.array(self.spacing[::-1])
        affine[:-1, -1] = self.origin[::-1]
        return affine

    @property
    def shear(self) -> float:
        """How far the axes are off right angles, in degrees."""
        inner = self.matrix.T @ self.matrix
        return float(np.degrees(np.arcsin(np.abs(np.triu(inner, 1)).max().clip(0, 1))))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, for JSON."""
        return {
            "size": [int(n) for n in self.size],
            "spacing": [float(n) for n in self.spacing],
            "origin": [float(n) for n in self.origin],
            "direction": [float(n) for n in self.direction],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Geometry:
        """Make one from :meth:`to_dict`'s answer.

        Parameters
        ----------
        values : dict of str to list
            As JSON has it.

        Raises
        ------
        KeyError, TypeError, ValueError
            If something is missing, or is no number.
        """
        return cls(
            tuple(int(n) for n in values["size"]),
            tuple(float(n) for n in values["spacing"]),
            tuple(float(n) for n in values["origin"]),
            tuple(float(n) for n in values["direction"]),
        )

    @classmethod
    def plain(
        cls, shape: tuple[int, ...], spacing: tuple[float, ...] | None = None
    ) -> Geometry:
        """Grid at the origin, axes straight.

        Parameters
        ----------
        shape : tuple of int
            Of the array, (Y, X) or (Z, Y, X).
        spacing : tuple of float, optional
            In the array's order; 1 everywhere if not given.
        """
        n = len(shape)
        spacing = spacing or (1.0,) * n
        straight = tuple(np.eye(n).ravel().tolist())
        return cls(shape[::-1], spacing[::-1], (0.0,) * n, straight)


def view_frame(geometry: Geometry) -> tuple[Matrix, Matrix]:
    """Direction and origin in the frame that napari can show.

    World axis k is the patient axis nearest to array axis k, pointing to the
    Left, the Posterior, or the Superior; where the patient's length runs down
    the screen (array axis y) it points to the Inferior, so that the head is
    up. For axial scans this is the plain reversed LPS frame.

    Parameters
    ----------
    geometry : Geometry
        Of a plane or a volume.

    Returns
    -------
    direction : array, shape (n, n)
        No spacing in it.
    origin : array, shape (n,)
    """
    from scipy.optimize import linear_sum_assignment

    matrix, origin = geometry.matrix, np.array(geometry.origin[::-1], float)
    # All axes at once: the nearest of each alone may be the same for two in oblique
    # scans.
    columns, rows = linear_sum_assignment(-np.abs(matrix).T)
    order = rows[np.argsort(columns)]
    sign = np.ones(len(order))
    if geometry.ndim == 3:
        sign[(order == 0) & (np.arange(3) == 1)] = -1
    return sign[:, None] * matrix[order], sign * origin[order]


def layer_transform(
    geometry: Geometry, ndim: int, tolerance: float = 1e-4
) -> dict[str, Any]:
    """Place a layer: ``translate`` when axes are straight, else ``affine``.

    Slices that are tilted are shown straight: napari would show one slice of a
    tilted volume and paint on another. Distances are the same; where the scan
    really lies is in its header, which is what masks are written with.

    Parameters
    ----------
    geometry : Geometry
        Of the scan; the spacing goes into the layer's ``scale`` and is not in
        the answer.
    ndim : int
        Spatial axes of the layer's data: 2 for a single slice of a volume's
        grid.
    tolerance : float
        Directions closer than this to straight count as straight.

    Returns
    -------
    dict
        ``{"translate": (n,)}`` or ``{"affine": (n + 1, n + 1)}``.
    """
    direction, origin = view_frame(geometry)
    direction, origin = direction[-ndim:, -ndim:], origin[-ndim:]
    across = np.concatenate([direction[0, 1:], direction[1:, 0]])
    tilted = ndim > 2 and not np.allclose(across, 0, atol=tolerance)
    # napari slices along world axes only: flips are kept, leaning is not.
    if tilted or ndim < geometry.ndim:
        direction = np.diag(np.where(np.diag(direction) < 0, -1.0, 1.0))
    if np.allclose(direction, np.eye(ndim), atol=tolerance):
        return {"translate": tuple(float(v) for v in origin)}
    affine = np.eye(ndim + 1)
    affine[:-1, :-1], affine[:-1, -1] = direction, origin
    return {"affine": affine}
