# %% [markdown]
# # A mask from a few strokes
#
# A picture of coins, two strokes on it, the mask of the whole picture, and a
# correction. It takes a few seconds on a CPU, and nothing is downloaded.

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage.segmentation import mark_boundaries

from napari_segdino import Segmenter
from napari_segdino.io.sample import sample_scan

image = np.asarray(sample_scan("coins").data)

# %% [markdown]
# Marks are an array of the image's shape: 0 is unlabelled, 1 background and 2 the first
# class. One stroke lies on a coin (orange), one between coins (blue). In the window you
# would paint them.

# %%
marks = np.zeros(image.shape, np.uint8)
marks[48:53, 30:60] = 2
marks[86:91, 20:360] = 1

colours = np.array([[0, 0, 0, 0], [0, 114, 255, 255], [255, 128, 0, 255]], np.uint8)
plt.figure(figsize=(4.5, 3.6))
plt.imshow(image, cmap="gray")
plt.imshow(colours[marks])
plt.axis("off")
plt.show()

# %% [markdown]
# `fit` learns from the marked pixels alone, `predict` labels them all: 0 background, 1
# coins. What was marked stays as it was marked.

# %%
segmenter = Segmenter("efficientnet_lite0").fit(image, marks)
labels = segmenter.predict(image)
print(f"{(labels == 1).mean():.0%} of the picture are coins")

plt.figure(figsize=(4.5, 3.6))
plt.imshow(mark_boundaries(image, labels, color=(1, 0.5, 0), mode="thick"))
plt.axis("off")
plt.show()

# %% [markdown]
# The dark coins below have holes. A stroke where the mask is wrong teaches most, so
# one goes there, and one between the lower rows. `partial_fit` takes all marks of the
# image, the earlier ones too, and goes on from what was learned.

# %%
marks[263:268, 155:190] = 2
marks[224:229, 20:300] = 1
corrected = segmenter.partial_fit(image, marks).predict(image)
print(f"{(corrected != labels).mean():.1%} of the pixels changed")

plt.figure(figsize=(4.5, 3.6))
plt.imshow(mark_boundaries(image, corrected, color=(1, 0.5, 0), mode="thick"))
plt.axis("off")
plt.show()

# %% [markdown]
# `segmenter.save("coins.segdino")` writes what was learned to a file, which the window
# and the command line open too.
