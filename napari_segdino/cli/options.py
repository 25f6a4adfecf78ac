"""Options that several commands share; their defaults are the settings' own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import click

from napari_segdino.cli.parsing import OneOf
from napari_segdino.cli.terminal import log_to_stderr
from napari_segdino.config import (
    FUSIONS,
    GIB,
    INTENSITIES,
    SLICES,
    SQUASHES,
    Z_UNITS,
    CacheSettings,
    FeatureSettings,
    Precision,
    PredictSettings,
)
from napari_segdino.heads.registry import make_head

Command = Callable[..., Any]

EXISTING = click.Path(exists=True, path_type=Path)
ANY_PATH = click.Path(path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = get_args(Precision)


def _all_of(*options: Command) -> Command:
    """Join options, in the order in which help shows them."""

    def add(command: Command) -> Command:
        # As decorators, of which the last is applied first.
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _verbose(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Heed -v wherever it stands, and not the one that was left out."""
    if value or ctx.parent is None:
        log_to_stderr(value)


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_verbose,
    help="Show details on standard error.",
)

device_option = click.option(
    "--device",
    type=OneOf(DEVICES),
    default="auto",
    show_default=True,
    help="Where the encoder computes.",
)

precision_option = click.option(
    "--precision",
    type=OneOf(PRECISIONS),
    default="auto",
    show_default=True,
    help="Numbers in which the encoder computes; auto takes bfloat16 where that is "
    "faster and masks stay the same.",
)

encoder_option = click.option(
    "--encoder",
    metavar="NAME",
    help="A name that `encoders` lists, timm:NAME or a checkpoint file.  "
    "[default: dinov3_vits16 if its weights are here, else efficientnet_lite0]",
)

seed_option = click.option(
    "--seed", default=0, show_default=True, help="Same seed, same mask."
)

cache_options = _all_of(
    click.option(
        "--memory-gb",
        type=click.FloatRange(min=0.1),
        default=CacheSettings().ram_bytes / GIB,
        show_default=True,
        help="Features kept in memory.",
    ),
    click.option(
        "--disk-gb",
        type=click.FloatRange(min=0),
        default=CacheSettings().disk_bytes / GIB,
        show_default=True,
        help="Features kept in your cache folder.",
    ),
)

binary_option = click.option(
    "--binary/--classes",
    default=None,
    help="Merge all labels above 0 into one, or take every label as a class; "
    "by default instance numbers are merged and classes are not.",
)

layout_options = _all_of(
    binary_option,
    click.option(
        "--group-regex",
        metavar="REGEX",
        help="What of a case's name says whose it is, such as '^(patient\\d+)': "
        "one person's cases are never on both sides of a split.",
    ),
    click.option("--only", metavar="REGEX", help="Cases whose name this fits alone."),
    click.option(
        "--channel",
        metavar="NAME",
        help="One of several channels in files of their own, such as flair.",
    ),
)


repeat_options = _all_of(
    click.option(
        "--repeats",
        type=click.IntRange(min=1),
        default=5,
        show_default=True,
        help="How often the cases are drawn.",
    ),
    click.option(
        "--test",
        type=click.IntRange(min=1),
        help="Cases that are scored, at most.  [default: the data set's test cases, "
        "else a fifth of all]",
    ),
)

compute_options = _all_of(
    cache_options, device_option, precision_option, verbose_option
)

report_options = _all_of(
    click.option(
        "--side",
        type=click.IntRange(min=0),
        default=512,
        show_default=True,
        help="Scale pictures down to this longer side, in pixels; 0 leaves them.",
    ),
    click.option("--csv", type=ANY_PATH, help="Write every scored case to this file."),
    click.option("--plot", type=ANY_PATH, help="Draw it (needs matplotlib)."),
)


_SHOWN = FeatureSettings()
_PREDICTING = PredictSettings()

feature_options = _all_of(
    click.option(
        "--intensity",
        type=OneOf(INTENSITIES),
        help="Which intensities are shown: the encoder's own choice, percentiles "
        "of the image, 0 to 255, or a window on CT.  [default: the recipe's, or "
        f"{_SHOWN.intensity}]",
    ),
    click.option(
        # None where it is not given, which is the head's own choice and not "no".
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
    click.option(
        "--squash",
        type=OneOf(SQUASHES[1:]),
        help="Show whole planes as squares, scaled so.  [default: the recipe's, or "
        "planes keep their aspect ratio]",
    ),
)

predict_options = _all_of(
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
        help="Let probabilities flow along the image up to its edges (probe), or "
        "smooth them (mvr).",
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


def cache_settings(memory_gb: float, disk_gb: float) -> CacheSettings:
    """Settings of the cache from gigabytes.

    Parameters
    ----------
    memory_gb, disk_gb : float
        Of features, in GiB.
    """
    return CacheSettings(int(memory_gb * GIB), int(disk_gb * GIB))


def chosen_encoder(name: str | None) -> str:
    """Return the encoder that was named, or the default and say which.

    Parameters
    ----------
    name : str or None
        Value of ``--encoder``.

    Returns
    -------
    str
        As the dock does: the default encoder if its weights are here, else
        the built-in one, which needs no download.
    """
    if name is not None:
        return name
    from napari_segdino.encoders import (
        BUILTIN_ENCODER,
        DEFAULT_ENCODER,
        find_weights,
        get_spec,
    )

    if find_weights(get_spec(DEFAULT_ENCODER)) is not None:
        return DEFAULT_ENCODER
    click.echo(
        f"The weights of {DEFAULT_ENCODER} are not here: using {BUILTIN_ENCODER} "
        f"(--encoder {DEFAULT_ENCODER} fetches them).",
        err=True,
    )
    return BUILTIN_ENCODER


def predict_settings(given: Mapping[str, Any]) -> PredictSettings:
    """Settings of predictions from options of the same names.

    Parameters
    ----------
    given : mapping of str to object
        Options of :data:`predict_options`.
    """
    return PredictSettings(**{f.name: given[f.name] for f in fields(PredictSettings)})


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
    # Options are named as the fields: a new field needs an option and nothing here.
    names = {f.name for f in fields(FeatureSettings)}
    chosen = {k: v for k, v in given.items() if k in names and v is not None}
    if not chosen:
        return None
    settings = replace(make_head(head, recipe).default_features(), **chosen)
    if settings.overlap > settings.tile // 2:
        raise click.UsageError("--overlap is at most half of --tile.")
    return settings
