"""Fixtures of the whole suite: a segmenter without a network, and quiet settings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import qtpy
from hypothesis import settings

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.errors import (
    ChannelsError,
    InputError,
    ModelFileError,
    WeightsError,
)
from napari_segdino.images.boxes import read_boxes
from napari_segdino.images.planes import Planes, as_planes
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.io import Provenance
from napari_segdino.progress import Progress, Steps

# What QT_API chooses, or the first that is there: pytest-qt looks in another order.
os.environ.setdefault("PYTEST_QT_API", qtpy.API)

# Two cores are shared by many: how long an example takes says nothing.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture(autouse=True, scope="session")
def _no_bfloat16() -> Iterator[None]:
    """Compute the same on every CPU; encoders that a module shares, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_segdino.encoders.device._has_bfloat16", lambda: False)
        yield


class FakeSegmenter:
    """Answers like Segmenter: the class whose marked pixels look most alike.

    Attributes
    ----------
    calls : list of tuple
        What was asked for: name and planes.
    before_plane : callable
        Called in the worker before each plane is predicted.
    failure : Exception or None
        Raised when something is asked for.
    """

    def __init__(
        self,
        encoder: str = "fake",
        device: str = "auto",
        head: str = "probe",
        features: FeatureSettings | None = None,
        predicting: PredictSettings = PredictSettings(),  # noqa: B008
        recipe: str | None = None,
    ) -> None:
        self.encoder, self.device, self.head = encoder, device, head
        self.features, self.predicting, self.recipe = features, predicting, recipe
        self.samples: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        self.calls: list[tuple[str, list[int]]] = []
        self.before_plane: Callable[[], None] = lambda: None
        self.failure: Exception | None = None
        self.has_unsupervised = False
        self.class_info_: list[dict[str, Any]] | None = None

    @property
    def is_fitted(self) -> bool:
        return self.means is not None

    @property
    def means(self) -> np.ndarray | None:
        return getattr(self, "model_", None)

    @means.setter
    def means(self, means: np.ndarray) -> None:
        self.model_, self.n_classes_ = means, len(means)

    def set_params(self, **params: Any) -> Self:
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def unfitted(self, **params: Any) -> Self:
        return type(self)(**params)

    def check_channels(self, images: Sequence[Planes], anew: bool = False) -> int:
        """As Segmenter: grey and RGB share a probe."""
        have = {image.array.shape[-1] if "C" in image.axes else 1 for image in images}
        known = set()
        if self.is_fitted and not anew:
            known = {getattr(self, "channels_", 3)}
        kinds = {3 if n in (1, 4) else n for n in have | known}
        if len(kinds) > 1:
            raise ChannelsError(f"This image has {have}, the probe knows {known}.")
        return kinds.pop()

    def iter_pipeline(self) -> Steps[None]:
        """Load the encoder; one that is called "missing" cannot be had."""
        yield Progress(0, 1, "Loading")
        if self.encoder == "missing":
            raise WeightsError("missing cannot be fetched: there is no network.")

    def iter_partial_fit(
        self,
        image: Any,
        marks: Any,
        *,
        axes: str | None = None,
        planes: Iterable[int] | None = None,
        spacing: tuple[float, ...] | None = None,
    ) -> Steps[Self]:
        self.spacing = spacing
        source = as_planes(image, axes=axes)
        wanted = list(range(len(source)) if planes is None else planes)
        channels = self.check_channels([source])
        self.calls.append(("partial_fit", wanted))
        for plane in wanted:
            yield Progress(0, 1, "Training")
            self._check()
            pixels = source.read(plane).mean(-1)
            marked = np.asarray(marks[source.index(plane)])
            where = marked > 0
            self.samples[pixels.tobytes()] = pixels[where], marked[where]
        values = np.concatenate([v for v, _ in self.samples.values()])
        codes = np.concatenate([c for _, c in self.samples.values()])
        if not codes.size:
            raise InputError("Nothing is marked: paint on the image first.")
        if set(codes) == {1}:
            raise InputError("Only one class is marked.")
        self.means = np.array(
            [
                values[codes == c].mean() if (codes == c).any() else np.inf
                for c in range(1, codes.max() + 1)
            ]
        )
        self.channels_ = channels
        return self

    def iter_draft(self, image: Any, marks: Any, **kwargs: Any) -> Steps[None]:
        """Nothing: it takes no time to encode."""
        yield from ()

    def iter_predict(self, image: Any, **kwargs: Any) -> Steps[None]:
        assert self.means is not None
        self.check_channels([as_planes(image, axes=kwargs.get("axes"))])
        return self._draw("predict", self.means, image, **kwargs)

    def iter_cluster(
        self, image: Any, *, n_classes: int = 2, **kwargs: Any
    ) -> Steps[None]:
        means = np.linspace(0, 200, n_classes)
        return self._draw("cluster", means, image, **kwargs)

    def iter_from_clicks(self, image: Any, marks: Any, **kwargs: Any) -> Steps[None]:
        """Class 1 is what is as bright as its marks, or brighter."""
        source = as_planes(image, axes=kwargs.get("axes"))
        pixels = np.concatenate(
            [
                source.read(plane).mean(-1)[np.asarray(marks[source.index(plane)]) == 2]
                for plane in range(len(source))
            ]
        )
        self.has_unsupervised = True
        means = np.array([pixels.mean() - 60, pixels.mean()])
        return self._draw("from_clicks", means, image, **kwargs)

    def iter_adopt_mask(
        self, image: Any, mask: Any, *, axes: str | None = None
    ) -> Steps[None]:
        """Each class is as bright as what the mask has of it."""
        source = as_planes(image, axes=axes)
        self.calls.append(("adopt", []))
        yield Progress(0, 1, "Learning from the mask")
        pixels = np.stack([source.read(p).mean(-1) for p in range(len(source))])
        flat = np.asarray(mask).reshape(pixels.shape)
        self.means = np.array([pixels[flat == c].mean() for c in np.unique(flat)])

    def iter_start(
        self,
        image: Any,
        boxes: Sequence[tuple[float, ...]],
        *,
        labels: Sequence[int],
        planes: Sequence[int],
        marks: Any,
        axes: str | None = None,
    ) -> Steps[None]:
        """The class is as bright as what a box holds, all else as what it leaves out.

        As Segmenter it draws the whole plane.
        """
        source = as_planes(image, axes=axes)
        (box,) = read_boxes(boxes, labels, planes, source.plane_shape, len(source))
        pixels = source.read(box.plane).mean(-1)
        inside = np.zeros(pixels.shape, bool)
        inside[box.slices()] = True
        self.means = np.array([np.median(pixels[~inside]), pixels[inside].max()])
        return self._draw("box", self.means, image, axes=axes, planes=planes)

    def _draw(
        self,
        name: str,
        means: np.ndarray,
        image: Any,
        axes: str | None = None,
        planes: Iterable[int] | None = None,
        centre: tuple[float, float] | None = None,
        spacing: tuple[float, ...] | None = None,
    ) -> Steps[None]:
        self.centre, self.spacing = centre, spacing
        source = as_planes(image, axes=axes)
        wanted = list(range(len(source)) if planes is None else planes)
        self.calls.append((name, wanted))
        for done, plane in enumerate(wanted):
            yield Progress(done, len(wanted), "Predicting")
            self.before_plane()
            self._check()
            far = np.abs(source.read(plane).mean(-1)[..., None] - means)
            labels = far.argmin(-1).astype(np.uint8)
            sure = np.eye(len(means), dtype=np.float32)[labels]
            yield PlaneResult(plane, labels, np.moveaxis(sure, -1, 0))

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def provenance(self) -> Provenance:
        return Provenance(encoder=self.encoder, model=self.head, digest="0")

    def save(self, path: str | Path) -> Path:
        self._check()
        assert self.means is not None
        Path(path).write_text(json.dumps(self.means.tolist()), encoding="utf-8")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        try:
            means = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelFileError(f"{path} is damaged.") from error
        loaded = cls("fake", device)
        loaded.means = np.array(means)
        return loaded


@pytest.fixture
def fake_segmenter() -> type[FakeSegmenter]:
    """The class of a segmenter that needs no encoder."""
    return FakeSegmenter
