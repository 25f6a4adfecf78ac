"""Two tiles of other contrast where they overlap: own scale of edges, or the image's.

    python docs/benchmarks/edge_scale.py

No encoder: how brown a cell is, and noise, stand in for the probe.
"""

import numpy as np
import torch

from napari_segdino.config import FeatureSettings
from napari_segdino.features.edges import measure_edges
from napari_segdino.features.intensity import Intensity
from napari_segdino.features.local import smooth_colour
from napari_segdino.images.planes import as_planes
from napari_segdino.inference.diffusion import diffuse
from napari_segdino.io.sample import sample_scan

STEP, SIDE, WIDE = 6, 1026, 1920
START = WIDE - SIDE


def picture():
    """Tissue on the left, nearly empty glass on the right, a piece over the seam."""
    tissue = np.asarray(sample_scan("tissue").data)[..., :3].astype(np.float32) / 255
    image = np.pad(tissue, ((0, 514), (0, 1408), (0, 0)), mode="symmetric")
    rng = np.random.default_rng(0)
    image[:, 1010:] = 0.92 + rng.normal(0, 0.01, image[:, 1010:].shape)
    image[300:700, 900:1100] = tissue[:400, :200]
    return image


def flowed(image, x0, edges):
    tile = np.moveaxis(image[:, x0 : x0 + SIDE], -1, 0)
    pixels = torch.from_numpy(np.ascontiguousarray(tile, np.float32))
    colour = smooth_colour(pixels, STEP)
    brown = ((tile[0] - tile[2]) * 3 + 0.25)[::STEP, ::STEP]
    noise = np.random.default_rng(1).normal(0, 0.15, (SIDE // STEP, WIDE // STEP))
    columns = slice(x0 // STEP, x0 // STEP + brown.shape[1])
    marked = np.clip(brown + noise[:, columns], 0.02, 0.98).astype(np.float32)
    trust = (2 * marked - 1) ** 2 + np.float32(0.02)
    given = torch.from_numpy(marked[None]), torch.from_numpy(trust)
    return diffuse(colour, *given, edges)[0].numpy()


def main():
    image = picture()
    unit = Intensity((0.0,) * 3, (1.0,) * 3)
    edges = measure_edges(as_planes(image), unit, FeatureSettings())
    first = START // STEP
    for name, scale in (("each tile's own", None), ("the image's", edges)):
        left = flowed(image, 0, scale)[:, first + 5 : 166]
        right = flowed(image, START, scale)[:, 5 : 166 - first]
        apart = np.abs(left - right).mean()
        labels = ((left > 0.5) != (right > 0.5)).mean()
        print(f"{name}: probabilities {apart:.4f} apart, {labels:.2%} of labels differ")


if __name__ == "__main__":
    main()
