"""Training by a recipe on a data set, and scoring on cases kept apart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.config import FeatureSettings
from napari_segdino.files import atomic_path
from napari_segdino.heads.base import Recipe
from napari_segdino.heads.dense.recipes import DenseRecipe
from napari_segdino.heads.dense.train import TrainingState, iter_fit_dense
from napari_segdino.heads.registry import make_head
from napari_segdino.images.channels import count_channels
from napari_segdino.images.planes import as_planes, pair_up
from napari_segdino.io.cases import Case, Dataset
from napari_segdino.pipeline import Pipeline, iter_make_pipeline
from napari_segdino.progress import Steps, relay
from napari_segdino.segmenter import Segmenter
from napari_segdino.study.evaluate import (
    Predict,
    iter_evaluate,
    iter_part,
    mean_score,
)
from napari_segdino.study.examples import ExampleStore, iter_examples
from napari_segdino.study.labels import decide, iter_labels
from napari_segdino.study.read import CaseReader, any_colour
from napari_segdino.study.settings import (
    SeedResult,
    StudySettings,
    describe,
)
from napari_segdino.study.split import Splits, split_cases
from napari_segdino.study.state import SeedFolder, StudyFolder

MEMORY_BYTES = 1 << 30
"""A probe file keeps what it learned from up to this size."""

Trained = tuple[Any, dict[str, Any]]
"""A model, and what it learned from."""


def iter_study(
    dataset: Dataset,
    settings: StudySettings,
    work: Path,
    output: Path,
    restart: bool = False,
) -> Steps[list[SeedResult]]:
    """Train with every seed, score on the test cases, keep the best probe.

    The best epoch and the best seed are chosen by the validation cases; the
    test cases choose nothing. Killed and called again, it goes on from the
    last epoch and gives the same probes.

    Parameters
    ----------
    dataset : Dataset
        The cases.
    settings : StudySettings
        How.
    work : pathlib.Path
        Folder of the study; see :class:`StudyFolder`.
    output : pathlib.Path
        The probe of the seed with the best validation.
    restart : bool
        Forget what the folder holds.

    Yields
    ------
    Progress, str
        A string is a line for people.

    Returns
    -------
    list of SeedResult

    Raises
    ------
    InputError
        If the data set cannot be split or the folder is another study's.

    Examples
    --------
    >>> from napari_segdino.io.datasets import open_dataset
    >>> from napari_segdino.progress import drive
    >>> settings = StudySettings("segdino", "dinov3_vits16", seeds=(0, 1, 2))
    >>> data = open_dataset("Kvasir-SEG")  # doctest: +SKIP
    >>> study = iter_study(data, settings, "work", "a.segdino")  # doctest: +SKIP
    >>> results = drive(study)  # doctest: +SKIP
    """
    splits = split_cases(
        dataset, settings.validation, settings.test, settings.split_seed
    )
    recipe, features, side = settings.resolved()
    folder = StudyFolder(work)
    folder.open(describe(splits, settings), restart)
    folder.write_split(splits)
    cases = [*splits.train, *splits.validation, *splits.test]
    labels = yield from iter_labels([c.mask for c in cases])
    rule = decide(labels, dataset.label_names, settings.binary)
    yield from (rule.text, *splits.notes, _counts_line(splits))
    channels, colour = len(dataset.channel_names), any_colour(cases)
    read = CaseReader(rule, channels, side, colour, features.squash)
    pipeline = yield from _iter_engine(settings, recipe, features, folder.features)
    job = _Job(splits, read, recipe, settings, pipeline, folder.features)
    results = []
    for seed in settings.seeds:
        results.append((yield from job.iter_seed(seed, folder.seed(seed))))
        yield _seed_line(results[-1])
    # NaN compares as neither: max would keep whichever comes first.
    best = max(results, key=lambda r: np.nan_to_num(r.validation, nan=-1.0))
    with atomic_path(output) as temporary:
        shutil.copyfile(best.probe, temporary)
    # Gigabytes that nothing reads any more; probes and scores stay.
    shutil.rmtree(folder.features, ignore_errors=True)
    return results


def _iter_engine(
    settings: StudySettings, recipe: Recipe, features: FeatureSettings, folder: Path
) -> Steps[Pipeline]:
    """Load the encoder; features go to the study's folder at once, for a restart."""
    # Nothing in memory: what is only there is lost when a study is killed.
    cache = replace(settings.cache, ram_bytes=0, folder=folder)
    head = make_head(recipe.head, recipe.name)
    return iter_make_pipeline(
        settings.encoder,
        settings.device,
        cache,
        head,
        features,
        settings.predicting,
        0,
        settings.precision,
    )


@dataclass(frozen=True)
class _Job:
    """All that the seeds of a study share."""

    splits: Splits
    read: CaseReader
    recipe: Recipe
    settings: StudySettings
    pipeline: Pipeline
    features: Path

    def iter_seed(self, seed: int, folder: SeedFolder) -> Steps[SeedResult]:
        """Train with one seed and score, as far as that is not done yet."""
        # The probe is written whole or not at all, so that its file says whether
        # training is done.
        if not folder.probe.is_file():
            yield f"Seed {seed}: training."
            trained = yield from self._iter_train(seed, folder)
            self._save(trained, seed, folder.probe)
        folder.forget_state()
        parts = {"validation": self.splits.validation, "scores": self.splits.test}
        rows = {name: folder.read_rows(name) for name in parts}
        if None in rows.values():
            predict = self._predictor(Segmenter.load(folder.probe).model_)
            for name, cases in parts.items():
                rows[name] = yield from iter_evaluate(
                    predict, self.read.rule.n_classes, cases, self.read
                )
                folder.write_rows(name, rows[name] or [])
        chosen = mean_score(rows["validation"] or [])
        return SeedResult(seed, folder.probe, chosen, tuple(rows["scores"] or ()))

    def _iter_train(self, seed: int, folder: SeedFolder) -> Steps[Trained]:
        if self.pipeline.head.trains_in_epochs:
            return (yield from self._iter_dense(seed, folder))
        return (yield from self._iter_at_once(seed))

    def _iter_at_once(self, seed: int) -> Steps[Trained]:
        """Without epochs there is no state to store: a restart takes the features."""
        samples: dict[str, Any] = {}
        pipeline = replace(self.pipeline, seed=seed)
        for done, case in enumerate(self.splits.train):
            loaded = self.read(case)
            pairs = pair_up(loaded.image, loaded.marks, None, loaded.axes)
            steps = pipeline.iter_learn(samples, pairs, [None], [loaded.voxel_mm])
            text = f"Encoding {case.name}"
            yield from iter_part(steps, done, len(self.splits.train), text)
        n_classes = self.read.rule.n_classes
        device = pipeline.extractor.encoder.device
        model = yield from pipeline.head.iter_fit(samples, n_classes, seed, device)
        return model, samples

    def _iter_dense(self, seed: int, folder: SeedFolder) -> Steps[Trained]:
        """Train a dense head, keeping its state after each epoch."""
        from napari_segdino.heads.dense.dense_head import DenseHead

        head, recipe = self.pipeline.head, self.recipe
        assert isinstance(head, DenseHead)
        assert isinstance(recipe, DenseRecipe)
        copies = recipe.views
        cache = self.pipeline.extractor.cache
        # Half of the memory allowed: the rest is for what is encoded and learned.
        room = self.settings.cache.ram_bytes // 2
        store = ExampleStore(cache, self.features / "marks", room)
        train = yield from self._iter_encode(self.splits.train, copies, seed, store)
        validate = yield from self._iter_encode(self.splits.validation, 0, seed, store)
        start = folder.read_state()
        if start is not None:
            yield f"Seed {seed}: going on after epoch {int(start.numbers['epoch'])}."
        epochs: list[str] = []

        def keep(state: TrainingState) -> None:
            folder.write_state(state)
            epochs.append(_epoch_line(seed, state))

        steps = iter_fit_dense(
            head.decoder,
            train.all,
            self.read.rule.n_classes,
            recipe=recipe,
            seed=seed,
            device=self.pipeline.extractor.encoder.device,
            start=start,
            validate=list(validate.plain.values()),
            on_epoch=keep,
        )
        model = yield from _with_lines(steps, epochs)
        # A probe without samples predicts, and learns anew where it is marked.
        if train.nbytes > MEMORY_BYTES:
            return model, {}
        return model, {key: one.loaded() for key, one in train.plain.items()}

    def _iter_encode(
        self, cases: Sequence[Case], copies: int, seed: int, store: ExampleStore
    ) -> Any:
        return iter_examples(self.pipeline, cases, self.read, copies, seed, store)

    def _predictor(self, model: Any) -> Predict:
        return lambda one: self.pipeline.iter_score(
            as_planes(one.image, axes=one.axes), model, {}, None, "", one.voxel_mm
        )

    def _save(self, trained: Trained, seed: int, path: Path) -> None:
        """Write a probe that the dock can go on with."""
        probe = Segmenter(
            self.settings.encoder,
            self.recipe.head,
            random_state=seed,
            features=self.pipeline.feature_settings,
            predicting=self.pipeline.predicting,
            recipe=self.recipe.name,
        )
        probe.model_, samples = trained
        # Views of one tile share its marks, which a file cannot hold.
        probe.samples_ = {
            key: replace(kept, marks=kept.marks.clone())
            for key, kept in samples.items()
        }
        probe.n_classes_ = self.read.rule.n_classes
        probe.classes_ = np.arange(probe.n_classes_)
        first = self.read(self.splits.train[0])
        probe.channels_ = count_channels(as_planes(first.image, axes=first.axes))
        probe.encoder_key_ = self.pipeline.extractor.encoder.key
        probe.save(path)


def _with_lines(steps: Steps[Any], lines: list[str]) -> Steps[Any]:
    """Pass a task on, and lines that its callbacks leave."""

    def with_lines(step: Any) -> Iterator[Any]:
        yield from lines
        lines.clear()
        yield step

    result = yield from relay(steps, with_lines)
    yield from lines
    return result


def _epoch_line(seed: int, state: TrainingState) -> str:
    """Say how good the best epoch is after one more."""
    numbers = state.numbers
    return (
        f"Seed {seed}, epoch {int(numbers['epoch'])}: best validation Dice "
        f"{numbers['best_score']:.4f}, of epoch {int(numbers['best_epoch'])}"
    )


def _seed_line(result: SeedResult) -> str:
    """Say what came of a seed."""
    return (
        f"Seed {result.seed}: Dice {result.validation:.4f} on the validation cases, "
        f"{mean_score(result.rows):.4f} on the test cases."
    )


def _counts_line(splits: Splits) -> str:
    """Say how many cases are where."""
    parts = len(splits.train), len(splits.validation), len(splits.test)
    return "{} cases train, {} choose the best epoch, {} are scored.".format(*parts)
