#!/usr/bin/env python3
"""Do later images of a set need fewer strokes when one probe learns from all?

    python across_images.py DATA [--sets kvasir ...] [--images 5] [--strokes 12]

A robot corrects one image after the other with one Segmenter through partial_fit.
On each image it looks at the first mask, then paints inside the largest wrong region
until Dice is 0.90. On the first image nothing is known: two strokes come first.
Prints, by place in the row, Dice before any stroke and strokes to 0.90 (one more
than the last = never); ``--orders`` plays the images in several rotations, so that
each place sees several images. ``alone`` is a new probe for each image.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from suggest_robot import Plane, cases, dice, most_wrong


def correct(
    segmenter: Any, image: Plane, truth: Plane, strokes: int
) -> tuple[float, int, Plane]:
    """Correct one image; return Dice at first, strokes to 0.90 and the marks."""
    marks = np.zeros(truth.shape, np.uint8)
    first = 0.0
    used = 0
    if not segmenter.is_fitted:
        for start in (most_wrong(truth), most_wrong(~truth)):
            marks[start] = np.where(truth[start], 2, 1)
        segmenter.partial_fit(image, marks)
        used = 2
    while True:
        mask = np.asarray(segmenter.predict(image)) > 0
        mask = np.where(marks > 0, marks > 1, mask)
        score = dice(mask, truth)
        first = score if not used else first
        if score >= 0.9 or used == strokes:
            return first, used if score >= 0.9 else strokes + 1, marks
        covered = most_wrong(mask != truth)
        marks[covered] = np.where(truth[covered], 2, 1)
        segmenter.partial_fit(image, marks)
        used += 1


def kept(segmenter: Any) -> float:
    """Share of all marks so far that the probe by itself classifies as marked."""
    from napari_segdino.heads.registry import make_head
    from napari_segdino.review.guard import recheck

    head = make_head(segmenter.head)
    scores = recheck(head, segmenter.model_, segmenter.samples_)
    return sum(s.share * s.pixels for s in scores) / sum(s.pixels for s in scores)


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["kvasir", "isic2018", "ddti"])
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--orders", type=int, default=1)
    parser.add_argument("--strokes", type=int, default=12)
    parser.add_argument("--side", type=int, default=384)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    from napari_segdino import Segmenter

    torch.set_num_threads(1)
    everything = []
    for name in asked.sets:
        images = list(cases(asked.data, name, asked.images, asked.side))
        alone = [
            correct(Segmenter(asked.encoder), *c, asked.strokes)[1] for c in images
        ]
        print(f"{name:9s} alone     strokes to 0.90 {alone}, mean {np.mean(alone):.1f}")
        for turn in range(asked.orders):
            segmenter = Segmenter(asked.encoder)
            row = images[turn:] + images[:turn]
            games = [correct(segmenter, *case, asked.strokes) for case in row]
            needed, before = [g[1] for g in games], [round(g[0], 2) for g in games]
            everything.append(needed)
            print(
                f"{name:9s} in a row  strokes to 0.90 {needed}, first Dice {before}, "
                f"earlier marks followed {kept(segmenter):.3f}",
                flush=True,
            )
    curve = " ".join(f"{v:.1f}" for v in np.mean(everything, 0))
    print(f"mean strokes to 0.90, first to last image: {curve}")


if __name__ == "__main__":
    main()
