# %% [markdown]
# # How good is it? Dice per image
#
# Learn from one image, then compare the masks of others with a reference. The images
# are made, so that what is right is known to the pixel; with yours, the reference is
# what somebody drew by hand.

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown, display
from skimage.segmentation import mark_boundaries

from napari_segdino import Segmenter
from napari_segdino.io.sample import make_nuclei
from napari_segdino.metrics import score_case, summarise

whole, true = make_nuclei()
corners = {
    "top left": np.s_[:128, :128],
    "top right": np.s_[:128, 128:],
    "bottom left": np.s_[128:, :128],
    "bottom right": np.s_[128:, 128:],
}
images = {name: whole[at] for name, at in corners.items()}
references = {name: true[at].astype(np.uint8) for name, at in corners.items()}

# %% [markdown]
# Two strokes on nuclei of the first image and one between them; nothing is marked on
# the other three.

# %%
first = images["top left"]
marks = np.zeros(first.shape, np.uint8)
marks[91:96, 78:88] = 2
marks[122:128, 118:126] = 2
marks[58:63, 20:100] = 1
segmenter = Segmenter("efficientnet_lite0").fit(first, marks)
masks = {name: segmenter.predict(image) for name, image in images.items()}

# %% [markdown]
# Dice is twice the overlap divided by the sum of both areas: 1 is perfect. HD95 is the
# distance from one outline to the other that 95 % of their points keep within, here in
# pixels.

# %%
rows = [
    row
    for name, mask in masks.items()
    for row in score_case(mask, references[name], classes=[1], case=name)
]
lines = ["| image | Dice | HD95 |", "|---|---|---|"]
lines += [f"| {row.case} | {row.dice:.2f} | {row.hd95:.1f} |" for row in rows]
display(Markdown("\n".join(lines)))

# %%
others = [row for row in rows if row.case != "top left"]
print(summarise(others))

# %% [markdown]
# A number never says what is wrong, so look at the image as well: what was predicted in
# orange, the reference in white.

# %%
worst = min(others, key=lambda row: row.dice).case
drawn = mark_boundaries(images[worst], references[worst], color=(1, 1, 1))
drawn = mark_boundaries(drawn, masks[worst], color=(1, 0.5, 0))
plt.figure(figsize=(4, 4))
plt.imshow(drawn)
plt.title(worst)
plt.axis("off")
plt.show()
