"""Each format in, its mask out and back: is it still in place?

    python docs/benchmarks/formats.py FOLDER

A volume of 5 x 6 x 7 voxels, tilted and off the origin where the format can say
so, is written by SimpleITK, tifffile or zarr, opened, given a mask, and the mask is
read back by SimpleITK or this program. Prints a row of a table for each format.
"""

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import tifffile

from napari_segdino.io import MaskWriter, read_scan, write_mask
from napari_segdino.io.formats import own_suffix

SHAPE = (5, 6, 7)
SPACING = (0.7, 0.8, 2.5)
ITK = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def pixels():
    return np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)


def itk_image():
    image = sitk.GetImageFromArray(pixels())
    image.SetSpacing(SPACING)
    image.SetOrigin((-12.5, 30.25, 101.0))
    turn = sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.3)
    image.SetDirection(turn.GetMatrix())
    return image


def write_dicom(folder):
    """A straight series: slices named against their order."""
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, plane in enumerate(pixels()):
        one = sitk.GetImageFromArray(plane)
        one.SetSpacing(SPACING[:2])
        tags = {
            "0008|0060": "CT",
            "0020|000e": "1.2.826.0.1.3680043.2.1125.1",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.2",
            "0020|0032": f"-10\\20\\{2.5 * k}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0008|0018": f"1.2.826.0.1.3680043.2.1125.3.{k + 1}",
        }
        for tag, value in tags.items():
            one.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{9 - k}.dcm"))
        writer.Execute(one)


def write_sources(folder):
    """Yield a name and a path for each format."""
    for suffix in ITK:
        path = folder / f"scan{suffix}"
        sitk.WriteImage(itk_image(), str(path))
        yield f"`{suffix}`", path
    image = itk_image()
    image.SetDirection(np.eye(3).ravel().tolist())
    sitk.WriteImage(image, str(folder / "scan.hdr"))
    yield "Analyze `.hdr`/`.img`", folder / "scan.hdr"
    write_dicom(folder / "series")
    yield "DICOM folder", folder / "series"
    yield "DICOM file", next((folder / "series").iterdir())
    about = {"axes": "ZYX", "spacing": 2.5, "unit": "um"}
    place = {"imagej": True, "metadata": about, "resolution": (1 / 0.7, 1 / 0.8)}
    tifffile.imwrite(folder / "scan.tif", pixels().astype(np.uint16), **place)
    yield "ImageJ TIFF", folder / "scan.tif"
    sizes = dict(zip(("X", "Y", "Z"), SPACING, strict=True))
    ome = {"axes": "ZYX", **{f"PhysicalSize{a}": s for a, s in sizes.items()}}
    units = {f"PhysicalSize{a}Unit": "µm" for a in sizes}
    tifffile.imwrite(folder / "scan.ome.tif", pixels(), metadata={**ome, **units})
    yield "OME-TIFF", folder / "scan.ome.tif"


def mask_like(scan):
    mask = np.zeros(scan.spatial_shape, np.uint8)
    mask[..., 2:4, 3:] = 1
    mask[..., 0] = 2
    return mask


def compare(scan, path, mask):
    """Largest difference of the affines, and of the spacings; and the labels."""
    back = read_scan(path)
    same = np.array_equal(np.asarray(back.data), mask)
    if path.suffix in (".nii", ".gz", ".nrrd", ".mha") and scan.affine is not None:
        found = sitk.ReadImage(str(path))
        ndim = found.GetDimension()
        direction = np.reshape(found.GetDirection(), (ndim, ndim))
        columns = direction * found.GetSpacing()
        affine = np.eye(ndim + 1)
        affine[:-1, :-1] = columns[::-1, ::-1]
        affine[:-1, -1] = found.GetOrigin()[::-1]
        if affine.shape == scan.affine.shape:
            return same, f"{np.abs(affine - scan.affine).max():.1e}"
    off = np.abs(np.array(back.spacing) - np.array(scan.spacing)).max()
    return same, f"spacing {off:.1e}"


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    print("| scan | mask | labels the same | affine off by |")
    print("|---|---|---|---|")
    for name, path in write_sources(folder):
        scan = read_scan(path)
        mask, suffix = mask_like(scan), own_suffix(scan)
        out = folder / f"mask-{path.name.replace('.', '-')}{suffix}"
        write_mask(out, mask, like=scan)
        same, off = compare(scan, out, mask)
        print(f"| {name} | `{suffix}` | {'yes' if same else 'NO'} | {off} |")
    scan = read_scan(folder / "scan.ome.tif")
    mask, out = mask_like(scan), folder / "mask.ome.zarr"
    with MaskWriter(out, scan.header) as writer:
        for index, plane in enumerate(mask):
            writer.write_plane(index, plane)
    same, off = compare(scan, out, mask)
    print(f"| OME-TIFF | `.ome.zarr` | {'yes' if same else 'NO'} | {off} |")
    again = read_scan(out)
    tif = folder / "again.ome.tif"
    write_mask(tif, mask, like=again)
    same, off = compare(again, tif, mask)
    print(f"| OME-Zarr | `.ome.tif` | {'yes' if same else 'NO'} | {off} |")


if __name__ == "__main__":
    main(sys.argv[1])
