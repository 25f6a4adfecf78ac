"""CT slices as pydicom writes them."""

from __future__ import annotations

import numpy as np

EnhancedMRImageStorage = "1.2.840.10008.5.1.4.1.1.4.1"


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


def make_enhanced(path, frames, places, spacing=(0.5, 0.75), slopes=None, own=None):
    """Write frames of one file, each with its own place and slope.

    `own` gives a frame's further sequences: names to a name and a value.
    """
    import pydicom
    from pydicom.dataset import Dataset

    make_slice(path, frames[0], (0, 0, 0), Modality="MR", NumberOfFrames=len(frames))
    ds = pydicom.dcmread(path)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    ds.PixelData = np.asarray(frames).astype("<u2").tobytes()
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(ds, name)
    del ds.RescaleSlope, ds.RescaleIntercept
    shared, measures, turn = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = list(spacing), 2
    turn.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turn]
    ds.SharedFunctionalGroupsSequence, groups = [shared], []
    for place, slope in zip(places, slopes or [1] * len(frames), strict=True):
        group, where, value = Dataset(), Dataset(), Dataset()
        where.ImagePositionPatient = [float(v) for v in place]
        value.RescaleSlope, value.RescaleIntercept, value.RescaleType = slope, 0, "US"
        group.PlanePositionSequence = [where]
        group.PixelValueTransformationSequence = [value]
        for name, (key, content) in (own(len(groups)) if own else {}).items():
            inner = Dataset()
            setattr(inner, key, content)
            setattr(group, f"{name}Sequence", [inner])
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = groups
    ds.save_as(path, enforce_file_format=True)


def make_frames(path, frames, sop, modality="OT", **tags):
    """Write frames of one file that is not enhanced."""
    import pydicom

    make_slice(
        path, frames[0], (5, 6, 7), Modality=modality, NumberOfFrames=len(frames)
    )
    ds = pydicom.dcmread(path)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop
    del ds.RescaleSlope, ds.RescaleIntercept
    ds.PixelData = np.asarray(frames).astype("<u2").tobytes()
    for name, value in tags.items():
        setattr(ds, name, value)
    ds.save_as(path, enforce_file_format=True)
