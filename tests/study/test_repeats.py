"""What repeats of few-shot and ablation share: cases, order and tables."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_segdino.errors import InputError
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.io.cases import Case
from napari_segdino.metrics import Row
from napari_segdino.progress import drive
from napari_segdino.study.labels import LabelRule
from napari_segdino.study.read import CaseReader, Loaded
from napari_segdino.study.repeats import (
    Drawn,
    _with_classes,
    dice_table,
    in_order,
    iter_learn,
    iter_score,
    scores_of,
    spread,
)


def case(name, group=None):
    return Case(name, (), None, "", group or name)


def test_groups_come_whole_and_every_repeat_is_another_draw():
    pool = [case(f"{g}{i}", g) for g in "abcd" for i in range(3)]
    orders = [[c.group for c in in_order(pool, 0, repeat)] for repeat in range(6)]
    for order in orders:
        assert sorted(order) == sorted("abcd" * 3)
        assert all(len(set(order[i : i + 3])) == 1 for i in range(0, 12, 3))
    assert len({tuple(order) for order in orders}) > 1
    assert [c.group for c in in_order(pool, 0, 0)] == orders[0]


def test_cases_of_background_alone_are_left_out():
    pool = [case("a"), case("b"), case("c")]
    kept = _with_classes(pool, [(1,), (), (2,), (1,)], 2)
    assert [c.name for c in kept] == ["a", "c"]
    with pytest.raises(InputError, match="2 cases are left .* fewer than 3"):
        _with_classes(pool, [(1,), (), (2,)], 3)


def test_tables_average_classes_first():
    rows = [
        SimpleNamespace(repeat=repeat, case=name, dice=dice)
        for repeat, name, dice in [
            (0, "a", 1.0),
            (0, "a", 0.5),
            (0, "b", 0.25),
            (1, "a", 0.75),
            (1, "b", 0.5),
        ]
    ]
    table = dice_table(rows)
    assert table.tolist() == [[0.75, 0.25], [0.75, 0.5]]
    # Means of the repeats are 0.5 and 0.625.
    assert spread(table) == pytest.approx(0.125 / 2**0.5)
    assert np.isnan(spread(table[:1]))
    assert scores_of(Row("a", 2, 0.5, 0.25, 3.0, 1.0, 7, 8)) == ("a", 2, 0.5, 0.25, 3.0)


class Stub:
    """Learns nothing; says 1 everywhere."""

    n_classes_ = 2

    def __init__(self):
        self.learned = []

    def iter_fit(self, images, marks, axes, spacing):
        self.learned.append((len(images), [m.max() for m in marks], axes, spacing))
        yield from ()

    def iter_predict(self, image, axes, spacing):
        yield PlaneResult(
            0, np.ones(image.shape, np.uint8), np.zeros((2, *image.shape))
        )


def loaded(mask, axes="YX"):
    mask = np.array(mask, np.uint8)
    return Loaded(np.zeros(mask.shape, np.uint8), mask, axes, (1.0,) * mask.ndim)


def drawn(scored, pool=()):
    class Reader(CaseReader):
        def __call__(self, one):
            return dict(pool)[one.name]

    cases = [(case(name), one) for name, one in scored.items()]
    return Drawn([], cases, Reader(LabelRule(False, "")))


def test_scored_cases_count_only_what_they_hold():
    stub = Stub()
    found = drive(iter_score(stub, drawn({"a": loaded([[1, 0], [0, 0]])})))
    assert [(row.case, row.label, row.dice) for row in found] == [("a", 1, 2 / 5)]
    with pytest.raises(InputError, match="nothing but background"):
        drive(iter_score(stub, drawn({"a": loaded([[0, 0]])})))


def test_cases_are_learned_together_if_they_are_of_one_kind():
    stub = Stub()
    pool = {"a": loaded([[1, 0]]), "b": loaded([[0, 2]])}
    drive(iter_learn(stub, drawn({}, pool), [case("a"), case("b")]))
    assert stub.learned == [(2, [2, 3], "YX", [None, None])]
    pool["b"] = loaded([[[1]]], "ZYX")
    with pytest.raises(InputError, match="axes are YX, ZYX"):
        drive(iter_learn(stub, drawn({}, pool), [case("a"), case("b")]))
