"""What a mask file says of itself is read by the libraries that own the formats."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile
import zarr
from fake_encoder import FakeEncoder, bright_square
from PIL import Image

from napari_segdino import Segmenter
from napari_segdino.batch.run import iter_run, plan_jobs
from napari_segdino.batch.work import read_probe
from napari_segdino.config import CacheSettings
from napari_segdino.io import (
    MaskWriter,
    Provenance,
    read_mask,
    read_scan,
    write_mask,
    write_probabilities,
)
from napari_segdino.io.formats import MASK_SUFFIXES
from napari_segdino.io.provenance import AUTHOR_VARIABLE
from napari_segdino.io.tiff_masks import NAMESPACE

MASK = np.zeros((2, 5, 4), np.uint8)
MASK[1, 2, 3], MASK[0, 1, 1] = 1, 2
MADE = Provenance(encoder="efficientnet_lite0", model="probe", digest="c0ffee")
PROGRAM = f"napari-segdino {version('napari-segdino')}"
AUTHOR = "Zoë Ångström"


def in_ome(path):
    about = tifffile.xml2dict(tifffile.TiffFile(path).ome_metadata)["OME"]
    assert about["Creator"] == PROGRAM
    found = about["StructuredAnnotations"]["MapAnnotation"]
    assert found["Namespace"] == NAMESPACE == "napari-segdino/provenance"
    return {one["K"]: one["value"] for one in found["Value"]["M"]}


def in_imagej(path):
    with tifffile.TiffFile(path) as tif:
        assert tif.pages[0].software == PROGRAM
        info = tif.imagej_metadata["Info"]
    return dict(line.split(": ", 1) for line in info.splitlines())


def in_nifti(path):
    (comment,) = nib.load(path).header.extensions
    assert comment.get_code() == 6
    return json.loads(comment.get_content())["napari-segdino"]


def in_itk(path):
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    ours = (k for k in reader.GetMetaDataKeys() if k.startswith("napari-segdino_"))
    return {k.split("_", 1)[1]: reader.GetMetaData(k) for k in ours}


def in_zarr(path):
    return zarr.open_group(str(path), mode="r").attrs["napari-segdino"]


def in_png(path):
    with Image.open(path) as photo:
        assert photo.text["Software"] == PROGRAM
        return json.loads(photo.text["Comment"])["napari-segdino"]


READERS = {
    ".nii": in_nifti,
    ".nii.gz": in_nifti,
    ".nrrd": in_itk,
    ".mha": in_itk,
    ".tif": in_imagej,
    ".tiff": in_imagej,
    ".ome.tif": in_ome,
    ".ome.tiff": in_ome,
    ".png": in_png,
    ".ome.zarr": in_zarr,
}


def wanted(found, source="scan.tif", author=AUTHOR):
    """All that is to be there, with the date that was found."""
    assert datetime.fromisoformat(found["date"]).tzinfo is UTC
    known = MADE.to_dict() | {"program": PROGRAM, "date": found["date"]}
    known |= {"source": source} if source else {}
    return known | ({"author": author} if author else {})


@pytest.fixture
def scan(tmp_path):
    """A volume from a file, in a folder with a name of a person."""
    (tmp_path / "Doe^Jane").mkdir()
    path = tmp_path / "Doe^Jane" / "scan.tif"
    tifffile.imwrite(path, MASK, imagej=True, metadata={"axes": "ZYX"})
    return read_scan(path)


def test_every_format_of_masks_is_tried():
    # NPY has no place for it, and DICOM-SEG a test of its own.
    assert set(READERS) == set(MASK_SUFFIXES) - {".npy", ".dcm"}


@pytest.mark.parametrize("suffix", READERS)
def test_masks_say_what_they_were_made_with(tmp_path, monkeypatch, scan, suffix):
    monkeypatch.setenv(AUTHOR_VARIABLE, f" {AUTHOR} ")
    mask = MASK[0] if suffix == ".png" else MASK
    header = replace(scan.header, shape=mask.shape, axes="ZYX"[-mask.ndim :])
    steps, units = scan.spacing[-mask.ndim :], scan.units[-mask.ndim :]
    header = replace(header, spacing=steps, units=units)
    path = write_mask(tmp_path / f"m{suffix}", mask, header, ["a", "b"], MADE)
    found = READERS[suffix](path)
    assert found == wanted(found)
    assert np.array_equal(read_mask(path), mask)
    assert read_scan(path).warnings == ()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".tif", ".ome.tif"])
def test_probabilities_say_it_too(tmp_path, scan, suffix):
    maps = np.stack([n == MASK for n in range(3)]).astype(np.float32)
    path = tmp_path / f"p{suffix}"
    write_probabilities(path, maps, scan, provenance=MADE)
    found = (in_ome if "tif" in suffix else READERS[suffix])(path)
    assert found == wanted(found, author="")


def test_dicom_seg_names_the_algorithm_and_no_person(
    tmp_path, monkeypatch, dicom_folder
):
    pytest.importorskip("highdicom")
    scan = read_scan(dicom_folder)
    mask = np.ones(scan.shape, np.uint8)
    tags = pydicom.dcmread(write_mask(tmp_path / "a.dcm", mask, scan, None, MADE))
    assert tags.SoftwareVersions == version("napari-segdino")
    assert not tags.get("ContentCreatorName")
    (algorithm,) = tags.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    assert algorithm.AlgorithmVersion == version("napari-segdino")
    assert algorithm.AlgorithmSource == "napari-segdino"
    pairs = algorithm.AlgorithmParameters.split(",")
    found = dict(pair.split("=") for pair in pairs)
    assert found == wanted(found, source="", author="")
    monkeypatch.setenv(AUTHOR_VARIABLE, "Doe^Zoë")
    tags = pydicom.dcmread(write_mask(tmp_path / "b.dcm", mask, scan, None, MADE))
    assert tags.ContentCreatorName == "Doe^Zoë"
    assert np.array_equal(read_mask(tmp_path / "b.dcm"), mask)


def test_folders_of_dicom_are_not_named_in_any_format(tmp_path, dicom_folder):
    scan = read_scan(dicom_folder)
    path = write_mask(tmp_path / "m.nii", np.ones(scan.shape, int), scan)
    assert set(in_nifti(path)) == {"program", "date"}


def test_no_file_names_the_account_or_a_folder(tmp_path, monkeypatch, scan):
    monkeypatch.setenv("USER", "jdoe7")
    monkeypatch.setenv("LOGNAME", "jdoe7")
    for suffix in (".nii", ".mha", ".tif", ".ome.tif"):
        content = write_mask(tmp_path / f"m{suffix}", MASK, scan).read_bytes()
        assert b"jdoe7" not in content and b"Doe^Jane" not in content


def test_a_mask_of_a_mask_says_how_it_was_made_itself(tmp_path):
    first = nib.Nifti1Image(MASK.T, np.eye(4))
    theirs = nib.nifti1.Nifti1Extension(6, b"scanned at noon")
    first.header.extensions.append(theirs)
    nib.save(first, tmp_path / "s.nii")
    path = write_mask(tmp_path / "m.nii", MASK, tmp_path / "s.nii")
    again = write_mask(tmp_path / "n.nii", MASK, path, None, MADE)
    texts = [e.get_content().rstrip(b"\0") for e in nib.load(again).header.extensions]
    assert texts[0] == b"scanned at noon"
    found = json.loads(texts[1])["napari-segdino"]
    assert found == wanted(found, "m.nii", "")
    assert len(texts) == 2


def test_labels_inside_an_image_say_it(tmp_path, scan):
    for number, version_of_zarr in enumerate((2, 3)):
        image = tmp_path / f"{number}.ome.zarr"
        zarr.open_group(str(image), mode="w", zarr_format=version_of_zarr)
        path = image / "labels" / "cells"
        with MaskWriter(path, scan.header, provenance=MADE) as writer:
            for index, plane in enumerate(MASK):
                writer.write_plane(index, plane)
        found = in_zarr(path)
        assert found == wanted(found, author="")
        assert np.array_equal(np.asarray(read_scan(path).data), MASK)


def test_npy_is_an_array_and_nothing_else(tmp_path, scan):
    path = write_mask(tmp_path / "m.npy", MASK, scan, None, MADE)
    assert np.array_equal(np.load(path, allow_pickle=False), MASK)
    assert b"napari" not in path.read_bytes()


@pytest.fixture
def probe(monkeypatch, tmp_path):
    FakeEncoder().installed(monkeypatch)
    image, marks = bright_square(48)
    cache = CacheSettings(1 << 26, 0, tmp_path)
    return Segmenter("/home/jdoe7/fake.pth", cache=cache).fit(image, marks)


def test_a_probe_and_its_file_give_one_digest(tmp_path, probe):
    made = probe.provenance()
    assert (made.encoder, made.model) == ("fake.pth", "probe")
    assert re.fullmatch(r"[0-9a-f]{32}", made.digest)
    path = probe.save(tmp_path / "p.segdino")
    assert read_probe(path).provenance == made == Segmenter.load(path).provenance()
    image, marks = bright_square(48)
    marks[30:34, 40] = 1
    assert probe.partial_fit(image, marks).provenance().digest != made.digest


@pytest.mark.parametrize("suffix", [".tif", ".ome.zarr"])
def test_masks_of_a_folder_name_the_probe(tmp_path, probe, suffix):
    tifffile.imwrite(tmp_path / "a.tif", bright_square(48)[0])
    sent = read_probe(probe.save(tmp_path / "p.segdino"))
    jobs = plan_jobs([tmp_path / "a.tif"], tmp_path / "out", suffix=suffix)
    *_, row = iter_run(jobs, sent)
    found = READERS[suffix](row.output)
    assert (found["source"], found["model"]) == ("a.tif", "probe")
    assert found["digest"] == sent.digest
