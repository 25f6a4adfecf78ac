"""What each way to cut volumes gives, after whole masks of a few of them.

    python docs/benchmarks/volumes.py IMAGES MASKS --shots 1 --test 4
    python docs/benchmarks/volumes.py IMAGES MASKS --planes 3 --test 4

IMAGES and MASKS are folders of NIfTI files whose names sort alike; one case is one
person. With ``--planes`` each volume stands alone: it is learned from so many of its
own planes, evenly spread over the object, and scored on the others. Prints the mean
Dice over classes and cases, and the seconds a volume.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from napari_segdino import Segmenter, marks_from_mask
from napari_segdino.config import CacheSettings, FeatureSettings, PredictSettings
from napari_segdino.io import read_mask, read_scan

WAYS = {
    "z": {"neighbours": 0},
    "z, neighbours 1": {"neighbours": 1},
    "z, smoothed 1 slice": {"neighbours": 0, "z_sigma": 1.0},
    "z, neighbours 1, smoothed": {"neighbours": 1, "z_sigma": 1.0},
    "y": {"slices": "Y", "neighbours": 0},
    "x": {"slices": "X", "neighbours": 0},
    "zyx": {"slices": "ZYX", "neighbours": 0},
    "zyx, neighbours 1": {"slices": "ZYX", "neighbours": 1},
}


def mean_dice(found, mask):
    labels = [k for k in np.unique(mask) if k]
    both = [2 * ((found == k) & (mask == k)).sum() for k in labels]
    sizes = [(found == k).sum() + (mask == k).sum() for k in labels]
    return float(np.mean([b / max(1, s) for b, s in zip(both, sizes, strict=True)]))


def across(make, scans, masks, n):
    """Learn from the first n volumes; score the others."""
    seg = make()
    marks = [marks_from_mask(mask) for mask in masks[:n]]
    data = [scan.data for scan in scans[:n]]
    seg.fit(data, marks, volume=True, spacing=scans[0].plane_spacing)
    start, dice = time.perf_counter(), []
    for scan, mask in zip(scans[n:], masks[n:], strict=True):
        found = seg.predict(scan.data, volume=True, spacing=scan.plane_spacing)
        dice.append(mean_dice(found, mask))
    return dice, (time.perf_counter() - start) / len(dice)


def within(make, scans, masks, n):
    """Learn from n planes of each volume; score its other planes."""
    dice, seconds = [], 0.0
    for scan, mask in zip(scans, masks, strict=True):
        filled = np.flatnonzero(mask.any((1, 2)))
        shown = filled[np.linspace(0, len(filled) - 1, n + 2)[1:-1].round().astype(int)]
        marks = np.zeros(mask.shape, np.uint8)
        marks[shown] = marks_from_mask(mask)[shown]
        seg, spacing = make(), scan.plane_spacing
        seg.fit(scan.data, marks, volume=True, spacing=spacing)
        start = time.perf_counter()
        found = seg.predict(scan.data, volume=True, spacing=spacing)
        seconds += time.perf_counter() - start
        others = np.setdiff1d(np.arange(len(mask)), shown)
        dice.append(mean_dice(found[others], mask[others]))
    return dice, seconds / len(dice)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--planes", type=int, default=0)
    parser.add_argument("--test", type=int, default=4)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    asked = parser.parse_args()
    names = sorted(asked.images.glob("*.nii*")), sorted(asked.masks.glob("*.nii*"))
    count = asked.test + (0 if asked.planes else asked.shots)
    pairs = list(zip(*names, strict=True))[:count]
    scans = [read_scan(image) for image, _ in pairs]
    masks = [read_mask(mask) for _, mask in pairs]
    play = within if asked.planes else across
    for name in asked.ways:
        way = dict(WAYS[name])
        predicting = PredictSettings(z_sigma=way.pop("z_sigma", 0.0))

        def make(way=way, predicting=predicting):
            return Segmenter(
                asked.encoder,
                features=FeatureSettings(**way),
                predicting=predicting,
                cache=CacheSettings(disk_bytes=0),
            )

        dice, seconds = play(make, scans, masks, asked.planes or asked.shots)
        print(f"{name:26} {np.mean(dice):.3f}  {seconds:.1f} s a volume", flush=True)


if __name__ == "__main__":
    main()
