"""Start from boxes around objects, then go on from a mask such as a Labels layer's."""

from skimage import data

from napari_segdino import Segmenter, marks_from_mask

coins = data.coins()
image, other = coins[:150], coins[150:]

# Edges in pixels: y0, x0, y1, x1. Each box is around one coin.
segmenter = Segmenter("efficientnet_lite0")
labels = segmenter.start(image, boxes=[(33, 20, 76, 68), (26, 130, 75, 180)])
print(f"From two boxes: {(labels == 1).mean():.0%} coins")

# A mask that you have, corrected in napari for example: viewer.layers["mask"].data.
# Every pixel of it becomes a mark, and what was learned before still counts.
mask = image > 110
segmenter.partial_fit(image, marks_from_mask(mask))
print(f"The other half: {(segmenter.predict(other) == 1).mean():.0%} coins")
