#!/usr/bin/env python3
"""How many strokes does a hand need that does not press exactly?

    python real_hands.py DATA [--sets kvasir ...] [--cases 6] [--hands exact ...]
                              [--start strokes segment] [--strokes 20]

DATA is a folder with ``manifest.csv`` (columns set, case, image, mask). Every hand
corrects the largest wrong region. *exact* presses a disc into its middle; *shaky*
misses the middle by up to its radius, with a brush of half to one and a half times the
size, all of it in the class of the place that it meant, so that strokes run over
borders; *line* draws from the middle towards the end of the region. They start with a
stroke of the object and one of background, or, with *segment*, with the mask that
Segment draws. Prints Dice by stroke, the mean number of strokes to 0.90 (NoC90, at
most 20) and the share of images that never get there. Of the cases, ``--part 0`` takes
every first and ``--part 1`` every second one.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from first_mask import first_mask
from scipy import ndimage
from skimage.draw import line
from suggest_robot import Plane, brush, cases, dice, disc, most_wrong

Hand = Callable[[Plane, Plane, np.random.Generator], tuple[Plane, Plane] | None]
"""Wrong pixels, truth and chance to what is covered and the marks there."""


def middle_of(wrong: Plane) -> tuple[Plane, int, int, float] | None:
    """The largest wrong region, its deepest pixel and how deep that is."""
    labels, count = ndimage.label(wrong)
    if not count:
        return None
    largest = labels == 1 + np.bincount(labels[labels > 0] - 1).argmax()
    depth = ndimage.distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return largest, int(y), int(x), float(depth.max())


def exact(wrong: Plane, truth: Plane, chance: np.random.Generator) -> Any:
    """A disc in the middle, right to the pixel."""
    covered = most_wrong(wrong)
    return None if covered is None else (covered, np.where(truth, 2, 1))


def shaky(wrong: Plane, truth: Plane, chance: np.random.Generator) -> Any:
    """A disc near the middle, larger or smaller, all in one class."""
    found = middle_of(wrong)
    if found is None:
        return None
    _, y, x, depth = found
    radius = float(np.clip(depth - 1, 1, brush(wrong.shape)))
    dy, dx = chance.uniform(-radius, radius, 2)
    size = radius * chance.uniform(0.5, 1.5)
    covered = disc(wrong.shape, round(y + dy), round(x + dx), max(1.0, size))
    return covered, np.full(wrong.shape, 2 if truth[y, x] else 1)


def along(wrong: Plane, truth: Plane, chance: np.random.Generator) -> Any:
    """A line from the middle three quarters of the way to the farthest end."""
    found = middle_of(wrong)
    if found is None:
        return None
    largest, y, x, depth = found
    rows, columns = np.nonzero(largest)
    far = np.hypot(rows - y, columns - x).argmax()
    end = y + 3 * (rows[far] - y) // 4, x + 3 * (columns[far] - x) // 4
    drawn = np.zeros(wrong.shape, bool)
    drawn[line(y, x, *end)] = True
    width = min(depth - 1, brush(wrong.shape) / 2)
    covered = ndimage.distance_transform_edt(~drawn) <= max(0.0, width)
    # It stops where the region does: nobody draws on through what is right.
    return covered & largest, np.full(wrong.shape, 2 if truth[y, x] else 1)


HANDS: dict[str, Hand] = {"exact": exact, "shaky": shaky, "line": along}


def play(
    segmenter: Any, image: Plane, truth: Plane, hand: Hand, segment: bool, strokes: int
) -> list[float]:
    """Return Dice of the first mask, if any, and after each stroke."""
    chance = np.random.default_rng(0)
    marks = np.zeros(truth.shape, np.uint8)
    mask = first_mask(segmenter, image, 2) == 1 if segment else None
    scores = [0.0 if mask is None else dice(mask, truth)]
    for k in range(strokes):
        wrong = mask != truth if mask is not None else truth
        if (mask is None and k == 1) or (segment and k == 0 and scores[0] < 0.4):
            # A bad first mask is not corrected: the object is painted.
            wrong = truth if segment else ~truth
        stroke = hand(wrong, truth, chance)
        if stroke is not None:
            covered, codes = stroke
            marks[covered] = codes[covered]
        if mask is None and k == 0:
            scores.append(0.0)
            continue
        segmenter.partial_fit(image, marks)
        mask = np.asarray(segmenter.predict(image)) > 0
        mask = np.where(marks > 0, marks > 1, mask)
        scores.append(dice(mask, truth))
    return scores


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["kvasir", "isic2018", "ddti"])
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--part", type=int, choices=(0, 1))
    parser.add_argument("--hands", nargs="+", choices=HANDS, default=list(HANDS))
    starts = ["strokes", "segment"]
    parser.add_argument("--start", nargs="+", choices=starts, default=starts)
    parser.add_argument("--strokes", type=int, default=20)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    from napari_segdino import Segmenter

    torch.set_num_threads(1)
    for start in asked.start:
        for hand in asked.hands:
            games = []
            for name in asked.sets:
                for n, case in enumerate(cases(asked.data, name, asked.cases, 384)):
                    if asked.part in (None, n % 2):
                        how = HANDS[hand], start == "segment", asked.strokes
                        games.append(play(Segmenter(asked.encoder), *case, *how))
            scores = np.array(games)
            reached = scores >= 0.9
            never = ~reached.any(1)
            needed = np.where(never, asked.strokes, reached.argmax(1))
            curve = " ".join(f"{v:.3f}" for v in scores.mean(0)[:13])
            print(
                f"{start:8s} {hand:6s} n={len(games)} NoC90 {needed.mean():.2f}, "
                f"never {never.mean():.0%}; Dice from 0 strokes on {curve}",
                flush=True,
            )


if __name__ == "__main__":
    main()
