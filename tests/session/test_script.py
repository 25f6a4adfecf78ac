"""Scripts give the mask of the window, whatever it was made of."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_segdino import Segmenter
from napari_segdino.batch.run import Request
from napari_segdino.cli.predict import predict
from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.images.planes import as_planes
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.io import read_mask
from napari_segdino.marks import apply_marks
from napari_segdino.progress import drive
from napari_segdino.session.classes import LabelClass
from napari_segdino.session.script import ScriptImage, ScriptState, iter_write_script
from napari_segdino.session.script_text import literal

CLASSES = (LabelClass(1, 'a "bright\\" one', "#ff0000"), LabelClass(2, "b", "#00ff00"))
LITE = "efficientnet_lite0"
TIFF: dict[str, Any] = {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}


@pytest.fixture(scope="module")
def volume() -> Any:
    """Three slices with a bright disc and a grey one."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    image = rng.normal(30, 4, (3, 64, 64))
    for z in range(3):
        image[z][np.hypot(y - 20, x - 20 - 4 * z) < 11] += 170
        image[z][np.hypot(y - 46, x - 42) < 9] += 80
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def marks() -> Any:
    marks = np.zeros((3, 64, 64), np.uint8)
    marks[1, 20, 18:30] = 2
    marks[1, 46, 38:46] = 3
    marks[1, 4:8, 4:60] = 1
    return marks


@pytest.fixture(scope="module")
def trained(volume: Any, marks: Any) -> Segmenter:
    """Learned in two goes, which one fit of all marks is not."""
    segmenter = Segmenter(LITE, device="cpu")
    segmenter.partial_fit(volume, np.where(marks == 3, 0, marks), axes="ZYX")
    return segmenter.partial_fit(volume, marks, axes="ZYX")


def draw(segmenter: Any, image: Any, planes: Any = None, **how: Any) -> Any:
    mask = np.zeros(image.shape, np.uint8)
    for step in segmenter.iter_predict(image, axes="ZYX", planes=planes, **how):
        if isinstance(step, PlaneResult):
            mask[step.index] = step.labels
    return mask


def script_state(
    segmenter: Any, image: Any, marks: Any, mask: Any, **more: Any
) -> ScriptState:
    axes = more.pop("axes", "ZYX")
    source = {n: more.pop(n) for n in ("path", "sample", "spacing") if n in more}
    one = ScriptImage("scan", as_planes(image, axes=axes), marks, **source)
    return ScriptState(one, more.pop("others", ()), mask, segmenter, CLASSES, **more)


def run(folder: Path, wanted: ScriptState) -> tuple[Any, Any]:
    """Write the script, run it; return it and what it leaves."""
    script = drive(iter_write_script(wanted, folder / "again.py"))
    return script, runpy.run_path(str(script.path))


def test_a_volume_drawn_as_a_whole(
    trained: Segmenter, volume: Any, marks: Any, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", volume, **TIFF)
    later = marks.copy()
    later[0, 60:, 60:] = 3
    spacing = (2.5, 0.5, 0.5)
    mask = apply_marks(draw(trained, volume, spacing=spacing), later)
    source = {"path": str(tmp_path / "scan.tif"), "spacing": spacing}
    script, left = run(tmp_path, script_state(trained, volume, later, mask, **source))
    np.testing.assert_array_equal(left["labels"], mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "again-mask.tif"), mask)
    assert script.differs == 0
    # The same on the clipboard, which lies nowhere.
    pasted: dict[str, Any] = {}
    exec(script.text, pasted)
    np.testing.assert_array_equal(pasted["labels"], mask)
    # Learned anew, all strokes at once, it is close to it.
    other = apply_marks(draw(left["learn_anew"](), volume, spacing=spacing), later)
    assert (other != mask).mean() < 0.05


def test_a_volume_of_which_one_slice_was_on_screen(
    trained: Segmenter, volume: Any, marks: Any, tmp_path: Path
) -> None:
    mask = apply_marks(draw(trained, volume, [2, 1, 0], centre=(9.0, 9.0)), marks)
    script, left = run(tmp_path, script_state(trained, volume, marks, mask, first=2))
    np.testing.assert_array_equal(left["labels"], mask)
    assert script.differs == 0


def test_slices_drawn_one_by_one(
    trained: Segmenter, volume: Any, marks: Any, tmp_path: Path
) -> None:
    mask = draw(trained, volume, [0]) + draw(trained, volume, [2])
    mask = apply_marks(mask, marks)
    script, left = run(
        tmp_path, script_state(trained, volume, marks, mask, one_by_one=(0, 2))
    )
    np.testing.assert_array_equal(left["labels"], mask)
    assert script.differs == 0
    assert (tmp_path / "again-image.npy").is_file()


@pytest.mark.parametrize("from_clicks", [True, False])
def test_nothing_learned_yet(
    volume: Any, marks: Any, tmp_path: Path, from_clicks: bool
) -> None:
    plane, painted = volume[1], marks[1]
    segmenter = Segmenter(LITE, device="cpu")
    if from_clicks:
        steps = segmenter.iter_from_clicks(plane, painted, axes="YX")
    else:
        steps = segmenter.iter_cluster(plane, n_classes=3, axes="YX")
    (mask,) = (s.labels for s in steps if isinstance(s, PlaneResult))
    mask = apply_marks(mask, painted)
    how = {"axes": "YX", "from_clicks": from_clicks}
    script, left = run(tmp_path, script_state(segmenter, plane, painted, mask, **how))
    np.testing.assert_array_equal(left["labels"], mask)
    assert script.differs == 0


def test_what_differs_is_told(
    trained: Segmenter, volume: Any, marks: Any, tmp_path: Path
) -> None:
    mask = apply_marks(draw(trained, volume), marks)
    mask[2, :32] = 2
    wanted = script_state(trained, volume, marks, mask)
    script = drive(iter_write_script(wanted, tmp_path / "again.py"))
    assert script.differs == pytest.approx(1 / 6, abs=0.03)


def test_a_file_with_other_pixels_is_not_read(
    trained: Segmenter, volume: Any, marks: Any, tmp_path: Path
) -> None:
    """A layer may have been changed since, and another file have taken the name."""
    tifffile.imwrite(tmp_path / "scan.tif", volume + 1, **TIFF)
    mask = apply_marks(draw(trained, volume), marks)
    wanted = script_state(trained, volume, marks, mask, path=str(tmp_path / "scan.tif"))
    _, left = run(tmp_path, wanted)
    np.testing.assert_array_equal(left["labels"], mask)


def test_settings_and_other_images_are_learned_anew(
    trained: Segmenter, volume: Any, marks: Any, tmp_path: Path
) -> None:
    features = FeatureSettings(sides=(64,), intensity="8-bit")
    predicting = PredictSettings(regularise=False)
    segmenter = Segmenter(LITE, device="cpu", features=features, predicting=predicting)
    segmenter.partial_fit(volume[1], marks[1], axes="YX")
    other = ScriptImage("b", as_planes(volume[0], axes="YX"), marks[1])
    wanted = script_state(
        segmenter, volume[1], marks[1], marks[1], axes="YX", others=(other,)
    )
    script, left = run(tmp_path, replace(wanted, commands=(("a b", "-o", "c"),)))
    anew = left["learn_anew"]()
    assert (anew.features, anew.predicting) == (features, predicting)
    assert len(anew.samples_) == 2
    assert "napari-segdino predict 'a b' -o c -m " in script.text


def test_a_folder_as_a_command(tmp_path: Path) -> None:
    request = Request("scans", "masks", "p.segdino", ".tif", True, 2)
    (tmp_path / "p.segdino").touch()
    words = [
        w.replace("p.segdino", str(tmp_path / "p.segdino")) for w in request.words()
    ]
    found = predict.make_context("predict", words).params
    assert found["inputs"] == ("scans",)
    assert (str(found["output"]), found["suffix"]) == ("masks", ".tif")
    assert (found["workers"], found["resume"]) == (2, True)
    assert found["model"] == tmp_path / "p.segdino"
    assert Request("a", "b", resume=False).words() == ("a", "-o", "b")


@pytest.mark.parametrize(
    "value", [None, True, -2.5, "it's", ("a",), (1, 2.0), PredictSettings(z_sigma=1.5)]
)
def test_values_are_written_as_python_reads_them(value: Any) -> None:
    assert eval(literal(value), {"PredictSettings": PredictSettings}) == value
