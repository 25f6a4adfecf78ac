"""The estimator: learn from marks, predict masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_segdino.errors import InputError
from napari_segdino.estimator import Spacings
from napari_segdino.first_look import first_look, provisional
from napari_segdino.heads.probe.samples import UNSUPERVISED
from napari_segdino.heads.registry import make_head
from napari_segdino.images.planes import as_planes
from napari_segdino.images.reslice import Spacing
from napari_segdino.inference.predict import PlaneResult, label_dtype
from napari_segdino.pipeline import Pipeline
from napari_segdino.progress import Steps, drive
from napari_segdino.starter import Starter


class Segmenter(Starter):
    """A frozen encoder with a probe that learns from marks.

    Parameters
    ----------
    encoder : str
        A name that :func:`napari_segdino.encoders.encoder_names` lists,
        ``"timm:<model name>"``, or the path of a checkpoint file.
    head : str
        The head that is trained, a key of
        :data:`napari_segdino.heads.registry.HEADS`.
    device : {"auto", "cpu", "cuda", "mps"}
        Where the encoder computes.
    random_state : int
        The same seed gives the same mask.
    features : FeatureSettings, optional
        How planes are shown to the encoder; None is what the head is made for.
    predicting : PredictSettings
        How predictions are made of what the head says.
    recipe : str, optional
        How the head is trained, a name of
        :func:`napari_segdino.heads.registry.recipes`; None chooses by what is
        marked, and by the device: see each head.
    cache : CacheSettings
        How many features are kept.
    precision : {"auto", "float32", "bfloat16", "float16"}
        In which numbers the encoder computes: ``"auto"`` is bfloat16 where the
        device is fast with it and masks stay the same, else float32. Heads compute
        in float32.

    Attributes
    ----------
    n_classes_ : int
        Classes with background.
    classes_ : numpy.ndarray, shape (K,)
        The labels ``0 .. K - 1``.
    model_ : object
        The trained head.
    samples_ : dict of str to object
        What it learned from, tile by tile.
    channels_ : int or None
        Channels of the images it learned from, 3 where both grey and RGB were among
        them; None where an old probe file does not say.
    class_info_ : list of dict, optional
        Names and colours, as JSON can hold them: kept in probe files.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_segdino import Segmenter
    >>> image = np.zeros((64, 64), np.uint8)
    >>> image[20:40, 16:44] = 200
    >>> marks = np.zeros(image.shape, np.uint8)  # 0: unlabelled
    >>> marks[30, 20:40], marks[50, 5:60] = 2, 1  # an object; background
    >>> segmenter = Segmenter("efficientnet_lite0", device="cpu").fit(image, marks)
    >>> int(segmenter.predict(image)[25, 25])
    1
    >>> path = segmenter.save("square.segdino")
    >>> Segmenter.load(path).n_classes_
    2
    """

    # -- learning ----------------------------------------------------------

    def fit(
        self,
        images: Any,
        marks: Any,
        volume: bool | None = None,
        axes: str | None = None,
        spacing: Spacings = None,
    ) -> Self:
        """Learn from marks, forgetting all other marks.

        Where marks only add to those of the call before, they are corrections of the
        mask that it gave: a ``probe`` then stays near the one before.
        ``sklearn.base.clone`` gives an estimator that has seen nothing.

        Parameters
        ----------
        images : array or list of arrays
            (Y, X), (Y, X, C), (Z, Y, X) or (Z, Y, X, C); any number type.
        marks : array or list of arrays of int
            The images' spatial shapes: 0 unlabelled, 1 background, 2.. classes.
        volume : bool, optional
            Whether there is a Z axis; None infers it where that is clear.
        axes : str, optional
            One letter per axis, such as ``"TZYX"``; decides over `volume`.
        spacing : float or tuple of float, optional
            Of slices, or of z, y and x, for cuts across other axes than z. For a
            list of images, one for all, or a list with one each.

        Returns
        -------
        Segmenter
            Itself.

        Raises
        ------
        ChannelsError
            If images have other channels than each other.
        InputError
            If shapes do not fit, or too little is marked. One class is enough for
            ``probe``: what is unlike its strokes is then taken for background.
        WeightsError
            If the encoder cannot be loaded.
        """
        return drive(
            self.iter_fit(images, marks, volume=volume, axes=axes, spacing=spacing)
        )

    def partial_fit(
        self,
        images: Any,
        marks: Any,
        volume: bool | None = None,
        axes: str | None = None,
        spacing: Spacings = None,
    ) -> Self:
        """Learn from more marks; earlier ones still count.

        Marks of a plane that was seen before replace its earlier marks.

        Parameters
        ----------
        images, marks, volume, axes, spacing
            As for :meth:`fit`.

        Returns
        -------
        Segmenter
            Itself.
        """
        return drive(
            self.iter_partial_fit(
                images, marks, volume=volume, axes=axes, spacing=spacing
            )
        )

    def iter_fit(
        self,
        images: Any,
        marks: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
        spacing: Spacings = None,
    ) -> Steps[Self]:
        """Do what :meth:`fit` does step by step; closing it cancels.

        Parameters
        ----------
        images, marks, volume, axes, spacing
            As for :meth:`fit`.

        Yields
        ------
        Progress

        Returns
        -------
        Segmenter
            Itself.
        """
        return self._iter_learn({}, images, marks, volume, axes, None, spacing)

    def iter_partial_fit(
        self,
        images: Any,
        marks: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
        planes: Iterable[Any] | None = None,
        spacing: Spacings = None,
    ) -> Steps[Self]:
        """Do what :meth:`partial_fit` does step by step; closing it cancels.

        Parameters
        ----------
        images, marks, volume, axes, spacing
            As for :meth:`fit`.
        planes : iterable of int, optional
            Only look at these planes' marks (flat indices over the leading
            axes), one such for each image of a list; None looks at all. Where a
            volume is cut across other axes, all of its marks must be given.

        Yields
        ------
        Progress

        Returns
        -------
        Segmenter
            Itself.

        Notes
        -----
        After :meth:`iter_cluster`, classes without marks stay where that mask had
        them.
        """
        first = self._pipeline.unsupervised if self.has_unsupervised else None
        samples = getattr(self, "samples_", {UNSUPERVISED: first} if first else {})
        return self._iter_learn(samples, images, marks, volume, axes, planes, spacing)

    # -- predicting --------------------------------------------------------

    def predict(
        self,
        image: Any,
        volume: bool | None = None,
        axes: str | None = None,
        spacing: Spacing = None,
    ) -> NDArray[np.unsignedinteger]:
        """Predict labels.

        Parameters
        ----------
        image : array
            As for :meth:`fit`, with as many channels as it learned from; grey counts
            as RGB, and alpha is left out.
        volume, axes : optional
            As for :meth:`fit`.
        spacing : float or tuple of float, optional
            Distance of slices in mm, or of voxels along z, y and x: for smoothing
            along z, and for cuts across other axes.

        Returns
        -------
        numpy.ndarray, spatial shape of the image, uint8 or uint16
            0 background, 1.. classes.

        Raises
        ------
        NotFittedError
            If nothing has been learned or loaded.
        ChannelsError
            If the image has other channels than those it learned from.
        InputError
            If the image cannot be used.
        """
        planes = as_planes(image, volume, axes)
        self.check_fitted()
        shape = (len(planes), *planes.plane_shape)
        labels = np.zeros(shape, label_dtype(self.n_classes_))
        for plane in self._planes(image, volume, axes, spacing):
            labels[plane.index] = plane.labels
        return labels.reshape(planes.spatial_shape)

    def predict_proba(
        self,
        image: Any,
        volume: bool | None = None,
        axes: str | None = None,
        spacing: Spacing = None,
    ) -> NDArray[np.floating]:
        """Predict probabilities.

        Parameters
        ----------
        image, volume, axes, spacing
            As for :meth:`predict`.

        Returns
        -------
        numpy.ndarray, shape (K, *spatial), float32
            Background first; they sum to 1.
        """
        planes = as_planes(image, volume, axes)
        self.check_fitted()
        shape = (self.n_classes_, len(planes), *planes.plane_shape)
        probabilities = np.zeros(shape, np.float32)
        for plane in self._planes(image, volume, axes, spacing):
            probabilities[:, plane.index] = plane.probabilities
        return probabilities.reshape(self.n_classes_, *planes.spatial_shape)

    def _planes(
        self, image: Any, volume: bool | None, axes: str | None, spacing: Spacing
    ) -> Iterator[PlaneResult]:
        how: dict[str, Any] = {"volume": volume, "axes": axes, "spacing": spacing}
        steps = self.iter_predict(image, **how)
        return (step for step in steps if isinstance(step, PlaneResult))

    def iter_predict(
        self,
        image: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
        planes: Iterable[int] | None = None,
        spacing: Spacing = None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Predict plane by plane.

        Parameters
        ----------
        image, volume, axes, spacing
            As for :meth:`predict`.
        planes : iterable of int, optional
            Planes in the order wanted; None is all.
        centre : tuple of float, optional
            Pixel (y, x) around which planes of several tiles are predicted first.

        Yields
        ------
        Progress, PartResult, PlaneResult
        """
        self.check_fitted()
        source = as_planes(image, volume, axes)
        self.check_channels([source])
        pipeline = yield from self.iter_pipeline()
        wanted = list(range(len(source)) if planes is None else planes)

        def draw(pipeline: Pipeline, planes: list[int]) -> Steps[None]:
            known, text = (self.model_, self.samples_), "Predicting"
            return pipeline.iter_score(source, *known, planes, text, spacing, centre)

        if coarse := first_look(pipeline, source, wanted, centre):
            yield from provisional(draw(coarse, wanted[:1]))
        yield from draw(pipeline, wanted)

    def iter_draft(
        self,
        image: Any,
        marks: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
        planes: Sequence[int],
        spacing: Spacing = None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Draw about what a plane will be like with its marks; nothing is learned.

        Parameters
        ----------
        image, marks, volume, axes, spacing
            As for :meth:`fit`, one image.
        planes : sequence of int
            Planes in the order wanted; the first is drawn.
        centre : tuple of float, optional
            Pixel (y, x) that is looked at.

        Yields
        ------
        Progress, PartResult
            All provisional; none where the plane is encoded already or the encoder is
            quick, and none where its marks do not suffice.
        """
        source = as_planes(image, volume, axes)
        pipeline = yield from self.iter_pipeline()
        alone = not self.is_fitted and not self.has_unsupervised
        coarse = first_look(pipeline, source, planes, centre, alone)
        if coarse is None or not np.any(marks[source.index(planes[0])]):
            return
        # What it learns is learned by a copy, with a head of its own.
        coarse.head = make_head(self.head, self.recipe)
        quick = copy(self)
        quick._pipeline = coarse
        how: dict[str, Any] = {"volume": volume, "axes": axes, "spacing": spacing}
        how["planes"] = planes[:1]
        try:
            yield from quick.iter_partial_fit(image, marks, **how)
        except InputError:
            # Other planes hold what is missing: they are learned with the rest.
            return
        yield from provisional(quick.iter_predict(image, centre=centre, **how))
