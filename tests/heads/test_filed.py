"""What a file claims is compared with what it holds before anything is made of it."""

import pytest
import torch

from napari_segdino.heads.filed import LARGEST, check_count, checked, load_weights


def test_lengths_of_axes_are_noted_and_hold_for_the_next_tensor():
    sizes = {"k": 2}
    found = checked(torch.zeros(3, 2, dtype=torch.float64), torch.float32, "nk", sizes)
    assert (found.dtype, sizes) == (torch.float32, {"k": 2, "n": 3})
    assert checked(torch.zeros(3), torch.float32, "n", sizes).shape == (3,)
    with pytest.raises(ValueError, match=r"\(n\) of .*, not of \(4,\)"):
        checked(torch.zeros(4), torch.float32, "n", sizes)


@pytest.mark.parametrize("dims", ["", "ab", "abc"])
def test_another_number_of_axes_is_refused(dims):
    with pytest.raises(ValueError, match="not of"):
        checked(torch.zeros(2), torch.float32, dims, {})


@pytest.mark.parametrize(
    ("tensor", "dtype", "words"),
    [
        (torch.tensor([1.0]), torch.int64, "not torch.float32"),
        (torch.tensor([1]), torch.float32, "not torch.int64"),
        (torch.tensor([1]), torch.bool, "not torch.int64"),
        (torch.tensor([1j]), torch.float32, "not torch.complex64"),
        (torch.tensor([256]), torch.uint8, "not all of them are torch.uint8"),
        (torch.tensor([-1]), torch.uint8, "not all of them are torch.uint8"),
        (torch.tensor([torch.nan]), torch.float32, "finite"),
        (torch.tensor([-torch.inf]), torch.float32, "finite"),
        (torch.tensor([2 * LARGEST]), torch.float32, "finite"),
        (torch.tensor([1e6]), torch.float16, "finite"),
    ],
)
def test_numbers_that_are_not_of_the_type_are_refused(tensor, dtype, words):
    with pytest.raises(ValueError, match=words):
        checked(tensor, dtype, "a", {})


def test_numbers_that_fit_another_precision_are_taken():
    found = checked(torch.tensor([0, 255]), torch.uint8, "a", {})
    assert (found.dtype, found.tolist()) == (torch.uint8, [0, 255])
    assert checked(torch.zeros(0), torch.float32, "a", {}).shape == (0,)


def layer(n_in, n_out):
    with torch.device("meta"):
        return torch.nn.Linear(n_in, n_out)


def test_a_network_gets_its_weights_and_leaves_others_alone():
    weight, bias = torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])
    made = layer(2, 1)
    file = {"head.weight": weight, "head.bias": bias, "memory.0.marks": torch.zeros(1)}
    load_weights(made, file)
    assert made(torch.tensor([1.0, 1.0])).tolist() == [6.0]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"head.bias": None}, RuntimeError),
        ({"head.more": torch.zeros(1)}, RuntimeError),
        ({"head.bias": torch.zeros(2)}, ValueError),
        ({"head.bias": torch.tensor([torch.nan])}, ValueError),
    ],
)
def test_weights_of_another_network_are_refused(change, error):
    file = {"head.weight": torch.zeros(1, 2), "head.bias": torch.zeros(1)} | change
    file = {name: tensor for name, tensor in file.items() if tensor is not None}
    with pytest.raises(error):
        load_weights(layer(2, 1), file)


def test_a_claim_of_a_huge_network_allocates_nothing():
    huge = layer(10**9, 10**9)
    with pytest.raises(ValueError, match="not of"):
        load_weights(huge, {"head.weight": torch.zeros(1, 1)})
    assert huge.weight.is_meta


def test_every_sample_has_a_key_of_its_own():
    tensors = {"memory.0.marks": torch.zeros(1), "memory.1.marks": torch.zeros(1)}
    assert check_count(tensors | {"probe.weight": torch.zeros(1)}, ["a", "b"]) == [
        "a",
        "b",
    ]
    for keys in (["a"], ["a", "b", "c"], ["a", "a"]):
        with pytest.raises(ValueError, match=f"2 samples have {len(keys)} keys"):
            check_count(tensors, keys)
    for keys in (None, "ab", [1, 2], {"a": 1}):
        with pytest.raises(ValueError, match="no names"):
            check_count(tensors, keys)
