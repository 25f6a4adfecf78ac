"""What each way to cut volumes gives, after whole masks of a few of them.

    python docs/benchmarks/volumes.py IMAGES MASKS --shots 1 --test 4

IMAGES and MASKS are folders of NIfTI files whose names sort alike; one case is one
person. Prints the mean Dice over classes and cases, and the seconds a volume.
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("--shots", type=int, default=1)
    parser.add_argument("--test", type=int, default=4)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    asked = parser.parse_args()
    names = sorted(asked.images.glob("*.nii*")), sorted(asked.masks.glob("*.nii*"))
    pairs = list(zip(*names, strict=True))[: asked.shots + asked.test]
    scans = [read_scan(image) for image, _ in pairs]
    masks = [read_mask(mask) for _, mask in pairs]
    spacing = scans[0].plane_spacing
    for name in asked.ways:
        way = dict(WAYS[name])
        predicting = PredictSettings(z_sigma=way.pop("z_sigma", 0.0))
        features = FeatureSettings(**way)
        cache = CacheSettings(disk_bytes=0)
        seg = Segmenter(
            asked.encoder, features=features, predicting=predicting, cache=cache
        )
        n = asked.shots
        seg.fit(
            [s.data for s in scans[:n]],
            [marks_from_mask(m) for m in masks[:n]],
            volume=True,
            spacing=spacing,
        )
        start, dice = time.perf_counter(), []
        for scan, mask in zip(scans[n:], masks[n:], strict=True):
            found = seg.predict(scan.data, volume=True, spacing=scan.plane_spacing)
            dice.append(mean_dice(found, mask))
        seconds = (time.perf_counter() - start) / len(dice)
        print(f"{name:22} {np.mean(dice):.3f}  {seconds:.1f} s a volume", flush=True)


if __name__ == "__main__":
    main()
