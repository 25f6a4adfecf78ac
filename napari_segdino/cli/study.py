"""``train --recipe``: what it shows and writes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_segdino.cli.bar import with_bar
from napari_segdino.cli.settings import feature_settings, predict_settings
from napari_segdino.errors import InputError
from napari_segdino.io.pairs import stem_of

if TYPE_CHECKING:
    from napari_segdino.config import CacheSettings
    from napari_segdino.io.datasets import Dataset
    from napari_segdino.study.settings import StudySettings

_log = logging.getLogger(__name__)


def run_study(
    dataset: Dataset, output: Path, cache: CacheSettings, given: dict[str, Any]
) -> None:
    """Train by a recipe, score, and write probe, tables and plot.

    Parameters
    ----------
    dataset : Dataset
        The cases.
    output : pathlib.Path
        The probe file; ``<name>.study`` beside it is the default work folder.
    cache : CacheSettings
        How many features are kept.
    given : dict of str to object
        The command's options.
    """
    from napari_segdino.metrics import to_csv
    from napari_segdino.study.plots import can_plot, plot_scores
    from napari_segdino.study.report import all_rows, seed_table, summary_of
    from napari_segdino.study.train import iter_study

    settings = _settings(cache, given)
    work = given["work"] or output.with_name(f"{stem_of(output)}.study")
    if not output.parent.is_dir():
        raise InputError(f"There is no folder {output.parent} for the probe.")
    steps = iter_study(dataset, settings, work, output, given["restart"])
    results = with_bar(steps)
    rows = all_rows(results)
    summary = summary_of(results)
    to_csv(work / "scores.csv", rows)
    to_csv(work / "summary.csv", summary)
    if can_plot():
        plot_scores(work / "scores.png", rows)
    else:
        click.echo("No plot: pip install 'napari-segdino[plot]' adds it.", err=True)
    click.echo(summary)
    if len(results) > 1:
        click.echo(seed_table(results))
    click.echo(f"The probe is in {output}; tables and plot are in {work}.")


def _settings(cache: CacheSettings, given: dict[str, Any]) -> StudySettings:
    from napari_segdino.heads.registry import get_recipe, head_class
    from napari_segdino.study.settings import StudySettings

    head = get_recipe(given["recipe"]).head
    if given["head"] not in (None, head):
        raise click.UsageError(f"--recipe {given['recipe']} is for --head {head}.")
    if given["epochs"] and not head_class(head).trains_in_epochs:
        raise click.UsageError(f"--epochs is not for {head}, which has no epochs.")
    plain = ("validation", "test", "split_seed", "side", "epochs")
    chosen = {name: given[name] for name in plain if given[name] is not None}
    return StudySettings(
        recipe=given["recipe"],
        encoder=given["encoder"],
        device=given["device"],
        seeds=tuple(dict.fromkeys(given["seeds"])) or (given["seed"],),
        binary=given["binary"],
        features=feature_settings(given, head, given["recipe"]),
        predicting=predict_settings(given),
        cache=cache,
        **chosen,
    )
