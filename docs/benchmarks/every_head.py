#!/usr/bin/env python3
"""Does every head train and predict on every family of encoders?

    python docs/benchmarks/every_head.py

Prints a table: trained parameters, seconds to learn one picture (the encoder's
time included) and Dice on it. Where weights cannot be had the encoder is made of
random ones: the table says that a pair works, and nothing about quality.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

PAIRS = (
    ("EfficientNet-Lite0", "efficientnet_lite0"),
    ("DINOv3 ViT-S", "vit_small_patch16_dinov3_qkvb"),
    ("DINOv3 ViT-S+", "vit_small_plus_patch16_dinov3_qkvb"),
    ("DINOv3 ViT-B", "vit_base_patch16_dinov3_qkvb"),
    ("DINOv3 ConvNeXt-T", "convnext_tiny"),
    ("MedDINOv3 ViT-B", "vit_base_patch16_dinov3"),
)


def random_weights(timm_name: str, folder: Path) -> str:
    """Write a checkpoint with random weights and return its path."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = folder / f"{timm_name}.safetensors"
    if not path.exists():
        model = timm.create_model(timm_name, num_classes=0)
        save_file(model.state_dict(), path)
    return str(path)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A picture of a bright square, and its marks."""
    image = np.random.default_rng(0).integers(0, 40, (96, 96, 3)).astype(np.uint8)
    marks = np.ones((96, 96), np.uint8)
    marks[24:72, 24:72] = 2
    image[marks == 2] += 180
    return image, marks


def trained(model: Any) -> int:
    """Numbers that were fitted: of a decoder, or of a probe without its basis."""
    if hasattr(model, "parameters"):
        return sum(p.numel() for p in model.parameters())
    return int(model.weight.count_nonzero())


def main() -> None:
    """Train every pair and print."""
    warnings.simplefilter("ignore")
    from napari_segdino import Segmenter
    from napari_segdino.config import FeatureSettings
    from napari_segdino.heads.registry import HEADS

    image, marks = scene()
    print("| encoder | " + " | ".join(HEADS) + " |\n|---|" + "---|" * len(HEADS))
    with tempfile.TemporaryDirectory() as folder:
        for title, name in PAIRS:
            path = name
            if name != "efficientnet_lite0":
                path = random_weights(name, Path(folder))
            cells = []
            for head in HEADS:
                recipe = f"{head}_quick"
                shown = FeatureSettings((192,), (1.0,))
                probe = Segmenter(path, head, "cpu", features=shown, recipe=recipe)
                started = time.perf_counter()
                probe.fit(image, marks)
                took = time.perf_counter() - started
                found = probe.predict(image) == 1
                overlap = 2 * (found & (marks == 2)).sum()
                dice = overlap / (found.sum() + (marks == 2).sum())
                cells.append(f"{trained(probe.model_):,}, {took:.1f} s, {dice:.2f}")
            print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
