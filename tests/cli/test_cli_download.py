"""On a terminal the user is asked before weights are downloaded."""

import sys

import click
import pytest

from napari_segdino.cli.terminal import with_bar
from napari_segdino.encoders.consent import asker
from napari_segdino.encoders.weights import Source
from napari_segdino.progress import Progress

SOURCE = Source("Test weights", "timm/test", ("x",), "x", "MIT", "https://x.org", 10**8)


def download():
    """What a download does first."""
    ask = asker.get()
    yield Progress(0, 0, "Asking")
    return None if ask is None else ask(SOURCE).result()


@pytest.mark.parametrize("answer", [True, False])
def test_who_sits_there_is_asked(monkeypatch, answer):
    asked = []

    def confirm(text, **_):
        asked.append(text)
        return answer

    monkeypatch.setattr(click, "confirm", confirm)
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    assert with_bar(download()) is answer
    assert "100 MB" in asked[0] and "MIT: https://x.org" in asked[0]
    assert asker.get() is None


def test_a_script_is_not_asked(monkeypatch):
    assert with_bar(download()) is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert with_bar(download()) is None
