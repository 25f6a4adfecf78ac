"""A probe file that was changed is refused in a sentence, or gives finite masks."""

import random
import time
from itertools import islice

import numpy as np
import pytest
import torch
from fake_encoder import FakeEncoder, bright_square
from probe_mutations import mutations
from safetensors.torch import save_file

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.errors import InputError, ModelFileError, SegDINOError
from napari_segdino.heads.dense.decoder import make_decoder
from napari_segdino.probe_file import FORMAT, ModelFile, read_model, write_model
from napari_segdino.progress import Progress

HEADS = {
    "probe": "probe_quick",
    "mvr": "mvr:steps=3,hidden=8",
    "segdino": "segdino_quick",
    "segdino_v2": "segdino_v2_quick:width=32",
    "meddino": "meddino_quick:width=16",
}


def untrained(decoder, examples, n_classes, recipe, **how):
    yield Progress(0, 1, "Training")
    channels = [len(level) for level in examples[0].levels]
    return make_decoder(decoder, channels, n_classes, **recipe.head_options).eval()


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Train a head and save it; "masks" is the probe of several masks."""
    FakeEncoder().installed(monkeypatch)
    monkeypatch.setattr(
        "napari_segdino.heads.dense.dense_head.iter_fit_dense", untrained
    )
    image, marks = bright_square(48)

    def make(head):
        recipe = HEADS.get(head, "probe:steps=3")
        shown = FeatureSettings((64,), (1.0,))
        probe = Segmenter("fake", head if head in HEADS else "probe", features=shown)
        probe.set_params(recipe=recipe, cache=CacheSettings(folder=tmp_path / "c"))
        if head == "masks":
            mask = np.uint8(1) + (image > 100)
            turned = [np.rot90(image, k).copy() for k in range(3)]
            probe.fit(turned, [np.rot90(mask, k).copy() for k in range(3)])
        else:
            probe.fit(image, marks)
            marks[5, 30:46] = 1
            probe.partial_fit(image, marks)  # the probe before is filed as well
        return probe.save(tmp_path / f"{head}.segdino")

    return make


def outcome(path, image):
    """Load and use a file: what it predicts, or the sentence."""
    begun = time.thread_time()
    try:
        probe = Segmenter.load(path)
    except ModelFileError as error:
        assert time.thread_time() - begun < 1
        return str(error)
    try:
        found = probe.predict_proba(image)
    except SegDINOError as error:  # such as: the probe is of another encoder
        return str(error)
    assert np.isfinite(found).all()
    return found


def faults(file, image, path, seed, count):
    """Tell which of so many changes end in neither a sentence nor finite masks."""
    many = list(mutations(file))
    random.Random(seed).shuffle(many)
    told = []
    for change, changed in islice(many, count):
        write_model(path, changed)  # with the right checksum
        try:
            found = outcome(path, image)
        except Exception as error:  # noqa: BLE001
            told.append(f"{change}: {error!r}")
        else:
            if isinstance(found, str) and not found.endswith((".", ":")):
                told.append(f"{change}: no sentence, {found}")
    return told


@pytest.mark.parametrize("head", ["probe", "mvr", "meddino"])
def test_what_was_changed_in_a_probe_is_refused_in_a_sentence(trained, tmp_path, head):
    image, _ = bright_square(48)
    file = read_model(trained(head))
    assert faults(file, image, tmp_path / "changed", 0, 20) == []


@pytest.mark.long
@pytest.mark.parametrize("head", [*HEADS, "masks"])
def test_any_change_of_a_probe_is_refused_in_a_sentence(trained, tmp_path, head):
    image, _ = bright_square(48)
    file = read_model(trained(head))
    assert faults(file, image, tmp_path / "changed", 1, 10**6) == []


@pytest.mark.parametrize(
    ("head", "name", "content"),
    [
        ("probe", "maps.0", torch.inf),
        ("probe", "maps.0", 3e38),
        ("probe", "probe.own", 7),
        ("mvr", "head.blocks.0.hidden.weight", torch.inf),
        ("segdino", "head.classify.weight", -torch.inf),
        ("masks", "probe.hidden", 3e38),
    ],
)
def test_numbers_that_no_probe_has_do_not_become_masks(
    trained, tmp_path, head, name, content
):
    file = read_model(trained(head))
    tensors = file.tensors | {name: torch.full_like(file.tensors[name], content)}
    path = write_model(tmp_path / "changed", ModelFile(file.meta, tensors))
    with pytest.raises(ModelFileError, match="is damaged"):
        Segmenter.load(path)


@pytest.mark.parametrize("missing", ["checksum", "version", "meta"])
def test_a_header_that_lacks_a_part_is_refused(tmp_path, missing):
    header = {"format": FORMAT, "version": "2", "meta": "{}", "checksum": ""}
    del header[missing]
    save_file({"w": torch.ones(2)}, tmp_path / "a", header)
    with pytest.raises(ModelFileError, match="is damaged"):
        read_model(tmp_path / "a")


@pytest.mark.parametrize("meta", ["[" * 100_000, '{"head": 1}', "1", "[[]]"])
def test_settings_that_are_none_are_refused(tmp_path, meta):
    header = {"format": FORMAT, "version": "1", "meta": meta}
    save_file({"w": torch.ones(2)}, tmp_path / "a", header)
    with pytest.raises(ModelFileError, match="is damaged"):
        read_model(tmp_path / "a")


def test_what_a_newer_minor_version_added_is_left_out_with_a_word(
    trained, tmp_path, monkeypatch, caplog
):
    image, _ = bright_square(48)
    path = trained("probe")
    expected = outcome(path, image)
    file = read_model(path)
    newer = file.meta | {"features": file.meta["features"] | {"novel": 1}}
    write_model(tmp_path / "same", ModelFile(newer, file.tensors))
    with pytest.raises(ModelFileError, match="no setting of a probe named 'novel'"):
        Segmenter.load(tmp_path / "same")
    monkeypatch.setattr("napari_segdino.probe_file.VERSION", "2.1")
    write_model(tmp_path / "minor", ModelFile(newer, file.tensors))
    monkeypatch.setattr("napari_segdino.probe_file.VERSION", "3.0")
    write_model(tmp_path / "major", ModelFile(newer, file.tensors))
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="newer version: update"):
        Segmenter.load(tmp_path / "major")
    FakeEncoder().installed(monkeypatch)
    np.testing.assert_array_equal(outcome(tmp_path / "minor", image), expected)
    assert "'novel'" in caplog.text and "left out" in caplog.text


@pytest.mark.parametrize(
    "given",
    [
        {"sides": ()},
        {"sides": (10**9,)},
        {"factors": (0.0,)},
        {"tile": 3},
        {"overlap": 1024},
        {"percentiles": (90.0, 10.0)},
        {"neighbours": -1},
    ],
)
def test_settings_out_of_their_range_are_named(given):
    with pytest.raises(InputError, match=f"setting {next(iter(given))} cannot be"):
        FeatureSettings(**given)
    with pytest.raises(InputError, match="setting z_sigma cannot be"):
        PredictSettings(z_sigma=-1.0)
