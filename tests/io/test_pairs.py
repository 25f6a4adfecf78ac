import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_segdino.errors import InputError
from napari_segdino.io.pairs import (
    is_mask_name,
    key_of,
    list_images,
    mask_name,
    pair_files,
    stem_of,
)


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("L", (4, 4)).save(folder / name, "PNG")
    return folder


@pytest.mark.parametrize(
    ("name", "stem", "key"),
    [
        ("a.png", "a", "a"),
        ("scan.NII.GZ", "scan", "scan"),
        ("a_mask.ome.tif", "a_mask", "a"),
        ("ISIC_01_segmentation.png", "ISIC_01_segmentation", "ISIC_01"),
        ("b-GT.tif", "b-GT", "b"),
        ("seg.png", "seg", "seg"),
        ("a.b.png", "a.b", "a.b"),
    ],
)
def test_names_without_endings_and_words(tmp_path, name, stem, key):
    assert stem_of(tmp_path / name) == stem
    assert key_of(tmp_path / name) == key
    assert is_mask_name(tmp_path / name) == (stem != key)


@given(
    st.text("abc_", min_size=1), st.sampled_from(["_mask", "-seg", " labels", ".gt"])
)
def test_a_mask_is_found_whatever_the_word(tmp_path_factory, name, word):
    base = tmp_path_factory.mktemp("pair")
    images = touch(base / "i", f"{name}.png")
    masks = touch(base / "m", f"{name}{word}.png")
    assert pair_files(images, masks) == [
        (images / f"{name}.png", masks / f"{name}{word}.png")
    ]


def test_folders_files_and_one_folder_for_both(tmp_path):
    images = touch(tmp_path / "i", "b.png", "a.png", ".hidden.png")
    masks = touch(tmp_path / "m", "a_mask.png", "b.png", "of_nothing.png")
    names = [(i.name, m.name) for i, m in pair_files(images, masks)]
    assert names == [("a.png", "a_mask.png"), ("b.png", "b.png")]
    one = pair_files(images / "a.png", masks / "b.png")
    assert one == [(images / "a.png", masks / "b.png")]
    both = touch(tmp_path / "both", "x.png", "x_mask.png")
    assert pair_files(both, both) == [(both / "x.png", both / "x_mask.png")]


def test_an_image_named_like_a_mask_has_its_own(tmp_path):
    images = touch(tmp_path / "i", "a_seg.png", "a.png")
    masks = touch(tmp_path / "m", "a.png", "a_seg_mask.png")
    found = {i.name: m.name for i, m in pair_files(images, masks)}
    assert found == {"a.png": "a.png", "a_seg.png": "a_seg_mask.png"}


def test_what_cannot_be_paired_is_named(tmp_path):
    images = touch(tmp_path / "i", *(f"{i}.png" for i in range(8)))
    masks = touch(tmp_path / "m", "0.png")
    with pytest.raises(InputError, match=r"1.png, 2.png.* and 2 more"):
        pair_files(images, masks)
    touch(masks, *(f"{i}.png" for i in range(8)), "3_mask.png")
    with pytest.raises(InputError, match=r"3.png has two masks .* and 3"):
        pair_files(images, masks)
    with pytest.raises(InputError, match="two files, or two folders"):
        pair_files(images / "0.png", masks)
    with pytest.raises(InputError, match="no image that can be read"):
        pair_files(images, touch(tmp_path / "empty"))
    with pytest.raises(InputError, match="There is no file or folder"):
        list_images(tmp_path / "nowhere")


def test_a_dicom_folder_is_one_image(dicom_folder):
    assert list_images(dicom_folder) == [dicom_folder]


def test_arrays_and_text_beside_pictures(tmp_path):
    folder = touch(tmp_path / "i", "b.png")
    np.save(folder / "a.npy", np.zeros((4, 4)))
    (folder / "notes.txt").write_text("nothing")
    assert [p.name for p in list_images(folder)] == ["a.npy", "b.png"]


@pytest.mark.parametrize(
    ("image", "suffix", "mask"),
    [
        ("a.nii.gz", "", "a_mask.nii.gz"),
        ("a.png", "", "a_mask.tif"),
        ("a.mhd", "", "a_mask.tif"),
        ("a.png", ".png", "a_mask.png"),
        ("series", ".nii.gz", "series_mask.nii.gz"),
    ],
)
def test_names_of_masks(tmp_path, image, suffix, mask):
    assert mask_name(tmp_path / image, suffix) == mask
