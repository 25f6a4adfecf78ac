#!/usr/bin/env python3
"""Does following the program's suggestions cost more strokes than knowing the truth?

    python suggest_robot.py DATA [--sets kvasir ...] [--cases 4] [--strokes 12]

DATA is a folder with ``manifest.csv`` (columns set, case, image, mask). Two robots
start with the same two strokes. One then paints where the mask is most wrong, which
no user knows before looking everywhere; the other paints where the program says that
it is most doubtful, with the class that is true in the middle of the disc. Prints
Dice by stroke and strokes to 0.90 of both (one more than the last = never).
"""

from __future__ import annotations

import argparse
import csv
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Plane = NDArray[Any]


def cases(
    data: Path, name: str, count: int, side: int
) -> Iterator[tuple[Plane, Plane]]:
    """Yield evenly spread images of a set and their masks, (Y, X) bool."""
    from skimage import io, transform

    from napari_segdino.io.read import read_scan

    with open(data / "manifest.csv", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["set"] == name]
    for i in np.unique(np.linspace(0, len(rows) - 1, count).astype(int)):
        paths = [data / rows[i][column] for column in ("image", "mask")]
        if paths[0].name.endswith(".nii.gz"):  # a volume: its fullest slice
            image, truth = (np.asarray(read_scan(path).data) for path in paths)
            fullest = (truth > 0).sum((1, 2)).argmax()
            image, truth = image[fullest], truth[fullest] > 0
        else:
            image, truth = io.imread(paths[0]), io.imread(paths[1]) > 0
            truth = truth.any(-1) if truth.ndim == 3 else truth
        image = image[..., :3] if image.ndim == 3 else image
        scale = min(1.0, side / max(truth.shape))
        shape = tuple(round(n * scale) for n in truth.shape)
        small = transform.resize(image, shape, anti_aliasing=True, preserve_range=True)
        small = small.astype(image.dtype) if scale < 1 else image
        yield small, transform.resize(truth, shape, order=0).astype(bool)


def disc(shape: tuple[int, ...], y: int, x: int, radius: float) -> Plane:
    """A brush's footprint."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def brush(shape: tuple[int, ...]) -> int:
    """Radius of a stroke, in pixels."""
    return max(2, round(0.012 * np.hypot(*shape)))


def most_wrong(wrong: Plane) -> Plane | None:
    """A disc inside the largest wrong region."""
    labels, count = ndimage.label(wrong)
    if not count:
        return None
    size = np.bincount(labels.ravel())
    size[0] = 0
    depth = ndimage.distance_transform_edt(np.pad(labels == size.argmax(), 1))
    depth = depth[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return disc(wrong.shape, y, x, int(np.clip(depth.max() - 1, 1, brush(wrong.shape))))


def dice(a: Plane, b: Plane) -> float:
    """Dice of two masks."""
    return float(2 * (a & b).sum() / max(1, a.sum() + b.sum()))


Next = Callable[[Any, Plane, Plane, Plane, Plane], Plane | None]
"""Segmenter, image, marks, mask, truth to what the next stroke covers."""


def by_truth(_: Any, image: Plane, marks: Plane, mask: Plane, truth: Plane) -> Any:
    """Paint inside the largest wrong region."""
    return most_wrong(mask != truth)


def by_suggestion(
    segmenter: Any, image: Plane, marks: Plane, mask: Plane, truth: Plane
) -> Any:
    """Paint at the most doubtful place, what is of one class around its middle."""
    from napari_segdino.progress import drive
    from napari_segdino.review.suggest import iter_suggest

    ranking = drive(iter_suggest(segmenter, image, marks, count=1))
    if not ranking.places:
        return None
    place = ranking.places[0]
    inside = disc(truth.shape, place.y, place.x, brush(truth.shape))
    return inside & (truth == truth[place.y, place.x])


def play(
    segmenter: Any, image: Plane, truth: Plane, strokes: int, next_one: Next
) -> tuple[list[float], float]:
    """Return Dice after each stroke from the second on, and seconds a suggestion."""
    marks = np.zeros(truth.shape, np.uint8)
    for first in (most_wrong(truth), most_wrong(~truth)):
        marks[first] = np.where(truth[first], 2, 1)
    scores, seconds = [], 0.0
    for k in range(2, strokes + 1):
        segmenter.fit(image, marks)
        mask = np.asarray(segmenter.predict(image)) > 0
        mask = np.where(marks > 0, marks > 1, mask)
        scores.append(dice(mask, truth))
        if k == strokes:
            break
        start = time.perf_counter()
        covered = next_one(segmenter, image, marks, mask, truth)
        seconds += time.perf_counter() - start
        if covered is not None:
            marks[covered] = np.where(truth[covered], 2, 1)
    return scores, seconds / max(1, strokes - 2)


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["kvasir", "isic2018", "ddti"])
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--strokes", type=int, default=12)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    from napari_segdino import Segmenter

    torch.set_num_threads(1)
    never = asked.strokes + 1
    needed: dict[str, list[int]] = {"truth": [], "suggestion": []}
    for name in asked.sets:
        for how, step in (("truth", by_truth), ("suggestion", by_suggestion)):
            games = [
                play(Segmenter(asked.encoder), image, truth, asked.strokes, step)
                for image, truth in cases(asked.data, name, asked.cases, asked.side)
            ]
            scores = np.array([g[0] for g in games])
            n90 = [int(np.argmax([*s, 1.0] >= np.float64(0.9))) + 2 for s in scores]
            needed[how] += n90
            curve = " ".join(f"{v:.3f}" for v in scores.mean(0))
            print(f"{name:9s} {how:10s} n={len(games)} Dice {curve}", flush=True)
            print(f"  strokes to 0.90 {n90}, {np.mean([g[1] for g in games]):.2f} s")
    means = {how: float(np.mean(n)) for how, n in needed.items()}
    ratio = means["suggestion"] / means["truth"]
    print(f"strokes to 0.90 ({never} = never): {means}; ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
