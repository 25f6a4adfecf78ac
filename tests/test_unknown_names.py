"""An unknown name is one sentence: what there is, and which name is close."""

import logging

import numpy as np
import pytest

from napari_segdino import Segmenter
from napari_segdino.batch import plan_jobs
from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.encoders.device import resolve_device
from napari_segdino.encoders.load import load_encoder
from napari_segdino.errors import (
    InputError,
    ModelFileError,
    ScanError,
    close_name,
    unknown_name,
)
from napari_segdino.heads.registry import get_recipe, make_head
from napari_segdino.io.read import read_scan
from napari_segdino.io.sample import sample_path
from napari_segdino.io.write import write_mask, write_probabilities
from napari_segdino.probe_file import ModelFile, from_model_file
from napari_segdino.session.settings import Settings

MASK = np.zeros((4, 4), np.uint8)


def test_sentences_by_hand():
    assert unknown_name("head", "prob", ["probe", "segdino"]) == (
        "There is no head named 'prob' (did you mean 'probe'?): there are probe, "
        "segdino."
    )
    assert unknown_name("head", "xyz", ["probe", "mvr"]) == (
        "There is no head named 'xyz': there are probe, mvr."
    )
    assert unknown_name("sample", 3, []) == (
        "There is no sample named 3: there is none."
    )
    assert close_name("", [".nii", ".tif"]) == ""


@pytest.mark.parametrize(
    ("do", "near", "also"),
    [
        (lambda: make_head("segdno"), "segdino", "probe"),
        (lambda: get_recipe("meddino_quik"), "meddino_quick", "segdino_released"),
        (lambda: get_recipe("meddino:widths=3"), "width", "width"),
        (lambda: load_encoder("dinov3_vits61"), "dinov3_vits16", "efficientnet_lite0"),
        (lambda: load_encoder("x", precision="float23"), "float32", "bfloat16"),
        (lambda: resolve_device("cudo"), "cuda", "mps"),
        (lambda: Segmenter().set_params(recipee="x"), "recipe", "encoder"),
        (lambda: FeatureSettings(intensity="ct lungs"), "ct lung", "percentile"),
        (lambda: PredictSettings(fusion="entropie"), "entropy", "mean"),
        (lambda: PredictSettings(z_unit="slice"), "slices", "mm"),
        (lambda: sample_path("cel"), "cell", "retina"),
        (lambda: write_mask("a.nrd", MASK), ".nrrd", ".tif"),
        (lambda: plan_jobs([], ".", suffix=".nigz"), ".nii.gz", ".ome.zarr"),
        (lambda: write_probabilities("a.tiif", MASK), ".tif", ".nrrd"),
        (lambda: Settings().restored({"head": "prob"}), "probe", "segdino"),
    ],
)
def test_each_refusal_lists_what_there_is(do, near, also):
    with pytest.raises((InputError, ScanError)) as refused:
        do()
    text = str(refused.value)
    assert f"(did you mean {near!r}?)" in text
    assert also in text
    assert "\n" not in text


def test_a_file_of_no_format_names_those_that_are_read(tmp_path):
    (tmp_path / "a.tfi").write_text("")
    words = r"not known \(did you mean '\.tif'\?\), only \.nii, .*\.zarr are\."
    with pytest.raises(ScanError, match=words):
        read_scan(tmp_path / "a.tfi")


def test_a_setting_of_a_project_that_there_is_not_is_told_and_left_out(caplog):
    with caplog.at_level(logging.WARNING):
        found = Settings("a").restored({"folow": False, "predicting": {"fusin": "x"}})
    assert found == Settings("a")
    assert "no setting named 'folow' (did you mean 'follow'?)" in caplog.text
    assert "no setting named 'fusin' (did you mean 'fusion'?)" in caplog.text


def test_a_setting_of_a_probe_file_that_there_is_not_is_refused():
    meta = {
        "encoder": "fake",
        "head": "probe",
        "random_state": 0,
        "recipe": None,
        "features": {"sidez": [3]},
        "predicting": {},
    }
    with pytest.raises(ModelFileError, match=r"'sidez' \(did you mean 'sides'\?\)"):
        from_model_file(ModelFile(meta, {}))


@pytest.mark.parametrize(
    ("option", "value", "near"),
    [
        ("--fusion", "entropie", "entropy"),
        ("--intensity", "ct bones", "ct bone"),
        ("--device", "cudda", "cuda"),
        ("--head", "segdino2", "segdino"),
        ("--recipe", "segdino_quik", "segdino_quick"),
    ],
)
def test_choices_of_the_command_line(option, value, near, tmp_path):
    from click.testing import CliRunner

    from napari_segdino.cli import main

    args = ["train", str(tmp_path), "-o", "a.segdino", option, value]
    done = CliRunner().invoke(main, args)
    assert done.exit_code == 2
    assert f"(did you mean {near!r}?): there are " in done.stderr
