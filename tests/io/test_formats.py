"""The table of formats, and what follows it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from napari_segdino.cli import main
from napari_segdino.io import MaskWriter, read_mask, read_scan, write_mask
from napari_segdino.io.formats import (
    FORMATS,
    MASK_SUFFIXES,
    instead_of,
    mask_format,
    read_format,
)

DOCS = Path(__file__).parents[2] / "docs" / "formats.md"
PLANE = np.array([[0, 1], [2, 0]], np.uint8)


def test_a_suffix_belongs_to_one_format():
    read = [suffix for one in FORMATS for suffix in one.suffixes]
    assert len(set(read)) == len(read)
    assert len(set(MASK_SUFFIXES)) == len(MASK_SUFFIXES)
    assert {one.name for one in FORMATS if one.suffixes} == {
        one.name for one in FORMATS if one.read
    }


def test_every_format_that_is_read_has_a_suffix_for_its_masks():
    for one in FORMATS:
        for suffix in one.suffixes:
            assert instead_of(suffix) in MASK_SUFFIXES, suffix


@pytest.mark.parametrize("suffix", [s for s in MASK_SUFFIXES if s != ".dcm"])
def test_what_is_written_is_recognised_and_read_back(tmp_path, suffix):
    """DICOM-SEG needs a scan: see test_seg."""
    path = write_mask(tmp_path / f"m{suffix}", PLANE)
    assert read_format(path) is mask_format(suffix)
    assert np.array_equal(read_mask(path), PLANE)
    assert [p.name for p in tmp_path.iterdir()] == [f"m{suffix}"]


def test_masks_of_ome_zarr_keep_place_and_names(itk_file, tmp_path):
    path = itk_file("s.nii", np.zeros((2, 3, 4)), (0.5, 0.75, 2), (1, 2, 3))
    mask = np.arange(24).reshape(2, 3, 4) % 3
    written = write_mask(tmp_path / "m.ome.zarr", mask, path, class_names=["liver"])
    scan = read_scan(written)
    assert np.array_equal(np.asarray(scan.data), mask)
    assert (scan.spacing, scan.units) == ((2, 0.75, 0.5), ("mm",) * 3)
    assert np.allclose(scan.affine[:3, 3], read_scan(path).affine[:3, 3])
    assert '"class": "liver"' in (written / ".zattrs").read_text()


def test_formats_of_planes_are_written_plane_by_plane(tmp_path):
    header = read_scan(write_mask(tmp_path / "s.npy", PLANE)).header
    for one in FORMATS:
        for suffix in one.mask_suffixes if one.planes else ():
            path = tmp_path / f"m{suffix}"
            with MaskWriter(path, header) as writer:
                writer.write_plane(0, PLANE)
            assert np.array_equal(read_mask(path), PLANE)


def test_the_help_of_predict_names_the_suffixes():
    text = CliRunner().invoke(main, ["predict", "--help"]).output
    assert "|".join(MASK_SUFFIXES) in "".join(text.split())


def row(one):
    """The row of a format in docs/formats.md."""

    def several(suffixes):
        return " ".join(f"`{suffix}`" for suffix in suffixes) or "-"

    maps = "yes" if one.write_maps else "-"
    read, masks = several(one.suffixes), several(one.mask_suffixes)
    return f"| {one.name} | {read} | {masks} | {maps} | {one.needs or '-'} |"


def test_the_table_in_the_docs_is_this_one():
    rows = "\n".join(map(row, FORMATS))
    assert rows in DOCS.read_text(), rows
