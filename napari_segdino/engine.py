"""What an estimator works with: a loaded encoder, a learner, kept features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_segdino.arrays import Planes
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.encoders import iter_load_encoder
from napari_segdino.features.cache import FeatureCache, cache_folder
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.intensity import find_intensity
from napari_segdino.inference.predict import PlaneResult, iter_planes
from napari_segdino.inference.score import TileScorer, VectorStore, make_reader
from napari_segdino.inference.smoothing import (
    Smoothing,
    iter_smooth,
    kernel,
    neighbourhood,
)
from napari_segdino.progress import Steps
from napari_segdino.training.cluster import iter_find_groups
from napari_segdino.training.learners import Learner
from napari_segdino.training.remember import iter_remember


@dataclass
class Engine:
    """Joins a frozen encoder with a learner.

    Parameters
    ----------
    extractor : Extractor
        Encodes tiles and keeps their features.
    learner : Learner
        Knows what to keep of marked tiles and how to train on it.
    shown : FeatureSettings
        Tiles and views.
    predicting : PredictSettings
        How predictions are made of what the head says.
    seed : int
        Seed of all that is done by chance.

    Attributes
    ----------
    guess : object
        What the learner keeps of the last mask found without labels.
    """

    extractor: Extractor
    learner: Learner
    shown: FeatureSettings
    predicting: PredictSettings
    seed: int
    guess: Any = field(default=None, init=False)
    _vectors: VectorStore = field(default_factory=VectorStore, init=False)

    def iter_learn(
        self,
        memory: dict[str, Any],
        pairs: Iterable[tuple[Planes, Any]],
        planes: Sequence[Sequence[int] | None],
    ) -> Steps[None]:
        """Keep what is marked on some images, and planes of each, in `memory`."""
        for (image, marks), wanted in zip(pairs, planes, strict=True):
            yield from iter_remember(
                memory,
                self.learner,
                self.extractor,
                image,
                marks,
                wanted,
                self.shown,
                self.seed,
            )

    def iter_score(
        self,
        image: Planes,
        model: Any,
        memory: Mapping[str, Any],
        planes: Iterable[int] | None,
        text: str,
        spacing: float | None = None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Yield Progress and a PlaneResult for each plane.

        `spacing` is the distance of slices in mm. Smoothing along z reads the
        neighbours of the planes, so that each is as it is in the whole volume.
        `centre` is the pixel whose neighbourhood is wanted first.
        """
        score = TileScorer(
            self.extractor,
            views_of(self.shown),
            find_intensity(image, self.shown, self.extractor.encoder.spec),
            make_reader(model, self._vectors),
            self.predicting,
            {key: kept.marks for key, kept in memory.items()},
        )
        wanted = list(range(len(image)) if planes is None else planes)
        asked = self.predicting
        if asked.z_sigma <= 0 or not image.spatial_axes[:-2].endswith("Z"):
            # A time series stays as it is.
            steps = iter_planes(image.read, wanted, score, self.shown, text, centre)
            yield from steps
            return
        how = Smoothing(0.0, 0, asked.z_sigma, asked.z_unit)
        depth = image.lead_shape[-1]
        reach = len(kernel(how.sigma_in_slices(spacing))) // 2
        near = neighbourhood(wanted, depth, reach)
        steps = iter_planes(image.read, near, score, self.shown, text)
        for step in iter_smooth(steps, how, depth=depth, spacing=spacing):
            if not isinstance(step, PlaneResult) or step.index in wanted:
                yield step

    def iter_group(
        self,
        image: Planes,
        n_groups: int,
        planes: Iterable[int] | None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Yield Progress and a PlaneResult for each plane, nothing learned."""
        wanted = list(range(len(image)) if planes is None else planes)
        groups, samples = yield from iter_find_groups(
            image, wanted, self.extractor, self.shown, n_groups, self.seed
        )
        self.guess = self.learner.guess(groups, samples)
        yield from self.iter_score(image, groups, {}, wanted, "Grouping", centre=centre)


def iter_make_engine(
    encoder: str,
    device: str,
    cache: CacheSettings,
    learner: Learner,
    features: FeatureSettings | None,
    predicting: PredictSettings,
    seed: int,
) -> Steps[Engine]:
    """Load the encoder and yield Progress while it is fetched and read."""
    loaded = yield from iter_load_encoder(encoder, device)
    folder = cache.folder or cache_folder()
    store = FeatureCache(cache.ram_bytes, cache.disk_bytes, folder)
    extractor = Extractor(loaded, learner.levels_of(loaded.spec), store)
    return Engine(extractor, learner, features or learner.features(), predicting, seed)
