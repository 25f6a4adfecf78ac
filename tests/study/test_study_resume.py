"""A study that is killed and called again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import FakeEncoder
from PIL import Image

from napari_segdino.io.datasets import open_dataset
from napari_segdino.probe_file import read_model
from napari_segdino.progress import drive
from napari_segdino.study.settings import StudySettings
from napari_segdino.study.train import iter_study


def write_pictures(root, count=8, side=48):
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        image = rng.integers(0, 90, (side, side, 3)).astype(np.uint8)
        mask = np.zeros((side, side), np.uint8)
        y, x = rng.integers(0, side - 16, 2)
        mask[y : y + 16, x : x + 16] = 255
        image[mask > 0] += 90
        Image.fromarray(image).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")


EPOCHS = 20
PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import napari_segdino.pipeline
from fake_encoder import FakeEncoder
from napari_segdino.cli import main
def load(name, device, precision):
    yield from ()
    return FakeEncoder()
napari_segdino.pipeline.iter_load_encoder = load
main()
"""
"""The command line in a process of its own, with an encoder that is quick."""


def start(data, output):
    args = ["train", data, "-o", output, "--recipe", "segdino", "--epochs", EPOCHS]
    args += ["--encoder", "fake", "--side", 64, "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, args)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_after_some_epochs(process, state):
    """Kill with the signal that no program can catch."""
    until = time.monotonic() + 120
    while not state.is_file():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def finish(process):
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 0, error
    return error


@pytest.fixture
def one_thread():
    """Sums depend on how many threads share them, so take as many as `start`."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_here(data, output, monkeypatch):
    """Do what `start` does, in this process and undisturbed."""
    FakeEncoder().installed(monkeypatch)
    settings = StudySettings("segdino", "fake", "cpu", epochs=EPOCHS, side=64)
    work = output.with_suffix(".study")
    drive(iter_study(open_dataset(data), settings, work, output))


def test_killed_and_called_again_the_probe_is_the_same(
    tmp_path, monkeypatch, one_thread
):
    write_pictures(tmp_path / "data")
    whole, killed = tmp_path / "whole.segdino", tmp_path / "killed.segdino"
    folder = tmp_path / "killed.study" / "seed-0"
    process = start(tmp_path / "data", killed)
    kill_after_some_epochs(process, folder / "state.segdino")
    assert process.returncode == -signal.SIGKILL
    assert 0 < read_model(folder / "state.segdino").meta["epoch"] < EPOCHS
    assert not killed.exists()
    error = finish(start(tmp_path / "data", killed))
    assert "going on after epoch" in error
    assert "epoch 1:" not in error
    assert not (folder / "state.segdino").exists()
    run_here(tmp_path / "data", whole, monkeypatch)
    first, second = read_model(whole), read_model(killed)
    assert first.meta == second.meta
    assert first.tensors.keys() == second.tensors.keys()
    assert any(name.startswith("head.") for name in first.tensors)
    for name, tensor in first.tensors.items():
        assert tensor.equal(second.tensors[name]), name
    scores = [
        p.with_suffix(".study") / "seed-0" / "scores.csv" for p in (whole, killed)
    ]
    assert scores[0].read_text() == scores[1].read_text()
