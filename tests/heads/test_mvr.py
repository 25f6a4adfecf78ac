"""DINO-MVR: what it learns from, what it predicts, and that every option counts."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.encoders.table import get_spec
from napari_segdino.errors import ChannelsError, InputError
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.extract import Extractor
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.views import View
from napari_segdino.heads.mvr.options import OPTION_NAMES, MVROptions
from napari_segdino.heads.mvr.perceptrons import make_perceptrons
from napari_segdino.heads.registry import get_recipe, make_head, recipes
from napari_segdino.inference.score import TileScorer
from napari_segdino.marks import strokes_of

SIDE = 64
VIEWS = FeatureSettings((64, 96), (1.0,), True, neighbours=0)


class Lopsided(FakeEncoder):
    """Sees all a pixel to the right, so that mirrored views are others."""

    def encode(self, batch, levels):
        return super().encode(batch.roll(1, -1), levels)


@pytest.fixture
def encoder(monkeypatch):
    return Lopsided().installed(monkeypatch)


@pytest.fixture
def make(encoder, tmp_path):
    def made(recipe="mvr:steps=20", **how):
        how = {"features": VIEWS, "cache": CacheSettings(folder=tmp_path)} | how
        return Segmenter("fake", recipe.partition(":")[0], recipe=recipe, **how)

    return made


def scene(whole=False):
    """A red square on blue; a stroke on each side, or the whole mask."""
    # Colours, since a layer norm over three channels takes brightness away.
    image = np.random.default_rng(0).integers(20, 60, (SIDE, SIDE, 3), np.uint8)
    image[..., 2] += 130
    image[16:40, 16:40] = image[16:40, 16:40, ::-1]
    marks = np.zeros((SIDE, SIDE), np.uint8)
    marks[24, 18:36], marks[50, 4:60] = 2, 1
    if whole:
        marks[:] = 1
        marks[16:40, 16:40] = 2
    return image, marks


def grid(*levels):
    blank = torch.zeros(1, 4, 4)
    return FeatureGrid(levels, blank, blank, blank[0], "tile")


def decided(*odds, present=(0, 1)):
    """Perceptrons of which each gives class 1 the same probability everywhere."""
    model = make_perceptrons([3] * len(odds), present, 2, 4)
    model.initialise(torch.Generator().manual_seed(0))
    for block, p in zip(model.blocks, odds, strict=True):
        block.output.weight.detach().zero_()
        block.output.bias.data = torch.tensor([math.log(1 - p), math.log(p)])
    return model


# -- what is published, by hand --------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "levels"),
    [
        ("dinov3_vits16", (9, 10, 11)),
        ("dinov3_vitl16", (21, 22, 23)),
        ("dinov3_convnext_tiny", (1, 2, 3)),
        ("efficientnet_lite0", (2, 3, 4)),
    ],
)
def test_the_last_three_blocks_are_read(encoder, levels):
    assert make_head("mvr").levels(get_spec(encoder)) == levels


def test_a_view_is_the_mean_of_the_three_probabilities():
    tile = grid(*(torch.rand(3, n, n) for n in (2, 2, 1)))
    found = make_head("mvr").predict(decided(0.9, 0.6, 0.3), tile, "cpu")
    torch.testing.assert_close(found[1], torch.full((4, 4), 0.6))
    torch.testing.assert_close(found[0], torch.full((4, 4), 0.4))


def test_a_block_is_normed_then_one_hidden_layer_with_gelu_then_logits():
    model = make_perceptrons([2], (0, 1), 2, 1)
    (block,) = model.blocks
    state = {
        "norm.weight": [1.0, 1.0],
        "norm.bias": [0.0, 0.0],
        "hidden.weight": [[1.0, 0.0]],
        "hidden.bias": [0.5],
        "output.weight": [[0.0], [2.0]],
        "output.bias": [0.0, -1.0],
    }
    block.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    # (3, 1) becomes (1, -1); 1.5 by GELU is 1.5 * Phi(1.5).
    unit = 1.5 * 0.5 * (1 + math.erf(1.5 / math.sqrt(2)))
    expected = 1 / (1 + math.exp(-(2 * unit - 1)))
    found = model.at([torch.tensor([[3.0, 1.0]])])
    assert found[1].item() == pytest.approx(expected, abs=1e-5)


def test_logits_are_interpolated_and_not_probabilities():
    model = make_perceptrons([2], (0, 1), 2, 1)
    model.initialise(torch.Generator().manual_seed(3))
    tokens = torch.tensor([[[-4.0, 4.0]], [[1.0, 0.0]]])
    (block,) = model.blocks
    low, high = block(tokens.flatten(1).T)
    # Of four pixels over two cells, the second is a quarter of the way.
    expected = (0.75 * low + 0.25 * high).softmax(0)
    found = model.over([tokens], (1, 4))
    torch.testing.assert_close(found[:, 0, 1], expected)


def test_views_are_fused_by_entropy_weights_then_smoothed():
    """One view is sure (p = 0.9), one is not (p = 0.5): worked by hand."""
    tile = np.zeros((4, 4, 1), np.uint8)
    head, model = make_head("mvr"), decided(0.5)
    head.predict = lambda model, grid, device, reuse: next(answers)
    extractor = Extractor(FakeEncoder(), (0,), FeatureCache(1 << 20))
    views = ((View(32, 1.0),), (View(64, 1.0),))

    def fused(**settings):
        how = PredictSettings(**settings)
        intensity = Intensity((0.0,), (1.0,))
        return TileScorer(extractor, views, intensity, head, model, how, {})(tile)

    sure, unsure = (torch.tensor([1 - p, p])[:, None, None] for p in (0.9, 0.5))
    maps = [sure.expand(2, 4, 4), unsure.expand(2, 4, 4)]
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1)) / math.log(2)
    a, b = math.exp(-entropy / 0.5), math.exp(-1 / 0.5)
    answers = iter(maps)
    expected = (a * 0.9 + b * 0.5) / (a + b)
    torch.testing.assert_close(fused()[1], torch.full((4, 4), expected))
    answers = iter(maps)
    torch.testing.assert_close(fused(fusion="mean")[1], torch.full((4, 4), 0.7))
    spike = maps[1].clone()
    spike[1, 1, 1], spike[0, 1, 1] = 1.0, 0.0
    head.sigma = 128.0  # of 512 pixels: one of these four
    answers = iter([spike, spike])
    smoothed = fused(fusion="mean")
    assert 0.5 < float(smoothed[1, 2, 1]) < float(smoothed[1, 1, 1]) < 1
    torch.testing.assert_close(smoothed.sum(0), torch.ones(4, 4))
    answers = iter([spike, spike])
    torch.testing.assert_close(fused(fusion="mean", regularise=False), spike)


# -- learning --------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True])
def test_it_learns_from_strokes_and_from_masks(make, whole):
    image, marks = scene(whole)
    segmenter = make("mvr:steps=100").fit(image, marks)
    found, truth = segmenter.predict(image) == 1, scene(True)[1] == 2
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85


@pytest.mark.parametrize("whole", [False, True])
def test_a_rare_class_weighs_as_much_as_a_common_one(make, whole):
    image, marks = np.full((SIDE, SIDE, 3), 90, np.uint8), scene(whole)[1]
    marks[2:60:6, 40:60] = 1
    found = make("mvr:steps=200,lr=0.01").fit(image, marks).predict_proba(image)
    assert found[1].mean() == pytest.approx(0.5, abs=0.02), "all pixels are alike"


def test_one_view_is_learned_and_all_are_predicted(make, encoder):
    image, marks = scene()
    segmenter = make().fit(image, marks)
    assert encoder.planes_encoded == len(segmenter.samples_) == 1
    (sample,) = segmenter.samples_.values()
    assert sample.weights.sum() == pytest.approx(2), "each stroke is here as a whole"
    assert sample.widths.tolist() == [3, 3], "blocks alone, nothing hand-made"
    segmenter.predict(image)
    assert encoder.planes_encoded == 4
    single = Segmenter("fake", "mvr", recipe="mvr:steps=20", cache=segmenter.cache)
    single.features = FeatureSettings((64,), (1.0,), neighbours=0)
    single.fit(image, marks)
    for a, b in zip(
        segmenter.model_.state_dict().values(),
        single.model_.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(a, b), "further views change nothing of what is trained"


OTHER = {
    "hidden": 8,
    "dropout": 0.6,
    "steps": 3,
    "batch": 32,
    "lr": 0.02,
    "weight_decay": 0.9,
    "sigma": 9.0,
}


@pytest.mark.parametrize("name", OPTION_NAMES)
def test_every_option_changes_what_is_predicted(make, name):
    image, marks = scene(whole=True)
    plain = make("mvr:steps=20").fit(image, marks).predict_proba(image)
    given = f"mvr:{name}={OTHER[name]}" + ("" if name == "steps" else ",steps=20")
    other = make(given).fit(image, marks).predict_proba(image)
    assert np.abs(plain - other).max() > 1e-4


@pytest.mark.parametrize(
    "change", [{"sides": (96, 64)}, {"sides": (64,)}, {"flips": False}]
)
def test_the_views_of_a_recipe_change_what_is_predicted(make, change):
    image, marks = scene()
    plain = make().fit(image, marks).predict_proba(image)
    recipe = dataclasses.replace(get_recipe("mvr:steps=20"), **change)
    shown = dataclasses.replace(recipe.features, sides=change.get("sides", VIEWS.sides))
    assert (shown.flips, shown.factors) == (recipe.flips, (1.0,))
    other = make(features=shown).fit(image, marks).predict_proba(image)
    assert np.abs(plain - other).max() > 1e-4


def test_a_recipe_says_its_views():
    shown = make_head("mvr", "mvr_quick").default_features()
    assert (shown.sides, shown.flips) == ((512,), False)
    shown = make_head("mvr").default_features()
    assert (len(shown.sides), shown.flips, shown.neighbours) == (2, True, 0)
    for name in ("mvr", "mvr_quick"):
        assert set(recipes()[name].head_options) == set(OPTION_NAMES)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mvr:epochs=3", "option of the recipe mvr named 'epochs'"),
        ("mvr:step=3", "did you mean 'steps'"),
        ("mvr:steps=0", "steps is a whole number above 0, not 0"),
        ("mvr:steps=1.5", "steps is a whole number above 0, not 1.5"),
        ("mvr:lr=fast", "lr is a number of at least 0, not 'fast'"),
        ("mvr:lr=nan", "lr is a number of at least 0, not nan"),
        ("mvr:sigma=-1", "sigma is a number of at least 0, not -1"),
        ("mvr:dropout=1", "dropout is below 1, not 1"),
    ],
)
def test_other_options_and_values_are_refused_in_one_sentence(given, words):
    with pytest.raises(InputError, match="mvr|number|below") as refused:
        make_head("mvr", given)
    assert words in str(refused.value)


def test_the_same_seed_and_no_other_chance(make):
    image, marks = scene()
    before = torch.random.get_rng_state()
    one, two = (make().fit(image, marks).predict_proba(image) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert torch.equal(before, torch.random.get_rng_state())
    other = make(random_state=1).fit(image, marks).predict_proba(image)
    assert np.abs(one - other).max() > 0


def test_a_class_without_marks_has_no_probability(make):
    image, marks = scene()
    marks[marks == 2] = 4
    found = make().fit(image, marks).predict_proba(image)
    assert found.shape[0] == 4
    assert not found[1:3].any()
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


def test_one_class_alone_is_refused(make):
    image, marks = scene()
    marks[marks == 1] = 0
    with pytest.raises(InputError, match="Only one class is marked"):
        make().fit(image, marks)


def test_other_channels_are_refused():
    tile = grid(torch.zeros(5, 2, 2))
    with pytest.raises(ChannelsError):
        make_head("mvr").predict(decided(0.5), tile, "cpu")


def test_progress_is_told_and_closing_cancels(make):
    image, marks = scene()
    segmenter = make().fit(image, marks)
    model = segmenter.model_
    steps = segmenter.iter_fit(image, 3 - marks * (marks > 0))
    training = (s for s in steps if s.text == "Training mvr")
    assert [(s.done, s.total) for s in (next(training), next(training))] == [
        (0, 20),
        (1, 20),
    ]
    steps.close()
    assert segmenter.model_ is model


# -- keeping ---------------------------------------------------------------------


def test_a_file_opens_as_it_was_and_goes_on(make, tmp_path):
    image, marks = scene()
    segmenter = make("mvr:steps=20,lr=0.01").fit(image, marks)
    loaded = Segmenter.load(segmenter.save(tmp_path / "a.segdino"))
    assert (loaded.head, loaded.recipe) == ("mvr", "mvr:steps=20,lr=0.01")
    np.testing.assert_array_equal(
        loaded.predict_proba(image), segmenter.predict_proba(image)
    )
    marks[5, 5:40] = 1
    np.testing.assert_array_equal(
        loaded.partial_fit(image, marks).predict_proba(image),
        segmenter.partial_fit(image, marks).predict_proba(image),
    )


def test_strokes_are_asked_where_they_were_sampled(make):
    image, marks = scene()
    segmenter = make("mvr:steps=100").fit(image, marks)
    ((key, sample),) = segmenter.samples_.items()
    head = make_head("mvr")
    strokes = list(strokes_of(marks))
    right = head.stroke_accuracy(segmenter.model_, key, sample, strokes)
    assert right == [1.0, 1.0]
    swapped = dataclasses.replace(sample, codes=3 - sample.codes)
    wrong = head.stroke_accuracy(segmenter.model_, key, swapped, strokes)
    assert wrong == [0.0, 0.0]


def test_a_volume_is_smoothed_along_z_alone(make):
    image, marks = scene()
    volume = np.stack([image, image[::-1], image])
    segmenter = make().fit(image, marks)
    alone = segmenter.predict_proba(volume, axes="ZYXC")
    np.testing.assert_allclose(alone[:, 0], alone[:, 2])
    segmenter.predicting = PredictSettings(z_sigma=1.0)
    smoothed = segmenter.predict_proba(volume, axes="ZYXC")
    inside = np.s_[1, 0, 17:23, 20:36]
    assert smoothed[inside].mean() < alone[inside].mean() - 0.1


def test_options_are_those_of_the_default_recipe():
    assert get_recipe("mvr").head_options == dataclasses.asdict(MVROptions())
