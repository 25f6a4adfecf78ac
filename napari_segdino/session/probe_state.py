"""What a probe is at one moment: shared with the segmenter, not copied."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_segdino.compressed import Compressed

if TYPE_CHECKING:
    from napari_segdino.segmenter import Segmenter

FITTED = (
    "model_",
    "samples_",
    "n_classes_",
    "classes_",
    "encoder_key_",
    "channels_",
)
"""Attributes of a segmenter that fitting sets."""

MADE_WITH = ("encoder", "head", "features", "recipe")
"""Parameters of a segmenter that the fitted attributes depend on."""

PARAMS = "params"
"""Where :func:`fitted_state` puts them."""

UNKNOWN = -1
"""Number of no probe: of the unsupervised first mask, and of one drawn in part."""

Checksums = dict[Hashable, dict[int, int]]
"""Checksums of marks by image and plane."""

Masks = dict[tuple[Hashable, int], Compressed]
"""Masks by image and plane."""


def fitted_state(segmenter: Segmenter) -> dict[str, Any]:
    """Return the fitted attributes of a segmenter, which a refit replaces.

    The parameters that they depend on go with them; empty before the first fit.

    Parameters
    ----------
    segmenter : Segmenter
        Fitted or not.

    Returns
    -------
    dict of str to object
        Shares models and samples with the segmenter.
    """
    fitted = _attributes(segmenter, FITTED)
    if fitted:
        fitted[PARAMS] = _attributes(segmenter, MADE_WITH)
    if "samples_" in fitted:
        fitted["samples_"] = dict(fitted["samples_"])
    return fitted


def _attributes(segmenter: Segmenter, names: Iterable[str]) -> dict[str, Any]:
    return {n: getattr(segmenter, n) for n in names if hasattr(segmenter, n)}


@dataclass(frozen=True, slots=True)
class ProbeState:
    """A state of the history: a probe, the marks it learned, the masks it drew.

    Parameters
    ----------
    fitted : mapping of str to object
        Of :func:`fitted_state`; empty before the first fit.
    image : hashable
        Where Retrain was pressed; None for a probe that was loaded or begun.
    checksums : dict
        ``Session.learned`` of that moment.
    masks : dict of (hashable, int) to Compressed
        What it drew, by image and plane.
    number : int
        Its name in the history; never used twice.
    sizes : dict of int to int
        Bytes of all that is fitted, by identity: states share most of it.
    """

    fitted: Mapping[str, Any]
    image: Hashable = None
    checksums: Checksums = field(default_factory=dict)
    masks: Masks = field(default_factory=dict)
    number: int = UNKNOWN
    sizes: dict[int, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        _measure(self.fitted, self.sizes)

    @property
    def nbytes(self) -> int:
        """Bytes of all that it holds, shared or not."""
        masks = sum(len(mask.data) for mask in self.masks.values())
        return sum(self.sizes.values()) + masks

    def same_as(self, fitted: Mapping[str, Any]) -> bool:
        """Whether a segmenter with these fitted attributes is in this state.

        Parameters
        ----------
        fitted : mapping of str to object
            Of :func:`fitted_state`.
        """
        mine = self.fitted
        # By identity: a fit makes a new model, and comparing gigabytes of samples would
        # take longer than the fit.
        if mine.get("model_") is not fitted.get("model_"):
            return False
        tiles, others = mine.get("samples_", {}), fitted.get("samples_", {})
        return tiles.keys() == others.keys() and all(
            tiles[key] is others[key] for key in tiles
        )

    def restore(self, segmenter: Segmenter) -> None:
        """Put a segmenter into this state.

        Parameters
        ----------
        segmenter : Segmenter
            Changed in place; it may load another encoder later.
        """
        if made_with := self.fitted.get(PARAMS):
            segmenter.set_params(**made_with)
        for name in FITTED:
            if name in self.fitted:
                value = self.fitted[name]
                setattr(segmenter, name, dict(value) if name == "samples_" else value)
            # Whether a segmenter is fitted is told by the attributes that are there.
            elif hasattr(segmenter, name):
                delattr(segmenter, name)


def bytes_of(states: Iterable[ProbeState]) -> int:
    """Return the bytes that states hold; what they share counts once.

    Parameters
    ----------
    states : iterable of ProbeState
        May share tensors and masks.
    """
    sizes: dict[int, int] = {}
    for state in states:
        sizes.update(state.sizes)
        sizes.update({id(mask): len(mask.data) for mask in state.masks.values()})
    return sum(sizes.values())


def _measure(thing: Any, sizes: dict[int, int]) -> None:
    """Add the bytes of all tensors and arrays in a thing, by their identity."""
    if hasattr(thing, "nbytes"):
        sizes[id(thing)] = int(thing.nbytes)
    elif isinstance(thing, Mapping):
        for value in thing.values():
            _measure(value, sizes)
    elif isinstance(thing, list | tuple):
        for value in thing:
            _measure(value, sizes)
    elif hasattr(thing, "state_dict"):
        # With keep_vars the tensors are the module's own; otherwise each call makes new
        # ones, which would be counted again in each state that shares them.
        _measure(thing.state_dict(keep_vars=True), sizes)
    elif hasattr(thing, "__dataclass_fields__"):
        _measure([getattr(thing, name) for name in thing.__dataclass_fields__], sizes)
