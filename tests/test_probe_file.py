import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_segdino import Segmenter
from napari_segdino.errors import ModelFileError
from napari_segdino.probe_file import ModelFile, read_model, write_model

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


def mutated(path, old, new):
    data = path.read_bytes()
    assert data.count(old) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def test_a_file_that_is_not_as_it_was_written_is_refused(tmp_path):
    path = write_model(tmp_path / "a.segdino", MODEL)
    five = torch.tensor([5.0]).numpy().tobytes()
    for old, new in ((b"encoder", b"encodex"), (five, five[::-1])):
        write_model(path, MODEL)
        with pytest.raises(ModelFileError, match=r"a\.segdino is damaged"):
            read_model(mutated(path, old, new))


@given(st.data())
@settings(max_examples=60)
def test_no_change_of_a_byte_goes_unseen(tmp_path_factory, data):
    path = write_model(tmp_path_factory.mktemp("m") / "a.segdino", MODEL)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        model = read_model(path)
    except ModelFileError:
        return
    # Spaces of the header's padding may be any that JSON takes for such.
    assert model.meta == MODEL.meta
    assert torch.equal(model.tensors["w"], MODEL.tensors["w"])


def test_a_file_of_an_earlier_version_has_no_checksum(tmp_path):
    from safetensors.torch import save_file

    header = {"format": "napari-segdino probe", "version": "1", "meta": '{"n": 2}'}
    save_file({"w": torch.ones(2)}, tmp_path / "a", header)
    assert read_model(tmp_path / "a").meta == {"n": 2}
    for change in ({"meta": "[1]"}, {"meta": "{"}, {"version": "x"}):
        save_file({"w": torch.ones(2)}, tmp_path / "a", header | change)
        with pytest.raises(ModelFileError, match="is damaged"):
            read_model(tmp_path / "a")
    save_file({"w": torch.tensor([1, torch.nan])}, tmp_path / "a", header)
    with pytest.raises(ModelFileError, match="is damaged"):
        read_model(tmp_path / "a")


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


def test_a_probe_that_lacks_a_part_is_refused_in_a_sentence(tmp_path):
    path = write_model(tmp_path / "a.segdino", MODEL)
    with pytest.raises(ModelFileError, match=r"a\.segdino is damaged"):
        Segmenter.load(path)
