"""``fewshot`` and ``ablation``: experiments that are repeated on a data set."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from napari_segdino.cli.heads import (
    chosen_cases,
    chosen_head,
    head_option,
    recipe_option,
)
from napari_segdino.cli.options import (
    FOLDER,
    cache_settings,
    chosen_encoder,
    compute_options,
    encoder_option,
    feature_options,
    feature_settings,
    layout_options,
    predict_options,
    predict_settings,
    repeat_options,
    report_options,
    seed_option,
)
from napari_segdino.cli.parsing import ManyValues, OneOf
from napari_segdino.cli.terminal import with_bar
from napari_segdino.config import INTENSITIES

ABLATED = "mvr"
"""Head that is trained by default: the steps of an ablation are its parts."""


@click.command(cls=ManyValues)
@click.argument("folder", type=FOLDER)
@click.option(
    "--shots",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1, 5, 20, 40),
    show_default="1 5 20 40",
    help="Numbers of cases to learn from.",
)
@repeat_options
@encoder_option
@head_option()
@recipe_option("How the head is trained.")
@seed_option
@report_options
@layout_options
@feature_options
@predict_options
@compute_options
def fewshot(folder: Path, csv: Path | None, plot: Path | None, **given: Any) -> None:
    """Learn from 1, 5, 20 ... cases of the data set in FOLDER and score others.

    One person's cases are never on both sides; a volume is one case. The
    scored cases are the same for all numbers and repeats.
    """
    from napari_segdino.metrics import to_csv
    from napari_segdino.segmenter import Segmenter
    from napari_segdino.study.repeats import ShotPlan
    from napari_segdino.study.shots import iter_fewshot, shot_table, summarise

    if plot is not None:
        from napari_segdino.study.plots import check_plot, plot_shots

        # At once and not after hours of training.
        check_plot(plot)
    plan = ShotPlan(
        # More cases each time, so that the table reads downwards.
        tuple(sorted(set(given["shots"]))),
        given["repeats"],
        given["test"],
        given["seed"],
    )
    head, recipe = chosen_head(given["head"], given["recipe"]), given["recipe"]
    segmenter = Segmenter(
        chosen_encoder(given["encoder"]),
        head,
        given["device"],
        given["seed"],
        features=feature_settings(given, head, recipe),
        predicting=predict_settings(given),
        recipe=recipe,
        cache=cache_settings(given["memory_gb"], given["disk_gb"]),
        precision=given["precision"],
    )
    dataset = chosen_cases(folder, given)
    steps = iter_fewshot(dataset, segmenter, plan, given["side"], given["binary"])
    results = with_bar(steps)
    summaries = summarise(results)
    click.echo(shot_table(summaries))
    if csv is not None:
        to_csv(csv, results)
    if plot is not None:
        plot_shots(plot, summaries)


@click.command(cls=ManyValues)
@click.argument("folder", type=FOLDER)
@click.option(
    "--shots",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Cases to learn from.",
)
@click.option(
    "--sides",
    type=click.IntRange(min=32),
    multiple=True,
    default=(512, 768),
    show_default="512 768",
    help="Longer sides of the views, in pixels; the first one is the single view.",
)
@click.option(
    "--z-sigma",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Width of the smoothing along z, in slices; for volumes.",
)
@click.option("--intensity", type=OneOf(INTENSITIES), default="auto")
@repeat_options
@encoder_option
@head_option(ABLATED)
@recipe_option("How the head is trained.")
@seed_option
@report_options
@layout_options
@compute_options
def ablation(folder: Path, csv: Path | None, plot: Path | None, **given: Any) -> None:
    """Show what each part of DINO-MVR adds on the data set in FOLDER.

    Learns from some cases with one view, once, and scores the same probe on
    others with that view, then with several resolutions, flips, entropy
    weights, spatial smoothing and, for volumes, smoothing along z, one more
    each time.
    """
    from napari_segdino.metrics import to_csv
    from napari_segdino.segmenter import Segmenter
    from napari_segdino.study.ablation import (
        ablation_steps,
        iter_ablation,
        step_table,
        summarise_steps,
    )
    from napari_segdino.study.repeats import ShotPlan

    if plot is not None:
        from napari_segdino.study.plots import check_plot, plot_steps

        # At once and not after hours of training.
        check_plot(plot)
    shots = (given["shots"],)
    plan = ShotPlan(shots, given["repeats"], given["test"], given["seed"])
    given["encoder"] = chosen_encoder(given["encoder"])
    segmenter = Segmenter(
        given["encoder"],
        chosen_head(given["head"], given["recipe"], ABLATED),
        given["device"],
        given["seed"],
        recipe=given["recipe"],
        cache=cache_settings(given["memory_gb"], given["disk_gb"]),
        precision=given["precision"],
    )
    steps = partial(
        ablation_steps, given["sides"], given["z_sigma"], intensity=given["intensity"]
    )
    dataset = chosen_cases(folder, given)
    rows = with_bar(
        iter_ablation(dataset, segmenter, steps, plan, given["side"], given["binary"])
    )
    summaries = summarise_steps(rows)
    click.echo(step_table(summaries))
    if csv is not None:
        to_csv(csv, rows)
    if plot is not None:
        plot_steps(plot, summaries)
