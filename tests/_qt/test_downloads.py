"""Nothing is downloaded before the user has said so."""

from __future__ import annotations

import time
from typing import Any

from qtpy.QtWidgets import QMessageBox

from napari_segdino._qt.messages import loaded
from napari_segdino._qt.widgets.dialogs import NO, YES
from napari_segdino._qt.worker.runner import Job
from napari_segdino.encoders import DEFAULT_ENCODER, get_spec
from napari_segdino.encoders.consent import asker
from napari_segdino.encoders.weights import table_source
from napari_segdino.progress import PAUSE, Progress

SOURCE = table_source(get_spec(DEFAULT_ENCODER))


def steps() -> Any:
    """A download, as far as the question."""
    ask = asker.get()
    assert ask is not None
    answer = ask(SOURCE)
    while not answer.done():
        yield Progress(0, 0, "Waiting")
        time.sleep(PAUSE)
    return answer.result()


def boxes(user: Any) -> list[QMessageBox]:
    found = user.dock.findChildren(QMessageBox)
    return [box for box in found if box.isVisible()]


def test_the_user_is_asked_and_shown_the_terms(user: Any) -> None:
    answers: list[bool] = []
    for button, expected in ((YES, True), (NO, False)):
        user.dock.controller.runner.start(Job("Test", steps, on_done=answers.append))
        user.wait(lambda: boxes(user))
        (box,) = boxes(user)
        for part in (SOURCE.title, "86 MB", "DINOv3 License", SOURCE.licence_url):
            assert part in box.text()
        assert answers.count(expected) == 0, "it waits"
        box.button(button).click()
        user.rest()
        assert answers[-1] is expected
    user.dock.controller.runner.start(Job("Test", steps, on_done=answers.append))
    user.wait(lambda: boxes(user))
    user.dock.controller.cancel()
    user.rest()
    assert not boxes(user) and len(answers) == 2


def test_what_nobody_waits_for_downloads_nothing(user: Any) -> None:
    answers: list[bool] = []
    job = Job("Test", steps, on_done=answers.append, background=True)
    user.dock.controller.runner.start(job)
    user.wait(lambda: answers)
    assert answers == [False] and not boxes(user)


def test_a_probe_file_says_what_it_needs(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("NAPARI_SEGDINO_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    needed = loaded("p.segdino", DEFAULT_ENCODER)
    assert "Segment asks before it is downloaded" in needed
    assert SOURCE.title in needed
    assert "press Segment to use it" in loaded("p.segdino", "efficientnet_lite0")
    assert "its authors' file" in loaded("p.segdino", "flexict_2d")
    assert "no model named" in loaded("p.segdino", "timm:nonsense")
