"""Options that are fields of the settings, and the settings made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from napari_segdino.cli.options import OneOf, all_of
from napari_segdino.config import (
    FUSIONS,
    INTENSITIES,
    SLICES,
    Z_UNITS,
    FeatureSettings,
    PredictSettings,
)
from napari_segdino.heads.registry import make_head

_SHOWN = FeatureSettings()
_PREDICTING = PredictSettings()

feature_options = all_of(
    click.option(
        "--intensity",
        type=OneOf(INTENSITIES),
        help="Which intensities are shown: the encoder's own choice, percentiles "
        f"of the image, or a window on CT.  [default: {_SHOWN.intensity}]",
    ),
    click.option(
        "--flips/--no-flips",
        default=None,
        help="See every image mirrored as well.  [default: as the head is made for]",
    ),
    click.option(
        "--tile",
        type=click.IntRange(min=32),
        help="Larger planes are cut into tiles of this many pixels.  "
        f"[default: {_SHOWN.tile}]",
    ),
    click.option(
        "--overlap",
        type=click.IntRange(min=0),
        help=f"Pixels that tiles share.  [default: {_SHOWN.overlap}]",
    ),
    click.option(
        "--slices",
        type=OneOf(SLICES, case_sensitive=False),
        help="Axes across which volumes are cut into planes; several are fused.  "
        f"[default: {_SHOWN.slices}]",
    ),
    click.option(
        "--neighbours",
        type=click.IntRange(0, 4),
        help="Planes before and behind each that it is seen with, as channels.  "
        f"[default: {_SHOWN.neighbours}]",
    ),
)

predict_options = all_of(
    click.option(
        "--fusion",
        type=OneOf(FUSIONS),
        default=_PREDICTING.fusion,
        show_default=True,
        help="How predictions of several views are joined.",
    ),
    click.option(
        "--regularise/--no-regularise",
        default=_PREDICTING.regularise,
        show_default=True,
        help="Let probabilities flow along the image up to its edges (probe).",
    ),
    click.option(
        "--z-sigma",
        type=click.FloatRange(min=0),
        default=_PREDICTING.z_sigma,
        show_default=True,
        help="Smooth volumes along z with a Gaussian of this width; 0 is off.",
    ),
    click.option(
        "--z-unit",
        type=OneOf(Z_UNITS),
        default=_PREDICTING.z_unit,
        show_default=True,
        help="What --z-sigma counts.",
    ),
)


def predict_settings(given: Mapping[str, Any]) -> PredictSettings:
    """Settings of predictions from options of the same names."""
    names = ("fusion", "regularise", "z_sigma", "z_unit")
    return PredictSettings(**{name: given[name] for name in names})


def feature_settings(
    given: Mapping[str, Any], head: str, recipe: str | None = None
) -> FeatureSettings | None:
    """Settings of the features from options of the same names.

    Parameters
    ----------
    given : mapping of str to object
        None is what the head is made for, or the recipe says.
    head : str
        The head.
    recipe : str, optional
        How it is trained.

    Returns
    -------
    FeatureSettings or None
        None where nothing was given.

    Raises
    ------
    click.UsageError
        If tiles would share more than half of themselves.
    """
    names = ("intensity", "flips", "tile", "overlap", "slices", "neighbours")
    chosen = {name: given[name] for name in names if given[name] is not None}
    if not chosen:
        return None
    settings = replace(make_head(head, recipe).default_features(), **chosen)
    if settings.overlap > settings.tile // 2:
        raise click.UsageError("--overlap is at most half of --tile.")
    return settings
