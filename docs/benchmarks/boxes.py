#!/usr/bin/env python3
"""How good is a mask from one box, and how many strokes does it then need?

    python boxes.py DATA [--sets kvasir ...] [--cases 20] [--part 0] [--strokes 6]

A box is cut from the truth around each of its parts (of 5 % of its area or more), as
it is and loose: each side moved outward by up to a fifth of the object. Prints mean
Dice of the plain ellipse in the box, of the mask, and after each stroke of a robot
that paints inside the largest wrong region; strokes to 0.90 after the box (one more
than the last = never); and how many masks are worse than their ellipse by .02.
``--part`` takes every second case, those at even places (0) or at odd ones (1).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from suggest_robot import Plane, cases, dice, most_wrong

Edges = tuple[float, float, float, float]


def boxes_of(truth: Plane) -> list[Edges]:
    """Boxes around the parts of an object; gaps of a few pixels join parts."""
    parts, count = ndimage.label(ndimage.binary_dilation(truth, iterations=2))
    sizes = np.bincount(parts[truth], minlength=count + 1)
    found: list[Edges] = []
    for part in np.flatnonzero(sizes >= 0.05 * truth.sum()):
        y, x = np.nonzero(truth & (parts == part))
        found.append((y.min(), x.min(), y.max() + 1, x.max() + 1))
    return found


def loosen(edges: Edges, shape: tuple[int, ...], random: np.random.Generator) -> Edges:
    """Move each side outward by up to a fifth of the object."""
    y0, x0, y1, x1 = edges
    out = random.uniform(0, 0.2, 4) * (y1 - y0, x1 - x0, y1 - y0, x1 - x0)
    return (
        max(0, y0 - out[0]),
        max(0, x0 - out[1]),
        min(shape[0], y1 + out[2]),
        min(shape[1], x1 + out[3]),
    )


def ellipse(edges: Edges, shape: tuple[int, ...]) -> Plane:
    """The ellipse that touches all sides of a box."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    y0, x0, y1, x1 = edges
    down = (2 * y + 1 - y0 - y1) / (y1 - y0)
    right = (2 * x + 1 - x0 - x1) / (x1 - x0)
    found: Plane = down**2 + right**2 <= 1
    return found


def correct(segmenter: Any, image: Plane, truth: Plane, mask: Plane, n: int) -> Any:
    """Paint strokes on a mask from boxes; return Dice before any and after each."""
    marks = np.zeros(truth.shape, np.uint8)
    scores = [dice(mask, truth)]
    for _ in range(n):
        covered = most_wrong(mask != truth)
        marks[covered] = np.where(truth[covered], 2, 1)
        segmenter.partial_fit(image, marks)
        mask = np.asarray(segmenter.predict(image)) > 0
        mask = np.where(marks > 0, marks > 1, mask)
        scores.append(dice(mask, truth))
    return scores


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["kvasir", "isic2018", "ddti"])
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--part", type=int, choices=(0, 1))
    parser.add_argument("--strokes", type=int, default=6)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    from napari_segdino import Segmenter

    torch.set_num_threads(1)
    for name in asked.sets:
        every = list(cases(asked.data, name, asked.cases, asked.side))
        listed = list(enumerate(every))[
            asked.part or 0 :: 1 if asked.part is None else 2
        ]
        for loose in (False, True):
            plain, scores = [], []
            for number, (image, truth) in listed:
                random = np.random.default_rng(number)
                boxes = boxes_of(truth)
                if loose:
                    boxes = [loosen(box, truth.shape, random) for box in boxes]
                plain.append(
                    dice(np.any([ellipse(b, truth.shape) for b in boxes], 0), truth)
                )
                segmenter = Segmenter(asked.encoder)
                mask = segmenter.start(image, boxes) > 0
                how = segmenter, image, truth, mask, asked.strokes
                scores.append(correct(*how))
            rows = np.array(scores)
            enough = np.argmax(np.c_[rows, np.ones(len(rows))] >= 0.9, 1)
            worse = int((rows[:, 0] < np.array(plain) - 0.02).sum())
            print(
                f"{name:10s} {'loose' if loose else 'tight'} n={len(rows)} "
                f"ellipse {np.mean(plain):.3f}, Dice by stroke "
                f"{rows.mean(0).round(3).tolist()}, to 0.90 {enough.mean():.1f}, "
                f"worse than the ellipse {worse}",
                flush=True,
            )


if __name__ == "__main__":
    main()
