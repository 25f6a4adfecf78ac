"""The large runs in one go, each in a process of its own; prints rows of a table.

    OMP_NUM_THREADS=2 python docs/benchmarks/large_runs.py plane   FOLDER
    OMP_NUM_THREADS=2 python docs/benchmarks/large_runs.py volume  FOLDER
    OMP_NUM_THREADS=1 python docs/benchmarks/large_runs.py workers FOLDER

``plane`` is 20,000 x 20,000 x 3 (OME-Zarr out), ``volume`` 400 x 512 x 512 of 16
bits (memory-mapped .npy out). Both go on where they were stopped. Peak memory is
the operating system's (VmHWM of the process, training included). The share is the
throughput next to the bare encoder's on some of the same tiles, read and shown to
it in the same sizes. ``--tiles N`` stops after N tiles, ``--device`` and
``--encoder`` choose others.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch
from large import gigabytes, image_of, strokes, tissue
from throughput import workers

from napari_segdino import Segmenter
from napari_segdino.batch import BlockWriter, iter_predict_to
from napari_segdino.config import CacheSettings
from napari_segdino.features.extract import triples, views_of
from napari_segdino.features.intensity import find_intensity
from napari_segdino.features.views import show
from napari_segdino.images.lazy import LazyPlanes
from napari_segdino.images.planes import Planes
from napari_segdino.inference.blend import cut_plane
from napari_segdino.io import Header
from napari_segdino.progress import drive

BARE_TILES = 8
"""Tiles that the bare encoder is timed on."""

SECONDS_BETWEEN = 60


def peak():
    """Most memory that this process ever held, in GB."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return gigabytes()
    line = next(
        x
        for x in status.read_text(encoding="utf-8").splitlines()
        if x.startswith("VmHWM")
    )
    return int(line.split()[1]) * 1024 / 1e9


def trained(plane, asked):
    segmenter = Segmenter(
        asked.encoder, device=asked.device, cache=CacheSettings(256 << 20, 0)
    )
    return segmenter.fit(plane, strokes(tissue()))


def settle(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def bare_rate(segmenter, source: Planes):
    """Tiles a second of the encoder alone, reading and scaling counted."""
    pipeline = drive(segmenter.iter_pipeline())
    encoder = pipeline.extractor.encoder
    intensity = find_intensity(source, pipeline.feature_settings, encoder.spec)
    cut = cut_plane(source.plane_shape, pipeline.feature_settings)
    places = itertools.product(
        range(len(source)), range(len(cut.rows)), range(len(cut.columns))
    )
    some = list(itertools.islice(places, BARE_TILES + 1))
    start = 0.0
    for number, (plane, row, column) in enumerate(some):
        if number == 1:  # the first one warms it
            settle(encoder.device)
            start = time.perf_counter()
        pixels = source.read(plane)[cut.tile(row, column).slices]
        tile = torch.from_numpy(intensity.apply(pixels))
        for views in views_of(pipeline.feature_settings):
            for view in views:
                three = [show(t, view, encoder.spec.multiple) for t in triples(tile)]
                encoder.encode(torch.stack(three), pipeline.extractor.levels)
    settle(encoder.device)
    return (len(some) - 1) / (time.perf_counter() - start)


def run(asked):
    image, axes, plane = image_of(asked.what)
    segmenter = trained(plane, asked)
    after_training = peak()
    spatial = len(axes.replace("C", ""))
    like = Header(
        shape=image.shape,
        axes=axes,
        spacing=(1.0,) * spatial,
        units=("pixel",) * spatial,
    )
    ending = ".ome.zarr" if asked.what == "plane" else ".npy"
    out = asked.folder / f"{asked.what}{ending}"
    start = shown = time.perf_counter()
    done = total = 0
    try:
        with BlockWriter(out, like, resume=True, made_by=asked.what) as writer:
            for step in iter_predict_to(segmenter, image, writer, axes=axes):
                done, total, now = step.done, step.total, time.perf_counter()
                if asked.tiles and done >= asked.tiles:
                    raise KeyboardInterrupt
                if now - shown > SECONDS_BETWEEN:
                    shown = now
                    left = (now - start) / max(1, done) * (total - done)
                    print(
                        f"{done}/{total} tiles, {left / 60:.0f} minutes left, "
                        f"peak {peak():.2f} GB",
                        file=sys.stderr,
                        flush=True,
                    )
    except KeyboardInterrupt:
        print("stopped: what is written stays", file=sys.stderr)
    seconds, most = time.perf_counter() - start, peak()
    rate, bare = done / seconds, bare_rate(segmenter, LazyPlanes(image, axes))
    size = " x ".join(str(n) for n in np.array(image.shape))
    print(f"| {size} | {done} of {total} | {seconds:.0f} s | {most:.2f} GB ", end="")
    print(f"| {after_training:.2f} GB | {rate:.2f} | {bare:.2f} | {rate / bare:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["plane", "volume", "workers"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiles", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--encoder", default="efficientnet_lite0")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if asked.what == "workers":
        workers(asked.folder)
        return
    print("| image | tiles | time | peak | after training | tiles/s | bare | share |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    run(asked)


if __name__ == "__main__":
    main()
