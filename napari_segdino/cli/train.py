"""``train``: a probe from images and masks, or from a data set by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_segdino.cli.heads import (
    chosen_cases,
    chosen_head,
    head_option,
    recipe_option,
)
from napari_segdino.cli.options import (
    ANY_PATH,
    EXISTING,
    cache_settings,
    chosen_encoder,
    compute_options,
    encoder_option,
    feature_options,
    feature_settings,
    layout_options,
    predict_options,
    predict_settings,
    seed_option,
)
from napari_segdino.cli.parsing import ManyValues
from napari_segdino.cli.terminal import with_bar
from napari_segdino.errors import InputError
from napari_segdino.heads.registry import DEFAULT_HEAD, HEADS, head_class

if TYPE_CHECKING:
    from napari_segdino.config import CacheSettings
    from napari_segdino.io.cases import Dataset
    from napari_segdino.segmenter import Segmenter
    from napari_segdino.study.read import CaseReader
    from napari_segdino.study.settings import StudySettings

_ONLY_STUDY = ("seeds", "epochs", "validation", "test", "split_seed", "side", "work")


@click.command(cls=ManyValues)
@click.argument("images", type=EXISTING)
@click.argument("masks", type=EXISTING, required=False)
@click.option("-o", "--output", type=ANY_PATH, required=True, help="The probe file.")
@encoder_option
@head_option()
@recipe_option(
    "Train as a paper did, on a split of a data set, and score the rest: "
    f"{', '.join(HEADS)} or a variant of these."
)
@seed_option
@click.option(
    "--seeds",
    type=int,
    multiple=True,
    help="Several seeds, each a training of its own.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="In place of the recipe's.")
@click.option(
    "--validation",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the training cases that chooses the best epoch, where the "
    "data set does not say.  [default: 0.2]",
)
@click.option(
    "--test",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of all cases that is scored at the end, where the data set does "
    "not say.  [default: 0.2]",
)
@click.option("--split-seed", type=int, help="Another draw of the split.  [default: 0]")
@click.option(
    "--side",
    type=click.IntRange(min=0),
    help="Scale pictures down to this longer side, in pixels, and show them so; "
    "0 leaves them.  [default: the recipe's]",
)
@click.option(
    "--work",
    type=ANY_PATH,
    help="Folder of states and scores; the same command goes on from it.  "
    "[default: beside the probe file]",
)
@click.option("--restart", is_flag=True, help="Forget what the folder holds.")
@layout_options
@feature_options
@predict_options
@compute_options
def train(images: Path, masks: Path | None, output: Path, **given: Any) -> None:
    """Train a probe on IMAGES and MASKS, or on a data set.

    IMAGES and MASKS are two files, or two folders with files of the same
    names. A folder alone is a data set, whose layout is recognised:
    train/image and train/mask, images and masks, *_segmentation files,
    imagesTr and labelsTr, or *_mask files beside images.

    With --recipe the cases are split into training, validation and test;
    the best epoch is chosen by validation; a training that was stopped goes
    on when the same command is given again.
    """
    from napari_segdino.io.datasets import dataset_of, narrowed
    from napari_segdino.io.pairs import pair_files

    if given["recipe"] is None:
        _refuse(given, _ONLY_STUDY, "needs --recipe")
    given["encoder"] = chosen_encoder(given["encoder"])
    cache = cache_settings(given["memory_gb"], given["disk_gb"])
    if masks is None and images.is_file():
        raise click.UsageError("MASKS is missing, or give a folder that holds both.")
    if masks is None:
        dataset = chosen_cases(images, given)
    else:
        pairs = pair_files(images, masks)
        dataset = dataset_of(pairs, images, given["group_regex"])
        dataset = narrowed(dataset, given["only"], given["channel"])
    if given["recipe"] is not None:
        _run_study(dataset, output, cache, given)
        return
    segmenter = _new_segmenter(given, cache)
    count = _fit(segmenter, dataset, given["binary"])
    segmenter.save(output)
    click.echo(f"Trained on {count} images; the probe is in {output}.")


def _refuse(given: dict[str, Any], names: tuple[str, ...], why: str) -> None:
    """Say that an option was given where it does nothing."""
    for name in names:
        # Not by truth, nor `in`: a side of 0 was given, and 0 equals False.
        if given[name] is not None and given[name] != ():
            raise click.UsageError(f"--{name.replace('_', '-')} {why}.")


def _new_segmenter(given: dict[str, Any], cache: CacheSettings) -> Segmenter:
    from napari_segdino.segmenter import Segmenter

    return Segmenter(
        given["encoder"],
        given["head"] or DEFAULT_HEAD,
        given["device"],
        given["seed"],
        features=feature_settings(given, given["head"] or DEFAULT_HEAD),
        predicting=predict_settings(given),
        cache=cache,
        precision=given["precision"],
    )


def _fit(segmenter: Segmenter, dataset: Dataset, binary: bool | None) -> int:
    """Train on all cases of a data set that are not kept for tests."""
    from napari_segdino.study.labels import decide, iter_labels
    from napari_segdino.study.read import CaseReader

    # Cases of validation and test may be scored with this probe.
    cases = [c for c in dataset.cases if c.split in ("", "train")]
    labels = with_bar(iter_labels([c.mask for c in cases]))
    rule = decide(labels, dataset.label_names, binary)
    click.echo(rule.text, err=True)
    read = CaseReader(rule, len(dataset.channel_names))
    for axes, group in _by_axes(read, cases).items():
        images, marks = [case.image for case in group], [case.marks for case in group]
        how: Any = {"axes": axes, "spacing": [case.voxel_mm for case in group]}
        with_bar(segmenter.iter_partial_fit(images, marks, **how))
    return len(cases)


def _by_axes(read: CaseReader, cases: list[Any]) -> dict[str, list[Any]]:
    """Read cases, planes and volumes apart: the estimator takes one kind at a time."""
    groups: dict[str, list[Any]] = {}
    for case in cases:
        loaded = read(case)
        groups.setdefault(loaded.axes, []).append(loaded)
    return groups


def _run_study(
    dataset: Dataset, output: Path, cache: CacheSettings, given: dict[str, Any]
) -> None:
    """Train by a recipe, score, and write probe, tables and plot."""
    from napari_segdino.io.pairs import stem_of
    from napari_segdino.metrics import to_csv
    from napari_segdino.study.plots import can_plot, plot_scores
    from napari_segdino.study.report import all_rows, seed_table, summary_of
    from napari_segdino.study.train import iter_study

    settings = _study_settings(cache, given)
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


def _study_settings(cache: CacheSettings, given: dict[str, Any]) -> StudySettings:
    from napari_segdino.study.settings import StudySettings

    head = chosen_head(given["head"], given["recipe"])
    if given["epochs"] and not head_class(head).trains_in_epochs:
        raise click.UsageError(f"--epochs is not for {head}, which has no epochs.")
    plain = ("validation", "test", "split_seed", "side", "epochs")
    chosen = {name: given[name] for name in plain if given[name] is not None}
    return StudySettings(
        recipe=given["recipe"],
        encoder=given["encoder"],
        device=given["device"],
        precision=given["precision"],
        # Twice the same seed would be twice the same training.
        seeds=tuple(dict.fromkeys(given["seeds"])) or (given["seed"],),
        binary=given["binary"],
        features=feature_settings(given, head, given["recipe"]),
        predicting=predict_settings(given),
        cache=cache,
        **chosen,
    )
