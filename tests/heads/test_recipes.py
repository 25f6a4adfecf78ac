import dataclasses
import math

import numpy as np
import pytest
from decoders import DENSE, decoder
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segdino.errors import InputError
from napari_segdino.heads.dense.augment import augmented, jitter, turn
from napari_segdino.heads.dense.recipes import DenseRecipe, rate_at
from napari_segdino.heads.registry import get_recipe, head_class, make_head, recipes


def test_the_published_recipes():
    known = recipes()
    one, two, med = (known[n] for n in ("segdino", "segdino_v2_constant", "meddino"))
    for r in (one, two):
        assert (r.lr, r.epochs, r.batch, r.steps) == (1e-4, 50, 4, 0)
        assert (r.sides, r.schedule, r.loss) == ((256,), "constant", "ce")
        assert (r.betas, r.balance) == ((0.9, 0.999), "none")
    assert (one.weight_decay, one.views) == (1e-4, 0)
    assert (two.weight_decay, two.views) == (0.01, 8)
    assert two.head_options == {"width": 256}
    assert (med.lr, med.weight_decay, med.betas) == (3e-4, 5e-2, (0.9, 0.98))
    assert (med.schedule, med.loss) == ("linear", "dice_ce")


@pytest.mark.parametrize(
    ("name", "how"),
    [("segdino_published", "bicubic"), ("segdino_v2_published", "bilinear")],
)
def test_published_recipes_show_pictures_as_the_released_code_does(name, how):
    recipe = get_recipe(name)
    plain = get_recipe(name.replace("published", "constant").removesuffix("_constant"))
    shown = recipe.features
    assert (shown.sides, shown.factors, shown.flips) == ((256,), (1.0,), False)
    assert (shown.intensity, shown.squash) == ("8-bit", how)
    assert recipe.schedule == "constant"
    assert (recipe.options, recipe.lr) == (plain.options, plain.lr)


def test_every_recipe_names_itself_and_takes_its_own_options():
    for name, recipe in recipes().items():
        assert recipe.name == name
        assert get_recipe(name) == recipe
        assert make_head(recipe.head, name).name == recipe.head
        assert set(recipe.head_options) <= set(head_class(recipe.head).option_names())
    for head in DENSE:
        for recipe in head_class(head).recipes:
            decoder(head, (32,) * 4, 2, **recipe.head_options)


@pytest.mark.parametrize("name", DENSE)
def test_a_recipe_is_chosen_by_what_is_marked_and_by_the_device(name):
    head = make_head(name)
    strokes = head.choose_recipe(True, "cuda:0")
    assert 0 < strokes.steps <= 60
    assert strokes.balance != "none"
    on_cpu = head.choose_recipe(True, "cpu")
    assert dataclasses.replace(on_cpu, name="", options=()) == dataclasses.replace(
        strokes, name="", options=()
    )
    assert get_recipe(strokes.name) == strokes
    assert head.choose_recipe(False, "cuda:0").name == name
    assert make_head(name, strokes.name).choose_recipe(False, "cuda") == strokes


def test_the_published_width_on_a_gpu_and_a_narrow_one_on_a_cpu():
    head = make_head("segdino_v2")
    widths = {d: head.choose_recipe(False, d).head_options for d in ("cpu", "cuda:1")}
    assert widths == {"cpu": {"width": 64}, "cuda:1": {"width": 256}}
    widths = {d: head.choose_recipe(True, d).head_options for d in ("cpu", "cuda:1")}
    assert widths == {"cpu": {"width": 64}, "cuda:1": {"width": 256}}
    assert head.choose_recipe(False, "mps").head_options == {"width": 256}


def test_the_first_version_has_no_activation_that_the_released_code_has_not():
    for recipe in head_class("segdino").recipes:
        assert "activation" not in recipe.head_options, "none by default"


def test_options_follow_the_name():
    assert get_recipe("segdino_v2:width=512").head_options == {"width": 512}
    assert get_recipe("segdino:activation=gelu").name == "segdino:activation=gelu"
    assert get_recipe("probe:steps=10").head_options == {"steps": 10}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("segdino_v3", ["'segdino_v3'", "did you mean 'segdino_v2'", "meddino_quick"]),
        ("segdino_v2:widht=64", ["'widht'", "did you mean 'width'", "segdino_v2"]),
        ("segdino_v2:steps=3", ["'steps'", "there are width"]),
        ("probe:epochs=3", ["'epochs'", "there are steps"]),
        ("probe:steps", ["width=512", "'steps'"]),
    ],
)
def test_unknown_recipes_and_options_are_refused(name, words):
    with pytest.raises(InputError) as refused:
        get_recipe(name)
    assert all(word in str(refused.value) for word in words)
    assert str(refused.value).count(".") == 1, "one sentence"


@pytest.mark.parametrize("recipe", ["probe:steps=0", "probe:steps=many"])
def test_steps_are_a_number(recipe):
    with pytest.raises(InputError, match="number above 0"):
        make_head("probe", recipe)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [2, 2, 2]),
        ("linear", [2, 1.5, 1]),
        ("cosine", [2, 1 + math.sqrt(0.5), 1]),
    ],
)
def test_rates_by_hand(schedule, expected):
    recipe = DenseRecipe("r", "segdino", lr=2.0, schedule=schedule)
    assert [rate_at(recipe, s, 4) for s in (0, 1, 2)] == pytest.approx(expected)


def picture(shape=(40, 56), channels=3):
    image = np.random.default_rng(0).random((*shape, channels))
    marks = np.ones(shape, np.uint8)
    marks[10:20, 30:44] = 2
    return image, marks


def test_copies_are_of_the_seed_and_differ():
    image, marks = picture()
    first = list(augmented(image, marks, 8, 3))
    again = list(augmented(image, marks, 5, 3))
    for (a, m), (b, k) in zip(first, again, strict=False):
        assert np.array_equal(a, b)
        assert np.array_equal(m, k)
    other = list(augmented(image, marks, 8, 4))
    assert any(
        not np.array_equal(a, b) for (a, _), (b, _) in zip(first, other, strict=True)
    )
    assert len({a.tobytes() for a, _ in first}) >= 6


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 3, 5]))
def test_copies_keep_shape_range_and_codes(y, x, channels):
    image, _ = picture((y, x), channels)
    marks = np.random.default_rng(1).integers(0, 4, (y, x)).astype(np.uint8)
    for feature_settings, marked in augmented(image, marks, 4, 0):
        assert feature_settings.shape == image.shape
        assert feature_settings.dtype == np.float32
        assert feature_settings.min() >= 0
        assert feature_settings.max() <= 1
        assert marked.shape == marks.shape
        assert marked.dtype == marks.dtype
        assert set(np.unique(marked)) <= {0, *np.unique(marks)}


def test_marks_move_with_the_image():
    marks = np.ones((64, 48), np.uint8)
    marks[8:24, 10:30] = 2
    image = np.repeat((marks == 2)[..., None], 3, -1).astype(np.float64)
    for feature_settings, marked in augmented(image, marks, 12, 0):
        light = feature_settings.mean(-1) > 0.5
        known = marked > 0
        assert (light == (marked == 2))[known].mean() > 0.98


def test_a_turn_by_hand():
    image = np.zeros((5, 5, 1), np.float32)
    marks = np.ones((5, 5), np.uint8)
    image[2, 4] = 1
    marks[2, 4] = 3
    feature_settings, marked = turn(image, marks, 90.0)
    assert np.argwhere(feature_settings[..., 0] > 0.9).tolist() in ([[0, 2]], [[4, 2]])
    assert np.array_equal(marked == 3, feature_settings[..., 0] > 0.9)


def test_past_the_border_all_is_unlabelled():
    _, marked = turn(np.zeros((41, 41, 1), np.float32), np.ones((41, 41), np.uint8), 15)
    assert marked[0, 0] == marked[-1, -1] == 0
    assert marked[10:31, 10:31].all()


def test_colours_are_shifted_within_bounds():
    grey = np.full((4, 4, 3), 0.5, np.float32)
    values = [jitter(grey, np.random.default_rng(i)).mean() for i in range(40)]
    assert 0.39 < min(values) < 0.46
    assert 0.54 < max(values) < 0.61
    red = np.zeros((4, 4, 3), np.float32)
    red[..., 0] = 0.8
    shifted = [jitter(red, np.random.default_rng(i)) for i in range(40)]
    assert max(s[..., 1:].max() for s in shifted) > 0.05  # the hue moves
    assert all((s.argmax(-1) == 0).all() for s in shifted)  # and stays reddish
