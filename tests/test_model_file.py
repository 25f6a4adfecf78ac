import pytest
import torch

from napari_segdino.errors import ModelFileError
from napari_segdino.model_file import ModelFile, read_model, write_model

MODEL = ModelFile({"encoder": "x", "n": 2}, {"w": torch.arange(6.0).view(2, 3)})


def test_what_is_written_is_read(tmp_path):
    path = write_model(tmp_path / "a.segdino", MODEL)
    model = read_model(path)
    assert model.meta == MODEL.meta
    assert torch.equal(model.tensors["w"], MODEL.tensors["w"])
    assert [p.name for p in tmp_path.iterdir()] == ["a.segdino"]


def test_a_truncated_file_is_refused(tmp_path):
    path = write_model(tmp_path / "a.segdino", MODEL)
    data = path.read_bytes()
    for length in (0, 4, 20, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError, match="damaged or cut off"):
            read_model(path)


def test_another_safetensors_file_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelFileError, match="not a napari-segdino probe"):
        read_model(tmp_path / "other.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"no probe file .*b\.segdino"):
        read_model(tmp_path / "b.segdino")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_model(tmp_path / "a.segdino", MODEL)
    before = path.read_bytes()

    def full(tensors, target, header):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(ModelFileError, match="disk is full"):
        write_model(path, MODEL)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.segdino"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="cannot be written"):
        write_model(tmp_path / "file" / "a.segdino", MODEL)
