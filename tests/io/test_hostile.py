"""Files that claim, point or wait: refused at once, in one sentence."""

import gzip
import json
import os
import tracemalloc

import nibabel as nib
import numcodecs
import numpy as np
import pydicom
import pytest
import zarr
from dicom_slices import make_slice
from numcodecs import Blosc

from napari_segdino.errors import ScanError
from napari_segdino.io import read_scan, zarr_chunks
from napari_segdino.io.itk import check_inside
from napari_segdino.io.zarr_chunks import lazy_array

VOLUME = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)


@pytest.mark.parametrize("name", ["a.nhdr", "a.mhd"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_header_that_points_out_of_its_folder(itk_file, tmp_path, name, listed):
    """Else a scan from anyone could hold the pixels of any file of the machine."""
    folder = tmp_path / "inner"
    folder.mkdir()
    path = itk_file(f"inner/{name}", VOLUME)
    assert np.array_equal(read_scan(path).data, VOLUME)
    lines = path.read_text().splitlines()
    at = next(i for i, one in enumerate(lines) if "file" in one.lower())
    word, sign = ("data file", ":") if name == "a.nhdr" else ("ElementDataFile", "=")
    outside = str(tmp_path / "secret.raw")
    new = [f"{word}{sign} LIST", outside] if listed else [f"{word}{sign} {outside}"]
    path.write_text("\n".join([*lines[:at], *new]) + "\n")
    (tmp_path / "secret.raw").write_bytes(VOLUME.tobytes())
    with pytest.raises(ScanError, match=f"{name} cannot be read: it points at pixels"):
        read_scan(path)


TRICKS = {
    "a.mhd": ["\n\n{}=", "{}\n=", "{}\0=", " {}\t= ", "{}:", "Comment = {}\n{}="],
    "a.nhdr": ["#" + 70_000 * "x" + "\n{}: ", "{}:"],
}


@pytest.mark.parametrize(
    ("name", "trick"), [(name, one) for name, many in TRICKS.items() for one in many]
)
def test_what_the_libraries_take_for_a_pointer_is_seen(itk_file, tmp_path, name, trick):
    (tmp_path / "inner").mkdir()
    path = itk_file(f"inner/{name}", VOLUME)
    lines = path.read_text().splitlines()
    at = next(i for i, one in enumerate(lines) if "file" in one.lower())
    (tmp_path / "secret.raw").write_bytes(VOLUME.tobytes())
    word = trick.replace("{}", "data file" if name == "a.nhdr" else "ElementDataFile")
    path.write_text("\n".join([*lines[:at], f"{word}{tmp_path}/secret.raw\n"]))
    with pytest.raises(ScanError, match="it points at pixels outside"):
        read_scan(path)


def test_pointers_to_links_out_of_the_folder_and_to_pipes(itk_file, tmp_path):
    (tmp_path / "inner").mkdir()
    path = itk_file("inner/a.mhd", VOLUME)
    raw = path.with_suffix(".raw")
    for target in ("/dev/zero", raw.rename(tmp_path / "secret.raw")):
        raw.symlink_to(target)
        with pytest.raises(ScanError, match="outside of its folder"):
            read_scan(path)
        text = path.read_text()
        path.write_text(text.replace("= a.raw", "= %c.raw 97 97 1"))
        with pytest.raises(ScanError, match="outside of its folder"):
            read_scan(path)
        path.write_text(text)
        raw.unlink()
    os.mkfifo(raw)
    with pytest.raises(ScanError, match="outside of its folder"):
        read_scan(path)


def test_devices_and_pipes_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.nii")
    (tmp_path / "b.nrrd").symlink_to("/dev/zero")
    for name in ("a.nii", "b.nrrd"):
        with pytest.raises(ScanError, match="it is a device, not a file"):
            read_scan(tmp_path / name)


def claim_nifti(path):
    nib.save(nib.Nifti1Image(np.zeros((2, 3, 4), np.int16), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([2000, 2000, 1000], "<i2").tobytes()
    path.write_bytes(content)


def claim_nifti_compressed(path):
    claim_nifti(path.with_suffix(""))
    path.write_bytes(gzip.compress(path.with_suffix("").read_bytes() + bytes(10**7)))


def claim_nrrd(path):
    head = "type: short\ndimension: 3\nsizes: 2000 2000 1000\nencoding: gzip\n"
    pixels = gzip.compress(bytes(10**7))
    path.write_bytes(f"NRRD0004\n{head}endian: little\n\n".encode() + pixels)


def claim_dicom(path):
    make_slice(path, np.zeros((3, 4)), (0, 0, 0))
    tags = pydicom.dcmread(path)
    tags.Rows = tags.Columns = 60000
    tags.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    tags.PixelData = pydicom.encaps.encapsulate([bytes(100)])
    tags["PixelData"].VR, tags["PixelData"].is_undefined_length = "OB", True
    tags.save_as(path)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.nii", claim_nifti),
        ("a.nii.gz", claim_nifti_compressed),
        ("a.nrrd", claim_nrrd),
        ("a.dcm", claim_dicom),
    ],
)
def test_a_file_that_claims_more_than_it_can_hold_is_not_unpacked(tmp_path, name, make):
    make(tmp_path / name)
    tracemalloc.start()
    with pytest.raises(ScanError, match="its header claims .* GB of pixels"):
        read_scan(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 1e8
    tracemalloc.stop()


def test_pipes_and_devices_in_a_folder_are_left_out(dicom_folder, tmp_path):
    os.mkfifo(dicom_folder / "pipe.dcm")
    (dicom_folder / "device.dcm").symlink_to("/dev/zero")
    assert read_scan(dicom_folder).shape == (5, 6, 7)
    (tmp_path / "pipes").mkdir()
    os.mkfifo(tmp_path / "pipes" / "a.dcm")
    with pytest.raises(ScanError, match="no scan was found in it"):
        read_scan(tmp_path / "pipes")


def make_zarr(path):
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.create_array("0", data=VOLUME)
    axes = [{"name": a, "type": "space"} for a in "zyx"]
    group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
    return path


@pytest.mark.parametrize("chunks", [(1, 1, 1), (10_000, 40_000, 40_000)])
def test_chunks_that_cannot_be_read_are_refused_at_once(tmp_path, chunks):
    path = make_zarr(tmp_path / "a.ome.zarr")
    meta = json.loads((path / "0" / ".zarray").read_text())
    meta["shape"], meta["chunks"] = [10_000, 40_000, 40_000], chunks
    (path / "0" / ".zarray").write_text(json.dumps(meta))
    with pytest.raises(ScanError, match=r"^a\.ome\.zarr .*too small or too large"):
        read_scan(path)


def test_a_pipe_in_place_of_a_chunk_is_not_waited_for(tmp_path):
    path = make_zarr(tmp_path / "a.ome.zarr")
    chunk = next(p for p in (path / "0").iterdir() if not p.name.startswith("."))
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(ScanError, match="in it is a device, not a file"):
        read_scan(path).data.compute()


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_chunk_of_blosc_that_is_cut_or_claims_more_is_damaged(tmp_path, zarr_format):
    """Blosc itself reads on in whatever memory lies behind what is left of it."""
    blosc = {2: Blosc(cname="lz4"), 3: zarr.codecs.BloscCodec(cname="lz4")}
    pixels = np.random.default_rng(0).integers(0, 50, (64, 64), np.int16)
    path = tmp_path / "a.zarr"
    zarr.create_array(
        str(path), data=pixels, compressors=blosc[zarr_format], zarr_format=zarr_format
    )
    np.testing.assert_array_equal(read_scan(path).data.compute(), pixels)
    np.testing.assert_array_equal(
        read_scan(path).data[3, 5:9].compute(), pixels[3, 5:9]
    )
    chunk = path / ("0.0" if zarr_format == 2 else "c/0/0")
    whole = chunk.read_bytes()
    faults = [whole[:n] for n in (*range(20), *range(20, len(whole), 100))]
    for claimed in (2**32 - 1, 2**31 - 17, 2**28):
        faults.append(whole[:4] + claimed.to_bytes(4, "little") + whole[8:])
    for fault in faults:
        chunk.write_bytes(fault)
        with pytest.raises(ScanError, match="a part of it is damaged"):
            read_scan(path).data.compute()


def compressed(codec, content):
    """A chunk as a codec of Zarr 2 writes it."""
    return numcodecs.get_codec({"id": codec}).encode(content)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("codec", ["gzip", "zlib", "zstd"])
def test_a_chunk_that_becomes_far_more_than_a_chunk_is_damaged(
    tmp_path, codec, zarr_format
):
    if zarr_format == 2:
        how = numcodecs.get_codec({"id": codec})
    elif codec == "zlib":
        how = zarr.codecs.numcodecs.Zlib()
    else:
        how = {"gzip": zarr.codecs.GzipCodec(), "zstd": zarr.codecs.ZstdCodec()}[codec]
    pixels = np.random.default_rng(0).integers(0, 50, (64, 64), np.int16)
    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), data=pixels, compressors=how, zarr_format=zarr_format)
    np.testing.assert_array_equal(read_scan(path).data.compute(), pixels)
    chunk = path / ("0.0" if zarr_format == 2 else "c/0/0")
    chunk.write_bytes(compressed(codec, bytes(1 << 28)))
    tracemalloc.start()
    with pytest.raises(ScanError, match="a part of it is damaged"):
        read_scan(path).data.compute()
    assert tracemalloc.get_traced_memory()[1] < 2e7
    tracemalloc.stop()


def test_members_of_a_gzip_chunk_are_counted_together(tmp_path):
    path = make_zarr(tmp_path / "a.ome.zarr")
    meta = json.loads((path / "0" / ".zarray").read_text())
    meta["compressor"] = {"id": "gzip", "level": 1}
    (path / "0" / ".zarray").write_text(json.dumps(meta))
    chunk = next(p for p in (path / "0").iterdir() if not p.name.startswith("."))
    chunk.write_bytes(compressed("gzip", bytes(1 << 19)) * 40)
    with pytest.raises(ScanError, match="a part of it is damaged"):
        read_scan(path).data.compute()


@pytest.mark.parametrize("name", ["a.raw", "./a.raw", "not_there.raw", "slice%03d.raw"])
def test_names_of_files_beside_a_header_are_taken(tmp_path, name):
    (tmp_path / "a.raw").touch()
    check_inside(tmp_path / "a.mhd", name)
    with pytest.raises(ScanError, match="points at pixels outside of its folder"):
        check_inside(tmp_path / "a.mhd", f"../{name}")


def test_chunks_are_counted_before_any_is_read(tmp_path, monkeypatch):
    array = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(3, 5), chunks=(2, 2), dtype="u1"
    )
    array[...] = np.arange(15).reshape(3, 5)
    # Two rows of three chunks, the last ones cut at the border.
    monkeypatch.setattr(zarr_chunks, "MOST_CHUNKS", 6)
    lazy = lazy_array(array, tmp_path / "a.zarr")
    assert lazy.chunks == ((2, 1), (2, 2, 1))
    assert np.array_equal(lazy[1:, 3:].compute(), array[1:, 3:])
    monkeypatch.setattr(zarr_chunks, "MOST_CHUNKS", 5)
    with pytest.raises(ScanError, match="its chunks are too small or too large"):
        lazy_array(array, tmp_path / "a.zarr")
