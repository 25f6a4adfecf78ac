"""Learn from two strokes on a picture of coins, and predict the whole picture."""

import numpy as np
from skimage import data

from napari_segdino import Segmenter

image = data.coins()
marks = np.zeros(image.shape, np.uint8)  # 0: unlabelled
marks[54, 30:58] = 2  # a stroke on a coin: class 1
marks[90, 20:340] = 1  # a stroke between the coins: background

segmenter = Segmenter("efficientnet_lite0").fit(image, marks)
labels = segmenter.predict(image)  # 0 background, 1 coins

print(f"{(labels == 1).mean():.0%} of the picture are coins")
