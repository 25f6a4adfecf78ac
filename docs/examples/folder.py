"""Learn from one image of a folder, and write a mask for each of the others."""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from skimage import data
from skimage.io import imsave

from napari_segdino import Segmenter
from napari_segdino.io import read_scan, write_mask

folder = Path(mkdtemp())  # stands for yours: four rows of coins, a file each
for number, top in enumerate((0, 76, 150, 224)):
    imsave(folder / f"coins_{number}.png", data.coins()[top : top + 76])

first, *others = sorted(folder.glob("*.png"))
image = np.asarray(read_scan(first).data)
marks = np.zeros(image.shape, np.uint8)
marks[54, 30:58], marks[10:12, 10:280] = 2, 1
segmenter = Segmenter("efficientnet_lite0").fit(image, marks)
segmenter.save(folder / "coins.segdino")  # for the window or the command line

for path in others:
    scan = read_scan(path)
    labels = segmenter.predict(np.asarray(scan.data))
    mask = path.with_name(f"{path.stem}_mask.png")
    write_mask(mask, labels, scan.header, provenance=segmenter.provenance())
    print(f"{mask.name}: {(labels == 1).mean():.0%} coins")
