"""Small real files, made by the libraries themselves."""

from __future__ import annotations

import numpy as np
import pytest


def make_slice(path, pixels, position, number=1, uid="1.2.3", **more):
    """Write one CT slice with pydicom."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2", uid
    ds.FrameOfReferenceUID = "1.2.9"
    ds.PatientName, ds.PatientID = "Nobody", "0"
    ds.PatientBirthDate = ds.PatientSex = ds.StudyID = ""
    ds.StudyDate = ds.StudyTime = ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ds.Manufacturer = ""
    ds.SeriesNumber = 1
    ds.Modality, ds.SeriesDescription = "CT", f"series {uid}"
    ds.InstanceNumber = number
    ds.ImagePositionPatient = [float(v) for v in position]
    ds.ImageOrientationPatient = [1.0, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [0.5, 0.75]
    ds.SliceThickness = 2.0
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 0
    ds.RescaleSlope, ds.RescaleIntercept = 2, -1000
    ds.PixelData = pixels.astype("<u2").tobytes()
    for name, value in more.items():
        setattr(ds, name, value)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)


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
