"""In files of versions whose default head was called mvr, mvr is probe."""

import json
import logging

import numpy as np
import pytest
from fake_encoder import FakeEncoder, bright_square

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings
from napari_segdino.errors import InputError
from napari_segdino.heads.registry import log_once
from napari_segdino.probe_file import ModelFile, model_digest, read_model, write_model
from napari_segdino.session.project import (
    PROJECT_FILE,
    ProjectWriter,
    State,
    read_project,
)
from napari_segdino.session.project.about import VERSION
from napari_segdino.session.session import Session
from napari_segdino.session.settings import Settings
from napari_segdino.study.settings import StudySettings, describe
from napari_segdino.study.split import Splits
from napari_segdino.study.state import StudyFolder


@pytest.fixture(autouse=True)
def nothing_told():
    log_once.cache_clear()


@pytest.fixture
def probe(monkeypatch, tmp_path):
    fake = FakeEncoder()
    fake.installed(monkeypatch)
    return Segmenter("fake", cache=CacheSettings(folder=tmp_path / "cache"))


@pytest.fixture
def former_file(monkeypatch):
    """Write a probe file down as an earlier version did."""

    def write(path, **meta):
        now = read_model(path)
        former = ModelFile(now.meta | {"head": "mvr"} | meta, now.tensors)
        with monkeypatch.context() as earlier:
            earlier.setattr("napari_segdino.probe_file.VERSION", 1)
            return write_model(path, former)

    return write


@pytest.mark.parametrize(("version", "head"), [(1, "probe"), (2, "mvr")])
def test_the_version_of_a_file_says_what_mvr_means(
    tmp_path, monkeypatch, version, head
):
    meta = {"head": "mvr", "recipe": "mvr_quick:steps=3"}
    with monkeypatch.context() as then:
        then.setattr("napari_segdino.probe_file.VERSION", version)
        path = write_model(tmp_path / "a", ModelFile(meta, {}))
    found = read_model(path).meta
    assert found == {"head": head, "recipe": f"{head}_quick:steps=3"}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (None, None),
        ("mvr", "probe"),
        ("mvr:steps=10", "probe:steps=10"),
        ("mvr:lr=3", None),  # was written down and never read
        ("segdino_quick", None),
    ],
)
def test_a_probe_file_opens_as_a_probe_and_goes_on(
    probe, tmp_path, former_file, recipe, expected
):
    image, marks = bright_square(64)
    probe.fit(image, marks)
    path = former_file(probe.save(tmp_path / "a.segdino"), recipe=recipe)
    loaded = Segmenter.load(path)
    assert (loaded.head, loaded.recipe) == ("probe", expected)
    np.testing.assert_array_equal(
        loaded.predict_proba(image), probe.predict_proba(image)
    )
    marks[5, 5:40] = 1
    np.testing.assert_array_equal(
        loaded.partial_fit(image, marks).predict(image),
        probe.partial_fit(image, marks).predict(image),
    )
    assert read_model(loaded.save(path)).meta["head"] == "probe"


@pytest.mark.parametrize("kind", ["RadialProbe", "KernelProbe"])
def test_what_a_file_calls_a_kernel_probe(probe, tmp_path, former_file, kind):
    image, marks = bright_square(64)
    for _ in range(2):  # a second fit, so that the probe before is filed as well
        probe.partial_fit(image, marks)
        marks[5:60:9, 40:60] = 1
    path = probe.save(tmp_path / "a.segdino")
    now = read_model(path).meta["learned"]
    assert now["kind"] == "RadialProbe", "earlier versions open it too"
    former = now | {"kind": kind}
    if "before" in former:
        former["before"] = former["before"] | {"kind": kind}
    loaded = Segmenter.load(former_file(path, learned=former))
    np.testing.assert_array_equal(
        loaded.predict_proba(image), probe.predict_proba(image)
    )


@pytest.mark.parametrize("recipe", [None, "mvr:steps=10"])
def test_masks_of_a_folder_that_the_former_probe_made_are_up_to_date(
    probe, tmp_path, former_file, recipe
):
    probe.fit(*bright_square(64))
    path = former_file(probe.save(tmp_path / "a.segdino"), recipe=recipe)
    noted = model_digest(read_model(path))
    again = Segmenter.load(path).save(tmp_path / "b.segdino")
    assert read_model(again).meta["head"] == "probe"
    assert model_digest(read_model(again)) == noted
    other = ModelFile(read_model(again).meta | {"random_state": 1}, {})
    assert model_digest(other) != model_digest(ModelFile(read_model(again).meta, {}))


def test_many_files_say_it_once(probe, tmp_path, former_file, caplog):
    probe.fit(*bright_square(64))
    path = former_file(probe.save(tmp_path / "a.segdino"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            Segmenter.load(path)
    assert [r.getMessage() for r in caplog.records] == [
        "What this file calls 'mvr' is called 'probe' now: 'mvr' is DINO-MVR as it is "
        "published."
    ]


@pytest.mark.parametrize(("version", "head"), [(4, "probe"), (VERSION, "mvr")])
def test_the_version_of_a_project_says_what_mvr_means(
    fake_segmenter, tmp_path, version, head
):
    session = Session(fake_segmenter, Settings("fake", head="mvr"))
    ProjectWriter(tmp_path / "p").write(State(session.state(), (), (), -1))
    file = tmp_path / "p" / PROJECT_FILE
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"version": version}))
    again = Session(fake_segmenter, Settings("fake"))
    again.restore(read_project(tmp_path / "p").session)
    assert again.settings.head == head
    assert again.segmenter.head == head


def test_a_study_that_was_begun_goes_on(tmp_path):
    folder = StudyFolder(tmp_path / "a.study")
    wanted = describe(Splits((), (), ()), StudySettings("probe", "fake"))
    folder.open(wanted)
    file = folder.path / "study.json"
    former = json.loads(file.read_text())
    del former["version"]
    former["settings"]["recipe"] = "mvr"
    file.write_text(json.dumps(former))
    folder.open(wanted)
    other = describe(Splits((), (), ()), StudySettings("mvr", "fake"))
    with pytest.raises(InputError, match="other settings"):
        folder.open(other)
    folder.open(other, restart=True)
    folder.open(other)
    with pytest.raises(InputError, match="other settings"):
        folder.open(wanted)
