"""What an estimator works with: a loaded encoder, a head, stored features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.encoders import iter_load_encoder
from napari_segdino.errors import InputError
from napari_segdino.features.cache import FeatureCache, cache_folder
from napari_segdino.features.edges import measure_edges
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.intensity import find_intensity
from napari_segdino.heads.base import Head
from napari_segdino.heads.collect import iter_collect
from napari_segdino.heads.probe.samples import Sample
from napari_segdino.heads.probe.stroke_parts import share_cuts
from napari_segdino.heads.registry import make_head
from napari_segdino.images.channels import GREY, count_channels, join_channels
from napari_segdino.images.neighbours import cuts_of, marks_of
from napari_segdino.images.planes import Planes
from napari_segdino.images.reslice import Spacing, has_depth, slice_distance
from napari_segdino.inference.predict import iter_planes
from napari_segdino.inference.score import TileScorer
from napari_segdino.inference.smoothing import Smoothing, iter_smooth_wanted
from napari_segdino.inference.volume import iter_flow, iter_volume
from napari_segdino.progress import Steps

if TYPE_CHECKING:
    from napari_segdino.heads.probe.model import VectorModel


@dataclass
class Pipeline:
    """Joins a frozen encoder with a head.

    Parameters
    ----------
    extractor : Extractor
        Encodes tiles and keeps their features.
    head : Head
        What is trained.
    feature_settings : FeatureSettings
        Tiles and views.
    predicting : PredictSettings
        How predictions are made of what the head says.
    seed : int
        Seed of all that is done by chance.

    Attributes
    ----------
    unsupervised : object
        What the head keeps of the last mask found without labels.
    """

    extractor: Extractor
    head: Head
    feature_settings: FeatureSettings
    predicting: PredictSettings
    seed: int
    unsupervised: Any = field(default=None, init=False)
    _unsupervised_channels: int = field(default=GREY, init=False)
    _grouping: Head = field(default_factory=lambda: make_head("probe"), init=False)

    def with_settings(
        self,
        head: Head | None,
        features: FeatureSettings | None,
        predicting: PredictSettings,
        seed: int,
    ) -> Pipeline:
        """Return one with other settings over the same encoder and cache.

        Another head takes the place of this one's; None keeps it.
        """
        other = copy(self)
        if head is not None:
            other.head = head
            levels = head.levels(self.extractor.encoder.spec)
            other.extractor = replace(self.extractor, levels=levels)
        other.feature_settings = features or other.head.default_features()
        other.predicting, other.seed = predicting, seed
        if head is not None or other.feature_settings != self.feature_settings:
            other.unsupervised = None
        return other

    @property
    def along_z(self) -> Smoothing:
        """How volumes are smoothed along z."""
        return Smoothing(self.predicting.z_sigma, self.predicting.z_unit)

    def unsupervised_fits(self, channels: int | None) -> bool:
        """Whether the last unsupervised mask was of an image of such channels."""
        if self.unsupervised is None or channels is None:
            return False
        neighbours = self.feature_settings.neighbours
        return (
            join_channels(channels, self._unsupervised_channels, neighbours) is not None
        )

    def smooths(self, image: Planes) -> bool:
        """Whether an image is smoothed along z; a series over time never is."""
        return self.predicting.z_sigma > 0 and has_depth(image)

    def iter_learn(
        self,
        samples: dict[str, Any],
        pairs: Iterable[tuple[Planes, Any]],
        planes: Sequence[Sequence[int] | None],
        spacings: Sequence[Spacing],
    ) -> Steps[None]:
        """Keep what is marked on some images, and planes of each, in `samples`."""
        each = zip(pairs, planes, spacings, strict=True)
        for (image, marks), wanted, spacing in each:
            cuts = self._cuts(image, spacing)
            shares = share_cuts(image, cuts, marks)
            for (axis, cut), share in zip(cuts.items(), shares, strict=True):
                yield from iter_collect(
                    samples,
                    self.head,
                    self.extractor.seeing(cut),
                    cut,
                    marks_of(cut, marks),
                    wanted if axis == "Z" else None,
                    self.feature_settings,
                    self.seed,
                    share,
                )

    def _cuts(self, image: Planes, spacing: Spacing) -> dict[str, Planes]:
        return cuts_of(
            image,
            self.feature_settings.slices,
            self.feature_settings.neighbours,
            spacing,
        )

    def iter_score(
        self,
        image: Planes,
        model: Any,
        samples: Mapping[str, Any],
        planes: Iterable[int] | None,
        text: str,
        spacing: Spacing = None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Yield Progress and a PlaneResult for each plane.

        `spacing` is the distance of slices in mm, or all three of z, y and x.
        Smoothing along z reads the neighbours of the planes, so that each is as it
        is in the whole volume. Cuts across several axes are joined where the whole
        volume is asked for. `centre` is the pixel whose neighbourhood is wanted
        first.
        """
        wanted = list(range(len(image)) if planes is None else planes)
        cuts = self._cuts(image, spacing)
        if "Z" in cuts and len(set(wanted)) < len(image):
            cuts = {"Z": cuts["Z"]}
        how = self.head, model, samples, wanted, text
        yield from self._iter_smoothed(image, cuts, how, spacing, centre)

    def _iter_smoothed(
        self,
        image: Planes,
        cuts: Mapping[str, Planes],
        how: tuple[Head, Any, Mapping[str, Any], list[int], str],
        spacing: Spacing,
        centre: tuple[float, float] | None,
    ) -> Steps[None]:
        head, model, samples, wanted, text = how
        made = image, cuts, head, model, samples
        if not self.smooths(image):
            yield from self._iter_cuts(*made, wanted, text, spacing, centre)
            return
        yield from iter_smooth_wanted(
            lambda near: self._iter_cuts(*made, near, text, spacing, None),
            wanted,
            self.along_z,
            depth=image.lead_shape[-1],
            spacing=slice_distance(spacing),
        )

    def _iter_cuts(
        self,
        image: Planes,
        cuts: Mapping[str, Planes],
        head: Head,
        model: Any,
        samples: Mapping[str, Any],
        indices: Sequence[int],
        text: str,
        spacing: Spacing,
        centre: tuple[float, float] | None,
    ) -> Steps[None]:
        score = self.scorer(next(iter(cuts.values())), model, samples, head=head)
        settings, fusion = self.feature_settings, self.predicting.fusion
        alone = set(cuts) == {"Z"}

        def predict(
            score: TileScorer, planes: Sequence[int], centre: Any = None
        ) -> Steps[None]:
            if alone:
                return iter_planes(
                    cuts["Z"].read, planes, score, settings, text, centre
                )
            return iter_volume(image, cuts, score, settings, fusion, planes, text)

        if "Z" in cuts and self.flows(image, score):
            seen, first = cuts["Z"], centre if alone else None
            return iter_flow(
                predict, image, seen, score, settings, indices, spacing, first
            )
        return predict(score, indices, centre)

    def flows(self, image: Planes, score: TileScorer) -> bool:
        """Whether marks are carried from slice to slice; never along time."""
        return (
            self.predicting.regularise and has_depth(image) and score.head.regularised
        )

    def scorer(
        self,
        image: Planes,
        model: Any,
        samples: Mapping[str, Any],
        keep: bool = True,
        head: Head | None = None,
    ) -> TileScorer:
        """Return what gives the probabilities of an image's tiles.

        Parameters
        ----------
        image : Planes
            As the encoder sees it.
        model : object
            A trained head.
        samples : mapping of str to object
            What it learned from, tile by tile.
        keep : bool
            Whether what is encoded is kept.
        head : Head, optional
            What the model is of; None is the pipeline's own.
        """
        settings, extractor = self.feature_settings, self.extractor
        intensity = find_intensity(image, settings, extractor.encoder.spec)
        if not keep:
            extractor = replace(extractor, cache=FeatureCache(0))
        return TileScorer(
            extractor.seeing(image),
            views_of(settings),
            intensity,
            head or self.head,
            model,
            self.predicting,
            {key: kept.marks for key, kept in samples.items()},
            measure_edges(image, intensity, settings),
        )

    def iter_group(
        self,
        image: Planes,
        n_groups: int,
        planes: Iterable[int] | None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Yield Progress and a PlaneResult for each plane, nothing learned."""
        from napari_segdino.heads.probe.unsupervised import iter_find_groups

        wanted = list(range(len(image)) if planes is None else planes)
        cuts = cuts_of(image, "Z", self.feature_settings.neighbours)
        cut, extractor = cuts["Z"], self.extractor.seeing(cuts["Z"])
        groups, samples = yield from iter_find_groups(
            cut, wanted, extractor, self.feature_settings, n_groups, self.seed, centre
        )
        yield from self._iter_draw_groups(image, cuts, groups, samples, wanted, centre)

    def iter_from_clicks(
        self,
        image: Planes,
        marks: Any,
        planes: Iterable[int] | None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Yield Progress and a PlaneResult for each plane, drawn after a few marks."""
        from napari_segdino.heads.probe.clicks import EXTRA_CLUSTERS, give_groups
        from napari_segdino.heads.probe.unsupervised import iter_find_groups

        wanted = list(range(len(image)) if planes is None else planes)
        cuts = cuts_of(image, "Z", self.feature_settings.neighbours)
        marked = [p for p in range(len(image)) if np.any(marks[image.index(p)])]
        cut, extractor = cuts["Z"], self.extractor.seeing(cuts["Z"])
        clicked: dict[str, Any] = {}
        how = cut, marks, marked, self.feature_settings, self.seed
        yield from iter_collect(clicked, self._grouping, extractor, *how)
        codes = {int(c) for kept in clicked.values() for c in kept.codes}
        if not codes - {1}:
            raise InputError("No class is marked: click on an object of it first.")
        n_groups = len(codes - {1}) + EXTRA_CLUSTERS
        groups, samples = yield from iter_find_groups(
            cut,
            wanted,
            extractor,
            self.feature_settings,
            n_groups,
            self.seed,
            classes=False,
        )
        given = give_groups(groups, list(clicked.values()))
        yield from self._iter_draw_groups(image, cuts, given, samples, wanted, centre)

    def _iter_draw_groups(
        self,
        image: Planes,
        cuts: Mapping[str, Planes],
        groups: VectorModel,
        samples: Sequence[Sample],
        wanted: list[int],
        centre: tuple[float, float] | None,
    ) -> Steps[None]:
        """Draw groups, and keep a sample of what they say."""
        self.unsupervised = self.head.unsupervised_sample(groups, samples)
        self._unsupervised_channels = count_channels(image)
        nothing: dict[str, Any] = {}
        how = self._grouping, groups, nothing, wanted, "Grouping"
        yield from self._iter_smoothed(image, cuts, how, None, centre)


def iter_make_pipeline(
    encoder: str,
    device: str,
    cache: CacheSettings,
    head: Head,
    features: FeatureSettings | None,
    predicting: PredictSettings,
    seed: int,
) -> Steps[Pipeline]:
    """Load the encoder and yield Progress while it is fetched and read.

    Returns
    -------
    Pipeline
    """
    loaded = yield from iter_load_encoder(encoder, device)
    folder = cache.folder or cache_folder()
    store = FeatureCache(cache.ram_bytes, cache.disk_bytes, folder)
    extractor = Extractor(loaded, head.levels(loaded.spec), store)
    shown = features or head.default_features()
    return Pipeline(extractor, head, shown, predicting, seed)
