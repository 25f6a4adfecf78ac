"""What the dock asks for: one frozen group, made into a segmenter's parameters."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, TypeVar, get_type_hints

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.encoders import BUILTIN_ENCODER, DEFAULT_ENCODER, find_weights
from napari_segdino.encoders.table import get_spec
from napari_segdino.errors import unknown_name
from napari_segdino.heads.registry import DEFAULT_HEAD, make_head
from napari_segdino.schema import check_types

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the dock asks for.

    Parameters
    ----------
    encoder : str
        A name, or the path of a file.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    whole_volume : bool
        Draw every plane, not only the one that is shown.
    live : bool
        Retrain while the user paints.
    follow : bool
        Draw the slice that the user goes to with the present probe.
    head : str
        What is trained: one of :data:`napari_segdino.heads.registry.HEADS`.
    features : FeatureSettings, optional
        How planes are shown to the encoder; None is what the head is made for.
    predicting : PredictSettings
        How predictions are made of what the head says.
    recipe : str, optional
        How the head is trained: one of its recipes; None chooses by what is marked
        and by the device.
    """

    encoder: str = DEFAULT_ENCODER
    device: str = "auto"
    whole_volume: bool = False
    live: bool = False
    follow: bool = True
    head: str = DEFAULT_HEAD
    features: FeatureSettings | None = None
    predicting: PredictSettings = field(default_factory=PredictSettings)
    recipe: str | None = None

    @property
    def probe(self) -> tuple[object, ...]:
        """What a probe is bound to: with another one it has to learn anew."""
        return self.encoder, self.head, self.features, self.recipe

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a :class:`Segmenter` by name."""
        names = ("encoder", "device", "head", "features", "predicting", "recipe")
        return {name: getattr(self, name) for name in names}

    def taking(self, segmenter: Any) -> Self:
        """Return these settings with what a probe was trained with.

        Parameters
        ----------
        segmenter : Segmenter
            Fitted or not.
        """
        features, made = segmenter.features, made_for(segmenter.head, segmenter.recipe)
        return replace(
            self,
            encoder=segmenter.encoder,
            head=segmenter.head,
            # None where they are the head's own, so that another head may choose its
            # own.
            features=None if features == made else features,
            predicting=segmenter.predicting,
            recipe=segmenter.recipe,
        )

    def restored(self, saved: Mapping[str, Any]) -> Self:
        """Return these settings with what was saved of others.

        Parameters
        ----------
        saved : mapping
            Of :func:`dataclasses.asdict`, after JSON. What is not known is logged
            and left out, and so is the device, which belongs to the machine.

        Raises
        ------
        InputError
            If there is no such head or recipe, or a setting cannot be what it is.
        """
        values = _known(type(self), saved)
        values.pop("device", None)
        if values.get("features"):
            values["features"] = from_json(FeatureSettings, values["features"])
        if "predicting" in values:
            values["predicting"] = from_json(PredictSettings, values["predicting"])
        check_types(values, get_type_hints(type(self)))
        # Only to refuse heads and recipes that there are not.
        made_for(values.get("head", self.head), values.get("recipe", self.recipe))
        return replace(self, **values)


def from_json(group: type[T], saved: Mapping[str, Any]) -> T:
    """Make a group of settings of what JSON made of it; leave out what is unknown.

    Parameters
    ----------
    group : type
        A dataclass of settings.
    saved : mapping of str to object
        Of :func:`dataclasses.asdict`, after JSON.

    Returns
    -------
    object
        A `group`; what was not saved has its default.

    Raises
    ------
    TypeError
        If a value is of another type.
    """
    values = _known(group, saved)
    check_types(values, get_type_hints(group))
    return group(
        **{n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    )


def _known(group: type[Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a group of settings has, and log the names that it has not."""
    known = [f.name for f in fields(group)]
    for name in saved.keys() - set(known):
        _log.warning("%s It is left out.", unknown_name("setting", name, known))
    return {name: value for name, value in saved.items() if name in known}


def made_for(head: str, recipe: str | None = None) -> FeatureSettings:
    """Return how a head's tiles are shown unless the user says otherwise.

    Parameters
    ----------
    head : str
        Its name.
    recipe : str, optional
        One of its recipes.

    Raises
    ------
    InputError
        If there is no such head or recipe.
    """
    return make_head(head, recipe).default_features()


def first_encoder() -> str:
    """Return the default encoder, or the built-in one if it is not here."""
    here = find_weights(get_spec(DEFAULT_ENCODER)) is not None
    return DEFAULT_ENCODER if here else BUILTIN_ENCODER
