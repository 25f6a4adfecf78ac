"""Small real files, made by the libraries themselves."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_slices import make_slice


@pytest.fixture
def dicom_slice():
    """Give the function that writes a slice."""
    return make_slice


@pytest.fixture
def dicom_folder(tmp_path):
    """Five slices, 2 mm apart, whose names and numbers are out of order.

    Slice k lies at z = 10 + 2 k and holds 100 k + row, before rescaling.
    """
    folder = tmp_path / "series"
    folder.mkdir()
    for name, k in zip("cabed", range(5), strict=True):
        pixels = np.full((6, 7), 100 * k) + np.arange(6)[:, None]
        make_slice(folder / f"{name}.dcm", pixels, (1, 2, 10 + 2 * k), number=9 - k)
    return folder


@pytest.fixture
def itk_file(tmp_path):
    """Give a function that writes an array with a geometry; answers the path."""
    import SimpleITK as sitk

    def make(name, array, spacing=None, origin=None, direction=None, vector=False):
        image = sitk.GetImageFromArray(array, isVector=vector)
        if spacing is not None:
            image.SetSpacing(spacing)
        if origin is not None:
            image.SetOrigin(origin)
        if direction is not None:
            image.SetDirection(np.ravel(direction).tolist())
        sitk.WriteImage(image, str(tmp_path / name))
        return tmp_path / name

    return make
