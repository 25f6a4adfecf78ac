"""A dense head on a device: what goes there, what comes back, and what if it fails.

There is no GPU here. `Module.to` and `Tensor.to` are recorded and leave everything
on the CPU: what is asserted is that the decoder and its batches are sent.
"""

import logging

import pytest
import torch

from napari_segdino.errors import ChannelsError, InputError
from napari_segdino.features.grid import FeatureGrid
from napari_segdino.heads.dense import dense_head
from napari_segdino.heads.dense.batches import DenseExample
from napari_segdino.heads.dense.decoder import Decoder
from napari_segdino.heads.mvr import perceptrons
from napari_segdino.heads.registry import make_head
from napari_segdino.progress import drive

GPU = torch.device("cuda:0")


def example(seed=0, whole=True):
    g = torch.Generator().manual_seed(seed)
    marks = torch.ones(16, 16, dtype=torch.uint8)
    marks[4:10, 4:10] = 2
    if not whole:
        marks[2:14, :] = 0
        marks[8, 6:9] = 2
    levels = tuple(torch.randn(8, 4, 4, generator=g).half() for _ in range(4))
    return DenseExample(levels, marks)


def grid_of(one):
    empty = torch.zeros(1, 16, 16).half()
    return FeatureGrid(one.levels, empty, empty, empty[0], "tile")


class Recorder:
    """Where decoders and batches are sent; what is sent stays on the CPU."""

    def __init__(self, monkeypatch):
        self.decoders, self.batches, self.on_gpu = [], [], set()
        self.fails_at = -1
        module_to, tensor_to = torch.nn.Module.to, torch.Tensor.to

        def send_module(module, *args, **kwargs):
            if args and args[0] == GPU:
                self.decoders.append(module)
                self.on_gpu.add(id(module))
                return module
            return module_to(module, *args, **kwargs)

        def send_tensor(tensor, *args, **kwargs):
            if args and args[0] == GPU:
                self.batches.append(tuple(tensor.shape))
                if len(self.batches) == self.fails_at:
                    raise torch.OutOfMemoryError("CUDA out of memory")
                return tensor
            return tensor_to(tensor, *args, **kwargs)

        monkeypatch.setattr(torch.nn.Module, "to", send_module)
        monkeypatch.setattr(torch.Tensor, "to", send_tensor)
        monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)


@pytest.fixture
def sent(monkeypatch):
    return Recorder(monkeypatch)


def fit(head, samples, device, seen=None):
    steps = head.iter_fit(samples, 2, 0, device)
    return drive(steps, None if seen is None else seen.append)


def test_the_decoder_and_its_batches_train_on_the_device(sent):
    head = make_head("segdino", "segdino_quick")
    trained = fit(head, {"a": example(whole=False)}, GPU)
    assert sent.decoders == [trained]
    assert (1, 8, 4, 4) in sent.batches, "levels"
    assert (1, 16, 16) in sent.batches, "marks"
    assert {p.device.type for p in trained.parameters()} == {"cpu"}, "it comes back"


def test_tiles_are_predicted_on_the_device(sent):
    head, one = make_head("segdino", "segdino_quick"), example(whole=False)
    trained = fit(head, {"a": one}, "cpu")
    expected = head.predict(trained, grid_of(one), "cpu")
    assert sent.decoders == sent.batches == []
    for _ in range(3):
        found = head.predict(trained, grid_of(one), GPU)
    assert len(sent.decoders) == 1, "a decoder is sent once, not with each tile"
    assert sent.decoders[0] is not trained, "what is saved stays on the CPU"
    assert sent.batches == [(1, 8, 4, 4)] * 12
    assert torch.equal(found, expected)
    assert found.shape == (2, 16, 16)


def test_another_decoder_is_sent_anew(sent):
    head, one = make_head("segdino", "segdino_quick"), example(whole=False)
    first, second = (fit(head, {"a": example(s, False)}, "cpu") for s in (0, 1))
    a, b = (head.predict(m, grid_of(one), GPU) for m in (first, second))
    assert not torch.equal(a, b)
    assert torch.equal(b, head.predict(second, grid_of(one), "cpu"))


@pytest.mark.parametrize("fails_at", [1, 2, 14])
def test_training_goes_on_on_the_cpu_where_the_device_is_full(sent, caplog, fails_at):
    head, samples = make_head("segdino", "segdino_quick"), {"a": example(whole=False)}
    whole = fit(head, samples, "cpu")
    sent.fails_at = fails_at
    seen = []
    with caplog.at_level(logging.WARNING):
        trained = fit(head, samples, GPU, seen)
    pairs = zip(whole.parameters(), trained.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "no step is lost or done twice"
    assert "it is trained on the CPU" in caplog.text
    assert any("cuda:0 has too little memory" in step.text for step in seen)


@pytest.mark.parametrize(("device", "width"), [("cpu", 64), ("cuda:0", 256)])
def test_whole_masks_get_the_width_for_the_device(monkeypatch, device, width):
    seen = []

    def spy(decoder, examples, n_classes, *, recipe, seed, device):
        seen.append((recipe.head_options, str(device)))
        return iter(())

    monkeypatch.setattr(dense_head, "iter_fit_dense", spy)
    drive(make_head("segdino_v2").iter_fit({"a": example()}, 2, 0, device))
    assert seen == [({"width": width}, device)]


def test_other_channels_are_refused():
    head = make_head("segdino", "segdino_quick")
    trained = fit(head, {"a": example(whole=False)}, "cpu")
    with pytest.raises(ChannelsError):
        head.predict(trained, grid_of(DenseExample(example().levels[:3], None)), "cpu")


def test_tensors_and_back():
    head, samples = make_head("segdino", "segdino_quick"), {"a": example(whole=False)}
    trained = fit(head, samples, "cpu")
    again, kept = head.from_tensors(*head.to_tensors(trained, samples))
    grid = grid_of(samples["a"])
    assert torch.equal(
        head.predict(trained, grid, "cpu"), head.predict(again, grid, "cpu")
    )
    assert torch.equal(kept["a"].marks, samples["a"].marks)


def test_training_that_does_not_fit_anywhere_is_told(monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    for head, sample in (("segdino", example(whole=False)), ("mvr", None)):
        if sample is None:
            monkeypatch.setattr(perceptrons, "_loss", full)
            marks = example(whole=False).marks.numpy()
            sample = make_head(head).sample(grid_of(example()), marks, 0)
        else:
            monkeypatch.setattr(Decoder, "forward", full)
        with pytest.raises(InputError, match=f"^Training {head} does not fit into"):
            fit(make_head(head, f"{head}_quick"), {"a": sample}, "cpu")
