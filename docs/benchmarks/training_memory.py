"""Peak memory and time of an epoch, by the number of images and where they are held.

python docs/benchmarks/training_memory.py

Made-up pictures of 128 x 128 pixels and levels as wide as those of a ViT-B, so that
encoding takes no time. Each row is a process of its own; peak memory is the operating
system's figure (ru_maxrss). Epochs are measured in pairs, held and read from disk, in
one process.
"""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_segdino.config import FeatureSettings, PredictSettings
from napari_segdino.encoders.base import Encoder
from napari_segdino.encoders.table import get_spec
from napari_segdino.features.cache import FeatureCache
from napari_segdino.features.extract import Extractor
from napari_segdino.heads.dense.train import iter_fit_dense
from napari_segdino.heads.registry import make_head
from napari_segdino.io.cases import Case
from napari_segdino.pipeline import Pipeline
from napari_segdino.progress import drive
from napari_segdino.study.examples import ExampleStore, iter_examples
from napari_segdino.study.read import Loaded

SIDE = 128
COUNTS = (80, 800)


class Wide(Encoder):
    """Means of cells, repeated to the width of a ViT-B."""

    def __init__(self):
        self.spec, self.key = get_spec("dinov3_vitb16"), "wide"
        self.device = torch.device("cpu")

    def encode(self, batch, levels):
        cells = torch.nn.functional.avg_pool2d(batch, 16)
        return tuple(
            cells.repeat(1, self.spec.channels[level] // 3, 1, 1).half()
            for level in levels
        )


def read(case):
    """A disc somewhere in noise."""
    random = np.random.default_rng(int(case.name))
    y, x = random.integers(SIDE // 4, 3 * SIDE // 4, 2)
    rows, columns = np.ogrid[:SIDE, :SIDE]
    mask = ((rows - y) ** 2 + (columns - x) ** 2 < (SIDE // 5) ** 2).astype(np.uint8)
    image = (random.integers(0, 60, mask.shape) + 120 * mask).astype(np.uint8)
    return Loaded(image, mask, "YX", (1.0, 1.0))


def examples(count, folder, room):
    head = make_head("segdino")
    encoder = Wide()
    cache = FeatureCache(0, 100 << 30, folder)
    extractor = Extractor(encoder, head.levels(encoder.spec), cache)
    shown = FeatureSettings((SIDE,), (1.0,), neighbours=0)
    pipeline = Pipeline(extractor, head, shown, PredictSettings(), 0)
    store = ExampleStore(cache, folder / "marks", room)
    cases = [Case(str(number), (), None) for number in range(count)]
    return drive(iter_examples(pipeline, cases, read, 0, 0, store)).all


def epoch(found):
    head = make_head("segdino")
    recipe = replace(head.choose_recipe(False, "cpu"), epochs=1)
    start = time.perf_counter()
    drive(iter_fit_dense(head.decoder, found, 2, recipe=recipe, seed=0))
    return time.perf_counter() - start


def peak(count, held):
    """Print the peak memory of one epoch, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        room = 1 << 40 if held else 0
        epoch(examples(count, Path(folder), room))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main():
    print("| images | held | peak memory |\n|---|---|---|")
    for count in COUNTS:
        for held in (True, False):
            asked = [sys.executable, __file__, str(count), str(int(held))]
            done = subprocess.run(asked, check=True, capture_output=True, text=True)
            where = "in memory" if held else "on disk"
            print(f"| {count} | {where} | {done.stdout.strip()} MB |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        both = [examples(COUNTS[0], Path(folder), room) for room in (1 << 40, 0)]
        times = [[epoch(found) for found in both] for _ in range(3)]
    held, stored = np.min(times, axis=0)
    print(
        f"\nAn epoch from disk takes {stored / held:.2f} times as long as from memory."
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        peak(int(sys.argv[1]), sys.argv[2] == "1")
    else:
        main()
