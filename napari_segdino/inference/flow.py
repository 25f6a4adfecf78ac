"""Spatial regularisation of a volume: probabilities flow along z, y and x.

What is marked on one slice speaks for the next ones as far as no edge stands between,
and slices that the probe is sure of speak for those that it is not: the linear system
of :mod:`napari_segdino.inference.diffusion` with edges along z as well.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_segdino.encoders.device import free_memory, lacks_memory, upload
from napari_segdino.features.grid import grid_step
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.local import smooth_colour
from napari_segdino.images.planes import Planes
from napari_segdino.images.reslice import Spacing, spacing_zyx
from napari_segdino.inference.diffusion import (
    VOLUME_STEPS,
    iter_diffuse_volume,
    marks_on_cells,
    put_marks,
    trust_in,
)
from napari_segdino.inference.predict import PlaneResult, labels_of
from napari_segdino.inference.registration import iter_carry
from napari_segdino.inference.regularise import guide
from napari_segdino.inference.smoothing import neighbourhood
from napari_segdino.inference.uncertainty import temper
from napari_segdino.progress import Progress, Steps, relay

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

SIGMA = 0.6
"""Least smoothing of the slices whose edges count, in pixels."""

ACROSS = 2.0
"""Weight of neighbours along z against those in the slice, where voxels are cubes."""

FLATTEST, TALLEST = 1 / 25, 4.0
"""Between these, the side of a cell over the distance of slices changes that weight."""

RADIUS = 1
"""Of the guided filter where a cell is a pixel; a wider one blurs small planes."""

UNSCORED = 1e-3
"""Weight of a cell on a slice that was not predicted: it only passes on."""

REACH = 12
"""Slices on either side of a wanted one whose marks are looked for."""

SLAB_CELLS = 12 << 20
"""Cells that flow at once; a volume of more is cut along z."""

HALO = 16
"""Slices that a slab sees on either side of those that it decides."""

SAMPLED_PLANES = 5

TEXT = "From slice to slice"


@dataclass(frozen=True)
class Volume:
    """What is needed of an image to let probabilities flow through it.

    Parameters
    ----------
    image : Planes
        Its planes lie behind one another.
    intensity : Intensity
        Its range.
    spacing : float or tuple of float, optional
        Of slices, or of z, y and x, in mm; None takes voxels for cubes.
    device : torch.device or str
        Where to compute.
    """

    image: Planes
    intensity: Intensity
    spacing: Spacing = None
    device: torch.device | str = "cpu"

    @property
    def depth(self) -> int:
        """Planes of one volume; several may follow one another, as over time."""
        return self.image.lead_shape[-1]

    @property
    def step(self) -> int:
        """Pixels a cell."""
        return grid_step(self.image.plane_shape)

    def pixels(self, index: int) -> torch.Tensor:
        """Return the intensities of a plane.

        Parameters
        ----------
        index : int
            Flat index of the plane.

        Returns
        -------
        torch.Tensor, shape (C, Y, X), float32
        """
        import torch

        pixels = self.intensity.apply(np.asarray(self.image.read(index)))
        return upload(torch.from_numpy(pixels), self.device)

    def cells(self, index: int) -> torch.Tensor:
        """Return a plane as its edges count.

        Parameters
        ----------
        index : int
            Flat index of the plane.

        Returns
        -------
        torch.Tensor, shape (C, gy, gx), float32
        """
        return smooth_colour(self.pixels(index), self.step, SIGMA)

    def edges(self) -> float:
        """Return the mean squared difference of neighbours within slices.

        It is measured on a fixed sample of planes, so that it does not depend on
        which are asked for.
        """
        picks = np.linspace(0, len(self.image) - 1, SAMPLED_PLANES).astype(int)
        total, count = 0.0, 0
        for index in np.unique(picks):
            cells = self.cells(int(index))
            for axis in (1, 2):
                # Within slices only: how far apart slices lie is what `across` accounts
                # for.
                squares = cells.diff(dim=axis) ** 2
                total += float(squares.sum())
                count += squares[0].numel()
        return total / max(1, count)

    def across(self) -> float:
        """Return the weight of neighbours along z against those in the slice."""
        z, y, x = spacing_zyx(self.spacing)
        ratio = np.clip(self.step * math.sqrt(y * x) / z, FLATTEST, TALLEST)
        return ACROSS * math.sqrt(ratio)


@dataclass(frozen=True)
class Flow:
    """How probabilities flow from plane to plane of a volume.

    Parameters
    ----------
    volume : Volume
        The image.
    predict : callable
        Predicts planes: takes their indices, gives Progress and
        :class:`PlaneResult`, whose probabilities have not flowed.
    marks : mapping of int to numpy.ndarray
        Marks (Y, X) of planes that have any: 0 unlabelled, 1 background, 2.. classes.
    temperature : float
        Calibrates the probabilities once they have flowed.
    """

    volume: Volume
    predict: Callable[[list[int]], Steps[Any]]
    marks: Mapping[int, NDArray[Any]]
    temperature: float

    def iter_planes(self, wanted: Sequence[int]) -> Steps[None]:
        """Predict planes and let all flow.

        Only planes that are wanted are encoded: what is marked around them passes
        through slices of which no more than the image is known.

        Parameters
        ----------
        wanted : sequence of int
            Planes, of one volume.

        Yields
        ------
        Progress
        PlaneResult
            One for each that is wanted, in this order.
        """
        import torch

        depth, device = self.volume.depth, self.volume.device
        maps: dict[int, torch.Tensor] = {}

        def take(step: Any) -> Iterable[Any]:
            if not isinstance(step, PlaneResult):
                return [step]
            maps[step.index] = self._on_cells(torch.as_tensor(step.maps).to(device))
            return []

        yield from relay(self.predict(sorted(set(wanted))), take)
        flowed: dict[int, torch.Tensor] = {}
        # Marks are looked for, planes between are not encoded: they only pass on.
        around = [i for i in neighbourhood(wanted, depth, REACH) if i in self.marks]
        first, last = min([*maps, *around]), max([*maps, *around])
        marked = {i: self._marked(i) for i in around}
        yield from iter_carry(maps, marked, range(first, last + 1), self.volume.cells)
        edges = self.volume.edges()
        for start, stop in slabs(first, last + 1, self._slab_planes()):
            needed = [i for i in dict.fromkeys(wanted) if start <= i < stop]
            if needed:
                # Slabs overlap, so that what is marked beyond a seam speaks across it.
                span = range(max(first, start - HALO), min(last + 1, stop + HALO))
                found = yield from self._iter_slab(span, maps, edges)
                # Slice by slice: the whole slab may have been too large for the device.
                flowed |= {i: found[:, i - span.start].to(device) for i in needed}
        for index in wanted:
            yield self._result(index, flowed[index])

    def _slab_planes(self) -> int:
        y, x = self.volume.image.plane_shape
        step = self.volume.step
        return max(1, SLAB_CELLS // (-(-y // step) * -(-x // step)) - 2 * HALO)

    def _iter_slab(
        self, span: range, maps: Mapping[int, torch.Tensor], edges: float
    ) -> Steps[torch.Tensor]:
        """Let the planes of a slab flow; shape (K, Z, gy, gx)."""
        import torch

        device = torch.device(self.volume.device)
        if device.type != "cpu":
            try:
                return (yield from self._iter_slab_on(device, span, maps, edges))
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
            # Out of the except block, so that its frames hold no tensors.
            free_memory(device)
            _log.warning(
                "%d slices do not fit into the memory of %s beside the encoder: "
                "probabilities flow on the CPU.",
                len(span),
                device,
            )
        cpu = torch.device("cpu")
        return (yield from self._iter_slab_on(cpu, span, maps, edges))

    def _iter_slab_on(
        self,
        device: torch.device,
        span: range,
        maps: Mapping[int, torch.Tensor],
        edges: float,
    ) -> Steps[torch.Tensor]:
        import torch

        yield Progress(0, VOLUME_STEPS, TEXT)
        guides = torch.stack([self.volume.cells(i).to(device) for i in span], 1)
        classes = len(next(iter(maps.values())))
        evidence = guides.new_full((classes, *guides.shape[1:]), 1 / classes)
        trust = guides.new_full(guides.shape[1:], UNSCORED)
        for at, index in enumerate(span):
            if index in maps:
                here = maps[index].to(device)
                evidence[:, at], trust[at] = here, trust_in(here)
            if index in self.marks:
                put_marks(evidence[:, at], trust[at], self._marked(index).to(device))
        # Of two classes one is the rest of the other: solved once.
        free = slice(1, None) if classes == 2 else slice(None)
        across = self.volume.across()
        steps = iter_diffuse_volume(guides, evidence[free], trust, edges, across, TEXT)
        return (yield from steps)

    def _marked(self, index: int) -> torch.Tensor:
        """Marks of a plane on cells."""
        import torch

        marks = upload(torch.from_numpy(self.marks[index]), self.volume.device)
        return marks_on_cells(marks, self.volume.step)

    def _on_cells(self, maps: torch.Tensor) -> torch.Tensor:
        """Average probabilities (K, Y, X) over cells."""
        from torch.nn import functional

        step = self.volume.step
        if step == 1:
            return maps
        y, x = maps.shape[1:]
        # The last cells may reach over the border; zeros there would lower their means.
        padded = functional.pad(maps, (0, -x % step, 0, -y % step), "replicate")
        return functional.avg_pool2d(padded, step)

    def _result(self, index: int, flowed: torch.Tensor) -> PlaneResult:
        """Bring what flowed, shape (K or 1, gy, gx), to a plane's pixels."""
        import torch

        grey = self.volume.pixels(index).mean(0)
        # Where a cell is a pixel the filter has nothing to bring to a finer grid, only
        # edges to follow.
        radius = None if self.volume.step > 1 else RADIUS
        fine = guide(flowed, grey, radius).clamp(0, 1)
        if len(fine) == 1:
            fine = torch.cat([1 - fine, fine])
        maps = temper(fine / fine.sum(0).clamp_min(1e-6), self.temperature)
        return PlaneResult(index, labels_of(maps), maps)


def slabs(first: int, stop: int, planes: int) -> list[tuple[int, int]]:
    """Cut planes into equal runs.

    Parameters
    ----------
    first, stop : int
        The planes, end excluded.
    planes : int
        Longest run.

    Returns
    -------
    list of (start, stop)
    """
    count = -(-(stop - first) // planes)
    ends = np.linspace(first, stop, count + 1).round().astype(int)
    return [(int(a), int(b)) for a, b in zip(ends, ends[1:], strict=False)]
