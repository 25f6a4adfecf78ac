"""What napari is given, and real samples that come with packages."""

import socket

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from napari_segdino.errors import ScanError
from napari_segdino.io import read_scan, sample_scan
from napari_segdino.io import sample as samples
from napari_segdino.io.napari_plugin import (
    get_reader,
    layer_header,
    read_layers,
    write_labels,
)

VOLUME = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)


def test_a_reader_is_offered_for_ours_only(itk_file, dicom_folder, tmp_path):
    path = str(itk_file("a.nii.gz", VOLUME))
    assert get_reader(path) is read_layers
    assert get_reader([path, str(dicom_folder)]) is read_layers
    (tmp_path / "a.docx").write_bytes(b"PK")
    for other in (str(tmp_path / "a.docx"), [path, "none.nii"], [], str(tmp_path)):
        assert get_reader(other) is None or other == str(tmp_path)


def test_layers_fit_napari(itk_file):
    from napari.layers import Layer

    turned = np.diag([-1, -1, 1])
    path = itk_file("a.nii.gz", VOLUME, (0.5, 0.75, 2), (1, 2, 3), turned)
    mask = itk_file("a_mask.nii.gz", VOLUME.astype(np.uint8))
    layers = [Layer.create(*one) for one in read_layers([str(path), str(mask)])]
    assert [layer._type_string for layer in layers] == ["image", "labels"]
    image = layers[0]
    assert image.name == "a"
    assert tuple(map(str, image.units)) == ("millimeter",) * 3
    assert image.axis_labels == ("z", "y", "x")
    corner = image.data_to_world((1, 2, 3))
    assert np.allclose(corner, [3 + 2, 2 - 2 * 0.75, 1 - 3 * 0.5])


@pytest.mark.parametrize("name", ["a_mask", "labels-1", "x.seg", "Mask", "a_label_b"])
def test_masks_come_as_labels(itk_file, name):
    (layer,) = read_layers(str(itk_file(f"{name}.nrrd", VOLUME.astype("u1"))))
    assert layer[2] == "labels"


@pytest.mark.parametrize("name", ["segovia", "unmasked", "a"])
def test_others_come_as_images(itk_file, name):
    (layer,) = read_layers(str(itk_file(f"{name}.nrrd", VOLUME.astype("u1"))))
    assert layer[2] == "image"
    (layer,) = read_layers(str(itk_file("mask.nrrd", VOLUME.astype("f4"))))
    assert layer[2] == "image"


def test_the_user_is_warned(dicom_folder):
    (dicom_folder / "b.dcm").unlink()
    with pytest.warns(UserWarning, match="series: About 1 of the slices"):
        read_layers(str(dicom_folder))


@pytest.mark.parametrize("tilt", [0, 9])
def test_a_labels_layer_is_written_in_the_place_of_its_scan(itk_file, tmp_path, tilt):
    turned = Rotation.from_euler("x", tilt, degrees=True).as_matrix()
    turned = np.diag([-1, -1, 1]) @ turned
    path = itk_file("a.nii.gz", VOLUME, (0.5, 0.75, 2), (1, 2, 3), turned)
    _data, kwargs, _kind = read_layers(str(path))[0]
    target = str(tmp_path / "m.nii.gz")
    assert write_labels(target, (VOLUME > 4).astype(int), kwargs) == [target]
    again = read_scan(target)
    assert np.allclose(again.affine, read_scan(path).affine)
    assert np.array_equal(again.data, VOLUME > 4)


def test_a_labels_layer_without_a_scan_keeps_its_scale(tmp_path):
    from napari.layers import Labels

    layer = Labels(
        np.zeros((2, 3, 4), int),
        scale=(2, 0.75, 0.5),
        translate=(5, 6, 7),
        units=("um",) * 3,
    )
    data, state, _kind = layer.as_layer_data_tuple()
    header = layer_header(data, state)
    assert (header.axes, header.spacing) == ("ZYX", (2, 0.75, 0.5))
    (path,) = write_labels(str(tmp_path / "m.nrrd"), data, state)
    scan = read_scan(path)
    assert scan.spacing == pytest.approx((2e-3, 0.75e-3, 0.5e-3))
    assert scan.geometry.origin == pytest.approx((7e-3, 6e-3, 5e-3))


def test_a_scan_of_another_shape_is_not_believed(itk_file):
    _data, kwargs, _kind = read_layers(str(itk_file("a.nii", VOLUME)))[0]
    header = layer_header(np.zeros((5, 6), int), kwargs | {"scale": (3, 4)})
    assert (header.shape, header.spacing) == ((5, 6), (3, 4))


# Samples


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_samples_need_no_network(name, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a sample asked for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    scan = sample_scan(name)
    (data, kwargs, kind), (marks, _, marks_kind) = getattr(samples, name)()
    names = kwargs["name"] if "C" in scan.axes[:-1] else [kwargs["name"]]
    assert all(one.startswith(name) for one in names)
    assert (kind, marks_kind) == ("image", "labels")
    assert np.array_equal(data, scan.data)
    assert np.asarray(data).std() > 5
    # A few strokes of both: what is left to learn is most of the image.
    assert set(np.unique(marks)) == {0, 1, 2}
    assert marks.shape == scan.spatial_shape
    assert (marks > 0).mean() < 0.06


def test_samples_are_what_they_say():
    assert sample_scan("ct").intensity_unit == "HU"
    mri = sample_scan("mri")
    assert (mri.axes, mri.shape) == ("ZYX", (24, 96, 128))
    assert mri.spacing == pytest.approx((2.2, 2, 2), abs=1e-4)
    assert sample_scan("tissue").colour


def test_a_sample_that_is_not_there(monkeypatch):
    with pytest.raises(ScanError, match="There is no sample named 'moon'"):
        sample_scan("moon")
    monkeypatch.setattr(samples, "find_spec", lambda _name: None)
    with pytest.raises(ScanError, match="reinstall nibabel"):
        sample_scan("mri")


def test_a_photo_is_written_as_it_is_shown(tmp_path):
    Image.new("RGB", (6, 5)).save(tmp_path / "p.png")
    data, kwargs, _kind = read_layers(str(tmp_path / "p.png"))[0]
    (path,) = write_labels(str(tmp_path / "m.tif"), np.ones((5, 6), int), kwargs)
    scan = read_scan(path)
    assert (scan.shape, scan.units) == ((5, 6), ("pixel", "pixel"))
