#!/usr/bin/env python3
"""Which slice of a volume is worth marking next?

    python docs/benchmarks/next_slice.py IMAGES MASKS [--cases 3] [--slices 3]

IMAGES and MASKS are folders of NIfTI files whose names sort alike. The fullest slice
of a volume is marked whole, object against background; then the one that each rule
chooses, again and again. Prints the mean Dice of all slices that are not marked, by
how many are.
"""

import argparse
from pathlib import Path

import numpy as np

from napari_segdino import Segmenter
from napari_segdino.io import read_mask, read_scan
from napari_segdino.progress import drive
from napari_segdino.review.places import by_gain
from napari_segdino.review.suggest import iter_suggest


def most_uncertain(slices, marked, wrong):
    return max(slices, key=lambda s: s.uncertainty).plane


def farthest(slices, marked, wrong):
    return max(slices, key=lambda s: min(abs(s.plane - m) for m in marked)).plane


def most_wrong(slices, marked, wrong):
    return max(slices, key=lambda s: wrong[s.plane]).plane


def gain(slices, marked, wrong):
    return by_gain(slices, len(wrong))[0].plane


RULES = {
    "most uncertain": most_uncertain,
    "farthest from what is marked": farthest,
    "expected gain": gain,
    "most wrong, which no user knows": most_wrong,
}


def dice(found, truth):
    return 2 * (found & truth).sum() / max(1, found.sum() + truth.sum())


def play(image, truth, rule, count):
    """Mark slices one after the other; return the Dice of the others after each."""
    marks = np.zeros(truth.shape, np.uint8)
    segmenter = Segmenter("efficientnet_lite0", device="cpu")
    plane, marked, scores = int(truth.sum((1, 2)).argmax()), [], []
    while len(marked) < count:
        marks[plane] = truth[plane] + 1
        marked.append(plane)
        segmenter.fit([image], [marks], volume=True)
        found = segmenter.predict(image, volume=True) > 0
        others = np.delete(np.arange(len(truth)), marked)
        scores.append(dice(found[others], truth[others]))
        ranking = drive(iter_suggest(segmenter, image, marks, volume=True))
        wrong = (found != truth).sum((1, 2))
        plane = rule(ranking.slices, marked, wrong)
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--slices", type=int, default=3)
    args = parser.parse_args()
    pairs = list(
        zip(sorted(args.images.iterdir()), sorted(args.masks.iterdir()), strict=True)
    )
    chosen = np.unique(np.linspace(0, len(pairs) - 1, args.cases).astype(int))
    cases = [
        (np.asarray(read_scan(i).data), np.asarray(read_mask(m).data) > 0)
        for i, m in (pairs[n] for n in chosen)
    ]
    for name, rule in RULES.items():
        scores = [play(*case, rule, args.slices) for case in cases]
        print(f"{name:34}", np.round(np.mean(scores, 0), 3).tolist(), flush=True)


if __name__ == "__main__":
    main()
