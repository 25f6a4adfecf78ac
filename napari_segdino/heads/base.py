"""What a head is: the one protocol that the rest of the program speaks to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from numpy.typing import NDArray

from napari_segdino.config import FeatureSettings
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.progress import Steps

if TYPE_CHECKING:
    import torch

    from napari_segdino.features.grid import FeatureGrid
    from napari_segdino.heads.probe.model import VectorModel
    from napari_segdino.heads.probe.samples import Parts, Sample

COPY = " copy "
"""Augmented copies of a tile have its key, this and a number."""

OTHER_CHANNELS = (
    "This image has another number of channels than those the model learned from."
)

ONE_CLASS = (
    "Only one class is marked: mark another one, or background (erasing marks "
    "background)."
)

Tensors = dict[str, "torch.Tensor"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a head is trained, and how it is shown images for that.

    Parameters
    ----------
    name : str
        Its name, with the options that were given: ``"segdino_v2:width=512"``.
    head : str
        The head it is for.
    sides : tuple of int
        Longer sides, in pixels, at which images are encoded; 0 is their own.
    flips : bool
        Whether each size is encoded mirrored as well.
    options : tuple of (str, object)
        What may follow the name: see :meth:`Head.option_names`.
    intensity, squash : str
        See :class:`~napari_segdino.config.FeatureSettings`.
    """

    name: str
    head: str
    sides: tuple[int, ...] = (256,)
    flips: bool = False
    # Pairs and not a dict: a recipe is frozen and can be hashed.
    options: tuple[tuple[str, Any], ...] = ()
    intensity: str = "auto"
    squash: Literal["", "bilinear", "bicubic"] = ""

    @property
    def head_options(self) -> Mapping[str, Any]:
        """The options by name."""
        return dict(self.options)

    @property
    def features(self) -> FeatureSettings:
        """How images are shown: each size by itself, each slice alone."""
        return FeatureSettings(
            self.sides,
            (1.0,),
            self.flips,
            intensity=self.intensity,
            neighbours=0,
            squash=self.squash,
        )


class Head(Protocol):
    """A kind of head; made by :func:`napari_segdino.heads.registry.make_head`.

    A *sample* is what a head keeps of a marked tile, a *model* what it trains.
    Only the head looks into them; others store them and hand them back. Both are
    on the CPU between calls.

    Parameters
    ----------
    recipe : Recipe, optional
        How it is trained; None leaves that to the head.
    """

    name: ClassVar[str]
    recipes: ClassVar[tuple[Recipe, ...]]

    one_class_is_enough: ClassVar[bool]
    """It learns from marks of one class alone: the rest is background."""
    keeps_levels: ClassVar[bool]
    """Its samples are whole levels of features, which take memory."""
    context_pixels: ClassVar[int]
    """Pixels of a tile, marked or not, whose features its samples hold besides."""
    learns_from_one_view: ClassVar[bool]
    """It learns from the first view of a tile; the others are only predicted."""
    sigma: float
    """Width of the Gaussian over what is fused, in pixels of a tile whose longer side
    is 512; 0 for heads whose predictions are not smoothed."""
    regularised: ClassVar[bool]
    """It predicts on the cells of a tile, and what it predicts is then spread along
    the edges of the image; else it predicts pixels, which stay as they are."""
    trains_in_epochs: ClassVar[bool]
    """It is trained epoch by epoch; a validation split chooses the best one."""

    def __init__(self, recipe: Recipe | None = None) -> None: ...

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Options that its recipes take."""

    def levels(self, spec: EncoderSpec) -> tuple[int, ...]:
        """Return which levels of an encoder are read.

        Parameters
        ----------
        spec : EncoderSpec
            Row of the encoder.

        Returns
        -------
        tuple of int
            Indices into ``spec.channels``.
        """

    def default_features(self) -> FeatureSettings:
        """How tiles are shown to the encoder unless the user says otherwise."""

    def copies(self, marks: NDArray[Any]) -> int:
        """Return how many augmented copies of a tile are sampled beside it.

        Parameters
        ----------
        marks : numpy.ndarray of int, shape (Y, X)
            Its marks.
        """

    def sample(
        self,
        grid: FeatureGrid,
        marks: NDArray[Any],
        seed: int,
        previous: Any = None,
        parts: Parts | None = None,
    ) -> Any:
        """Keep of a marked tile what is learned from.

        Parameters
        ----------
        grid : FeatureGrid
            Features of the tile.
        marks : numpy.ndarray of int, shape (Y, X)
            0 unlabelled, 1 background, 2.. classes.
        seed : int
            Seed of what is drawn.
        previous : sample, optional
            What was kept of the same tile so far.
        parts : Parts, optional
            How much of each stroke the marks of this tile are; None is all.

        Returns
        -------
        sample
            It has `marks`, a torch.Tensor of shape (Y, X).
        """

    def unsupervised_sample(
        self, groups: VectorModel, tiles: Sequence[Sample]
    ) -> Any | None:
        """Sample a mask that was found without labels.

        Parameters
        ----------
        groups : VectorModel
            What found it.
        tiles : sequence of Sample
            Tiles that it was found on.

        Returns
        -------
        sample or None
            None where such a mask cannot be learned from.
        """

    def iter_fit(
        self,
        samples: dict[str, Any],
        n_classes: int,
        seed: int,
        device: torch.device | str,
        previous: tuple[Any, Mapping[str, Any]] | None = None,
    ) -> Steps[Any]:
        """Train.

        Parameters
        ----------
        samples : dict of str to sample
            By the key of the tile; see :data:`COPY`. A sample of what is not marked
            may be added.
        n_classes : int
            Classes with background.
        seed : int
            The same seed gives the same model.
        device : torch.device or str
            Where it may train: that of the encoder.
        previous : tuple of model and samples, optional
            The model before, and what it was trained on.

        Yields
        ------
        Progress

        Returns
        -------
        model
            On the CPU.

        Raises
        ------
        InputError
            If too little is marked.
        """

    def predict(
        self,
        model: Any,
        grid: FeatureGrid,
        device: torch.device | str,
        reuse: bool = True,
    ) -> torch.Tensor:
        """Predict a tile.

        Parameters
        ----------
        model : model
            Trained.
        grid : FeatureGrid
            Features of the tile.
        device : torch.device or str
            Where it may compute.
        reuse : bool
            Whether the tile will be asked for again, so that what does not change
            from model to model is worth keeping.

        Returns
        -------
        torch.Tensor, shape (K, gy, gx) where `regularised`, else (K, Y, X)
            Probabilities, float32, on that device.

        Raises
        ------
        ChannelsError
            If the tile has other channels than those that were learned from.
        """

    def temperature(self, model: Any) -> float:
        """Return the temperature that calibrates the regularised probabilities.

        Parameters
        ----------
        model : model
            Trained.
        """

    def stroke_accuracy(
        self,
        model: Any,
        tile: str,
        sample: Any,
        strokes: Sequence[tuple[int, NDArray[Any]]],
    ) -> list[float]:
        """Share of each stroke of a sample that the model classifies as marked.

        Parameters
        ----------
        model : model
            Trained.
        tile : str
            Key of the sample.
        sample : sample
            Features of the strokes.
        strokes : sequence of (int, numpy.ndarray)
            Its strokes, as :func:`~napari_segdino.marks.strokes_of`
            gives them.
        """

    def to_tensors(
        self, model: Any, samples: Mapping[str, Any]
    ) -> tuple[Tensors, dict[str, Any]]:
        """Turn a model and its samples into what a file can hold.

        Parameters
        ----------
        model : model
            Trained.
        samples : mapping of str to sample
            What it was trained on.

        Returns
        -------
        tensors : dict of str to torch.Tensor
        meta : dict
            As JSON can hold it.
        """

    def from_tensors(
        self, tensors: Tensors, meta: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """Undo :meth:`to_tensors`.

        Parameters
        ----------
        tensors : dict of str to torch.Tensor
            As read from a file: nothing about them is certain.
        meta : dict
            As read from its header.

        Returns
        -------
        model : model
        samples : dict of str to sample

        Raises
        ------
        LookupError, TypeError, ValueError, RuntimeError
            If something is missing or does not fit. Whoever reads the file turns them
            into one sentence.
        """
