"""What OME-Zarr says of its axes, transforms and codecs."""

import json

import numpy as np
import pytest
import zarr

from napari_segdino.errors import ScanError
from napari_segdino.io import read_mask, read_scan


def make_plain(path, axes="zyx", steps=None, whole=None, shape=(3, 16, 20)):
    """Write one level whose axes are all of space."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    group.create_array("0", data=np.arange(np.prod(shape)).reshape(shape))
    one = {"path": "0", "coordinateTransformations": steps or []}
    image = {"axes": [{"name": a, "type": "space"} for a in axes], "datasets": [one]}
    group.attrs["multiscales"] = [{**image, "coordinateTransformations": whole or []}]
    return path


@pytest.mark.parametrize("step", ["affine", "rotation", "scale"])
def test_a_transform_that_is_not_applied_is_told(tmp_path, step):
    whole = [{"type": step, "path": "in/an/array"}]
    scan = read_scan(make_plain(tmp_path / "a.ome.zarr", whole=whole))
    assert scan.shape == (3, 16, 20)
    assert scan.warnings == (
        f"The place is not sure: {step} of the file is not applied.",
    )


def test_scales_that_are_no_numbers_are_not_believed(tmp_path):
    steps = [{"type": "scale", "scale": [2.0, float("nan"), 0.0]}]
    scan = read_scan(make_plain(tmp_path / "a.ome.zarr", steps=steps))
    assert scan.spacing == (2, 1, 1)


def test_the_type_of_an_axis_counts_before_its_name(tmp_path):
    scan = read_scan(make_plain(tmp_path / "a.ome.zarr", axes="abc"))
    assert (scan.axes, scan.shape) == ("ZYX", (3, 16, 20))


def test_a_codec_that_is_not_known_is_named(tmp_path):
    path = make_plain(tmp_path / "a.ome.zarr")
    meta = json.loads((path / "0" / ".zarray").read_text())
    meta["compressor"] = {"id": "squash"}
    (path / "0" / ".zarray").write_text(json.dumps(meta))
    with pytest.raises(ScanError, match=r"compression is not supported .*squash"):
        read_scan(path)


def test_labels_with_an_axis_for_one_channel(tmp_path):
    path = tmp_path / "a.ome.zarr"
    make_plain(path, axes="zyx", shape=(1, 16, 20))
    group = zarr.open_group(str(path), mode="a")
    image = dict(group.attrs)["multiscales"]
    image[0]["axes"][0] = {"name": "c", "type": "channel"}
    group.attrs["multiscales"] = image
    assert read_mask(path).shape == (16, 20)
