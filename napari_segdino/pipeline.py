"""What an estimator works with: a loaded encoder, a head, stored features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.encoders import iter_load_encoder
from napari_segdino.features.cache import FeatureCache, cache_folder
from napari_segdino.features.edges import measure_edges
from napari_segdino.features.extract import Extractor, views_of
from napari_segdino.features.intensity import find_intensity
from napari_segdino.heads.base import Head
from napari_segdino.heads.collect import iter_collect
from napari_segdino.heads.probe.stroke_parts import share_cuts
from napari_segdino.images.channels import GREY, join_channels
from napari_segdino.images.neighbours import cuts_of, marks_of
from napari_segdino.images.planes import Planes
from napari_segdino.images.reslice import Spacing, has_depth, slice_distance
from napari_segdino.inference.predict import iter_planes
from napari_segdino.inference.score import TileScorer
from napari_segdino.inference.smoothing import Smoothing, iter_smooth_wanted
from napari_segdino.inference.volume import iter_flow, iter_volume
from napari_segdino.progress import Steps


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
    unsupervised_channels : int
        Channels of the image that it was found on.
    """

    extractor: Extractor
    head: Head
    feature_settings: FeatureSettings
    predicting: PredictSettings
    seed: int
    unsupervised: Any = field(default=None, init=False)
    unsupervised_channels: int = field(default=GREY, init=False)

    def with_settings(
        self,
        head: Head | None,
        features: FeatureSettings | None,
        predicting: PredictSettings,
        seed: int,
    ) -> Pipeline:
        """Return one with other settings over the same encoder and cache.

        Parameters
        ----------
        head : Head, optional
            Takes the place of this one's; None leaves that.
        features : FeatureSettings, optional
            None is what the head is made for.
        predicting : PredictSettings
            How predictions are made.
        seed : int
            Of all that is done by chance.
        """
        # A shallow copy: encoder and cache are shared, so nothing is encoded anew.
        other = copy(self)
        if head is not None:
            other.head = head
            levels = head.levels(self.extractor.encoder.spec)
            other.extractor = replace(self.extractor, levels=levels)
        other.feature_settings = features or other.head.default_features()
        other.predicting, other.seed = predicting, seed
        # A mask found with other features cannot be learned from.
        if head is not None or other.feature_settings != self.feature_settings:
            other.unsupervised = None
        return other

    @property
    def along_z(self) -> Smoothing:
        """How volumes are smoothed along z."""
        return Smoothing(self.predicting.z_sigma, self.predicting.z_unit)

    def unsupervised_fits(self, channels: int | None) -> bool:
        """Whether the last unsupervised mask was of an image of such channels.

        Parameters
        ----------
        channels : int, optional
            Of the image; None where they are not known.
        """
        if self.unsupervised is None or channels is None:
            return False
        neighbours = self.feature_settings.neighbours
        return (
            join_channels(channels, self.unsupervised_channels, neighbours) is not None
        )

    def smooths(self, image: Planes) -> bool:
        """Whether an image is smoothed along z; a series over time never is.

        Parameters
        ----------
        image : Planes
            Nothing of it is read.
        """
        return self.predicting.z_sigma > 0 and has_depth(image)

    def iter_learn(
        self,
        samples: dict[str, Any],
        pairs: Iterable[tuple[Planes, Any]],
        planes: Sequence[Sequence[int] | None],
        spacings: Sequence[Spacing],
    ) -> Steps[None]:
        """Keep what is marked on some images, and planes of each, in `samples`.

        Parameters
        ----------
        samples : dict of str to object
            What is stored, by the key of the tile; changed in place.
        pairs : iterable of (Planes, array of int)
            Images and their marks.
        planes : sequence of (sequence of int, optional)
            Planes of each image to look at; None is all.
        spacings : sequence
            Of each image; see :func:`~napari_segdino.images.neighbours.cuts_of`.

        Yields
        ------
        Progress
        """
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
                    # Planes are counted across z; a stroke on one of them crosses all
                    # planes of the other cuts.
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
        """Predict planes.

        Smoothing along z reads the neighbours of the planes, so that each is as it
        is in the whole volume. Cuts across several axes are joined where the whole
        volume is asked for.

        Parameters
        ----------
        image : Planes
            As it lies.
        model, samples
            A trained head, and what it learned from.
        planes : iterable of int, optional
            Planes in the order wanted; None is all.
        text : str
            For the progress.
        spacing : float or tuple of float, optional
            Distance of slices in mm, or of voxels along z, y and x.
        centre : tuple of float, optional
            Pixel (y, x) whose neighbourhood is wanted first.

        Yields
        ------
        Progress, PartResult, PlaneResult
        """
        wanted = list(range(len(image)) if planes is None else planes)
        cuts = self._cuts(image, spacing)
        # For a few planes the other cuts would have to be predicted whole.
        if "Z" in cuts and len(set(wanted)) < len(image):
            cuts = {"Z": cuts["Z"]}
        trained = self.head, model, samples
        return self.iter_draw(image, cuts, *trained, wanted, text, spacing, centre)

    def iter_draw(
        self,
        image: Planes,
        cuts: Mapping[str, Planes],
        head: Head,
        model: Any,
        samples: Mapping[str, Any],
        wanted: list[int],
        text: str,
        spacing: Spacing = None,
        centre: tuple[float, float] | None = None,
    ) -> Steps[None]:
        """Predict planes from given cuts, with a head that need not be its own.

        Parameters
        ----------
        image, samples, text, spacing, centre
            See :meth:`iter_score`.
        cuts : mapping of str to Planes
            The image cut across some axes.
        head, model
            What predicts, and what it trained.
        wanted : list of int
            Planes of the image, in the order wanted.

        Yields
        ------
        Progress, PartResult, PlaneResult
        """
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
        # Any cut will do: intensities are measured on the image as it lies.
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
        """Whether marks are carried from slice to slice; never along time.

        Parameters
        ----------
        image : Planes
            Nothing of it is read.
        score : TileScorer
            Of a head.
        """
        return (
            self.predicting.regularise
            and has_depth(image)
            and score.head.regularised
            and not self.extractor.coarse
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
            # A cache of no bytes stores nothing and reads nothing.
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


def iter_make_pipeline(
    encoder: str,
    device: str,
    cache: CacheSettings,
    head: Head,
    features: FeatureSettings | None,
    predicting: PredictSettings,
    seed: int,
    precision: str = "auto",
) -> Steps[Pipeline]:
    """Load an encoder and join it with a head.

    Parameters
    ----------
    encoder, device : str
        See :func:`~napari_segdino.encoders.load_encoder`.
    cache : CacheSettings
        How many features are stored, and where.
    head : Head
        What is trained.
    features : FeatureSettings, optional
        None is what the head is made for.
    predicting, seed
        See :class:`Pipeline`.
    precision : str
        See :func:`~napari_segdino.encoders.load_encoder`.

    Yields
    ------
    Progress
        While the encoder is fetched and read.

    Returns
    -------
    Pipeline
    """
    loaded = yield from iter_load_encoder(encoder, device, precision)
    folder = cache.folder or cache_folder()
    numbers = loaded.precision
    store = FeatureCache(cache.ram_bytes, cache.disk_bytes, folder, numbers)
    extractor = Extractor(loaded, head.levels(loaded.spec), store)
    shown = features or head.default_features()
    return Pipeline(extractor, head, shown, predicting, seed)
