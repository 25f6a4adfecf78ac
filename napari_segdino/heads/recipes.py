"""How each head is trained: the papers' recipes and quick ones for strokes.

Everywhere, and unlike the published code of SegDINO and MedDINOv3: the encoder
is frozen; the best epoch is chosen on a validation split and never on the test
split; images keep their aspect ratio and are scaled bilinearly; marks that say
nothing are left out of the loss; several classes take cross-entropy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from napari_segdino.errors import InputError

Schedule = Literal["constant", "linear", "cosine"]
Loss = Literal["ce", "dice_ce"]
Balance = Literal["none", "classes", "strokes"]
Standardise = Literal["never", "pyramid", "always"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a head is trained.

    Parameters
    ----------
    name : str
        Its name.
    head : str
        The head it is for.
    epochs : int
        Passes over the images.
    steps : int
        Steps of the optimiser in place of `epochs`; 0 counts epochs.
    batch : int
        Images a step.
    sides : tuple of int
        Longer sides, in pixels, at which images are encoded; 0 is their own.
    flips : bool
        Whether each size is encoded mirrored as well.
    views : int
        Augmented copies of each image that are encoded and kept, beside the
        image itself; an epoch sees one of them, drawn by chance.
    lr, weight_decay, betas
        Of AdamW.
    schedule : {"constant", "linear", "cosine"}
        Of the learning rate; linear and cosine end at 0.
    loss : {"ce", "dice_ce"}
        Cross-entropy (of one logit with two classes: binary), and soft Dice.
    balance : {"none", "classes", "strokes"}
        Whether each class weighs the same in the cross-entropy; ``"strokes"``
        does so only where less than half of all pixels are marked.
    standardise : {"never", "pyramid", "always"}
        Whether levels are standardised over the training images;
        ``"pyramid"`` does so unless all levels are of one width, as a ViT's.
    options : tuple of (str, object)
        Arguments of the head.
    """

    name: str
    head: str
    epochs: int = 50
    steps: int = 0
    batch: int = 4
    sides: tuple[int, ...] = (256,)
    flips: bool = False
    views: int = 0
    lr: float = 1e-4
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Schedule = "constant"
    loss: Loss = "ce"
    balance: Balance = "none"
    standardise: Standardise = "pyramid"
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def head_options(self) -> Mapping[str, Any]:
        """Arguments of the head by name."""
        return dict(self.options)


VIEWS = 8
"""Cached copies for a recipe that augments.

The source draws anew each epoch, 50 copies of an image; a frozen encoder is run
once a copy, so 8 and the image itself take its place (our reading).
"""

_SEGDINO = Recipe("segdino", "segdino")

# From arXiv 2606.17972's code; cosine is ours: others saw the score swing by
# 1.5 points from epoch to epoch at a constant rate, and a third of that with it.
_SEGDINO_V2 = Recipe(
    "segdino_v2",
    "segdino_v2",
    views=VIEWS,
    weight_decay=0.01,
    schedule="cosine",
    options=(("width", 256),),
)

# The source's 1000 epochs of 250 steps of 896 x 896 train an encoder as well;
# 50 epochs of images at 512 are ours.
_MEDDINO = Recipe(
    "meddino",
    "meddino",
    sides=(512,),
    lr=3e-4,
    weight_decay=5e-2,
    betas=(0.9, 0.98),
    schedule="linear",
    loss="dice_ce",
)

# arXiv 2605.07221 states none of these numbers: all are our reading.
_MVR = Recipe(
    "mvr",
    "mvr",
    steps=300,
    sides=(512, 768),
    flips=True,
    lr=1e-3,
    weight_decay=1e-2,
    schedule="cosine",
    balance="classes",
    standardise="always",
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _SEGDINO,
        Recipe("segdino_released", "segdino", options=(("upsample_first", True),)),
        _SEGDINO_V2,
        Recipe(
            "segdino_v2_constant",
            "segdino_v2",
            views=VIEWS,
            weight_decay=0.01,
            options=(("width", 256),),
        ),
        Recipe(
            "segdino_v2_cpu",
            "segdino_v2",
            views=VIEWS,
            weight_decay=0.01,
            lr=5e-4,
            schedule="cosine",
            options=(("width", 64),),
        ),
        _MVR,
        _MEDDINO,
        Recipe(
            "segdino_quick",
            "segdino",
            steps=60,
            batch=2,
            sides=(512,),
            lr=1e-3,
            schedule="cosine",
            balance="strokes",
            options=(("activation", "gelu"),),
        ),
        Recipe(
            "segdino_v2_quick",
            "segdino_v2",
            steps=40,
            batch=1,
            lr=1e-3,
            weight_decay=0.01,
            schedule="cosine",
            balance="strokes",
            options=(("width", 64),),
        ),
        Recipe(
            "meddino_quick",
            "meddino",
            steps=40,
            batch=1,
            lr=1e-3,
            weight_decay=5e-2,
            betas=(0.9, 0.98),
            schedule="linear",
            loss="dice_ce",
            balance="strokes",
            options=(("width", 256),),
        ),
        Recipe(
            "mvr_quick",
            "mvr",
            steps=50,
            sides=(512,),
            lr=1e-3,
            weight_decay=1e-2,
            schedule="cosine",
            balance="classes",
            standardise="always",
        ),
    )
}
"""Recipes by name.

``segdino``, ``segdino_v2``, ``mvr`` and ``meddino`` follow the papers, but for
what is said above and beside them; ``segdino_released`` has the transposed
convolution and ``segdino_v2_constant`` the constant rate of the released code;
``segdino_v2_cpu`` is narrower, so that 20 images take minutes on one core.
The ``_quick`` ones are ours: they learn from strokes in seconds, with a budget
of steps, a higher rate that decays, and classes that weigh the same.
"""


def get_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Parameters
    ----------
    name : str
        A key of :data:`RECIPES`; arguments of the head may follow, such as
        ``"segdino_v2:width=512"`` or ``"segdino:activation=gelu"``.

    Raises
    ------
    InputError
        If there is no such recipe, or what follows is not ``name=value``.
    """
    base, _, given = name.partition(":")
    if base not in RECIPES:
        raise InputError(
            f"There is no recipe named {base!r}; there are {', '.join(RECIPES)}."
        )
    recipe = RECIPES[base]
    if not given:
        return recipe
    options = dict(recipe.options)
    for pair in given.split(","):
        key, equals, value = pair.partition("=")
        if not (key and equals and value):
            raise InputError(f"Options of a recipe look like width=512, not {pair!r}.")
        options[key.strip()] = _value(value.strip())
    return replace(recipe, name=name, options=tuple(options.items()))


def _value(text: str) -> int | bool | str:
    if text in ("True", "False"):
        return text == "True"
    return int(text) if text.isdigit() else text


def default_recipe(head: str, *, strokes: bool, device: str = "cpu") -> Recipe:
    """Choose a recipe for a head.

    Parameters
    ----------
    head : str
        The head.
    strokes : bool
        Whether it must learn in seconds from strokes, else from whole masks.
    device : str
        Where it trains, such as ``"cpu"`` or ``"cuda:0"``.

    Returns
    -------
    Recipe
    """
    if strokes:
        return get_recipe(f"{head}_quick")
    if head == "segdino_v2" and device == "cpu":
        return get_recipe("segdino_v2_cpu")
    return get_recipe(head)


def rate_at(recipe: Recipe, step: int, total: int) -> float:
    """Learning rate of a step.

    Parameters
    ----------
    recipe : Recipe
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
