"""A first mask with nothing learned: frozen features grouped without labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from scipy import ndimage

from napari_segdino.config import FeatureSettings
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.intensity import find_intensity
from napari_segdino.features.tiles import Tile, cut_tiles
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.components import fit_basis
from napari_segdino.heads.probe.kmeans import kmeans, scatter_of
from napari_segdino.heads.probe.model import VectorModel
from napari_segdino.heads.probe.samples import Sample, take_sample
from napari_segdino.images.planes import Planes
from napari_segdino.progress import Progress, Steps

COMPONENTS = 8
"""Leading directions of the basis, in which cells are grouped."""

MAX_PLANES, MAX_TILES = 5, 9
"""Planes of a volume, and tiles of a plane, that groups are found on."""

MAX_TILES_WAITED = 4
"""Tiles of a plane where the user waits for what is on screen."""

SPREAD_FEATURE = 1 + 5 * 2 + 4
"""Which local feature is the spread of brightness at the third width."""

FLAT_SPREAD = 0.01
"""Spread of a constant border is less than this part of the image's range."""

MAX_FRAME_SHARE = 0.5
"""No border is wider than this share of the image."""

SEPARATION = 0.28
"""Share of the scatter that groups explain where they separate the image well."""

LEAST_BACKGROUND = 0.25
"""Less of the image than this is no background but the seam of a frame."""

EXTRA_GROUPS = 3
"""Groups beside those asked for where they separate it badly."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of vectors, in place of a trained probe.

    Parameters
    ----------
    basis : Basis
        Makes vectors of features.
    centres : torch.Tensor, shape (G, C)
        Centres of the groups.
    scatter : float
        Mean squared distance of a vector to its centre, per direction.
    owners : torch.Tensor, shape (G,), int64
        Class of each group, 0 is background.
    """

    basis: Basis
    centres: torch.Tensor
    scatter: float
    owners: torch.Tensor

    temperature: ClassVar[float] = 1.0

    def on(self, tile: str, mean: torch.Tensor | None = None) -> Groups:
        """Return the groups for a tile, the same for all.

        Parameters
        ----------
        tile : str
            Its key.
        mean : torch.Tensor, shape (J,), optional
            Not used.
        """
        return self

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Assign vectors softly to classes.

        Parameters
        ----------
        vectors : torch.Tensor, shape (N, J)
            See :meth:`Basis.vectors`; only the leading directions are read.

        Returns
        -------
        torch.Tensor, shape (N, K)
        """
        distance = torch.cdist(vectors[:, : self.centres.shape[1]], self.centres)
        found = (-(distance**2) / (2 * self.scatter)).softmax(1)
        classes = found.new_zeros(len(vectors), int(self.owners.max()) + 1)
        return classes.index_add_(1, self.owners, found)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cells of a tile lie in their plane; both of shape (gy * gx,).

    Parameters
    ----------
    frame : torch.Tensor of bool
        Whether a cell belongs to a constant border: the black around a round
        picture, the air around a padded scan.
    depth : torch.Tensor of float32
        Cells to the border of the plane, or to its frame.
    """

    frame: torch.Tensor
    depth: torch.Tensor

    @classmethod
    def of(cls, grid: FeatureGrid, tile: Tile, plane_shape: tuple[int, int]) -> Place:
        """Find the frame and the depth in a tile of a plane.

        Parameters
        ----------
        grid : FeatureGrid
            Features of the tile.
        tile : Tile
            Where it lies.
        plane_shape : tuple of int
            (Y, X) of the plane in pixels.
        """
        at_edge = np.pad(np.zeros(grid.cells, bool), 1)
        # A rim of one cell round the tile, true where the plane ends: what is flat and
        # connected with it is frame.
        at_edge[0], at_edge[-1] = tile.y0 == 0, tile.y1 == plane_shape[0]
        at_edge[:, 0] |= tile.x0 == 0
        at_edge[:, -1] |= tile.x1 == plane_shape[1]
        spread = grid.local[SPREAD_FEATURE].float().numpy()
        flat = np.pad(spread < FLAT_SPREAD, 1) | at_edge
        labels, _ = ndimage.label(flat)
        outside = np.isin(labels, np.unique(labels[at_edge]))
        # A tile inside the plane has no border: all of it is deep.
        depth = np.full(outside.shape, np.inf, np.float32)
        if outside.any():
            depth = ndimage.distance_transform_edt(~outside)
        inner = np.s_[1:-1, 1:-1]
        return cls(
            torch.from_numpy(outside[inner].ravel()),
            torch.from_numpy(depth[inner].ravel().astype(np.float32)),
        )


def find_groups(
    samples: Sequence[Sample],
    grids: Sequence[FeatureGrid],
    places: Sequence[Place],
    n_groups: int,
    seed: int,
) -> Groups:
    """Group the cells of some tiles by k-means; frames are background.

    Where the groups separate the image well, as nuclei on black do, the one that holds
    most of the border is background, and the others follow by falling size. Elsewhere
    it is divided into more groups, those in the middle are the classes, and the rest
    is background: what is looked at is rarely at the border.

    Parameters
    ----------
    samples, grids, places : sequences
        The same tiles, sampled and whole, and where they lie.
    n_groups : int
        Background and classes, at least 2.
    seed : int
        The same seed gives the same groups.

    Returns
    -------
    Groups
    """
    basis = fit_basis(samples)
    cells = torch.cat([basis.vectors(g)[:, :COMPONENTS] for g in grids])
    frame, depth = (
        torch.cat([getattr(place, n) for place in places]) for n in ("frame", "depth")
    )
    # An image that is flat in most places (nuclei on black) has no frame but a
    # background.
    if frame.float().mean() > MAX_FRAME_SHARE:
        frame = torch.zeros_like(frame)
    inside = cells[~frame]
    centres = kmeans(inside, n_groups, seed)
    nearest = torch.cdist(inside, centres).argmin(1)
    order = _order(nearest, depth[~frame] <= 1, n_groups)
    total = (inside - inside.mean(0)).square().sum().clamp_min(1e-9)
    separated = float(1 - scatter_of(inside, centres) / total) > SEPARATION
    if separated and (nearest == order[0]).float().mean() > LEAST_BACKGROUND:
        centres, owners = centres[order], torch.arange(n_groups)
    else:
        centres = kmeans(inside, n_groups + EXTRA_GROUPS, seed)
        nearest = torch.cdist(inside, centres).argmin(1)
        owners = _central(nearest, depth[~frame], len(centres), n_groups)
    scatter = scatter_of(inside, centres) / inside.numel()
    if frame.any():
        centres = torch.cat([centres, cells[frame].mean(0, keepdim=True)])
        owners = torch.cat([owners, owners.new_zeros(1)])
    return Groups(basis, centres, float(scatter.clamp_min(1e-6)), owners)


def part_cells(
    samples: Sequence[Sample], grids: Sequence[FeatureGrid], n_groups: int, seed: int
) -> Groups:
    """Group the cells of some tiles by k-means, each group by itself.

    Parameters
    ----------
    samples, grids : sequences
        The same tiles, sampled and whole.
    n_groups, seed : int
        See :func:`find_groups`.
    """
    basis = fit_basis(samples)
    cells = torch.cat([basis.vectors(g)[:, :COMPONENTS] for g in grids])
    centres = kmeans(cells, n_groups, seed)
    scatter = (scatter_of(cells, centres) / cells.numel()).clamp_min(1e-6)
    return Groups(basis, centres, float(scatter), torch.arange(n_groups))


def sample_groups(groups: VectorModel, samples: Sequence[Sample]) -> Sample:
    """Sample the cells that groups are surest of, as one stroke a group.

    A probe that is fitted to the first few strokes goes on from the mask that
    the user corrected.

    Parameters
    ----------
    groups : Groups or ClickedGroups
        What was found on these tiles.
    samples : sequence of Sample
        The tiles; only their context is read.

    Returns
    -------
    Sample
        Its marks are a single row: those of its pixels.
    """
    context = torch.cat([s.context for s in samples])
    vectors = groups.basis.project(context)
    found = groups.probabilities(vectors)
    sure, group = found.max(1)
    best = [
        torch.nonzero(group == g)[:, 0][sure[group == g].argsort(descending=True)]
        for g in range(found.shape[1])
    ]
    # The surer half of each group, thinned to at most 64 pixels.
    best = [rows[: -(-len(rows) // 2)][:: len(rows) // 64 + 1] for rows in best]
    rows = torch.cat(best)
    codes = (group[rows] + 1).to(torch.uint8)
    sizes = torch.bincount(group[rows], minlength=len(best)).float()
    return Sample(
        codes[None].clone(),
        context[rows],
        codes,
        1 / sizes[group[rows]],
        group[rows],
        torch.ones(len(rows)),
        samples[0].context,
        samples[0].widths,
    )


def iter_find_groups(
    image: Planes,
    planes: Sequence[int],
    extractor: Extractor,
    settings: FeatureSettings,
    n_groups: int,
    seed: int,
    centre: tuple[float, float] | None = None,
    classes: bool = True,
) -> Steps[tuple[Groups, list[Sample]]]:
    """Find the groups of an image on some of its planes.

    Parameters
    ----------
    image : Planes
        The image.
    planes : sequence of int
        Planes that matter; groups are found on a few of them.
    extractor : Extractor
        Encodes tiles.
    settings : FeatureSettings
        Tiles and views.
    n_groups, seed : int
        See :func:`find_groups`.
    centre : tuple of float, optional
        Pixel (y, x) that is looked at: fewer tiles are taken, its own among them.
    classes : bool
        Whether groups are to be background and classes, or each by itself.

    Yields
    ------
    Progress

    Returns
    -------
    groups : Groups
        What was found.
    samples : list of Sample
        The tiles that it was found on.
    """
    text = "Looking at the image"
    intensity = find_intensity(image, settings, extractor.encoder.spec)
    # unique: of fewer planes than MAX_PLANES, linspace repeats some.
    picks = np.unique(np.linspace(0, len(planes) - 1, MAX_PLANES).astype(int))
    tiles = _some_tiles(
        cut_tiles(image.plane_shape, settings.longest_tile, settings.overlap), centre
    )
    samples, grids, places = [], [], []
    for done, pick in enumerate(picks):
        plane = image.read(planes[pick])
        for tile in tiles:
            yield Progress(done, len(picks), text)
            views = views_of(settings)[0]
            grid = extractor.grid(plane[tile.slices], intensity, views)
            samples.append(take_sample(grid, np.zeros(tile.shape, np.uint8), seed))
            grids.append(grid)
            places.append(Place.of(grid, tile, image.plane_shape))
    yield Progress(len(picks), len(picks), text)
    if not classes:
        return part_cells(samples, grids, n_groups, seed), samples
    return find_groups(samples, grids, places, n_groups, seed), samples


def _some_tiles(tiles: list[Tile], centre: tuple[float, float] | None) -> list[Tile]:
    """Take tiles from all over a plane, the one that is looked at first."""
    if centre is None:
        return tiles[:: -(-len(tiles) // MAX_TILES)]

    def distance(tile: Tile) -> float:
        return math.dist(((tile.y0 + tile.y1) / 2, (tile.x0 + tile.x1) / 2), centre)

    nearest = min(tiles, key=distance)
    spread = tiles[:: -(-len(tiles) // MAX_TILES_WAITED)]
    return list(dict.fromkeys([nearest, *spread]))[:MAX_TILES_WAITED]


def _order(nearest: torch.Tensor, border: torch.Tensor, groups: int) -> list[int]:
    # By count and not by share: a small group that only touches the border is no
    # background.
    on_border = torch.bincount(nearest[border], minlength=groups)
    size = torch.bincount(nearest, minlength=groups)
    background = int(on_border.argmax())
    rest = sorted(set(range(groups)) - {background}, key=lambda g: -int(size[g]))
    return [background, *rest]


def _central(
    nearest: torch.Tensor, depth: torch.Tensor, groups: int, n_classes: int
) -> torch.Tensor:
    """Class of each group: the deepest ones, larger first, else 0; shape (G,)."""
    size = torch.bincount(nearest, minlength=groups).clamp_min(1)
    # Infinite depths would make all means infinite and the order arbitrary.
    finite = depth.clamp_max(depth[depth.isfinite()].max()) if len(depth) else depth
    mean = torch.bincount(nearest, finite, minlength=groups) / size
    deepest = mean.argsort(descending=True, stable=True)[: n_classes - 1]
    deepest = deepest[size[deepest].argsort(descending=True, stable=True)]
    owners = torch.zeros(groups, dtype=torch.int64)
    owners[deepest] = torch.arange(1, n_classes)
    return owners
