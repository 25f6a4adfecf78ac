import json
import math
from dataclasses import replace

import pytest
import torch
from decoders import DENSE, decoder
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segdino.errors import InputError
from napari_segdino.heads.dense import batches
from napari_segdino.heads.dense.batches import epoch_batches, pieces, standardise
from napari_segdino.heads.dense.losses import (
    class_counts,
    cross_entropy_sums,
    dice_losses,
    mark_weights,
    mean_dice,
)
from napari_segdino.heads.dense.recipes import DenseRecipe
from napari_segdino.heads.dense.train import (
    DenseExample,
    TrainingState,
    iter_fit_dense,
)
from napari_segdino.heads.registry import head_class
from napari_segdino.progress import Progress, drive

OPTIONS = {
    "segdino": (("activation", "gelu"),),
    "segdino_v2": (("width", 32),),
    "meddino": (("width", 128), ("two_logits", True)),
}
D = 8


def blobs(seed, cells=(8, 8), n_classes=2, factor=4, depth=D):
    """One square a class; features say which, with a little noise."""
    g = torch.Generator().manual_seed(seed)
    classes = torch.zeros(cells, dtype=torch.long)
    for label in range(1, n_classes):
        y = int(torch.randint(1, cells[0] - 3, (), generator=g))
        x = 1 if label == 1 else cells[1] - 4
        classes[y : y + 3, x : x + 3] = label
    directions = torch.randn(n_classes, depth, generator=torch.Generator())
    clean = directions[classes].movedim(-1, 0)
    levels = tuple(
        (clean + 0.1 * torch.randn(clean.shape, generator=g)).half() for _ in range(4)
    )
    marks = classes.repeat_interleave(factor, 0).repeat_interleave(factor, 1) + 1
    return DenseExample(levels, marks.to(torch.uint8))


def recipe_of(head="segdino", **changes):
    base = DenseRecipe("toy", head, steps=30, batch=2, lr=3e-3, options=OPTIONS[head])
    return replace(base, **changes)


def fit(examples, n_classes=2, head="segdino", recipe=None, seed=0, **keywords):
    recipe = recipe or recipe_of(head)
    kind = head_class(head).decoder
    how = {"recipe": recipe, "seed": seed, **keywords}
    return drive(iter_fit_dense(kind, examples, n_classes, **how))


def dice_of(head, example):
    with torch.no_grad():
        scores = head([level[None] for level in example.levels], example.marks.shape)
    classes = scores.argmax(1) if head.n_logits > 1 else (scores[:, 0] > 0).long()
    return mean_dice(classes[0], example.marks.long(), head.n_classes)


def same(a, b):
    mine, theirs = a.state_dict(), b.state_dict()
    return all(torch.equal(mine[k], theirs[k]) for k in theirs)


# -- losses by hand ---------------------------------------------------------


def test_binary_cross_entropy_by_hand():
    logits = torch.tensor([0.0, math.log(3), math.log(3), 50.0])[None, None, None]
    marks = torch.tensor([[[1, 2, 1, 0]]])
    weights = torch.tensor([0.0, 1.0, 10.0])
    found = cross_entropy_sums(logits, marks, weights)
    expected = math.log(2) + 10 * math.log(4 / 3) + math.log(4)
    assert found.tolist() == pytest.approx([expected])


def test_cross_entropy_of_classes_by_hand():
    logits = torch.tensor([1.0, 2.0, 5.0]).log()[None, :, None, None].expand(1, 3, 1, 3)
    marks = torch.tensor([[[1, 3, 0]]])
    weights = torch.tensor([0.0, 1.0, 1.0, 2.0])
    found = cross_entropy_sums(logits, marks, weights)
    assert found.tolist() == pytest.approx([math.log(8) + 2 * math.log(8 / 5)])


def test_dice_loss_by_hand():
    logits = torch.tensor([0.0, math.log(3), 50.0, -50.0])[None, None, None]
    marks = torch.tensor([[[2, 1, 0, 1]]])
    # p = .5, .75, (left out), 0; one pixel is of the class
    expected = 1 - 2 * 0.5 / (0.5 + 0.75 + 1)
    assert dice_losses(logits, marks).tolist() == pytest.approx([expected])
    assert dice_losses(logits, torch.ones_like(marks)).tolist() == [0]


def test_dice_loss_counts_only_classes_that_are_there():
    logits = torch.zeros(1, 3, 1, 2)
    marks = torch.tensor([[[2, 1]]])
    expected = 1 - 2 * (1 / 3) / (2 / 3 + 1)
    assert dice_losses(logits, marks).tolist() == pytest.approx([expected])


def test_mean_dice_by_hand():
    classes = torch.tensor([[1, 1, 0, 2, 0]])
    marks = torch.tensor([[2, 1, 2, 0, 1]])
    assert mean_dice(classes, marks, 3) == pytest.approx(0.5)
    assert mean_dice(torch.zeros(1, 2), torch.ones(1, 2), 3) == 1
    assert mean_dice(torch.full((1, 2), 2), torch.ones(1, 2), 3) == 0


def test_classes_weigh_the_same_where_strokes_are_few():
    counts = torch.tensor([900, 30, 10, 0])
    strokes, none, classes = (
        mark_weights(counts, recipe_of(balance=b)).tolist()
        for b in ("strokes", "none", "classes")
    )
    assert strokes == classes == pytest.approx([0, 40 / 60, 2, 0])
    assert none == [0, 1, 1, 0]
    dense = mark_weights(torch.tensor([9, 30, 10, 0]), recipe_of(balance="strokes"))
    assert dense.tolist() == [0, 1, 1, 0]


# -- minibatches ------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-1, 3), min_size=1, max_size=12),
    st.integers(1, 5),
    st.integers(0, 9),
)
def test_an_epoch_sees_one_view_of_each_image(images, batch, epoch):
    found = epoch_batches(images, batch, 0, epoch)
    seen = [i for indices in found for i in indices]
    lone = [i for i, image in enumerate(images) if image == -1]
    named = sorted(images[i] for i in seen if images[i] != -1)
    assert sorted(i for i in seen if images[i] == -1) == lone
    assert named == sorted({image for image in images if image != -1})
    assert all(len(indices) == batch for indices in found[:-1])
    assert found == epoch_batches(images, batch, 0, epoch)


def test_epochs_differ_and_all_views_come():
    orders = [epoch_batches([0] * 4 + [-1] * 6, 3, 0, e) for e in range(30)]
    assert len({str(o) for o in orders}) > 25
    assert {0, 1, 2, 3} <= {i for order in orders for b in order for i in b}


def test_pieces_are_of_one_size_and_bounded(monkeypatch):
    examples = [blobs(i, cells) for i, cells in enumerate([(8, 8), (8, 12)] * 3)]
    monkeypatch.setattr(batches, "PIXELS_AT_ONCE", 2 * 32 * 32)
    found = [[e.marks.shape for e in p] for p in pieces(examples)]
    assert found == [[(32, 32)] * 2, [(32, 32)], *[[(32, 48)]] * 3]


@pytest.mark.parametrize("loss", ["ce", "dice_ce"])
def test_accumulating_gives_what_one_batch_gives(monkeypatch, loss):
    examples = [blobs(i) for i in range(4)]
    examples[1].marks[:20] = 0
    recipe = recipe_of(steps=3, batch=4, loss=loss, balance="classes")
    whole = fit(examples, recipe=recipe)
    monkeypatch.setattr(batches, "PIXELS_AT_ONCE", 1)
    parts = fit(examples, recipe=recipe)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)


def test_standardising_by_hand():
    head = decoder("segdino", (2, 3), 2)
    first = DenseExample(
        (torch.tensor([[[1.0, 3.0]], [[5.0, 5.0]]]).half(), torch.ones(3, 1, 1).half()),
        torch.ones(2, 2),
    )
    standardise(head, [first], recipe_of())
    assert head.mean_0.tolist() == [2, 5]
    assert head.scale_0.tolist() == pytest.approx([1, 1e4])
    tokens = decoder("segdino", (2, 2), 2)
    for how, expected in (("never", 0), ("pyramid", 0), ("always", 2)):
        e = DenseExample((first.levels[0],) * 2, first.marks)
        standardise(tokens, [e], recipe_of(standardise=how))
        assert tokens.mean_0[0] == expected


# -- training ---------------------------------------------------------------


@pytest.mark.parametrize("head", DENSE)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_head_learns_blobs(head, n_classes):
    # SegDINO scores cells, not pixels: it cannot follow their corners.
    factor = 1 if head == "segdino" else 4
    examples = [blobs(i, n_classes=n_classes, factor=factor) for i in range(2)]
    loss = "dice_ce" if head == "meddino" else "ce"
    steps = 60 if head == "segdino_v2" else 30
    recipe = recipe_of(head, steps=steps, loss=loss, schedule="cosine")
    trained = fit(examples, n_classes, head, recipe)
    untrained = decoder(head, (D,) * 4, n_classes, **recipe.head_options)
    assert min(dice_of(trained, e) for e in examples) > 0.95
    assert min(dice_of(untrained, e) for e in examples) < 0.8
    assert not trained.training


def test_a_few_strokes_are_enough():
    example, other = blobs(0), blobs(1)
    strokes = torch.zeros_like(example.marks)
    inside = (example.marks == 2).nonzero()
    strokes[tuple(inside[len(inside) // 2 :][:12].T)] = 2
    strokes[0] = 1
    strokes[:, -1] = 1
    marked = replace(example, marks=strokes)
    trained = fit([marked], recipe=recipe_of(balance="strokes"))
    assert dice_of(trained, example) > 0.8
    assert dice_of(trained, other) > 0.8


def test_nothing_is_learned_from_what_is_unlabelled():
    example = blobs(0)
    marked = example.marks.clone()
    marked[:, 20:] = 0
    wrong = DenseExample(example.levels, example.marks)
    a = fit([replace(example, marks=marked)], recipe=recipe_of(steps=3))
    hidden = [replace(example, marks=torch.zeros_like(marked)), wrong]
    b = fit([replace(example, marks=marked), hidden[0]], recipe=recipe_of(steps=3))
    c = fit([wrong], recipe=recipe_of(steps=3))
    assert same(a, b)
    assert not same(a, c)


@pytest.mark.parametrize("clip", [0.0, 0.01])
def test_gradients_are_shortened_where_the_recipe_says_so(clip, monkeypatch):
    norms, step = [], torch.optim.AdamW.step

    def measured(self, *args):
        grads = [p.grad.flatten() for g in self.param_groups for p in g["params"]]
        norms.append(float(torch.cat(grads).norm()))
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", measured)
    fit([blobs(0)], recipe=recipe_of(steps=3, clip=clip))
    assert len(norms) == 3
    assert (max(norms) < 0.0101) == (clip > 0)


@pytest.mark.parametrize("head", DENSE)
def test_the_same_seed_gives_the_same_head(head):
    examples = [blobs(i) for i in range(3)]
    recipe = recipe_of(head, steps=4)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = fit(examples, head=head, recipe=recipe)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(first, fit(examples, head=head, recipe=recipe))
    assert not same(first, fit(examples, head=head, recipe=recipe, seed=1))


def test_no_gradient_reaches_the_features():
    example = blobs(0)
    levels = tuple(level.requires_grad_() for level in example.levels)
    before = [level.detach().clone() for level in levels]
    with torch.no_grad():
        fit([replace(example, levels=levels)], recipe=recipe_of(steps=2))
        assert not torch.is_grad_enabled()
    assert all(level.grad is None for level in levels)
    assert all(torch.equal(a, b) for a, b in zip(levels, before, strict=True))


@pytest.mark.parametrize("head", DENSE)
def test_a_stopped_training_goes_on_bit_by_bit(head):
    examples = [blobs(i) for i in range(3)]
    recipe = recipe_of(head, steps=0, epochs=4, schedule="cosine")
    keywords = {"head": head, "recipe": recipe, "validate": [blobs(9)]}
    states = []
    whole = fit(examples, on_epoch=states.append, **keywords)
    assert [s.numbers["epoch"] for s in states] == [1, 2, 3, 4]
    kept = TrainingState(
        {k: v.clone() for k, v in states[1].tensors.items()},
        json.loads(json.dumps(states[1].numbers)),
    )
    again = []
    resumed = fit(examples, start=kept, on_epoch=again.append, **keywords)
    assert [s.numbers["epoch"] for s in again] == [3, 4]
    assert same(whole, resumed)
    assert again[-1].numbers == states[-1].numbers
    last, ours = states[-1].tensors, again[-1].tensors
    assert last.keys() == ours.keys()
    assert all(torch.equal(last[k], ours[k]) for k in last)
    assert any(k.startswith("optimiser.") for k in last)


def test_a_state_is_a_copy():
    states = []
    fit([blobs(0)], recipe=recipe_of(steps=3), on_epoch=states.append)
    key = "model.classify.weight"
    assert not torch.equal(states[0].tensors[key], states[2].tensors[key])


def test_the_best_epoch_is_returned():
    states = []
    recipe = recipe_of(steps=0, epochs=6, lr=3e-3)
    opposite = replace(blobs(5), marks=3 - blobs(5).marks)
    best = fit([blobs(0)], recipe=recipe, validate=[opposite], on_epoch=states.append)
    marked = states[-1].numbers
    scores = [s.numbers["best_score"] for s in states]
    assert scores == sorted(scores)
    assert dice_of(best, opposite) == pytest.approx(marked["best_score"])
    assert marked["best_epoch"] < 6  # learning makes this score worse
    chosen = states[int(marked["best_epoch"]) - 1].tensors
    assert torch.equal(best.classify.weight, chosen["model.classify.weight"])
    assert not torch.equal(
        best.classify.weight, states[-1].tensors["model.classify.weight"]
    )


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.tuples(st.integers(5, 9), st.integers(8, 12)), min_size=1, max_size=4)
)
def test_tiles_of_any_sizes_together(sizes):
    examples = [blobs(i, cells, factor=1 + i % 3) for i, cells in enumerate(sizes)]
    trained = fit(examples, recipe=recipe_of(steps=2, batch=4))
    assert all(p.isfinite().all() for p in trained.parameters())


def test_a_pyramid():
    example = blobs(0)
    levels = tuple(
        torch.nn.functional.avg_pool2d(level[None].float(), 2**i)[0][: D - i].half()
        for i, level in enumerate(example.levels)
    )
    trained = fit([replace(example, levels=levels)])
    assert trained.mean_0.any()
    assert dice_of(trained, replace(example, levels=levels)) > 0.95


def test_progress_counts_steps_and_a_budget_is_kept():
    steps = iter_fit_dense(
        head_class("segdino").decoder,
        [blobs(i) for i in range(5)],
        2,
        recipe=recipe_of(steps=7),
        seed=0,
    )
    seen = list(steps)
    assert all(isinstance(s, Progress) for s in seen)
    assert [s.done for s in seen] == list(range(8))
    assert {s.total for s in seen} == {7}


def test_closing_cancels_within_a_step(monkeypatch):
    monkeypatch.setattr(batches, "PIXELS_AT_ONCE", 1)
    ended = []
    steps = iter_fit_dense(
        head_class("segdino").decoder,
        [blobs(i) for i in range(4)],
        2,
        recipe=recipe_of(steps=9, batch=4),
        seed=0,
        on_epoch=ended.append,
    )
    assert [next(steps).done for _ in range(3)] == [0, 0, 0]
    steps.close()
    assert ended == []
    with pytest.raises(StopIteration):
        next(steps)


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (torch.zeros(8, 8, dtype=torch.uint8), "Only one class"),
        (torch.ones(8, 8, dtype=torch.uint8), "Only one class"),
        (torch.full((8, 8), 3, dtype=torch.uint8), "higher than 2"),
    ],
)
def test_marks_that_teach_nothing_are_refused(marks, message):
    with pytest.raises(InputError, match=message):
        fit([replace(blobs(0), marks=marks)])


def test_counts_by_hand():
    maps = [torch.tensor([[0, 1, 3]]), torch.tensor([[3], [2]])]
    assert class_counts(maps, 3).tolist() == [1, 1, 1, 2]


def test_another_heads_state_is_refused():
    states = []
    recipe = recipe_of("segdino_v2", steps=1)
    fit([blobs(0)], head="segdino_v2", recipe=recipe, on_epoch=states.append)
    with pytest.raises(InputError, match="another head"):
        fit([blobs(0)], start=states[0])
