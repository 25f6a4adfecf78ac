"""What a study is asked for, and what comes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.errors import InputError
from napari_segdino.heads.base import Recipe
from napari_segdino.heads.dense.recipes import DenseRecipe
from napari_segdino.heads.registry import get_recipe
from napari_segdino.metrics import Row
from napari_segdino.study.split import TEST, VALIDATION, Splits


@dataclass(frozen=True, slots=True)
class StudySettings:
    """How a study is done.

    Parameters
    ----------
    recipe : str
        A name of :func:`napari_segdino.heads.registry.recipes`.
    encoder, device, precision : str
        As for the estimator.
    seeds : tuple of int
        Each trains anew on the same split.
    epochs : int
        In place of the recipe's; 0 is the recipe's.
    validation, test : float
        Shares where the data set does not say.
    split_seed : int
        Another draw of the split.
    side : int, optional
        Longer side that pictures are scaled down to, and at which a recipe of
        one side shows all images; None is the recipe's largest, 0 leaves
        pictures as they are.
    binary : bool, optional
        See :func:`~napari_segdino.study.labels.decide`.
    features : FeatureSettings, optional
        None is what the recipe says.
    predicting : PredictSettings
        How predictions are made of what the head says.
    cache : CacheSettings
        How many features are kept; the study keeps them in its own folder.
    """

    recipe: str
    encoder: str
    device: str = "auto"
    seeds: tuple[int, ...] = (0,)
    epochs: int = 0
    validation: float = VALIDATION
    test: float = TEST
    split_seed: int = 0
    side: int | None = None
    binary: bool | None = None
    features: FeatureSettings | None = None
    predicting: PredictSettings = PredictSettings()
    cache: CacheSettings = CacheSettings()
    precision: str = "auto"

    def resolved(self) -> tuple[Recipe, FeatureSettings, int]:
        """Return recipe, features and side with all defaults filled in.

        Raises
        ------
        InputError
            If there is no such recipe, or epochs are given and it has none.
        """
        recipe = get_recipe(self.recipe)
        if self.epochs:
            if not isinstance(recipe, DenseRecipe):
                raise InputError(f"The head {recipe.head} has no epochs.")
            recipe = replace(recipe, epochs=self.epochs, steps=0)
        features = self.features or recipe.features
        if self.side is None:
            return recipe, features, max(recipe.sides)
        if self.side and len(recipe.sides) == 1:
            features = replace(features, sides=(self.side,))
        return recipe, features, self.side


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What came of one seed.

    Parameters
    ----------
    seed : int
        The seed.
    probe : pathlib.Path
        Its probe file.
    validation : float
        Mean Dice on the validation cases, which may choose among seeds.
    rows : tuple of Row
        Scores of the test cases.
    """

    seed: int
    probe: Path
    validation: float
    rows: tuple[Row, ...]


def describe(splits: Splits, settings: StudySettings) -> dict[str, Any]:
    """Return all that the probes depend on, as JSON can hold it.

    Seeds are left out, so that some can be added later; so is where it
    computes.

    Parameters
    ----------
    splits : Splits
        Names and sizes of its files tell cases apart.
    settings : StudySettings
        How.
    """
    entries = asdict(settings)
    for name in ("seeds", "device", "cache", "precision"):
        del entries[name]
    cases = {
        c.name: [part, c.mask.stat().st_size, *(p.stat().st_size for p in c.images)]
        for part in ("train", "validation", "test")
        for c in getattr(splits, part)
    }
    return {"settings": entries, "cases": cases}
