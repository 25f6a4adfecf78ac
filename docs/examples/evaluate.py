"""Score masks against a reference, and judge a setting by cross-validation."""

import numpy as np
from sklearn.model_selection import cross_val_score

from napari_segdino import Segmenter, marks_from_mask
from napari_segdino.metrics.measures import dice, hd95

# Four pictures of a bright disc, with the mask that is right.
rng = np.random.default_rng(0)
y, x = np.mgrid[:64, :64]
masks = [np.hypot(y - 24 - 3 * i, x - 30) < 12 for i in range(4)]
images = [rng.normal(40, 10, mask.shape) + 80 * mask for mask in masks]
marks = [marks_from_mask(mask) for mask in masks]  # every pixel is marked


segmenter = Segmenter("efficientnet_lite0").fit(images[:2], marks[:2])
for image, mask in zip(images[2:], masks[2:], strict=True):
    found = segmenter.predict(image) == 1
    print(f"Dice {dice(found, mask):.2f}, HD95 {hd95(found, mask):.1f} pixels")


def mean_dice(fitted, images, marks):
    """Mean Dice of class 1, as scikit-learn's ``scoring`` wants it."""
    pairs = zip(images, marks, strict=True)
    return np.mean([dice(fitted.predict(i) == 1, m == 2) for i, m in pairs])


scores = cross_val_score(segmenter, images, marks, cv=2, scoring=mean_dice)
print("Dice of each fold:", scores.round(2))
