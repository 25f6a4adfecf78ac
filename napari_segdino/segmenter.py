"""The estimator: learn from marks, predict masks."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_segdino import model_file
from napari_segdino.arrays import Planes, as_planes, check_marks
from napari_segdino.config import CacheSettings, FeatureSettings
from napari_segdino.encoders import iter_load_encoder
from napari_segdino.encoders.base import Encoder
from napari_segdino.errors import InputError, ModelFileError, NotFittedError
from napari_segdino.features.cache import FeatureCache, cache_folder
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.intensity import Intensity, measure_intensity
from napari_segdino.features.tiles import Tile, cut_tiles
from napari_segdino.heads.mvr import Basis, Probe, levels_of
from napari_segdino.inference.predict import PlaneResult, iter_planes, label_dtype
from napari_segdino.inference.score import Reader, TileScorer, VectorStore
from napari_segdino.progress import Progress, Steps, drive
from napari_segdino.training.cluster import find_groups
from napari_segdino.training.fit import fit_basis, fit_probe
from napari_segdino.training.samples import Sample, take_sample

CLUSTERED_PLANES = 5
"""Planes of a volume that clusters are found on."""


class Segmenter:
    """A frozen encoder with a probe that learns from marks.

    Parameters
    ----------
    encoder : str
        A name that :func:`napari_segdino.encoders.encoder_names` lists,
        ``"timm:<model name>"``, or the path of a checkpoint file.
    head : {"mvr"}
        The head that is trained.
    device : {"auto", "cpu", "cuda", "mps"}
        Where the encoder computes.
    random_state : int
        The same seed gives the same mask.
    features : FeatureSettings
        How planes are shown to the encoder.
    cache : CacheSettings
        How many features are kept.

    Attributes
    ----------
    n_classes_ : int
        Classes with background.
    classes_ : numpy.ndarray, shape (K,)
        The labels ``0 .. K - 1``.
    probe_ : Probe
        The trained head.
    memory_ : dict of str to Sample
        What it learned from, tile by tile.

    Examples
    --------
    >>> from napari_segdino import Segmenter
    >>> segmenter = Segmenter(encoder="efficientnet_lite0")
    >>> segmenter.fit(image, marks).predict(image)  # doctest: +SKIP
    """

    def __init__(
        self,
        encoder: str = "dinov3_vits16",
        head: str = "mvr",
        device: str = "auto",
        random_state: int = 0,
        features: FeatureSettings = FeatureSettings(),  # noqa: B008
        cache: CacheSettings = CacheSettings(),  # noqa: B008
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.device = device
        self.random_state = random_state
        self.features = features
        self.cache = cache

    # -- scikit-learn's manners --------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters given to ``__init__``."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Raises
        ------
        InputError
            If there is no parameter of that name.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise InputError(
                    f"Segmenter has no parameter {name!r}: it has {', '.join(known)}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        params = ", ".join(f"{k}={v!r}" for k, v in self.get_params().items())
        return f"Segmenter({params})"

    @property
    def is_fitted(self) -> bool:
        """Whether a probe has been trained or loaded."""
        return hasattr(self, "probe_")

    # -- learning ----------------------------------------------------------

    def fit(
        self,
        images: Any,
        marks: Any,
        volume: bool | None = None,
        axes: str | None = None,
    ) -> Self:
        """Learn from marks, forgetting all that was learned before.

        Parameters
        ----------
        images : array or list of arrays
            (Y, X), (Y, X, C), (Z, Y, X) or (Z, Y, X, C); any number type.
        marks : array or list of arrays of int
            The images' spatial shapes: 0 not said, 1 background, 2.. classes.
        volume : bool, optional
            Whether there is a Z axis; None guesses where that is clear.
        axes : str, optional
            One letter per axis, such as ``"TZYX"``; decides over `volume`.

        Returns
        -------
        Segmenter
            Itself.

        Raises
        ------
        InputError
            If shapes do not fit, or fewer than two classes are marked.
        WeightsError
            If the encoder cannot be loaded.
        """
        return drive(self.iter_fit(images, marks, volume=volume, axes=axes))

    def partial_fit(
        self,
        images: Any,
        marks: Any,
        volume: bool | None = None,
        axes: str | None = None,
    ) -> Self:
        """Learn from more marks; earlier ones still count.

        Marks of a plane that was seen before replace its earlier marks. See
        :meth:`fit` for the parameters.
        """
        return drive(self.iter_partial_fit(images, marks, volume=volume, axes=axes))

    def iter_fit(
        self,
        images: Any,
        marks: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
    ) -> Steps[Self]:
        """Yield :class:`Progress` while doing what :meth:`fit` does."""
        return self._iter_learn({}, images, marks, volume, axes, None)

    def iter_partial_fit(
        self,
        images: Any,
        marks: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
        planes: Iterable[int] | None = None,
    ) -> Steps[Self]:
        """Yield :class:`Progress` while doing what :meth:`partial_fit` does.

        Parameters
        ----------
        planes : iterable of int, optional
            Only look at these planes' marks (flat indices over the leading
            axes); None looks at all.
        """
        memory = getattr(self, "memory_", {})
        return self._iter_learn(memory, images, marks, volume, axes, planes)

    def _iter_learn(
        self,
        memory: dict[str, Sample],
        images: Any,
        marks: Any,
        volume: bool | None,
        axes: str | None,
        planes: Iterable[int] | None,
    ) -> Steps[Self]:
        pairs = _pair_up(images, marks, volume, axes)
        extractor = yield from self._iter_extractor()
        memory = dict(memory)
        wanted = None if planes is None else list(planes)
        for image, image_marks in pairs:
            yield from self._iter_remember(
                memory, extractor, image, image_marks, wanted
            )
        samples = [s for s in memory.values() if len(s.codes)]
        if not samples:
            raise InputError("Nothing is marked: paint on the image first.")
        n_classes = max(int(s.codes.max()) for s in samples)
        yield Progress(0, 0, "Training")
        probe = fit_probe(samples, n_classes, self._basis_for(memory))
        self.memory_, self.probe_ = memory, probe
        self.n_classes_, self.classes_ = n_classes, np.arange(n_classes)
        return self

    def _basis_for(self, memory: dict[str, Sample]) -> Basis:
        """Fit the basis when there are tiles that the last one has not seen."""
        tiles = frozenset(memory)
        if getattr(self, "_basis_tiles", None) != tiles:
            self._basis = fit_basis(list(memory.values()))
            self._basis_tiles = tiles
        return self._basis

    def _iter_remember(
        self,
        memory: dict[str, Sample],
        extractor: Extractor,
        image: Planes,
        marks: Any,
        planes: list[int] | None,
    ) -> Steps[None]:
        """Take samples of the marked tiles of one image."""
        indices = range(len(image)) if planes is None else planes
        intensity = measure_intensity(image, self.features.percentiles)
        for done, index in enumerate(indices):
            yield Progress(done, len(indices), "Encoding marked planes")
            plane_marks = np.asarray(marks[image.index(index)])
            marked = bool(plane_marks.any())
            if not marked and not memory:
                continue
            plane = image.read(index)
            for tile in self._tiles(image):
                self._remember_tile(
                    memory, extractor, plane[tile.slices], plane_marks[tile.slices],
                    intensity,
                )
                yield Progress(done, len(indices), "Encoding marked planes")

    def _remember_tile(
        self,
        memory: dict[str, Sample],
        extractor: Extractor,
        tile: NDArray[Any],
        marks: NDArray[Any],
        intensity: Intensity,
    ) -> None:
        for view in views_of(self.features):
            key = extractor.key(tile, intensity, view)
            if marks.any():
                grid = extractor.grid(tile, intensity, view)
                memory[key] = take_sample(grid, marks, self.random_state)
            else:
                memory.pop(key, None)

    # -- predicting --------------------------------------------------------

    def predict(
        self, image: Any, volume: bool | None = None, axes: str | None = None
    ) -> NDArray[np.unsignedinteger]:
        """Predict labels.

        Parameters
        ----------
        image : array
            As for :meth:`fit`, with as many channels as it learned from.
        volume, axes : optional
            As for :meth:`fit`.

        Returns
        -------
        numpy.ndarray, spatial shape of the image, uint8 or uint16
            0 background, 1.. classes.

        Raises
        ------
        NotFittedError
            If nothing has been learned or loaded.
        InputError
            If the image cannot be used.
        """
        planes = as_planes(image, volume, axes)
        self._check_fitted()
        shape = (len(planes), *planes.plane_shape)
        labels = np.zeros(shape, label_dtype(self.n_classes_))

        def take(step: Any) -> None:
            if isinstance(step, PlaneResult):
                labels[step.index] = step.labels

        drive(self.iter_predict(image, volume=volume, axes=axes), take)
        return labels.reshape(planes.spatial_shape)

    def predict_proba(
        self, image: Any, volume: bool | None = None, axes: str | None = None
    ) -> NDArray[np.floating]:
        """Predict probabilities; see :meth:`predict` for the parameters.

        Returns
        -------
        numpy.ndarray, shape (K, *spatial), float32
            Background first; they sum to 1.
        """
        planes = as_planes(image, volume, axes)
        self._check_fitted()
        shape = (self.n_classes_, len(planes), *planes.plane_shape)
        probabilities = np.zeros(shape, np.float32)

        def take(step: Any) -> None:
            if isinstance(step, PlaneResult):
                probabilities[:, step.index] = step.probabilities

        drive(self.iter_predict(image, volume=volume, axes=axes), take)
        return probabilities.reshape(self.n_classes_, *planes.spatial_shape)

    def iter_predict(
        self,
        image: Any,
        *,
        volume: bool | None = None,
        axes: str | None = None,
        planes: Iterable[int] | None = None,
    ) -> Steps[None]:
        """Predict plane by plane.

        Parameters
        ----------
        image, volume, axes
            As for :meth:`predict`.
        planes : iterable of int, optional
            Planes in the order wanted; None is all.

        Yields
        ------
        Progress, PlaneResult
        """
        self._check_fitted()
        source = as_planes(image, volume, axes)
        extractor = yield from self._iter_extractor()
        yield from self._iter_score(source, extractor, self.probe_, planes, "Predicting")

    def iter_cluster(
        self,
        image: Any,
        *,
        n_classes: int = 2,
        volume: bool | None = None,
        axes: str | None = None,
        planes: Iterable[int] | None = None,
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

        Yields
        ------
        Progress, PlaneResult
        """
        source = as_planes(image, volume, axes)
        extractor = yield from self._iter_extractor()
        wanted = list(range(len(source)) if planes is None else planes)
        intensity = measure_intensity(source, self.features.percentiles)
        picks = np.unique(np.linspace(0, len(wanted) - 1, CLUSTERED_PLANES).astype(int))
        views = views_of(self.features)[0]
        samples, grids = [], []
        for done, pick in enumerate(picks):
            yield Progress(done, len(picks), "Looking at the image")
            plane = source.read(wanted[pick])
            for tile in self._tiles(source):
                grid = extractor.grid(plane[tile.slices], intensity, views)
                nothing = np.zeros(tile.shape, np.uint8)
                samples.append(take_sample(grid, nothing, self.random_state))
                grids.append(grid)
                yield Progress(done, len(picks), "Looking at the image")
        groups = find_groups(samples, grids, n_classes, self.random_state)
        yield from self._iter_score(source, extractor, groups, wanted, "Grouping")

    def _iter_score(
        self,
        source: Planes,
        extractor: Extractor,
        reader: Reader,
        planes: Iterable[int] | None,
        text: str,
    ) -> Steps[None]:
        intensity = measure_intensity(source, self.features.percentiles)
        memory = getattr(self, "memory_", {}) if isinstance(reader, Probe) else {}
        score = TileScorer(
            extractor,
            views_of(self.features),
            intensity,
            reader,
            self._vector_store(),
            {key: sample.marks.numpy() for key, sample in memory.items()},
        )
        indices = range(len(source)) if planes is None else planes
        return iter_planes(source.read, indices, score, self.features, text)

    def _vector_store(self) -> VectorStore:
        if not hasattr(self, "_vectors"):
            self._vectors = VectorStore()
        return self._vectors

    def _tiles(self, source: Planes) -> list[Tile]:
        return cut_tiles(source.plane_shape, self.features.tile, self.features.overlap)

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise NotFittedError(
                "The probe has not learned anything yet: fit it, or load one."
            )

    # -- encoder -----------------------------------------------------------

    def _iter_extractor(self) -> Steps[Extractor]:
        """Load the encoder once; load it anew when the parameters changed."""
        wanted = (self.encoder, self.device, self.head, self.cache)
        if getattr(self, "_loaded_for", None) != wanted:
            encoder: Encoder = yield from iter_load_encoder(self.encoder, self.device)
            self._check_encoder(encoder)
            store = FeatureCache(
                self.cache.ram_bytes,
                self.cache.disk_bytes,
                self.cache.folder or cache_folder(),
            )
            self._extractor = Extractor(encoder, levels_of(encoder.spec), store)
            self._loaded_for = wanted
        return self._extractor

    def _check_encoder(self, encoder: Encoder) -> None:
        trained_on = getattr(self, "encoder_key_", encoder.key)
        if trained_on != encoder.key:
            raise ModelFileError(
                f"This probe was trained on another encoder than {self.encoder}: "
                "choose that one, or start anew."
            )

    # -- files -------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the probe and what it learned from to one file.

        Parameters
        ----------
        path : path
            A ``.segdino`` file; an existing one is replaced, whole or not.

        Returns
        -------
        pathlib.Path

        Raises
        ------
        NotFittedError
            If nothing has been learned yet.
        ModelFileError
            If the file cannot be written.
        """
        self._check_fitted()
        tensors = {f"probe.{k}": v for k, v in self.probe_.tensors().items()}
        for i, sample in enumerate(self.memory_.values()):
            for field in dataclasses.fields(Sample):
                tensors[f"memory.{i}.{field.name}"] = getattr(sample, field.name)
        meta = {
            "encoder": self.encoder,
            "head": self.head,
            "random_state": self.random_state,
            "features": dataclasses.asdict(self.features),
            "n_classes": self.n_classes_,
            "memory": list(self.memory_),
            "encoder_key": self._extractor.encoder.key
            if hasattr(self, "_extractor")
            else self.encoder_key_,
        }
        return model_file.write_model(path, model_file.ModelFile(meta, tensors))

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """Read a probe file; goes on learning from what it knows.

        Parameters
        ----------
        path : path
            A file written by :meth:`save`.
        device : str
            Where the encoder computes from now on.

        Returns
        -------
        Segmenter

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, cut off or not a probe.
        """
        file = model_file.read_model(path)
        meta, tensors = file.meta, file.tensors
        features = {
            k: tuple(v) if isinstance(v, list) else v
            for k, v in meta["features"].items()
        }
        self = cls(
            meta["encoder"], meta["head"], device, meta["random_state"],
            FeatureSettings(**features),
        )
        self.n_classes_, self.classes_ = meta["n_classes"], np.arange(meta["n_classes"])
        self.probe_ = Probe.from_tensors(
            {
                name.removeprefix("probe."): tensor
                for name, tensor in tensors.items()
                if name.startswith("probe.")
            }
        )
        fields = [f.name for f in dataclasses.fields(Sample)]
        self.memory_ = {
            key: Sample(*(tensors[f"memory.{i}.{f}"] for f in fields))
            for i, key in enumerate(meta["memory"])
        }
        self._basis, self._basis_tiles = self.probe_.basis, frozenset(self.memory_)
        self.encoder_key_ = meta["encoder_key"]
        return self


def _pair_up(
    images: Any, marks: Any, volume: bool | None, axes: str | None
) -> list[tuple[Planes, Any]]:
    """Check images and marks, one array or lists of them."""
    if not isinstance(images, (list, tuple)):
        images, marks = [images], [marks]
    if not isinstance(marks, Sequence) or len(images) != len(marks):
        raise InputError(
            f"{len(images)} images need as many marks: one array of marks each."
        )
    planes = [as_planes(image, volume, axes) for image in images]
    return [(p, check_marks(m, p)) for p, m in zip(planes, marks, strict=True)]
