import json
import re
import sys
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from fake_encoder import FakeEncoder
from PIL import Image

from napari_segdino import Segmenter, marks_from_mask
from napari_segdino.cli.experiments import ABLATED, ablation, fewshot
from napari_segdino.cli.score import score
from napari_segdino.cli.train import train
from napari_segdino.config import CacheSettings, PredictSettings
from napari_segdino.heads.mvr.mvr_head import MVRHead
from napari_segdino.heads.probe.probe_head import ProbeHead
from napari_segdino.io.read import read_mask


def test_train_predict_score(run, folders, fake, tmp_path):
    base = folders(4)
    probe = tmp_path / "a.segdino"
    done = run("train", base / "images", base / "masks", "-o", probe, "--seed", 3)
    assert "Trained on 4 images" in done.stdout
    assert "255 is read as 1" in done.stderr
    assert Segmenter.load(probe).random_state == 3
    found = run("predict", base / "images", "-m", probe, "-o", tmp_path / "out")
    paths = found.stdout.split()
    assert len(paths) == 4
    assert set(np.unique(read_mask(paths[0]))) == {0, 1}
    table = tmp_path / "scores.csv"
    score = run("score", tmp_path / "out", base / "masks", "--csv", table, "--cases")
    dice = [float(line.split(",")[2]) for line in table.read_text().split()[1:]]
    assert len(dice) == 4
    assert min(dice) > 0.95
    assert f"{np.mean(dice):.4f}" in score.stdout
    assert "p0_0.png" in score.stdout


def test_a_data_set_alone_leaves_its_test_cases_out(run, folders, fake, tmp_path):
    folders(2, "set/train")
    base = folders(2, "set/test", first=10).parent
    done = run("train", base, "-o", tmp_path / "a.segdino")
    assert "Trained on 2 images" in done.stdout


def test_masks_of_one_file_and_of_instances(run, fake, folders, tmp_path):
    base = folders(1)
    image = next((base / "images").iterdir())
    numbers = np.arange(48 * 48).reshape(48, 48) % 300
    Image.fromarray(numbers.astype(np.uint16)).save(tmp_path / "many.png")
    args = ("train", image, tmp_path / "many.png", "-o", tmp_path / "a.segdino")
    assert "number instances, up to 299" in run(*args).stderr
    refused = run(*args, "--classes", status=1)
    assert "--binary" in refused.stderr
    assert Segmenter.load(tmp_path / "a.segdino").n_classes_ == 2


def test_options_of_a_study_need_a_recipe(run, folders):
    base = folders(1)
    args = ("train", base, "-o", base / "a.segdino")
    for option in (["--seeds", 1, 2], ["--work", base], ["--epochs", 3], ["--side", 9]):
        assert "needs --recipe" in run(*args, *option, status=2).stderr


def test_a_file_without_its_mask_is_wrong_usage(run, folders):
    base = folders(1)
    image = next((base / "images").iterdir())
    result = run("train", image, "-o", base / "a.segdino", status=2)
    assert "MASKS is missing" in result.stderr


def test_one_bad_file_does_not_stop_the_others(run, folders, fake, tmp_path):
    base = folders(3)
    probe = tmp_path / "a.segdino"
    run("train", base, "-o", probe)
    (base / "images" / "a_bad.png").write_bytes(b"nonsense")
    result = run(
        "predict", base / "images", "-m", probe, "-o", tmp_path / "o", status=1
    )
    assert len(result.stdout.split()) == 3
    assert "1 of 4 files failed" in result.stderr
    assert "a_bad.png" in result.stderr


def test_masks_never_overwrite_one_another(run, folders, fake, tmp_path):
    base, other = folders(2), folders(2, "other")
    probe = tmp_path / "a.segdino"
    run("train", base, "-o", probe)
    args = (base / "images", other / "images", "-m", probe, "-o", tmp_path / "o")
    paths = run("predict", *args).stdout.split()
    assert len(set(paths)) == 4
    assert {p.name for p in (tmp_path / "o").glob("*_mask.png")} == {
        "p0_0_mask.png",
        "p0_1_mask.png",
        "images_p0_0_mask.png",
        "images_p0_1_mask.png",
    }


def test_a_recipe_splits_trains_and_scores(run, folders, fake, tmp_path):
    base = folders(10)
    probe = tmp_path / "a.segdino"
    args = ["train", base, "-o", probe, "--recipe", "segdino", "--epochs", 2]
    args += ["--side", 32]
    args += ["--seeds", 0, 1, "--group-regex", r"^(p\d+)"]
    done = run(*args)
    work = tmp_path / "a.study"
    names = {p.name for p in work.iterdir()}
    assert names >= {"scores.csv", "summary.csv", "split.csv", "study.json"}
    assert not (work / "features").exists()
    lines = [line.split(",") for line in (work / "split.csv").read_text().split()[1:]]
    parts = {split: {g for _, g, s in lines if s == split} for _, _, split in lines}
    assert set(parts) == {"train", "validation", "test"}
    assert sum(map(len, parts.values())) == 5
    assert "seed" in done.stdout
    assert "Seed 1, epoch 2" in done.stderr
    loaded = Segmenter.load(probe)
    assert loaded.head == "segdino"
    assert loaded.samples_
    before = json.loads((work / "study.json").read_text())
    assert run(*args).stdout == done.stdout
    assert json.loads((work / "study.json").read_text()) == before


@pytest.mark.parametrize("command", ["train", "fewshot"])
def test_a_published_protocol_is_run_as_published(
    run, folders, fake, tmp_path, monkeypatch, command
):
    base, shown = folders(8), []
    for path in (base / "images").iterdir():
        Image.open(path).resize((70, 48)).save(path)
        mask = base / "masks" / path.name
        Image.open(mask).resize((70, 48), Image.Resampling.NEAREST).save(mask)

    def encode(batch, levels):
        shown.append(batch)
        return FakeEncoder.encode(fake, batch, levels)

    monkeypatch.setattr(fake, "encode", encode)
    how = "--recipe", "segdino_published:upsample_first=True"
    last = {
        "train": (*how, "-o", tmp_path / "p.segdino", "--epochs", 1),
        "fewshot": (*how, "--shots", 1, "--repeats", 1, "--test", 2),
    }[command]
    run(command, base, *last)
    assert {b.shape[-2:] for b in shown} == {(256, 256)}
    # Percentiles would make 0 and 1 of the darkest and the brightest.
    assert all(215 / 255 < b.max() < 250 / 255 for b in shown), [b.max() for b in shown]
    if command == "train":
        assert Segmenter.load(tmp_path / "p.segdino").feature_settings.squash


def test_another_study_is_not_mixed_in(run, folders, fake, tmp_path):
    base = folders(6)
    args = ["train", base, "-o", tmp_path / "a.segdino", "--recipe", "probe"]
    args += ["--side", 32]
    run(*args)
    other = run(*args, "--split-seed", 1, status=1)
    assert "other cases, settings" in other.stderr
    run(*args, "--split-seed", 1, "--restart")


def test_recipe_and_head_must_agree(run, folders):
    base = folders(3)
    args = ["train", base, "-o", base / "a.segdino", "--recipe", "meddino"]
    assert "for --head meddino" in run(*args, "--head", "probe", status=2).stderr
    args[-1] = "probe"
    assert "no epochs" in run(*args, "--epochs", 2, status=2).stderr
    args[-1] = "nonsense"
    assert "no recipe named 'nonsense'" in run(*args, status=2).stderr


def test_mvr_is_trained_by_its_recipe(run, folders, fake, tmp_path):
    base, out = folders(6), tmp_path / "a.segdino"
    run("train", base, "-o", out, "--head", "mvr")
    assert Segmenter.load(out).head == "mvr"
    weights = []
    for steps in (3, 10):
        options = ["--recipe", f"mvr:steps={steps}", "--side", 32, "--restart"]
        run("train", base, "-o", out, *options)
        loaded = Segmenter.load(out)
        assert (loaded.head, loaded.recipe) == ("mvr", f"mvr:steps={steps}")
        weights.append(loaded.model_.state_dict()["blocks.0.output.weight"])
    assert not np.array_equal(*weights)
    refused = run("train", base, "-o", out, "--recipe", "mvr:epochs=3", status=2)
    assert "There is no option of the recipe mvr named 'epochs'" in refused.stderr
    refused = run("train", base, "-o", out, "--recipe", "mvr:steps=0", status=2)
    assert "steps is a whole number above 0" in refused.stderr


@pytest.mark.parametrize("command", ["train", "fewshot"])
def test_an_unknown_head_is_refused_with_what_there_is(run, folders, command):
    output = ["-o", "a.segdino"] if command == "train" else []
    refused = run(command, folders(2), *output, "--head", "segdno", status=2).stderr
    assert "no head named 'segdno' (did you mean 'segdino'?)" in refused
    assert "probe, mvr, segdino, segdino_v2, meddino" in refused


def test_no_matplotlib_no_plot_but_tables(run, folders, fake, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    base = folders(6)
    args = ["train", base, "-o", tmp_path / "a.segdino", "--recipe", "probe"]
    done = run(*args, "--side", 32)
    assert "napari-segdino[plot]" in done.stderr
    assert (tmp_path / "a.study" / "scores.csv").exists()
    assert not (tmp_path / "a.study" / "scores.png").exists()


@pytest.mark.parametrize("binary", [None, "--binary"])
def test_score_reads_pictures_as_yes_and_no(run, folders, tmp_path, binary):
    ours, theirs = folders(2, values=(0, 1)), folders(2, "other")
    args = ["score", ours / "masks", theirs / "masks", *([binary] if binary else [])]
    assert "dice   1.0000" in run(*args).stdout


def test_score_does_not_take_one_class_for_another(run, folders):
    ours, theirs = folders(2, values=(0, 1)), folders(2, "other", values=(0, 2))
    out = run("score", ours / "masks", theirs / "masks").stdout
    assert "dice   0.0000" in out
    merged = run("score", ours / "masks", theirs / "masks", "--binary")
    assert "dice   1.0000" in merged.stdout


def test_score_of_nothing_and_of_other_shapes(run, folders, tmp_path):
    empty = folders(2, values=(0, 0)) / "masks"
    other = folders(2, "other", values=(0, 0)) / "masks"
    assert "nothing but background" in run("score", empty, other, status=1).stderr
    name = next(empty.iterdir()).name
    Image.new("L", (5, 5), 255).save(tmp_path / name)
    result = run("score", tmp_path / name, empty / name, status=1)
    assert name in result.stderr
    assert "cannot be compared" in result.stderr


def test_score_plots(run, folders, tmp_path):
    pytest.importorskip("matplotlib")
    masks, other = folders(2) / "masks", folders(2, "other") / "masks"
    run("score", masks, other, "--plot", tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as plot:
        assert np.asarray(plot).std() > 5
    refused = run("score", masks, other, "--plot", tmp_path / "a.txt", status=1)
    assert "is no plot" in refused.stderr


def test_fewshot_shows_and_writes(run, folders, fake, tmp_path):
    base = folders(10)
    args = ["fewshot", base, "--shots", 1, 3, "--repeats", 2, "--test", 4]
    args += ["--group-regex", r"^(p\d+)", "--csv", tmp_path / "a.csv"]
    done = run(*args)
    rows = (tmp_path / "a.csv").read_text().split()[1:]
    assert len(rows) == 2 * 2 * 4
    assert done.stdout.splitlines()[2].split()[0] == "3"
    assert "100.0 %" in done.stdout
    assert "3 cases, repeat 2: Dice" in done.stderr
    assert run(*args).stdout == done.stdout


def test_fewshot_of_too_few_cases(run, folders, fake):
    result = run("fewshot", folders(4), "--shots", 4, status=1)
    assert "3 cases are left to learn from, fewer than 4" in result.stderr


def test_fewshot_says_at_once_that_it_cannot_plot(run, folders, fake, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    result = run("fewshot", folders(4), "--plot", "a.png", status=1)
    assert "napari-segdino[plot]" in result.stderr
    assert fake.planes_encoded == 0


def test_ablation_adds_one_part_at_a_time(run, folders, fake, tmp_path):
    base = folders(8)
    args = ["ablation", base, "--shots", 3, "--repeats", 2, "--test", 3]
    args += ["--sides", 48, 64, "--csv", tmp_path / "a.csv"]
    done = run(*args)
    names = [line[:18].strip() for line in done.stdout.splitlines()[1:6]]
    assert names == [
        "single view",
        "+ resolutions",
        "+ flips",
        "+ entropy weight",
        "+ spatial",
    ]
    rows = (tmp_path / "a.csv").read_text().splitlines()[1:]
    assert len(rows) == 5 * 2 * 3
    assert "z smoothing" not in done.stdout, "pictures have no z"
    assert run(*args).stdout == done.stdout


@pytest.fixture
def trained(monkeypatch):
    """Recipe and model of each training of mvr and of probe."""
    models = []

    def counting(kind):
        train = kind.iter_fit

        def iter_fit(self, *args):
            model = yield from train(self, *args)
            models.append((self._recipe and self._recipe.name, model))
            return model

        monkeypatch.setattr(kind, "iter_fit", iter_fit)

    counting(MVRHead)
    counting(ProbeHead)
    return models


@pytest.fixture
def predicted(monkeypatch):
    """Models that predict, and how often."""
    models = Counter()
    predict = MVRHead.predict

    def counting(self, model, *args):
        models[id(model)] += 1
        return predict(self, model, *args)

    monkeypatch.setattr(MVRHead, "predict", counting)
    return models


def test_ablation_trains_once_for_all_its_steps(run, folders, fake, trained, predicted):
    args = ["--shots", 3, "--repeats", 2, "--test", 3, "--sides", 48, 64]
    run("ablation", folders(8), *args)
    assert [recipe for recipe, _ in trained] == ["mvr"] * 2, "one training a repeat"
    # Three cases, in 1, 2, 4, 4 and 4 views.
    assert predicted == {id(model): 45 for _, model in trained}


@pytest.mark.parametrize(
    ("given", "recipe"),
    [
        (["--recipe", "mvr:steps=3"], "mvr:steps=3"),
        (["--head", "mvr", "--recipe", "mvr_quick:lr=0.1"], "mvr_quick:lr=0.1"),
        (["--recipe", "probe:steps=3"], "probe:steps=3"),
        (["--head", "probe"], None),
    ],
)
@pytest.mark.parametrize("command", ["fewshot", "ablation"])
def test_studies_train_what_they_are_told(
    run, folders, fake, trained, command, given, recipe
):
    run(command, folders(6), "--shots", 2, "--repeats", 1, "--test", 1, *given)
    assert [name for name, _ in trained] == [recipe]


@pytest.mark.parametrize("command", ["fewshot", "ablation"])
def test_a_study_refuses_a_recipe_of_another_head(run, folders, command):
    given = ["--head", "probe", "--recipe", "mvr:steps=3"]
    refused = run(command, folders(6), *given, status=2)
    assert "--recipe mvr:steps=3 is for --head mvr" in refused.stderr


def test_ablation_smooths_volumes_along_z(run, fake, tmp_path):
    import SimpleITK as sitk

    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for i in range(4):
        mask = np.zeros((3, 32, 32), np.uint8)
        mask[:, 4 + i : 20 + i, 6:24] = 1
        scan = (mask * 150 + i).astype(np.int16)
        for folder, array in (("imagesTr", scan), ("labelsTr", mask)):
            path = tmp_path / "set" / folder / f"case{i}.nii.gz"
            sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    args = ["--shots", 2, "--repeats", 1, "--test", 1, "--sides", 32]
    done = run("ablation", tmp_path / "set", *args)
    assert "+ z smoothing" in done.stdout


@pytest.fixture
def volumes(tmp_path):
    """Four volumes with slices of 4 and of 2 mm, their marks and spacings."""
    data = []
    for i, thick in enumerate((4.0, 2.0, 4.0, 2.0)):
        mask = np.zeros((6, 24, 24), np.uint8)
        mask[2:4, 6:16, 6:16] = 1
        noise = np.random.default_rng(i).integers(0, 30, mask.shape)
        image = (noise + 150 * mask).astype(np.uint8)
        for name, array in (("images", image), ("masks", mask)):
            (tmp_path / name).mkdir(exist_ok=True)
            scan = sitk.GetImageFromArray(array)
            scan.SetSpacing((1.0, 1.0, thick))
            sitk.WriteImage(scan, str(tmp_path / name / f"{i}.nii.gz"))
        data.append((image, marks_from_mask(mask), (thick, 1.0, 1.0)))
    return data


@pytest.mark.parametrize("recipe", [(), ("--recipe", "probe")])
def test_volumes_are_cut_with_their_spacing(run, fake, tmp_path, volumes, recipe):
    args = ("train", tmp_path / "images", tmp_path / "masks", "--slices", "Y")
    run(*args, "-o", tmp_path / "a.segdino", *recipe)
    found = Segmenter.load(tmp_path / "a.segdino")
    cache = CacheSettings(1 << 26, 0, tmp_path)
    known = set()
    for image, marks, spacing in volumes:
        own = Segmenter("fake", features=found.features, cache=cache)
        own.fit(image, marks, volume=True, spacing=spacing)
        known |= set(own.samples_)
    assert set(found.samples_) <= known
    assert found.samples_


@pytest.mark.parametrize("command", ["train", "fewshot"])
def test_a_class_that_is_too_high_is_refused(folders, fake, run, tmp_path, command):
    base = folders()
    for path in (base / "masks").iterdir():
        mask = np.asarray(Image.open(path)).astype(np.uint16)
        mask[mask > 0] = 3000
        mask[0, 0] = 1
        Image.fromarray(mask).save(path)
    out = ("-o", tmp_path / "a.segdino") if command == "train" else ()
    where = (base / "images", base / "masks") if command == "train" else (base,)
    result = run(command, *where, *out, "--encoder", "fake", status=1)
    assert "There is a class 3000, and 254 is the highest" in result.stderr
    assert "--binary" in result.stderr


def lump(seed, shape=(6, 40, 40)):
    """A volume with a bright box, and where it is."""
    rng = np.random.default_rng(seed)
    volume, mask = (
        rng.integers(0, 40, shape).astype(np.int16),
        np.zeros(shape, np.uint8),
    )
    mask[2:5, 8:28, 10:30] = 1
    volume[mask > 0] += 180
    return volume, mask


SCANS = {
    "BraTS": ("B_{0}/B_{0}_flair.nii.gz", "B_{0}/B_{0}_seg.nii.gz"),
    "KiTS23": ("case_{0:05}/imaging.nii.gz", "case_{0:05}/segmentation.nii.gz"),
    "LiTS": (
        "Training Batch 1/volume-{0}.nii",
        "Training Batch 1/segmentation-{0}.nii",
    ),
    "BTCV": ("Training/img/img{0:04}.nii.gz", "Training/label/label{0:04}.nii.gz"),
    "AMOS22": ("imagesTr/amos_{0:04}.nii.gz", "labelsTr/amos_{0:04}.nii.gz"),
}


@pytest.mark.parametrize("name", SCANS)
def test_scans_of_the_papers_are_trained_on_as_they_are_distributed(
    run, fake, tmp_path, name
):
    root, (image, mask) = tmp_path / name, SCANS[name]
    for i in range(6):
        for template, data in zip((image, mask), lump(i), strict=True):
            path = root / template.format(i)
            path.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(data), str(path))
            if name == "BraTS" and template == image:
                other = str(path).replace("flair", "t1")
                sitk.WriteImage(sitk.GetImageFromArray(data), other)
    more = ("--channel", "flair") if name == "BraTS" else ("--only", "[0-4]([.]|$)")
    last = "-o", tmp_path / "p.segdino", "--recipe", "segdino_quick", "--binary"
    shown = run("train", root, *last, "--side", 40, *more).output
    assert f"{4 if name == 'BraTS' else 3} cases train" in shown
    assert Segmenter.load(tmp_path / "p.segdino").channels_ == 1


def given_to(command, *args):
    """Return what a command is given by its options."""
    return command.make_context(command.name, [str(a) for a in args]).params


@pytest.mark.parametrize("command", [train, fewshot], ids=["train", "fewshot"])
def test_defaults_are_those_of_the_settings(command, tmp_path):
    more = ("-o", tmp_path / "a.segdino") if command is train else ()
    given = given_to(command, tmp_path, *more)
    predicting = asdict(PredictSettings())
    assert {name: given[name] for name in predicting} == predicting
    cache = CacheSettings()
    assert given["memory_gb"] * 2**30 == cache.ram_bytes
    assert given["disk_gb"] * 2**30 == cache.disk_bytes
    shown = ("intensity", "flips", "tile", "overlap", "slices", "neighbours", "squash")
    assert {given[name] for name in shown} == {None}, "the head's own"
    assert given["head"] is None


def test_numbers_of_studies_are_given_one_after_the_other(tmp_path):
    given = given_to(ablation, "--sides", 64, 96, tmp_path, "--shots", 3)
    assert (given["sides"], given["shots"], given["head"]) == ((64, 96), 3, None)
    assert given_to(ablation, tmp_path)["sides"] == (512, 768)
    assert ABLATED == "mvr"
    assert given_to(fewshot, tmp_path, "--shots", "1,5")["shots"] == (1, 5)


@pytest.mark.parametrize("option", ["--side", "--split-seed"])
def test_an_option_of_a_study_that_is_0_needs_a_recipe_too(folders, option):
    base = folders(1)
    args = [str(base), "-o", str(base / "a.segdino"), option, "0"]
    done = CliRunner().invoke(train, args)
    assert done.exit_code == 2
    assert f"{option} needs --recipe" in done.stderr


def test_score_of_a_mask_by_hand(tmp_path):
    true, found = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
    true[0] = found[0, :2] = 255
    for name, mask in (("true", true), ("found", found)):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    files = [str(tmp_path / f"{name}.png") for name in ("found", "true")]
    done = CliRunner().invoke(score, files)
    assert done.exit_code == 0
    # Two pixels of four: Dice is 2 * 2 / (2 + 4), IoU is 2 / 4.
    assert re.search(r"dice +0\.6667", done.stdout)
    assert re.search(r"iou +0\.5000", done.stdout)
