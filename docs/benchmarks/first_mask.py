#!/usr/bin/env python3
"""How good is the mask that Segment finds with nothing learned?

    python first_mask.py DATA [--sets kvasir ...] [--cases 20]

Prints the mean Dice of the best-matching class by set, of all cases and of every
second one: settings were chosen on the first, third ... ("even"), the others check.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from suggest_robot import Plane, cases, dice

from napari_segdino import Segmenter
from napari_segdino.inference.predict import PlaneResult
from napari_segdino.progress import drive


def first_mask(segmenter: Segmenter, image: Plane, n_classes: int) -> Plane:
    """Return the labels that grouping gives."""
    found: list[Plane] = []

    def take(step: object) -> None:
        if isinstance(step, PlaneResult):
            found.append(step.labels)

    drive(segmenter.iter_cluster(image, n_classes=n_classes), take)
    return found[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    sets = ["kvasir", "isic2018", "ddti", "dsb2018", "acdc"]
    parser.add_argument("--sets", nargs="+", default=sets)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--classes", type=int, default=2)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    segmenter = Segmenter("efficientnet_lite0")
    for name in given.sets:
        scores = []
        for image, truth in cases(given.data, name, given.cases, 384):
            labels = first_mask(segmenter, image, given.classes)
            scores.append(
                max(dice(labels == n, truth) for n in range(1, given.classes))
            )
        parts = scores, scores[::2], scores[1::2]
        text = "  ".join(f"{np.mean(part):.3f}" for part in parts)
        print(f"{name:10s} n={len(scores):2d}  all, even, odd: {text}", flush=True)


if __name__ == "__main__":
    main()
