"""The scripts of docs/examples run as they are, and do what they say."""

import re
import runpy
import tempfile
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import FakeEncoder, bright_square
from scipy import ndimage
from skimage import data
from sklearn.model_selection import GridSearchCV, cross_val_score

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings
from napari_segdino.io import read_mask
from napari_segdino.metrics.measures import dice

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run an example with its files in a folder of the test; return its variables."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda name: runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def coins():
    """Which pixels of the picture are coins: brighter than around them, filled."""
    flat = data.coins() - ndimage.gaussian_filter(data.coins().astype(float), 40)
    found = ndimage.binary_fill_holes(ndimage.median_filter(flat, 5) > 10)
    return ndimage.binary_opening(found, iterations=3)


def test_each_example_is_short_and_linked_from_the_page_of_scripts():
    scripts = {path.name: path for path in EXAMPLES.glob("*.py")}
    assert len(scripts) == 6
    for path in scripts.values():
        assert len(path.read_text().splitlines()) < 40
    page = (ROOT / "docs/scripts.md").read_text()
    linked = re.findall(r"\(examples/(\w+\.py)\)", page)
    assert set(linked) == set(scripts)


def test_two_strokes_find_the_coins(run):
    labels = run("fit_and_predict.py")["labels"]
    assert labels.shape == (303, 384)
    assert dice(labels == 1, coins()) > 0.85


def test_two_strokes_on_a_slice_find_the_ball(run):
    found = run("volume.py")
    assert found["labels"].shape == (12, 64, 64)
    assert dice(found["labels"] == 1, found["ball"]) > 0.9


def test_every_other_image_of_the_folder_gets_a_mask(run):
    folder = run("folder.py")["folder"]
    masks = {path.name: read_mask(path) for path in folder.glob("*_mask.png")}
    assert set(masks) == {f"coins_{n}_mask.png" for n in (1, 2, 3)}
    assert dice(masks["coins_1_mask.png"] == 1, coins()[76:152]) > 0.8
    assert Segmenter.load(folder / "coins.segdino").n_classes_ == 2


def test_a_checkpoint_is_the_encoder(run):
    found = run("custom_encoder.py")
    assert found["segmenter"].encoder == str(found["checkpoint"])
    labels, marks = found["labels"], found["marks"]
    assert (labels[marks > 0] == marks[marks > 0] - 1).mean() > 0.95


def test_scores_are_those_of_the_masks(run, capsys):
    found = run("evaluate.py")
    assert len(found["scores"]) == 2
    assert found["scores"].min() > 0.9
    printed = re.findall(r"Dice (\d\.\d\d), HD95", capsys.readouterr().out)
    again = dice(found["found"], found["mask"])
    assert len(printed) == 2
    assert float(printed[-1]) == pytest.approx(again, abs=0.006)


def test_boxes_draw_their_objects_and_a_mask_is_learned(run):
    found = run("boxes_and_labels.py")
    labels, truth = found["labels"], coins()[:150]
    boxed = np.zeros(truth.shape, bool)
    boxed[33:76, 20:68] = boxed[26:75, 130:180] = True
    assert dice((labels == 1) & boxed, truth & boxed) > 0.85
    assert dice(found["segmenter"].predict(found["other"]) == 1, coins()[150:]) > 0.7


def share_right(fitted, images, marks):
    pairs = zip(images, marks, strict=True)
    return np.mean([(fitted.predict(i) + 1 == m)[m > 0].mean() for i, m in pairs])


@pytest.fixture
def scored(monkeypatch, tmp_path):
    FakeEncoder().installed(monkeypatch)
    return Segmenter("fake", device="cpu", cache=CacheSettings(1 << 28, 0, tmp_path))


def test_scikit_learn_validates_it_on_lists_of_images(scored):
    pairs = [bright_square(64)] * 4
    images, marks = [i for i, _ in pairs], [m for _, m in pairs]
    scores = cross_val_score(scored, images, marks, cv=2, scoring=share_right)
    np.testing.assert_array_equal(scores, [1, 1])
    assert not scored.is_fitted


def test_scikit_learn_chooses_a_setting_of_it(scored):
    pairs = [bright_square(64)] * 4
    images, marks = [i for i, _ in pairs], [m for _, m in pairs]
    seeds = {"random_state": [3, 4]}
    search = GridSearchCV(scored, seeds, cv=2, scoring=share_right)
    search.fit(images, marks)
    assert search.best_params_ == {"random_state": 3}
    assert search.best_estimator_.random_state == 3
    assert dice(search.predict(images[0]) == 1, images[0] > 100) > 0.9
