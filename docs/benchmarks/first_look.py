"""Processor seconds until a mask is seen, until it is final, and of later rounds.

    python docs/benchmarks/first_look.py [--side 512] [--repeats 3]

DINOv3 ViT-S with random weights (what they say does not matter for speed), one thread:
seconds of the process, so that other work on the machine counts little. Each repeat
measures the bare forward passes and this program in turn; medians are printed.
"""

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch

from napari_segdino import Segmenter
from napari_segdino.config import CacheSettings
from napari_segdino.features.extract import views_of
from napari_segdino.features.views import show
from napari_segdino.inference.predict import PartResult, PlaneResult
from napari_segdino.progress import drive

ARCHITECTURE = "vit_small_patch16_dinov3"
ROUNDS = 4


def picture(side, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    waves = np.stack([np.sin(9 * x + seed), np.cos(7 * y), np.sin(5 * (x + y))], -1)
    return np.clip(waves * 60 + 128 + rng.normal(0, 12, waves.shape), 0, 255).astype(
        np.uint8
    )


def painted(side, strokes):
    marks = np.zeros((side, side), np.uint8)
    for number in range(strokes):
        y = (481 * number + 60) % (side - 40) + 20
        x = (637 * number + 80) % (side - 40) + 20
        marks[y - 5 : y + 5, x - 5 : x + 5] = 1 + number % 2
    return marks


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


def until(steps, kind):
    """Seconds until the first of a kind comes."""
    start = time.process_time()
    for step in steps:
        if isinstance(step, kind):
            break
    return time.process_time() - start


def bare(pipeline, image, view):
    """Encode an image in one view, or as it is."""
    encoder = pipeline.extractor.encoder
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    shown = pixels if view is None else show(pixels, view, encoder.spec.multiple)
    encoder.encode(shown[None], pipeline.extractor.levels)


def measure(segmenter, pipeline, image, note):
    """One repeat, all in turn."""
    side, cache = len(image), pipeline.extractor.cache
    how = {"planes": [0], "centre": (side / 2, side / 2)}
    views = views_of(pipeline.feature_settings)[0]
    note("bare", seconds(lambda: bare(pipeline, image, None)))
    note("views", seconds(lambda: [bare(pipeline, image, view) for view in views]))
    fresh, marks = segmenter.unfitted(), painted(side, 2)
    note("Segment, seen", until(fresh.iter_cluster(image, **how), PartResult))
    cache.clear()
    note("Segment, final", until(fresh.iter_cluster(image, **how), PlaneResult))
    cache.clear()
    fresh = segmenter.unfitted()
    note("Retrain, seen", until(fresh.iter_draft(image, marks, **how), PartResult))
    cache.clear()
    drafted = seconds(lambda: list(fresh.iter_draft(image, marks, **how)))
    learned = seconds(lambda: fresh.fit(image, marks).predict(image))
    note("Retrain, final", drafted + learned)
    for number in range(3, 3 + ROUNDS):
        more = painted(side, number)
        note("later", seconds(lambda more=more: fresh.fit(image, more).predict(image)))
    cache.clear()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    side = given.side
    torch.set_num_threads(1)
    path = Path(tempfile.mkdtemp()) / f"{ARCHITECTURE}.safetensors"
    state = timm.create_model(ARCHITECTURE, pretrained=False).state_dict()
    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, path)
    cache = CacheSettings(1 << 30, 0)
    segmenter = Segmenter(str(path), device="cpu", cache=cache, random_state=0)
    pipeline = drive(segmenter.iter_pipeline())
    extractor = pipeline.extractor
    encoder = extractor.encoder
    found = {}

    def note(name, value):
        found.setdefault(name, []).append(value)

    bare(pipeline, picture(side, 0), None)
    for repeat in range(given.repeats):
        measure(segmenter, pipeline, picture(side, repeat), note)
    middle = {name: statistics.median(values) for name, values in found.items()}
    print(f"{ARCHITECTURE}, side {side}, {encoder.precision}, processor seconds")
    for name, value in middle.items():
        print(
            f"{name:15} {value:6.3f}  {value / middle['bare']:5.2f} of bare"
            f"  {value / middle['views']:5.2f} of its views"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
