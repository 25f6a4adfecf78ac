"""``score``: how well masks agree with references."""

from __future__ import annotations

from pathlib import Path

import click

from napari_segdino.cli.options import ANY_PATH, EXISTING, binary_option, verbose_option
from napari_segdino.cli.terminal import with_bar


@click.command()
@click.argument("predicted", type=EXISTING)
@click.argument("true", type=EXISTING)
@click.option("--csv", type=ANY_PATH, help="Write every case to this file as well.")
@click.option("--plot", type=ANY_PATH, help="Draw the cases (needs matplotlib).")
@click.option("--cases", is_flag=True, help="Show every case.")
@binary_option
@verbose_option
def score(
    predicted: Path,
    true: Path,
    csv: Path | None,
    plot: Path | None,
    cases: bool,
    binary: bool | None,
) -> None:
    """Compare PREDICTED masks with TRUE ones (files, or folders of files).

    Dice, IoU, the 95 % Hausdorff distance (HD95) and the average surface
    distance (ASSD), by class: mean, spread and 95 % interval of the mean.
    Distances are in the unit of the true mask's spacing, else in pixels.
    """
    from napari_segdino.errors import InputError
    from napari_segdino.io.pairs import pair_files
    from napari_segdino.metrics import summarise, to_csv
    from napari_segdino.study.evaluate import iter_compare, iter_rules
    from napari_segdino.study.report import case_table

    pairs = pair_files(predicted, true)
    # A rule for each side: a reference may number instances that a prediction does not.
    rules = with_bar(iter_rules(pairs, binary))
    for rule, what in zip(rules, ("Predicted", "True"), strict=True):
        if rule.merge:
            click.echo(f"{what}: {rule.text}", err=True)
    rows = with_bar(iter_compare(pairs, rules))
    if not rows:
        raise InputError("There is nothing but background in all of the masks.")
    if csv is not None:
        to_csv(csv, rows)
    if plot is not None:
        from napari_segdino.study.plots import plot_scores

        plot_scores(plot, rows)
    if cases:
        click.echo(case_table(rows))
    click.echo(summarise(rows))
