import json

import pytest
from PIL import Image

from napari_segdino.errors import InputError
from napari_segdino.io.cases import Case, Dataset, child, split_of
from napari_segdino.io.datasets import dataset_of, narrowed, open_dataset
from napari_segdino.io.folder_layouts import case_folders, numbered, videos


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", ".jpg"):
            Image.new("L", (4, 4)).save(path)
        else:
            path.write_bytes(b"")
    return root


def shown(dataset):
    return {
        c.name: (c.split, c.images[0].name, c.mask.name, c.group) for c in dataset.cases
    }


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{}/image/{}.png", "{}/mask/{}.png"),
        ("{}/Images/{}.png", "{}/Masks/{}_mask.png"),
        ("{}-image/{}.png", "{}-mask/{}.png"),
    ],
)
def test_split_folders(tmp_path, image, mask):
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        touch(tmp_path, image.format(split, name), mask.format(split, name))
    found = open_dataset(tmp_path)
    splits = {c.name: c.split for c in found.cases}
    assert splits == {"a": "train", "b": "validation", "c": "test"}
    assert len(found.of("test")) == 1


def test_the_same_name_in_two_splits(tmp_path):
    for split in ("train", "test"):
        touch(tmp_path, f"{split}/image/1.png", f"{split}/mask/1.png")
    assert set(shown(open_dataset(tmp_path))) == {"train/1", "test/1"}


def test_kvasir(tmp_path):
    touch(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a.jpg", "masks/b.jpg")
    assert shown(open_dataset(tmp_path)) == {
        "a": ("", "a.jpg", "a.jpg", "a"),
        "b": ("", "b.jpg", "b.jpg", "b"),
    }


def test_isic_in_sibling_folders(tmp_path):
    for split, name in (("Training", "ISIC_1"), ("Test", "ISIC_2")):
        touch(
            tmp_path,
            f"ISIC2018_Task1-2_{split}_Input/{name}.jpg",
            f"ISIC2018_Task1-2_{split}_Input/{name}_superpixels.png",
            f"ISIC2018_Task1-2_{split}_Input/LICENSE.txt",
            f"ISIC2018_Task1_{split}_GroundTruth/{name}_segmentation.png",
        )
    assert shown(open_dataset(tmp_path)) == {
        "ISIC_1": ("train", "ISIC_1.jpg", "ISIC_1_segmentation.png", "ISIC_1"),
        "ISIC_2": ("test", "ISIC_2.jpg", "ISIC_2_segmentation.png", "ISIC_2"),
    }


def test_isic_beside_and_a_missing_image(tmp_path):
    touch(tmp_path, "ISIC_1.jpg", "ISIC_1_segmentation.png")
    assert set(shown(open_dataset(tmp_path))) == {"ISIC_1"}
    touch(tmp_path, "ISIC_2_segmentation.png")
    with pytest.raises(InputError, match="no image in .* for the masks of: ISIC_2"):
        open_dataset(tmp_path)


def test_masks_beside_images(tmp_path):
    touch(tmp_path, "a.png", "a_mask.png", "notes.txt")
    assert shown(open_dataset(tmp_path)) == {"a": ("", "a.png", "a_mask.png", "a")}


def describe(root, **meta):
    (root / "dataset.json").write_text(json.dumps(meta))


def test_medical_decathlon(tmp_path):
    touch(
        tmp_path, "imagesTr/h_001.nii.gz", "labelsTr/h_001.nii.gz", "imagesTs/x.nii.gz"
    )
    training = [{"image": "./imagesTr/h_001.nii.gz", "patient": "P7"}]
    labels = {"0": "background", "1": "Anterior"}
    describe(tmp_path, labels=labels, modality={"0": "MRI"}, training=training)
    found = open_dataset(tmp_path)
    assert shown(found) == {"h_001": ("", "h_001.nii.gz", "h_001.nii.gz", "P7")}
    assert found.label_names[1] == "Anterior"
    assert found.channel_names == ("MRI",)


def test_nnunet_channels_and_label_names(tmp_path):
    for k in (0, 1):
        touch(tmp_path, f"imagesTr/c_{k:04}.nii.gz", f"imagesTs/d_{k:04}.nii.gz")
    touch(tmp_path, "labelsTr/c.nii.gz", "labelsTs/d.nii.gz")
    labels = {"background": 0, "tumour": 1, "whole": [1, 2]}
    describe(tmp_path, labels=labels, channel_names={"0": "T1", "1": "FLAIR"})
    found = open_dataset(tmp_path)
    assert [len(c.images) for c in found.cases] == [2, 2]
    assert [c.split for c in found.cases] == ["train", "test"]
    assert dict(found.label_names) == {0: "background", 1: "tumour"}


def test_faults_of_medical_decathlon(tmp_path):
    touch(tmp_path, "imagesTr/a.nii.gz", "imagesTr/b.nii.gz", "labelsTr/a.nii.gz")
    with pytest.raises(InputError, match=r"No mask in .*labelsTr for: b.nii.gz"):
        open_dataset(tmp_path)
    touch(tmp_path, "labelsTr/b.nii.gz")
    for text in ("{", "[]", '{"labels": []}', '{"modality": []}'):
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(InputError, match=r"dataset\.json"):
            open_dataset(tmp_path)


def test_groups_from_names(tmp_path):
    touch(tmp_path, *(f"{d}/p{i}_{d}.png" for i in (1, 2) for d in ("images",)))
    touch(tmp_path, "masks/p1_images.png", "masks/p2_images.png")
    groups = [c.group for c in open_dataset(tmp_path, r"^(p\d)_").cases]
    assert groups == ["p1", "p2"]
    assert open_dataset(tmp_path, "p").cases[0].group == "p"
    with pytest.raises(InputError, match="does not fit the case p2"):
        open_dataset(tmp_path, "p1")
    with pytest.raises(InputError, match="no regular expression"):
        open_dataset(tmp_path, "(")


DISTRIBUTED = {
    "TN3K": (
        ("trainval-image/0000.jpg", "trainval-mask/0000.jpg", "test-image/0001.jpg"),
        ("test-mask/0001.jpg", "tn3k-trainval-fold0.json"),
        {"0000": ("train", "0000"), "0001": ("test", "0001")},
    ),
    "Kvasir-SEG": (
        ("images/cju0.jpg", "masks/cju0.jpg", "kavsir_bboxes.json"),
        (),
        {"cju0": ("", "cju0")},
    ),
    "ISIC 2017": (
        ("ISIC-2017_Training_Data/ISIC_1.jpg", "ISIC-2017_Test_v2_Data/ISIC_2.jpg"),
        (
            "ISIC-2017_Training_Data/ISIC_1_superpixels.png",
            "ISIC-2017_Training_Data/ISIC-2017_Training_Data_metadata.csv",
            "ISIC-2017_Training_Part1_GroundTruth/ISIC_1_segmentation.png",
            "ISIC-2017_Test_v2_Part1_GroundTruth/ISIC_2_segmentation.png",
        ),
        {"ISIC_1": ("train", "ISIC_1"), "ISIC_2": ("test", "ISIC_2")},
    ),
    "MSD, mirrors": (
        ("train/image/1_512x640.jpg", "train/mask/1_512x640.png"),
        ("test/image/2_640x512.jpg", "test/mask/2_640x512.png", "train/edge/1.png"),
        {"1_512x640": ("train", "1_512x640"), "2_640x512": ("test", "2_640x512")},
    ),
    "VMD-D": (
        (
            "train_origin/113_27/JPEGImages/0001.jpg",
            "train_origin/113_27/SegmentationClassPNG/0001.png",
        ),
        ("test/9_1/JPEGImages/0001.jpg", "test/9_1/SegmentationClassPNG/0001.png"),
        {"113_27/0001": ("train", "113_27"), "9_1/0001": ("test", "9_1")},
    ),
    "ViSha": (
        ("train/images/bike/00000001.jpg", "train/labels/bike/00000001.png"),
        ("test/images/cat/00000001.jpg", "test/labels/cat/00000001.png"),
        {"bike/00000001": ("train", "bike"), "cat/00000001": ("test", "cat")},
    ),
    "BraTS 2021": (
        tuple(
            f"BraTS2021_0{n}/BraTS2021_0{n}_{kind}.nii.gz"
            for n in (1, 2)
            for kind in ("flair", "t1", "t1ce", "t2", "seg")
        ),
        ("BraTS2021_03/BraTS2021_03_flair.nii.gz",),
        {f"BraTS2021_0{n}": ("", f"BraTS2021_0{n}") for n in (1, 2)},
    ),
    "BraTS 2023": (
        tuple(
            f"BraTS-GLI-00000-00{n}/BraTS-GLI-00000-00{n}-{kind}.nii.gz"
            for n in (0, 1)
            for kind in ("t1n", "t1c", "t2w", "t2f", "seg")
        ),
        (),
        {f"BraTS-GLI-00000-00{n}": ("", f"BraTS-GLI-00000-00{n}") for n in (0, 1)},
    ),
    "AMOS22": (
        ("imagesTr/amos_0001.nii.gz", "labelsTr/amos_0001.nii.gz"),
        (
            "imagesVa/amos_0008.nii.gz",
            "labelsVa/amos_0008.nii.gz",
            "imagesTs/amos_0002.nii.gz",
        ),
        {
            "amos_0001": ("train", "amos_0001"),
            "amos_0008": ("validation", "amos_0008"),
        },
    ),
    "BTCV": (
        ("Training/img/img0001.nii.gz", "Training/label/label0001.nii.gz"),
        ("Testing/img/img0061.nii.gz",),
        {"img0001": ("", "img0001")},
    ),
    "KiTS23": (
        ("case_00000/imaging.nii.gz", "case_00000/segmentation.nii.gz"),
        (
            "case_00000/instances/kidney_instance-1_annotation-1.nii.gz",
            "kits23.json",
        ),
        {"case_00000": ("", "case_00000")},
    ),
    "LiTS": (
        ("Training Batch 1/volume-0.nii", "Training Batch 1/segmentation-0.nii"),
        ("Training Batch 2/volume-28.nii", "Training Batch 2/segmentation-28.nii"),
        {"volume-0": ("", "volume-0"), "volume-28": ("", "volume-28")},
    ),
}


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_data_sets_of_the_papers_are_read_as_they_are_distributed(name, tmp_path):
    files, more, wanted = DISTRIBUTED[name]
    found = open_dataset(touch(tmp_path, *files, *more))
    assert {c.name: (c.split, c.group) for c in found.cases} == wanted
    for case in found.cases:
        assert all(p != case.mask for p in case.images)
        assert "superpixels" not in case.images[0].name


def test_one_channel_and_some_cases_of_a_data_set(tmp_path):
    files, more, _ = DISTRIBUTED["BraTS 2021"]
    found = open_dataset(touch(tmp_path, *files, *more))
    assert found.channel_names == ("flair", "t1", "t1ce", "t2")
    assert [len(c.images) for c in found.cases] == [4, 4]
    one = narrowed(found, "_01$", "FLAIR")
    assert shown(one) == {
        "BraTS2021_01": (
            "",
            "BraTS2021_01_flair.nii.gz",
            "BraTS2021_01_seg.nii.gz",
            "BraTS2021_01",
        )
    }
    assert one.channel_names == ()
    with pytest.raises(InputError, match="channel named 'flare' .did you mean 'flair'"):
        narrowed(found, channel="flare")
    with pytest.raises(InputError, match="fits no case"):
        narrowed(found, "amos")


def test_scans_that_lack_a_channel_or_a_number_are_told(tmp_path):
    touch(tmp_path, "a/a_t1.nii", "a/a_t2.nii", "a/a_seg.nii", "b/b_t1.nii")
    touch(tmp_path, "b/b_seg.nii")
    with pytest.raises(InputError, match="differ in their channels: t1, t2 and t1"):
        open_dataset(tmp_path)
    other = touch(tmp_path / "other", "volume-0.nii", "segmentation-1.nii")
    with pytest.raises(InputError, match="No data set was recognised"):
        open_dataset(other)


def test_what_was_looked_for_is_said(tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        open_dataset(tmp_path / "nowhere")
    touch(tmp_path, "images/a.png", "a.png")
    with pytest.raises(InputError, match=r"looked for train/image .* imagesTr"):
        open_dataset(tmp_path)


def test_pairs_are_a_data_set_and_names_are_unique(tmp_path):
    touch(tmp_path, "a.png", "b/a.png", "m.png")
    files = [(tmp_path / "a.png", tmp_path / "m.png")]
    assert dataset_of(files, tmp_path).cases[0].group == "a"
    files += [(tmp_path / "b/a.png", tmp_path / "m.png")]
    with pytest.raises(InputError, match="two images named"):
        dataset_of(files, tmp_path)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train2017/a.png", "train"),
        ("ISIC2018_Task1_Training_Input/a.png", "train"),
        ("valid/x/a.png", "validation"),
        ("x/TESTING/a.png", "test"),
        ("contest/a.png", ""),
        ("x/train.png", ""),
    ],
)
def test_a_split_is_read_from_words_of_folders(tmp_path, name, split):
    assert split_of(tmp_path / name, tmp_path) == split


def test_a_subfolder_is_found_whatever_its_capitals(tmp_path):
    (tmp_path / "Masks").mkdir()
    (tmp_path / "labels").touch()
    assert child(tmp_path, ("mask", "masks")) == tmp_path / "Masks"
    assert child(tmp_path, ("labels",)) is None, "it is a file"
    assert child(tmp_path / "nowhere", ("masks",)) is None


def test_the_cases_of_a_split(tmp_path):
    cases = [Case(n, (), tmp_path, s) for n, s in (("a", "train"), ("b", "test"))]
    found = Dataset(tmp_path, "any", tuple(cases))
    assert [c.name for c in found.of("test")] == ["b"]
    assert found.of("validation") == ()


def test_numbers_pair_images_and_masks(tmp_path):
    touch(tmp_path, "img0001.nii", "img0002.nii", "label0001.nii", "readme.txt")
    found = numbered(tmp_path)
    assert shown(found) == {"img0001": ("", "img0001.nii", "label0001.nii", "")}
    touch(tmp_path, "label0003.nii")
    assert numbered(tmp_path) is None, "a mask without an image is another layout"


def test_frames_of_a_video_are_one_group(tmp_path):
    for video in "ab":
        touch(tmp_path, f"train/images/{video}/1.png", f"train/labels/{video}/1.png")
    assert shown(videos(tmp_path)) == {
        "a/1": ("train", "1.png", "1.png", "a"),
        "b/1": ("train", "1.png", "1.png", "b"),
    }
    assert case_folders(touch(tmp_path / "flat", "a.png")) is None
