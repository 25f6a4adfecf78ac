"""A first mask with nothing learned: frozen features grouped without labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

from napari_segdino.arrays import Planes
from napari_segdino.config import FeatureSettings
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.intensity import find_intensity
from napari_segdino.features.tiles import Tile, cut_tiles
from napari_segdino.heads.basis import Basis
from napari_segdino.progress import Progress, Steps
from napari_segdino.training.components import fit_basis
from napari_segdino.training.samples import Sample, take_sample

if TYPE_CHECKING:
    import torch

COMPONENTS = 8
"""Directions of the basis that are grouped: the loudest ones."""

MAX_PLANES, MAX_TILES = 5, 9
"""Planes of a volume, and tiles of a plane, that groups are found on."""

MAX_TILES_WAITED = 4
"""Tiles of a plane where someone waits for what he looks at."""

MAX_CELLS = 20_000
ROUNDS = 30
STARTS = 5


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of vectors, in place of a trained probe.

    Parameters
    ----------
    basis : Basis
        Makes vectors of features.
    centres : torch.Tensor, shape (K, C)
        Centres of the groups, background first.
    scatter : float
        Mean squared distance of a vector to its centre, per direction.
    """

    basis: Basis
    centres: torch.Tensor
    scatter: float

    temperature: ClassVar[float] = 1.0

    def on(self, tile: str) -> Groups:
        """Return the groups for a tile, the same for all."""
        return self

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Assign vectors (N, J) softly, shape (N, K)."""
        import torch

        distance = torch.cdist(vectors[:, : self.centres.shape[1]], self.centres)
        return (-(distance**2) / (2 * self.scatter)).softmax(1)


class AnyGroups(Protocol):
    """Groups of vectors by number or by class."""

    @property
    def basis(self) -> Basis:
        """What makes vectors of features."""

    def probabilities(self, vectors: torch.Tensor) -> torch.Tensor:
        """Assign vectors (N, J) softly, shape (N, K)."""


def find_groups(
    samples: Sequence[Sample], grids: Sequence[FeatureGrid], n_groups: int, seed: int
) -> Groups:
    """Group the cells of some tiles by k-means.

    The group that holds most of the tiles' border becomes background; the
    others follow by falling size.

    Parameters
    ----------
    samples, grids : sequences
        The same tiles, sampled and whole.
    n_groups : int
        Background and classes, at least 2.
    seed : int
        The same seed gives the same groups.

    Returns
    -------
    Groups
    """
    import torch

    basis = fit_basis(samples)
    cells = torch.cat([basis.vectors(g)[:, :COMPONENTS] for g in grids])
    border = torch.cat([_border(g) for g in grids])
    centres = _kmeans(cells, n_groups, seed)
    nearest = torch.cdist(cells, centres).argmin(1)
    centres = centres[_order(nearest, border, n_groups)]
    within = torch.cdist(cells, centres).amin(1).square().mean() / cells.shape[1]
    return Groups(basis, centres, float(within.clamp_min(1e-6)))


def first_guess(groups: AnyGroups, samples: Sequence[Sample]) -> Sample:
    """Make strokes of what groups are sure of: one a group.

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
    import torch

    context = torch.cat([s.context for s in samples])
    widths = samples[0].widths
    vectors = groups.basis.project(context.split(widths.tolist(), 1))
    found = groups.probabilities(vectors)
    sure, group = found.max(1)
    best = [
        torch.nonzero(group == g)[:, 0][sure[group == g].argsort(descending=True)]
        for g in range(found.shape[1])
    ]
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
        widths,
    )


def iter_find_groups(
    image: Planes,
    planes: Sequence[int],
    extractor: Extractor,
    settings: FeatureSettings,
    n_groups: int,
    seed: int,
    centre: tuple[float, float] | None = None,
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
    picks = np.unique(np.linspace(0, len(planes) - 1, MAX_PLANES).astype(int))
    tiles = _some_tiles(
        cut_tiles(image.plane_shape, settings.tile, settings.overlap), centre
    )
    samples, grids = [], []
    for done, pick in enumerate(picks):
        plane = image.read(planes[pick])
        for tile in tiles:
            yield Progress(done, len(picks), text)
            views = views_of(settings)[0]
            grid = extractor.grid(plane[tile.slices], intensity, views)
            samples.append(take_sample(grid, np.zeros(tile.shape, np.uint8), seed))
            grids.append(grid)
    yield Progress(len(picks), len(picks), text)
    return find_groups(samples, grids, n_groups, seed), samples


def _some_tiles(tiles: list[Tile], centre: tuple[float, float] | None) -> list[Tile]:
    """Take tiles from all over a plane, the one that is looked at first."""
    if centre is None:
        return tiles[:: -(-len(tiles) // MAX_TILES)]

    def distance(tile: Tile) -> float:
        return math.dist(((tile.y0 + tile.y1) / 2, (tile.x0 + tile.x1) / 2), centre)

    nearest = min(tiles, key=distance)
    spread = tiles[:: -(-len(tiles) // MAX_TILES_WAITED)]
    return list(dict.fromkeys([nearest, *spread]))[:MAX_TILES_WAITED]


def _border(grid: FeatureGrid) -> torch.Tensor:
    """Which cells lie on the border of the tile, shape (gy * gx,)."""
    import torch

    border = torch.ones(grid.cells, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    return border.flatten()


def _kmeans(x: torch.Tensor, groups: int, seed: int) -> torch.Tensor:
    """Centres with the least scatter over several seeded starts."""
    import torch

    random = torch.Generator().manual_seed(seed)
    if len(x) > MAX_CELLS:
        x = x[torch.randperm(len(x), generator=random)[:MAX_CELLS]]
    best, least = x[:1].expand(groups, -1), float("inf")
    for _ in range(STARTS):
        centres = _spread_out(x, groups, random)
        for _ in range(ROUNDS):
            nearest = torch.cdist(x, centres).argmin(1)
            members = torch.nn.functional.one_hot(nearest, groups).to(x.dtype)
            count = members.sum(0)[:, None]
            centres = torch.where(
                count > 0, members.T @ x / count.clamp_min(1), centres
            )
        scatter = float(torch.cdist(x, centres).amin(1).square().sum())
        if scatter < least:
            best, least = centres, scatter
    return best


def _spread_out(x: torch.Tensor, groups: int, random: torch.Generator) -> torch.Tensor:
    """Choose starting centres by k-means++ (Arthur and Vassilvitskii 2007)."""
    import torch

    picks = [int(torch.randint(len(x), (1,), generator=random))]
    for _ in range(groups - 1):
        distance = torch.cdist(x, x[picks]).amin(1).square() + 1e-12
        picks.append(int(torch.multinomial(distance, 1, generator=random)))
    return x[picks].clone()


def _order(nearest: torch.Tensor, border: torch.Tensor, groups: int) -> list[int]:
    import torch

    on_border = torch.bincount(nearest[border], minlength=groups)
    size = torch.bincount(nearest, minlength=groups)
    background = int(on_border.argmax())
    rest = sorted(set(range(groups)) - {background}, key=lambda g: -int(size[g]))
    return [background, *rest]
