"""An encoder small enough to reason about: block means of the colours."""

import numpy as np
import torch

from napari_segdino.encoders.base import Encoder, EncoderSpec
from napari_segdino.progress import Progress

SPEC = EncoderSpec(
    name="fake",
    title="Block means",
    family="cnn",
    timm_name="",
    timm_tag="",
    channels=(3, 3),
    strides=(4, 8),
    parameters=0,
)


class FakeEncoder(Encoder):
    def __init__(self, key="fake:1"):
        self.spec, self.key, self.device = SPEC, key, torch.device("cpu")
        self.planes_encoded = self.loaded = 0

    def installed(self, monkeypatch):
        """Let every name of an encoder give this one; count how often."""

        def load(name, device="auto", precision="auto"):
            yield Progress(0, 1, "Loading")
            self.loaded += 1
            return self

        monkeypatch.setattr("napari_segdino.pipeline.iter_load_encoder", load)
        return self

    def encode(self, batch, levels):
        self.planes_encoded += len(batch)
        return tuple(
            torch.nn.functional.avg_pool2d(batch, SPEC.strides[level]).half().cpu()
            for level in levels
        )


def bright_square(side):
    """An image (Y, X) with an object, and a stroke on each side of its border."""
    image = np.random.default_rng(0).integers(0, 40, (side, side), np.uint8)
    image[16:32, 16:32] += 180
    marks = np.zeros((side, side), np.uint8)
    marks[20, 18:26], marks[40, 4:40] = 2, 1
    return image, marks
