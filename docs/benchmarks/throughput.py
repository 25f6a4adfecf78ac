"""Tiles a second next to the bare encoder's, a picture of seams, and workers.

python docs/benchmarks/throughput.py tiles  OUT.png
python docs/benchmarks/throughput.py workers FOLDER
"""

import sys
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile
import torch
from large import strokes, tissue

from napari_segdino import Segmenter
from napari_segdino.batch import BatchSettings, iter_predict_blocks, iter_run, plan_jobs
from napari_segdino.batch.work import read_probe
from napari_segdino.config import CacheSettings
from napari_segdino.features.extract import views_of
from napari_segdino.features.views import show
from napari_segdino.inference.blend import cut_plane
from napari_segdino.inference.predict import BlockResult
from napari_segdino.progress import drive

SIDE = 1900
"""Four tiles."""


def trained():
    cache = CacheSettings(256 << 20, 0)
    segmenter = Segmenter("efficientnet_lite0", device="cpu", cache=cache)
    return segmenter.fit(tissue(), strokes(tissue()))


def slide():
    """Tissue with an empty part: contrast differs from tile to tile."""
    wide = SIDE - 512
    image = np.pad(tissue(), ((0, wide), (0, wide), (0, 0)), mode="symmetric")
    blank = np.random.default_rng(0).normal(235, 3, image.shape)
    image[: SIDE // 2 + 120, SIDE // 2 - 60 :] = blank.clip(0, 255)[
        : SIDE // 2 + 120, SIDE // 2 - 60 :
    ]
    return image


def tiles(out):
    segmenter, image = trained(), slide()
    pipeline = drive(segmenter.iter_pipeline())
    labels = np.zeros((SIDE, SIDE), np.uint8)
    sure = np.zeros((SIDE, SIDE), np.uint8)
    start = time.process_time()
    for step in iter_predict_blocks(segmenter, image, axes="YXC"):
        if isinstance(step, BlockResult):
            labels[step.slices] = step.labels
            sure[step.slices] = (255 * step.probabilities[1]).astype(np.uint8)
    whole = time.process_time() - start
    cut = cut_plane(image.shape, pipeline.feature_settings)
    start = time.process_time()
    for row in range(len(cut.rows)):
        for column in range(len(cut.columns)):
            tile = torch.from_numpy(image[cut.tile(row, column).slices])
            pixels = tile.permute(2, 0, 1).float() / 255
            for view in views_of(pipeline.feature_settings)[0]:
                multiple = pipeline.extractor.encoder.spec.multiple
                shown = show(pixels, view, multiple)[None]
                pipeline.extractor.encoder.encode(shown, pipeline.extractor.levels)
    bare = time.process_time() - start
    print(f"{cut.count} tiles: {whole:.1f} s of CPU, the encoder {bare:.1f} s")
    print(f"share of the encoder's throughput: {bare / whole:.2f}")
    drawn = image.copy()
    drawn[labels > 0] = (drawn[labels > 0] + [255, 0, 255]) // 2
    iio.imwrite(out, np.hstack([drawn, np.stack([sure] * 3, -1)]))


def workers(folder):
    folder = Path(folder)
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for number in range(12):
        tifffile.imwrite(folder / "in" / f"{number:02}.tif", np.roll(tissue(), number))
    probe = read_probe(trained().save(folder / "brown.segdino"), "cpu")
    for count in (1, 2):
        jobs = plan_jobs([folder / "in"], folder / f"out{count}")
        start = first = time.perf_counter()

        def note(step):
            nonlocal first
            if getattr(step, "text", "") == "Predicting files" and step.done == 0:
                first = time.perf_counter()

        rows = drive(iter_run(jobs, probe, BatchSettings(workers=count)), note)
        end = time.perf_counter()
        assert all(row.status == "done" for row in rows)
        print(f"{count} workers: {end - first:.1f} s, started in {first - start:.1f} s")


if __name__ == "__main__":
    {"tiles": tiles, "workers": workers}[sys.argv[1]](sys.argv[2])
