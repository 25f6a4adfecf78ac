"""Segment a volume from two strokes on one of its slices."""

import numpy as np

from napari_segdino import Segmenter

# A bright ball in noise, (Z, Y, X), with slices twice as thick as pixels are wide.
z, y, x = np.mgrid[:12, :64, :64]
ball = np.hypot(np.hypot(2 * (z - 6), y - 32), x - 30) < 11
volume = np.random.default_rng(0).normal(40, 10, ball.shape) + 90 * ball

marks = np.zeros(volume.shape, np.uint8)
marks[6, 32, 24:36] = 2  # on the ball
marks[6, 10, 5:60] = 1  # background

segmenter = Segmenter("efficientnet_lite0")
segmenter.fit(volume, marks, axes="ZYX")
labels = segmenter.predict(volume, axes="ZYX", spacing=(2.0, 1.0, 1.0))

overlap = 2 * (ball & (labels == 1)).sum() / (ball.sum() + (labels == 1).sum())
print(f"Dice {overlap:.2f} over {len(volume)} slices")
