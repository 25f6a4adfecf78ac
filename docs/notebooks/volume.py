# %% [markdown]
# # A volume from one marked slice
#
# An MRI of a head, 24 slices, that nibabel brings along. Three strokes on one of the
# slices are enough to have the brain drawn on all of them.

# %%
import matplotlib.pyplot as plt
import numpy as np

from napari_segdino import Segmenter
from napari_segdino.io.sample import sample_scan
from napari_segdino.io.sample_marks import sample_marks

scan = sample_scan("mri")
volume = np.asarray(scan.data)
marks = sample_marks("mri", volume.shape)
spacing = ", ".join(f"{step:.1f}" for step in scan.spacing)
print(f"axes {scan.axes}, shape {volume.shape}, spacing {spacing} mm")
print("marked slices:", np.flatnonzero(marks.any((1, 2))))

# %% [markdown]
# The marks have the shape of the volume: here one stroke on the brain (orange) and two
# outside (blue), all of them on slice 12. They come with the sample.

# %%
colours = np.array([[0, 0, 0, 0], [0, 114, 255, 255], [255, 128, 0, 255]], np.uint8)
plt.figure(figsize=(4.2, 3.2))
plt.imshow(volume[12], cmap="gray")
plt.imshow(colours[marks[12]])
plt.axis("off")
plt.show()

# %% [markdown]
# `axes` says which axis is which, and `spacing` how far apart slices are: strokes are
# carried from slice to slice, less far where slices are thick.

# %%
segmenter = Segmenter("efficientnet_lite0").fit(volume, marks, axes=scan.axes)
labels = segmenter.predict(volume, axes=scan.axes, spacing=scan.spacing)

fig, places = plt.subplots(1, 3, figsize=(9, 2.6))
for place, plane in zip(places, (8, 12, 16), strict=True):
    place.imshow(volume[plane], cmap="gray")
    place.contour(labels[plane], [0.5], colors="orange", linewidths=1.5)
    place.set_title(f"slice {plane}")
    place.axis("off")
plt.show()

# %% [markdown]
# Volumes are counted in the unit of the scan. `write_mask(path, labels, scan.header)`
# of `napari_segdino.io` writes the mask in its geometry.

# %%
voxel = np.prod(scan.spacing) / 1000
print(
    f"{(labels == 1).sum() * voxel:.0f} ml on {(labels == 1).any((1, 2)).sum()} slices"
)
