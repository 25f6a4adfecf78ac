"""What an estimator is made of, how it learns, and how that is saved."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.errors import (
    DAMAGE,
    InputError,
    ModelFileError,
    NotFittedError,
    unknown_name,
)
from napari_segdino.heads.probe.samples import UNSUPERVISED
from napari_segdino.heads.registry import DEFAULT_HEAD, make_head
from napari_segdino.images.channels import check_channels
from napari_segdino.images.planes import (
    Planes,
    pair_up,
    planes_of_each,
    spacing_of_each,
)
from napari_segdino.images.reslice import Spacing
from napari_segdino.io.provenance import Provenance
from napari_segdino.pipeline import Pipeline, iter_make_pipeline
from napari_segdino.probe_file import (
    DAMAGED,
    FittedState,
    ModelFile,
    from_model_file,
    provenance_of,
    read_model,
    to_model_file,
    write_model,
)
from napari_segdino.progress import Steps

_log = logging.getLogger(__name__)

LOADED_FOR = ("encoder", "device", "cache", "precision")
"""Parameters that the loaded encoder and its cache hang on."""

HEAD = ("head", "recipe")

Spacings = Spacing | list[Spacing]
"""Of one image, of all, or a list with one each."""


class Params:
    """As in scikit-learn: what ``__init__`` is given, stored under the same names."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters given to ``__init__``.

        Parameters
        ----------
        deep : bool
            Read by scikit-learn alone: no parameter is an estimator.

        Returns
        -------
        dict of str to object
        """
        # As scikit-learn does: clone and set_params then work without a list of names.
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
                kind = f"parameter of {type(self).__name__}"
                raise InputError(unknown_name(kind, name, known))
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks before it clones, validates or searches."""
        from sklearn.utils import Tags, TargetTags  # type: ignore[import-untyped]

        return Tags(estimator_type=None, target_tags=TargetTags(required=True))

    def __repr__(self) -> str:
        params = ", ".join(f"{k}={v!r}" for k, v in self.get_params().items())
        return f"{type(self).__name__}({params})"


class Estimator(Params):
    """Parameters, a loaded encoder, a trained head, and a file of it.

    See :class:`~napari_segdino.segmenter.Segmenter` for the parameters.
    """

    model_: Any
    samples_: dict[str, Any]
    n_classes_: int
    classes_: NDArray[np.int_]
    encoder_key_: str
    channels_: int | None
    _pipeline: Pipeline
    _pipeline_for: dict[str, Any]

    def __init__(
        self,
        encoder: str = "dinov3_vits16",
        head: str = DEFAULT_HEAD,
        device: str = "auto",
        random_state: int = 0,
        features: FeatureSettings | None = None,
        predicting: PredictSettings = PredictSettings(),  # noqa: B008
        recipe: str | None = None,
        cache: CacheSettings = CacheSettings(),  # noqa: B008
        precision: str = "auto",
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.device = device
        self.random_state = random_state
        self.features = features
        self.predicting = predicting
        self.recipe = recipe
        self.cache = cache
        self.precision = precision
        self.class_info_: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the loaded encoder and its cache, which are made anew."""
        made = "_pipeline", "_pipeline_for"
        return {k: v for k, v in vars(self).items() if k not in made}

    def __copy__(self) -> Self:
        """Share the loaded encoder: a shallow copy costs nothing."""
        # copy.copy would go by __getstate__, as pickle does.
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        return other

    @property
    def is_fitted(self) -> bool:
        """Whether a probe has been trained or loaded."""
        return hasattr(self, "model_")

    @property
    def feature_settings(self) -> FeatureSettings:
        """How planes are shown to the encoder: as asked for, or as the head is made."""
        return self.features or make_head(self.head, self.recipe).default_features()

    def check_fitted(self) -> None:
        """Raise NotFittedError where nothing has been learned or loaded."""
        if not self.is_fitted:
            raise NotFittedError(
                "The probe has not learned anything yet: fit it, or load one."
            )

    def iter_pipeline(self) -> Steps[Pipeline]:
        """Load the encoder once; load it anew when it or where it computes changes.

        Yields
        ------
        Progress

        Returns
        -------
        Pipeline
            What this works with, for those who go tile by tile themselves.

        Raises
        ------
        WeightsError
            If the encoder cannot be loaded.
        ModelFileError
            If the probe was trained on another encoder.
        """
        wanted, known = self.get_params(), getattr(self, "_pipeline_for", None)
        if known == wanted:
            return self._pipeline

        def same(names: Sequence[str]) -> bool:
            return known is not None and all(known[n] == wanted[n] for n in names)

        head = None if same(HEAD) else make_head(self.head, self.recipe)
        settings = self.features, self.predicting, self.random_state
        if same(LOADED_FOR):
            self._pipeline = self._pipeline.with_settings(head, *settings)
        else:
            pipeline = yield from iter_make_pipeline(
                self.encoder,
                self.device,
                self.cache,
                head or make_head(self.head, self.recipe),
                *settings,
                self.precision,
            )
            key = pipeline.extractor.encoder.key
            if getattr(self, "encoder_key_", key) != key:
                raise ModelFileError(
                    "This model was trained on another encoder than "
                    f"{self.encoder}: choose that one, or start anew."
                )
            self._pipeline = pipeline
        self._pipeline_for = wanted
        return self._pipeline

    def unfitted(self, **params: Any) -> Self:
        """Return one with other parameters that has learned nothing.

        It shares the loaded encoder where the parameters allow it, which
        ``sklearn.base.clone`` does not.

        Parameters
        ----------
        **params
            Those that shall be others.
        """
        other = type(self)(**(self.get_params() | params))
        if hasattr(self, "_pipeline_for"):
            other._pipeline = self._pipeline.with_settings(
                make_head(other.head, other.recipe),
                other.features,
                other.predicting,
                other.random_state,
            )
            loaded = {name: self._pipeline_for[name] for name in LOADED_FOR}
            # Compared with the parameters of what is loaded: iter_pipeline then loads
            # anew if they were changed.
            other._pipeline_for = other.get_params() | loaded
        return other

    def check_channels(
        self, images: Sequence[Planes], anew: bool = False
    ) -> int | None:
        """Return the channels of the probe once it has learned from some images.

        Parameters
        ----------
        images : sequence of Planes
            What to learn from, or to predict; nothing of them is read.
        anew : bool
            Whether what it learned so far is forgotten.

        Raises
        ------
        ChannelsError
            If they cannot share the probe; grey, grey with alpha, RGB and RGBA can.
        """
        known = self.channels_ if self.is_fitted and not anew else None
        return check_channels(images, known, self.feature_settings.neighbours)

    def _iter_learn(
        self,
        samples: dict[str, Any],
        images: Any,
        marks: Any,
        volume: bool | None,
        axes: str | None,
        planes: Iterable[Any] | None,
        spacing: Spacings,
    ) -> Steps[Self]:
        # Shapes and channels are checked before an encoder is loaded, which may take
        # minutes.
        pairs = pair_up(images, marks, volume, axes)
        channels = self.check_channels([p for p, _ in pairs], anew=not samples)
        pipeline = yield from self.iter_pipeline()
        # Changed on a copy: a fit that fails or is cancelled leaves what was learned as
        # it was.
        samples = dict(samples)
        if not self.is_fitted and not pipeline.unsupervised_fits(channels):
            samples.pop(UNSUPERVISED, None)
        wanted = planes_of_each(planes, images, pairs)
        spacings = spacing_of_each(spacing, images, pairs)
        yield from pipeline.iter_learn(samples, pairs, wanted, spacings)
        if not set(samples) - {UNSUPERVISED}:
            raise InputError("Nothing is marked: paint on the image first.")
        yield from self._iter_train(pipeline, samples, channels)
        return self

    def _iter_train(
        self, pipeline: Pipeline, samples: dict[str, Any], channels: int | None
    ) -> Steps[None]:
        """Train the head on samples, and keep what came of it."""
        n_classes = max(int(kept.marks.max()) for kept in samples.values())
        last = (self.model_, self.samples_) if self.is_fitted else None
        device = pipeline.extractor.encoder.device
        model = yield from pipeline.head.iter_fit(
            samples, n_classes, self.random_state, device, last
        )
        self.samples_, self.model_ = samples, model
        self.n_classes_, self.classes_ = n_classes, np.arange(n_classes)
        self.encoder_key_ = pipeline.extractor.encoder.key
        self.channels_ = channels

    @property
    def has_unsupervised(self) -> bool:
        """Whether a mask found without labels stands in for missing strokes."""
        pipeline = getattr(self, "_pipeline", None)
        return pipeline is not None and pipeline.unsupervised is not None

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
        return write_model(path, self._content())

    def _content(self) -> ModelFile:
        self.check_fitted()
        fitted = FittedState(
            self.model_,
            self.samples_,
            self.n_classes_,
            self.encoder_key_,
            self.class_info_,
            self.channels_,
        )
        return to_model_file(self.get_params(), fitted)

    def provenance(self) -> Provenance:
        """Return what masks of this probe are made with, for those who write them.

        Raises
        ------
        NotFittedError
            If nothing has been learned yet.
        """
        return provenance_of(self._content())

    @classmethod
    def load(
        cls, path: str | Path, device: str = "auto", precision: str = "auto"
    ) -> Self:
        """Read a probe file; goes on learning from what it knows.

        Parameters
        ----------
        path : path
            A file written by :meth:`save`, or a checkpoint of SegDINO's own code with
            backbone and head, which becomes encoder and head.
        device, precision : str
            Where the encoder computes from now on, and in which numbers.

        Returns
        -------
        Segmenter

        Raises
        ------
        ModelFileError
            If the file is missing, damaged, cut off or not a probe.
        """
        file = read_model(path)
        try:
            params, fitted = from_model_file(file)
            # Both are this machine's affair and no part of a file.
            self = cls(**params, device=device, precision=precision)
        except DAMAGE as error:
            _log.error("Reading %s failed", path, exc_info=True)
            raise ModelFileError(DAMAGED.format(path)) from error
        self.model_, self.samples_ = fitted.model, fitted.samples
        self.n_classes_ = fitted.n_classes
        self.classes_ = np.arange(fitted.n_classes)
        self.encoder_key_ = fitted.encoder_key
        self.class_info_ = fitted.class_info
        self.channels_ = fitted.channels
        return self
