"""k-means of the cells of an image, the same for the same seed."""

from __future__ import annotations

import torch

MAX_CELLS = 20_000
"""Cells that centres are fitted to, drawn by chance where there are more."""

ROUNDS = 30
STARTS = 5


def kmeans(x: torch.Tensor, groups: int, seed: int) -> torch.Tensor:
    """Find the centres with the least scatter over several seeded starts.

    Starting centres are chosen by k-means++ [1]_.

    Parameters
    ----------
    x : torch.Tensor, shape (N, J)
        Vectors of cells, in no matter which order.
    groups : int
        How many centres.
    seed : int
        The same seed gives the same centres; torch's own seed is neither read nor
        changed.

    Returns
    -------
    torch.Tensor, shape (groups, J)
        Some are equal where there are fewer different vectors.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, k-means++: the advantages of careful
       seeding, SODA 2007.
    """
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
            # A centre that no cell is nearest to stays where it is.
            centres = torch.where(
                count > 0, members.T @ x / count.clamp_min(1), centres
            )
        scatter = float(scatter_of(x, centres))
        if scatter < least:
            best, least = centres, scatter
    return best


def scatter_of(x: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Sum the squared distances of vectors to the nearest centre.

    Parameters
    ----------
    x, centres : torch.Tensor, shapes (N, J) and (G, J)
        Vectors.

    Returns
    -------
    torch.Tensor, shape ()
    """
    return torch.cdist(x, centres).amin(1).square().sum()


def _spread_out(x: torch.Tensor, groups: int, random: torch.Generator) -> torch.Tensor:
    picks = [int(torch.randint(len(x), (1,), generator=random))]
    for _ in range(groups - 1):
        # multinomial refuses weights that are all 0, which a constant image gives.
        distance = torch.cdist(x, x[picks]).amin(1).square() + 1e-12
        picks.append(int(torch.multinomial(distance, 1, generator=random)))
    return x[picks].clone()
