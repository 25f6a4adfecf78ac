from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_segdino.errors import InputError
from napari_segdino.heads.dense.train import TrainingState
from napari_segdino.io.datasets import Case, Dataset
from napari_segdino.metrics import Row
from napari_segdino.metrics.scores import by_case
from napari_segdino.study.ablation import (
    StepRow,
    ablation_steps,
    step_table,
    summarise_steps,
)
from napari_segdino.study.evaluate import mean_score
from napari_segdino.study.labels import LabelRule, decide
from napari_segdino.study.read import CaseReader, scaled
from napari_segdino.study.repeats import in_order
from napari_segdino.study.report import summary_of
from napari_segdino.study.settings import SeedResult
from napari_segdino.study.shots import ShotRow, summarise
from napari_segdino.study.split import draw, split_cases
from napari_segdino.study.state import SeedFolder, StudyFolder


def case(name, group=None, split=""):
    return Case(name, (), None, split, name if group is None else group)


def parts_of(splits):
    return [splits.train, splits.validation, splits.test]


# -- splits ----------------------------------------------------------------


@given(
    st.lists(st.integers(0, 9), min_size=3, max_size=40).filter(
        lambda g: len(set(g)) > 2
    ),
    st.floats(0.05, 0.6),
    st.integers(0, 5),
)
def test_groups_stay_whole_and_no_case_is_lost(groups, share, seed):
    cases = tuple(case(f"c{i}", str(g)) for i, g in enumerate(groups))
    splits = split_cases(Dataset(None, "", cases), share, share, seed)
    parts = parts_of(splits)
    assert sorted(c.name for part in parts for c in part) == sorted(
        c.name for c in cases
    )
    assert all(parts)
    sets = [{c.group for c in part} for part in parts]
    assert sum(map(len, sets)) == len(set().union(*sets))
    assert splits == split_cases(Dataset(None, "", cases), share, share, seed)


def test_shares_and_seeds():
    cases = tuple(case(f"c{i}") for i in range(100))
    splits = split_cases(Dataset(None, "", cases), 0.25, 0.2, 0)
    assert [len(p) for p in parts_of(splits)] == [60, 20, 20]
    assert splits.test != split_cases(Dataset(None, "", cases), 0.25, 0.2, 1).test


def test_what_the_data_set_says_is_kept():
    cases = [
        case("a", split="train"),
        case("b", split="train"),
        case("c", split="test"),
    ]
    splits = split_cases(Dataset(None, "", tuple(cases)))
    assert splits.test == (cases[2],)
    assert {c.name for c in splits.train + splits.validation} == {"a", "b"}
    cases += [case("d", split="validation"), case("e", "c", "train")]
    splits = split_cases(Dataset(None, "", tuple(cases)))
    assert splits.validation == (cases[3],)
    assert "e" not in {c.name for c in splits.train}
    assert "1 training cases are left out" in splits.notes[-1]


def test_too_few_groups():
    cases = (case("a", "one"), case("b", "one"), case("c", "two"))
    with pytest.raises(InputError, match="cannot be split"):
        split_cases(Dataset(None, "", cases))
    with pytest.raises(InputError, match="2 cases of 1 groups"):
        draw(cases[:2], 0.5, np.random.default_rng(0))


@given(st.integers(0, 20), st.integers(0, 20))
def test_fewer_shots_are_the_first_of_more_and_groups_follow(seed, repeat):
    pool = [case(f"c{i}", str(i // 3)) for i in range(12)]
    order = in_order(pool, seed, repeat)
    assert sorted(c.name for c in order) == sorted(c.name for c in pool)
    groups = [c.group for c in order]
    assert sum(a != b for a, b in zip(groups, groups[1:], strict=False)) == 3


# -- labels ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "names", "binary", "merge", "text"),
    [
        ([(1,), ()], None, None, False, "0 and 1"),
        ([(1, 2), (2,)], None, None, False, "Labels 1, 2."),
        ([(128,), ()], None, None, True, "0 and 128"),
        ([(2,)], {2: "liver"}, None, False, "Label 2 (liver)."),
        ([(1, 2)], None, True, True, "merged into one"),
        ([tuple(range(1, 10)), (1, 2)], None, None, True, "number instances"),
        ([tuple(range(1, 10)), (1, 2)], None, False, False, "Labels 1, 2"),
        ([tuple(range(1, 10))] * 3, None, None, False, "Labels 1, 2"),
        ([(1, 2), (1,)], None, None, False, "Labels 1, 2."),
        ([tuple(range(1, 40))], None, None, True, "up to 39"),
    ],
)
def test_what_the_numbers_in_masks_stand_for(found, names, binary, merge, text):
    rule = decide(found, names, binary)
    assert rule.merge is merge
    assert text in rule.text


def test_masks_that_cannot_be_used():
    with pytest.raises(InputError, match="nothing but background"):
        decide([(), ()])
    with pytest.raises(InputError, match="--binary"):
        decide([(1, 300), (5,)])


@given(st.lists(st.integers(0, 9), min_size=1).filter(any))
def test_merging_keeps_where_and_forgets_what(values):
    mask = np.array(values)
    merged = LabelRule(True, "", ()).apply(mask)
    assert np.array_equal(merged > 0, mask > 0)
    assert set(np.unique(merged)) <= {0, 1}


# -- reading ---------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_four_axes_hold_channels_if_the_data_set_says_so(tmp_path, channels):
    import nibabel

    data = np.random.default_rng(0).normal(size=(6, 5, 4, 2)).astype(np.float32)
    mask = np.zeros((6, 5, 4), np.uint8)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / "a.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "m.nii.gz")
    one = Case("a", (tmp_path / "a.nii.gz",), tmp_path / "m.nii.gz")
    read = CaseReader(LabelRule(False, ""), channels)
    if channels == 1:
        with pytest.raises(InputError, match="mask of a has the shape"):
            read(one)
        return
    loaded = read(one)
    assert loaded.axes == "ZYXC"
    assert np.array_equal(loaded.image, np.moveaxis(data, (2, 1, 0), (0, 1, 2)))
    assert loaded.voxel_mm == (1.0, 1.0, 1.0)


def test_channels_in_files_of_their_own_and_grey_among_colour(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for i in (0, 1):
        Image.fromarray(grey + i).save(tmp_path / f"{i}.png")
    files = tuple(tmp_path / f"{i}.png" for i in (0, 1))
    two = CaseReader(LabelRule(False, ""))(Case("a", files, files[0]))
    assert two.image[..., 1].tolist() == (grey + 1).tolist()
    colour = CaseReader(LabelRule(False, ""), colour=True)
    assert colour(Case("a", files[:1], files[0])).image.shape == (8, 8, 3)
    Image.fromarray(grey[:4]).save(files[1])
    with pytest.raises(InputError, match="channels of a do not fit"):
        colour(Case("a", files, files[0]))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 40))
def test_pictures_are_scaled_down_only(y, x, side):
    image = np.full((y, x, 3), 7, np.uint8)
    mask = np.full((y, x), 5, np.uint16)
    small, less = scaled(image, mask, side)
    assert small.shape[:2] == less.shape
    assert max(less.shape) == (min(side, max(y, x)) if side else max(y, x))
    assert (small == 7).all()
    assert (less == 5).all()
    assert (small.dtype, less.dtype) == (np.uint8, np.uint16)


# -- scores ----------------------------------------------------------------


def row(name, label, dice, hd95=1.0):
    return Row(name, label, dice, dice, hd95, hd95, 1, 1)


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(531, 622, 3), (90, 400)])
def test_pictures_are_squashed_as_pillow_does(how, shape):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    mask = (image.reshape(*shape[:2], -1)[..., 0] > 128).astype(np.uint8)
    small, less = scaled(image, mask, 64, how)
    wanted = Image.fromarray(image).resize((64, 64), Image.Resampling[how.upper()])
    assert small.dtype == np.uint8
    # Pillow rounds between its two passes.
    assert np.abs(small.astype(int) - wanted).max() <= 3
    near = Image.fromarray(mask).resize((64, 64), Image.Resampling.NEAREST)
    assert np.array_equal(less, near)


def test_means_are_over_classes_then_cases():
    rows = [row("a", 1, 0.0), row("a", 2, 1.0), row("b", 1, 1.0)]
    assert by_case(rows) == {"a": 0.5, "b": 1.0}
    assert mean_score(rows) == 0.75
    assert np.isnan(mean_score([]))


def test_seeds_are_averaged_before_cases_are_counted():
    results = [
        SeedResult(seed, None, 0.0, (row("a", 1, dice), row("b", 1, 1.0)))
        for seed, dice in ((0, 0.2), (1, 0.6))
    ]
    first = summary_of(results)[0]
    assert (first.measure, first.cases) == ("dice", 2)
    assert first.mean == pytest.approx(0.7)


def test_share_recovered_is_of_the_most_cases():
    rows = [
        ShotRow(shots, repeat, name, 1, dice + 0.1 * repeat, 0, 0)
        for shots, dice in ((1, 0.3), (5, 0.7))
        for repeat in (0, 1)
        for name in ("a", "b")
    ]
    one, five = summarise(rows)
    assert (one.shots, five.shots) == (1, 5)
    assert one.mean == pytest.approx(0.35)
    assert one.sd == pytest.approx(0.1 / 2**0.5)
    assert one.recovered == pytest.approx(0.35 / 0.75)
    assert five.recovered == 1
    assert np.isnan(summarise([r for r in rows if r.repeat == 0])[0].sd)


# -- states ----------------------------------------------------------------


def test_rows_come_back_as_they_were(tmp_path):
    rows = [row("a,b", 1, 1 / 3, float("inf")), row('"', 2, 0.1)]
    folder = SeedFolder(tmp_path)
    assert folder.read_rows("scores") is None
    folder.write_rows("scores", rows)
    assert folder.read_rows("scores") == rows


def test_a_damaged_state_begins_anew(tmp_path, caplog):
    import torch

    folder = SeedFolder(tmp_path)
    assert folder.read_state() is None
    state = TrainingState({"model.x": torch.arange(3.0)}, {"epoch": 4})
    folder.write_state(state)
    read = folder.read_state()
    assert read.numbers == {"epoch": 4}
    assert torch.equal(read.tensors["model.x"], torch.arange(3.0))
    file = tmp_path / "state.segdino"
    file.write_bytes(file.read_bytes()[:-4])
    assert folder.read_state() is None
    assert "begins anew" in caplog.text
    folder.forget_state()
    assert not file.exists()


def test_a_folder_belongs_to_one_study(tmp_path):
    folder = StudyFolder(tmp_path / "w")
    folder.open({"a": [1, (2, 3)]})
    folder.open({"a": [1, (2, 3)]})
    with pytest.raises(InputError, match="study with other a: give another --work"):
        folder.open({"a": 2})
    folder.seed(0)
    folder.open({"a": 2}, restart=True)
    assert not (tmp_path / "w" / "seed-0").exists()
    (tmp_path / "w" / "study.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        folder.open({"a": 2})
    (tmp_path / "x" / "seed-1").mkdir(parents=True)
    with pytest.raises(InputError, match="not the folder of a study"):
        StudyFolder(tmp_path / "x").open({"a": 2}, restart=True)


def test_each_step_of_the_ablation_changes_one_thing():
    steps = ablation_steps((512, 768), z_sigma=2.0, volumes=True)
    before = {**asdict(steps[0].features), **asdict(steps[0].predicting)}
    assert before["sides"] == (512,)
    assert before["factors"] == (1.0,)
    assert not before["flips"]
    assert before["fusion"] == "mean"
    assert not before["regularise"]
    assert before["z_sigma"] == 0
    changed = []
    for step in steps[1:]:
        now = {**asdict(step.features), **asdict(step.predicting)}
        changed.append([(k, now[k]) for k in now if now[k] != before[k]])
        before = now
    assert changed == [
        [("sides", (512, 768))],
        [("flips", True)],
        [("fusion", "entropy")],
        [("regularise", True)],
        [("z_sigma", 2.0)],
    ]


def test_steps_are_compared_case_by_case():
    dice = {("one", 0): (0.2, 0.8), ("one", 1): (0.4, 0.6), ("two", 0): (0.5, 0.9)}
    dice["two", 1] = (0.7, 0.7)
    rows = [
        StepRow(step, repeat, case, 1, value, 0, 0)
        for (step, repeat), values in dice.items()
        for case, value in zip("ab", values, strict=True)
    ]
    first, second = summarise_steps(rows)
    assert first.mean == pytest.approx(0.5)
    assert np.isnan(first.change)
    assert second.mean == pytest.approx(0.7)
    assert second.sd == pytest.approx(0)
    # Case a gains 0.3, case b 0.1.
    assert second.change == pytest.approx(0.2)
    assert (second.low, second.high) == pytest.approx((0.1, 0.3))
    table = step_table([first, second]).splitlines()
    assert table[1].split() == ["one", "0.5000", "0.0000"]
    assert table[2].split()[:4] == ["two", "0.7000", "0.0000", "+0.2000"]
