"""How decoders are trained.

Everywhere, and unlike the published code of SegDINO and MedDINOv3: the encoder
is frozen; the best epoch is chosen on a validation split and never on the test
split; images keep their aspect ratio and are scaled bilinearly unless the recipe is a
``_published`` one; pixels without marks are left out of the loss; several classes take
cross-entropy.

Each head has a recipe that follows its paper but for that, and a ``_quick`` one of
ours that learns from strokes in seconds, with a budget of steps, a higher rate that
decays, and classes that weigh the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from napari_segdino.heads.base import Recipe

Schedule = Literal["constant", "linear", "cosine"]
Loss = Literal["ce", "dice_ce"]
Balance = Literal["none", "classes", "strokes"]
Standardise = Literal["never", "pyramid", "always"]

AUGMENTED_COPIES = 8
"""Cached copies for a recipe that augments.

SegDINO's second version draws anew each epoch, 50 copies of an image; a frozen
encoder is run once a copy, so 8 and the image itself take its place (our reading).
"""


@dataclass(frozen=True, slots=True)
class DenseRecipe(Recipe):
    """How a decoder is trained; see :class:`Recipe` for the other fields.

    Parameters
    ----------
    epochs : int
        Passes over the images.
    steps : int
        Steps of the optimiser in place of `epochs`; 0 counts epochs.
    batch : int
        Images a step.
    views : int
        Augmented copies of each image that are encoded and stored, beside the
        image itself; an epoch sees one of them, drawn by chance.
    lr, weight_decay, betas
        Of AdamW.
    schedule : {"constant", "linear", "cosine"}
        Of the learning rate; linear and cosine end at 0.
    loss : {"ce", "dice_ce"}
        Cross-entropy (of one logit with two classes: binary), and soft Dice.
    clip : float
        Norm that the gradient of a step is shortened to; 0 leaves it.
    balance : {"none", "classes", "strokes"}
        Whether each class weighs the same in the cross-entropy; ``"strokes"``
        does so only where less than half of all pixels are marked.
    standardise : {"never", "pyramid", "always"}
        Whether levels are standardised over the training images;
        ``"pyramid"`` does so unless all levels are of one width, as a ViT's.
    """

    epochs: int = 50
    steps: int = 0
    batch: int = 4
    views: int = 0
    lr: float = 1e-4
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Schedule = "constant"
    loss: Loss = "ce"
    clip: float = 0.0
    balance: Balance = "none"
    standardise: Standardise = "pyramid"


def rate_at(recipe: DenseRecipe, step: int, total: int) -> float:
    """Learning rate of a step.

    Parameters
    ----------
    recipe : DenseRecipe
        The recipe.
    step, total : int
        Steps done before this one, and in all.

    Returns
    -------
    float
    """
    t = step / total
    factor = {
        "constant": 1.0,
        "linear": 1 - t,
        "cosine": 0.5 * (1 + math.cos(math.pi * t)),
    }[recipe.schedule]
    return recipe.lr * factor
