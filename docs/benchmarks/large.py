"""Peak memory and time of one large image.

    python docs/benchmarks/large.py plane  OUT.ome.zarr   # 20,000 x 20,000, colour
    python docs/benchmarks/large.py volume OUT.npy        # 400 x 512 x 512, 16 bits

A second start goes on where the first one was stopped. Peak memory is the
operating system's own figure (ru_maxrss). With ``--prefill N`` the first N tiles
are thresholded, not encoded, so that a start after that measures the end of a
long run.
"""

import resource
import sys
import time
from pathlib import Path

import dask.array as da
import imageio.v3 as iio
import numpy as np
import skimage

from napari_segdino import Segmenter
from napari_segdino.batch import BlockWriter, blocks, iter_predict_to
from napari_segdino.config import CacheSettings
from napari_segdino.io import Header

SECONDS_BETWEEN = 30


def tissue():
    """scikit-image's stained tissue, (512, 512, 3) uint8."""
    folder = Path(skimage.__file__).parent / "data"
    return iio.imread(folder / "ihc.png")[..., :3]


def strokes(image):
    """400 marked pixels of each class: brown, and not."""
    red, blue = image[..., 0].astype(int), image[..., 2].astype(int)
    brown = (blue < 130) & (red > blue + 30)
    marks = np.zeros(brown.shape, np.uint8)
    rng = np.random.default_rng(0)
    for code, where in ((2, brown), (1, ~brown)):
        y, x = np.nonzero(where)
        picked = rng.choice(len(y), 400, replace=False)
        marks[y[picked], x[picked]] = code
    return marks


def mirrored(tile, side):
    """A lazy square of mirrored copies, each 512 x 512 chunk made when read."""
    pair = np.concatenate([tile, tile[::-1]])
    four = np.concatenate([pair, pair[:, ::-1]], axis=1)
    lazy = da.from_array(four, chunks=(512, 512, *four.shape[2:]))
    count = -(-side // len(four))
    return da.tile(lazy, (count, count, *[1] * (four.ndim - 2)))[:side, :side]


def image_of(kind):
    """Lazy image, its axes, and a plane to train on."""
    tile = tissue()
    if kind == "plane":
        return mirrored(tile, 20_000), "YXC", tile
    grey = (tile.mean(-1) * 16).astype(np.uint16)
    planes = [da.from_array(np.roll(grey, 3 * z, 0)) for z in range(400)]
    return da.stack(planes), "ZYX", grey


def gigabytes():
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def threshold(tile):
    """Stand in for a probe."""
    import torch

    bright = torch.from_numpy(tile[..., 0].astype(np.float32) / tile[..., 0].max())
    return torch.stack([1 - bright, bright])


def main(kind, out, prefill=0):
    image, axes, plane = image_of(kind)
    if prefill:
        blocks._scorer = lambda *_: threshold
    segmenter = Segmenter(
        "efficientnet_lite0", device="cpu", cache=CacheSettings(256 << 20, 0)
    )
    segmenter.fit(plane, strokes(tissue()))
    print(f"trained, {gigabytes():.2f} GB", flush=True)
    spatial = len(axes.replace("C", ""))
    like = Header(
        shape=image.shape,
        axes=axes,
        spacing=(1.0,) * spatial,
        units=("pixel",) * spatial,
    )
    start = shown = time.perf_counter()
    with BlockWriter(out, like, resume=True, made_by=kind) as writer:
        for step in iter_predict_to(segmenter, image, writer, axes=axes):
            now = time.perf_counter()
            if prefill and step.done >= prefill:
                raise SystemExit(f"prefilled, peak {gigabytes():.2f} GB")
            if now - shown > SECONDS_BETWEEN:
                shown = now
                print(
                    f"{step.done}/{step.total} tiles, {now - start:.0f} s, "
                    f"peak {gigabytes():.2f} GB",
                    flush=True,
                )
    print(f"whole: {time.perf_counter() - start:.0f} s, peak {gigabytes():.2f} GB")


if __name__ == "__main__":
    more = sys.argv[3:]
    main(sys.argv[1], sys.argv[2], int(more[1]) if more[:1] == ["--prefill"] else 0)
