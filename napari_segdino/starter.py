"""How an estimator begins where little or nothing is painted: groups, clicks, boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.errors import InputError
from napari_segdino.estimator import Estimator
from napari_segdino.features.extract import Extractor
from napari_segdino.first_look import first_look, provisional
from napari_segdino.heads.registry import make_head
from napari_segdino.images.boxes import Box, read_boxes
from napari_segdino.images.channels import count_channels
from napari_segdino.images.neighbours import cuts_of
from napari_segdino.images.planes import Planes, as_planes, pair_up
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.marks import MAX_LABEL, too_high
from napari_segdino.pipeline import Pipeline
from napari_segdino.progress import Steps, drive

if TYPE_CHECKING:
    from napari_segdino.heads.probe.model import VectorModel
    from napari_segdino.heads.probe.samples import Sample

    Groups = tuple[VectorModel, list[Sample]]


class Starter(Estimator):
    """Draws a first mask from groups of features, from clicks or from boxes.

    See :class:`~napari_segdino.segmenter.Segmenter` for the parameters.
    """

    def iter_cluster(
        self,
        image: Any,
        *,
        n_classes: int = 2,
        volume: bool | None = None,
        axes: str | None = None,
        planes: Iterable[int] | None = None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Group the frozen features of an image without any labels.

        Parameters
        ----------
        image, volume, axes
            As for :meth:`predict`.
        n_classes : int
            Groups, background counted.
        planes : iterable of int, optional
            Planes in the order wanted; None is all.
        centre : tuple of float, optional
            Pixel (y, x) around which planes of several tiles are predicted first.

        Yields
        ------
        Progress, PartResult, PlaneResult
        """
        source = as_planes(image, volume, axes)
        pipeline = yield from self.iter_pipeline()
        # torch is imported with it: not before a mask is drawn.
        from napari_segdino.heads.probe.unsupervised import iter_find_groups

        how = n_classes, pipeline.seed, centre

        def find(
            cut: Planes,
            wanted: list[int],
            extractor: Extractor,
            settings: FeatureSettings,
        ) -> Steps[Groups]:
            return iter_find_groups(cut, wanted, extractor, settings, *how)

        yield from _iter_draw(pipeline, source, find, planes, centre)

    def adopt_mask(
        self,
        image: Any,
        mask: Any,
        volume: bool | None = None,
        axes: str | None = None,
    ) -> Self:
        """Learn from a mask that something else made, which strokes outvote.

        Its borders count less than what is inside, and every stroke on a plane makes it
        weigh less there. A mask that is right is better given to ``fit``, as marks:
        see :func:`napari_segdino.marks.marks_from_mask`.

        Parameters
        ----------
        image : array
            As for ``fit``.
        mask : array of int
            The image's spatial shape: 0 background, 1.. classes. Planes without any
            class are left out.
        volume, axes : optional
            As for ``fit``.

        Returns
        -------
        Segmenter
            Itself.

        Raises
        ------
        InputError
            If there is no class in it or too high a label, if shapes do not fit, or if
            the head learns from strokes or masks alone.
        """
        drive(self.iter_adopt_mask(image, mask, volume=volume, axes=axes))
        return self

    def iter_adopt_mask(
        self,
        image: Any,
        mask: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
    ) -> Steps[None]:
        """Do what :meth:`adopt_mask` does step by step; closing it cancels.

        Parameters
        ----------
        image, mask, volume, axes
            As for :meth:`adopt_mask`.

        Yields
        ------
        Progress

        Raises
        ------
        InputError
            As :meth:`adopt_mask`.
        """
        # Before marks are looked for in it, whose numbers are one higher.
        if np.size(mask) and (label := int(np.max(mask))) > MAX_LABEL:
            raise InputError(too_high(label))
        ((source, mask),) = pair_up([image], [mask], volume, axes)
        planes = [p for p in range(len(source)) if np.any(mask[source.index(p)])]
        if not planes:
            raise InputError("The mask is empty: there is nothing to learn from.")
        channels = self.check_channels([source])
        pipeline = yield from self.iter_pipeline()
        self._check_learns_weakly(pipeline)
        # torch is imported with it.
        from napari_segdino.heads.probe.given_mask import iter_sample_mask

        cut = cuts_of(source, "Z", pipeline.feature_settings.neighbours)["Z"]
        how = pipeline.extractor.seeing(cut), pipeline.feature_settings, pipeline.seed
        found = yield from iter_sample_mask(cut, mask, planes, *how)
        samples = getattr(self, "samples_", {}) | found
        yield from self._iter_train(pipeline, samples, channels)

    def _check_learns_weakly(self, pipeline: Pipeline) -> None:
        if not pipeline.head.one_class_is_enough:
            raise InputError(
                f"A box or a given mask starts a probe; the head {self.head} learns "
                "from strokes and whole masks."
            )

    def iter_from_clicks(
        self,
        image: Any,
        marks: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
        planes: Iterable[int] | None = None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Draw what looks like the few marks there are, of one class or more.

        Nothing is learned, and background need not be marked: features are grouped
        as by :meth:`iter_cluster`, and a class is the group of its marks.

        Parameters
        ----------
        image, marks, volume, axes
            As for :meth:`fit`, one image.
        planes, centre : optional
            As for :meth:`iter_cluster`.

        Yields
        ------
        Progress, PartResult, PlaneResult

        Raises
        ------
        InputError
            If no class is marked, or marks do not fit.
        """
        ((source, marked),) = pair_up([image], [marks], volume, axes)
        pipeline = yield from self.iter_pipeline()
        from napari_segdino.heads.probe.clicks import iter_find_clicked

        seed = pipeline.seed

        def find(
            cut: Planes,
            wanted: list[int],
            extractor: Extractor,
            settings: FeatureSettings,
        ) -> Steps[Groups]:
            return iter_find_clicked(cut, marked, wanted, extractor, settings, seed)

        yield from _iter_draw(pipeline, source, find, planes, centre)

    def start(
        self,
        image: Any,
        boxes: Iterable[Sequence[float]],
        labels: Sequence[int] | None = None,
        planes: Sequence[int] | None = None,
        marks: Any = None,
        volume: bool | None = None,
        axes: str | None = None,
    ) -> NDArray[np.unsignedinteger]:
        """Draw the objects in boxes, and learn from them.

        What the boxes hold and leave out stands in for strokes: ``partial_fit`` goes
        on from it, and every stroke on the image makes it weigh less. Boxes of earlier
        calls stay; one around the same object takes the place of the earlier one.

        Parameters
        ----------
        image : array
            As for ``fit``.
        boxes : iterable of (y0, x0, y1, x1)
            Edges in pixels, each around an object that lies wholly inside.
        labels : sequence of int, optional
            Class of the object in each box, from 1; None is 1 for all.
        planes : sequence of int, optional
            Plane of each box (flat index over the leading axes); None where there is
            one plane.
        marks : array of int, optional
            What is painted on the image already; as for ``fit``.
        volume, axes : optional
            As for ``fit``.

        Returns
        -------
        numpy.ndarray, spatial shape of the image, uint8 or uint16
            0 background, 1.. classes; planes without boxes are background.

        Raises
        ------
        InputError
            If a box is none or lies outside the image, or if the head learns from
            strokes or masks alone.

        Examples
        --------
        >>> import numpy as np
        >>> from napari_segdino import Segmenter
        >>> image = np.zeros((64, 64), np.uint8)
        >>> image[20:40, 16:44] = 200
        >>> segmenter = Segmenter("efficientnet_lite0")
        >>> mask = segmenter.start(image, boxes=[(20, 16, 40, 44)])
        >>> mask.shape
        (64, 64)
        """
        source = as_planes(image, volume, axes)
        result: NDArray[np.unsignedinteger] | None = None
        how: dict[str, Any] = {"labels": labels, "planes": planes, "marks": marks}
        for step in self.iter_start(image, boxes, volume=volume, axes=axes, **how):
            if isinstance(step, PlaneResult):
                if result is None:
                    shape = (len(source), *source.plane_shape)
                    result = np.zeros(shape, step.labels.dtype)
                result[step.index] = step.labels
        assert result is not None
        return result.reshape(source.spatial_shape)

    def iter_start(
        self,
        image: Any,
        boxes: Iterable[Sequence[float]],
        *,
        labels: Sequence[int] | None = None,
        planes: Sequence[int] | None = None,
        marks: Any = None,
        volume: bool | None = None,
        axes: str | None = None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Do what :meth:`start` does, plane by plane.

        Parameters
        ----------
        image, boxes, labels, planes, marks, volume, axes
            As for :meth:`start`.
        centre : tuple of float, optional
            Pixel (y, x) around which planes of several tiles are drawn first.

        Yields
        ------
        Progress, PartResult, PlaneResult

        Raises
        ------
        InputError
            As :meth:`start`.
        """
        source = as_planes(image, volume, axes)
        wanted = read_boxes(boxes, labels, planes, source.plane_shape, len(source))
        if marks is not None:
            ((source, marks),) = pair_up([image], [marks], volume, axes)
        channels = self.check_channels([source])
        pipeline = yield from self.iter_pipeline()
        self._check_learns_weakly(pipeline)
        samples = dict(getattr(self, "samples_", {}))
        tiles = yield from _iter_learn_boxes(pipeline, samples, source, wanted, marks)
        yield from self._iter_train(pipeline, samples, channels)
        drawn = sorted({box.plane for box in wanted})
        how = self.model_, samples | tiles, drawn, "Drawing", None, centre
        yield from pipeline.iter_score(source, *how)


def _iter_draw(
    pipeline: Pipeline,
    image: Planes,
    find: Callable[[Planes, list[int], Extractor, FeatureSettings], Steps[Groups]],
    planes: Iterable[int] | None,
    centre: tuple[float, float] | None,
) -> Steps[None]:
    """Draw groups of features, and keep a sample of them for the first strokes."""
    wanted = list(range(len(image)) if planes is None else planes)
    if coarse := first_look(pipeline, image, wanted, centre, alone=True):
        how = image, find, wanted[:1], centre
        yield from provisional(_iter_draw(coarse, *how))
    cuts = cuts_of(image, "Z", pipeline.feature_settings.neighbours)
    extractor = pipeline.extractor.seeing(cuts["Z"])
    settings = pipeline.feature_settings
    groups, samples = yield from find(cuts["Z"], wanted, extractor, settings)
    pipeline.unsupervised = pipeline.head.unsupervised_sample(groups, samples)
    pipeline.unsupervised_channels = count_channels(image)
    # Groups are a model of the head `probe`, whichever head is to be trained.
    head, nothing = make_head("probe"), dict[str, Any]()
    yield from pipeline.iter_draw(
        image, cuts, head, groups, nothing, wanted, "Grouping", centre=centre
    )


def _iter_learn_boxes(
    pipeline: Pipeline,
    samples: dict[str, Any],
    image: Planes,
    boxes: Sequence[Box],
    marks: Any,
) -> Steps[dict[str, Any]]:
    """Add to `samples` what boxes leave to learn from.

    Returns the tiles that they touch, with marks of background outside the boxes.
    """
    # torch is imported with these: not before a box is drawn.
    from napari_segdino.heads.probe.box_rows import iter_box_rows
    from napari_segdino.heads.probe.boxes import fit_boxes
    from napari_segdino.heads.probe.components import fit_basis

    cut = cuts_of(image, "Z", pipeline.feature_settings.neighbours)["Z"]
    how = pipeline.extractor.seeing(cut), pipeline.feature_settings, pipeline.seed
    tiles = yield from iter_box_rows(cut, boxes, marks, *how, samples)
    basis = fit_basis([row.empty for row in tiles.rows])
    samples.update(fit_boxes(tiles.rows, tiles.boxes, basis, tiles.image))
    return tiles.painted
