"""Use another encoder: a model of timm's by its name, or a checkpoint of your own."""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import timm
from safetensors.torch import save_file
from skimage import data

from napari_segdino import Segmenter

# Segmenter("timm:vit_small_patch14_dinov2.lvd142m") downloads that model once. With no
# network, give the path of a file. The weights of this one are random: enough to show
# how, not to segment well.
checkpoint = Path(mkdtemp()) / "mine.safetensors"
network = timm.create_model("vit_small_patch16_dinov3", pretrained=False, num_classes=0)
save_file(network.state_dict(), checkpoint)

image = data.coins()[:150]
marks = np.zeros(image.shape, np.uint8)
marks[54, 30:58], marks[90, 20:340] = 2, 1

segmenter = Segmenter(str(checkpoint)).fit(image, marks)
labels = segmenter.predict(image)
print(f"{(labels == 1).mean():.0%} of the picture are coins")
