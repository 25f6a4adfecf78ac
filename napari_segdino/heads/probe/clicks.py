"""A first mask from a click or two: the groups that were clicked.

An image is parted into more groups than there are classes; a class is the group
of its clicks, the rest is background. Of what was tried (docs/correcting.md), this
found more of a clicked object than cosine similarity to the click did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from napari_segdino.config import FeatureSettings
from napari_segdino.errors import InputError
from napari_segdino.features.extract import Extractor
from napari_segdino.heads.collect import iter_collect
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.probe_head import ProbeHead
from napari_segdino.heads.probe.samples import BACKGROUND, Sample
from napari_segdino.heads.probe.unsupervised import Groups, iter_find_groups
from napari_segdino.images.planes import Planes
from napari_segdino.progress import Steps

EXTRA_CLUSTERS = 2
"""Groups beside those of the clicked classes."""


@dataclass(frozen=True, slots=True)
class ClickedGroups:
    """Groups of vectors, each of a class.

    Parameters
    ----------
    groups : Groups
        What was found without labels.
    owners : torch.Tensor, shape (G,), int64
        Class of each group, 0 is background.
    n_classes : int
        Classes with background.
    """

    groups: Groups
    owners: torch.Tensor
    n_classes: int

    temperature: ClassVar[float] = 1.0

    @property
    def basis(self) -> Basis:
        """What makes vectors of features."""
        return self.groups.basis

    def on(self, tile: str, mean: torch.Tensor | None = None) -> ClickedGroups:
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
        """Add up what the groups of each class say.

        Parameters
        ----------
        vectors : torch.Tensor, shape (N, J)
            See :meth:`Basis.vectors`.

        Returns
        -------
        torch.Tensor, shape (N, K)
        """
        of_groups = self.groups.probabilities(vectors)
        found = of_groups.new_zeros(len(vectors), self.n_classes)
        return found.index_add_(1, self.owners, of_groups)


def give_groups(groups: Groups, samples: Sequence[Sample]) -> ClickedGroups:
    """Give each clicked class the group that its clicks lie in.

    Parameters
    ----------
    groups : Groups
        More than there are clicked classes.
    samples : sequence of Sample
        Clicked tiles.

    Returns
    -------
    ClickedGroups
        No two classes have one group; a group that background was clicked in
        goes to a class only for want of a better one.
    """
    from scipy.optimize import linear_sum_assignment

    vectors = torch.cat([groups.basis.project(s.features) for s in samples])
    codes = torch.cat([s.codes for s in samples]).long()
    inside = groups.probabilities(vectors)
    classes = codes[codes > 1].unique()
    # How much of the clicks of each class (rows) each group (columns) holds.
    won = torch.stack([inside[codes == c].mean(0) for c in classes])
    if bool((codes == 1).any()):
        won = won - inside[codes == 1].mean(0)
    # The best assignment in all: greedily, one class could take the only group of
    # another.
    rows, columns = linear_sum_assignment(-won.numpy())
    owners = torch.zeros(inside.shape[1], dtype=torch.int64)
    owners[torch.from_numpy(columns)] = classes[torch.from_numpy(rows)] - 1
    return ClickedGroups(groups, owners, int(codes.max()))


def iter_find_clicked(
    image: Planes,
    marks: Any,
    planes: Sequence[int],
    extractor: Extractor,
    settings: FeatureSettings,
    seed: int,
) -> Steps[tuple[ClickedGroups, list[Sample]]]:
    """Find the groups that were clicked on an image.

    Parameters
    ----------
    image : Planes
        As the encoder sees it.
    marks : array of int
        Its marks, in its spatial shape.
    planes : sequence of int
        Planes that matter; groups are found on a few of them.
    extractor : Extractor
        Encodes tiles.
    settings : FeatureSettings
        Tiles and views.
    seed : int
        The same seed gives the same groups.

    Yields
    ------
    Progress

    Returns
    -------
    groups : ClickedGroups
        What was found.
    samples : list of Sample
        The tiles that it was found on.

    Raises
    ------
    InputError
        If no class is marked; background alone is none.
    """
    marked = [p for p in range(len(image)) if np.any(marks[image.index(p)])]
    clicked: dict[str, Any] = {}
    yield from iter_collect(
        clicked, ProbeHead(), extractor, image, marks, marked, settings, seed
    )
    codes = {int(c) for one in clicked.values() for c in one.codes}
    classes = codes - {BACKGROUND}
    if not classes:
        raise InputError("No class is marked: click on an object of it first.")
    count = len(classes) + EXTRA_CLUSTERS
    groups, samples = yield from iter_find_groups(
        image, planes, extractor, settings, count, seed, classes=False
    )
    return give_groups(groups, list(clicked.values())), samples
