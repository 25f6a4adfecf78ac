import math

import pytest
import torch
from decoders import decoder

from napari_segdino.heads.dense.meddino import ChannelNorm, MedDINODecoder
from napari_segdino.heads.registry import head_class, make_head


@pytest.mark.parametrize(
    ("depth", "width", "expected"),
    [
        (768, 0, 25_076_353),  # published: 25.08 M
        (384, 0, 6_271_297),  # published: 6.27 M
        (384, 256, 568_289),
        (768, 256, 961_505),
    ],
)
def test_parameters(depth, width, expected):
    with torch.device("meta"):
        head = MedDINODecoder((depth,) * 4, width=width)
    assert sum(p.numel() for p in head.parameters()) == expected


def test_four_stages_halve_the_channels_and_enlarge_sixteen_times():
    head = decoder("meddino", (16,) * 4, 3)
    widths, x = [], torch.zeros(1, 64, 2, 3)
    for stage in head.stages:
        x = stage(x)
        if isinstance(stage, torch.nn.ConvTranspose2d):
            widths.append(x.shape[1])
    assert widths == [32, 16, 8, 4]
    assert head.decode([torch.zeros(1, 16, 2, 3)] * 4).shape == (1, 3, 32, 48)


def test_a_pyramid_is_brought_to_cells_of_sixteen_pixels():
    head = decoder("meddino", (8, 8, 16, 32), 2)
    levels = [torch.zeros(1, d, 8 >> i, 16 >> i) for i, d in enumerate((8, 8, 16, 32))]
    assert head.decode(levels).shape == (1, 1, 32, 64)


def test_norm_is_over_channels_at_each_position():
    x = torch.randn(2, 6, 3, 4) * 5 + 2
    normed = ChannelNorm(6)(x)
    assert torch.allclose(normed.mean(1), torch.zeros(2, 3, 4), atol=1e-5)
    assert torch.allclose(normed.std(1, correction=0), torch.ones(2, 3, 4), atol=1e-3)


def test_any_sum_of_widths():
    head = decoder("meddino", (3, 5, 7, 2), 2)
    levels = [torch.zeros(1, d, 2, 2) for d in (3, 5, 7, 2)]
    assert head(levels, (32, 32)).shape == (1, 1, 32, 32)


def test_weights_are_drawn_as_published():
    published, quick = head_class("meddino").recipes
    assert published.head_options["he"]
    assert "he" not in quick.head_options, "too few steps to come away from it"
    head = decoder("meddino", (64,) * 4, 2, he=True)
    for module in head.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            assert not module.bias.any()
            weight = module.weight
            fan_in = weight.shape[1] * weight[0, 0].numel()
            wanted = math.sqrt(2 / (1 + 0.01**2) / fan_in)
            assert float(weight.std()) == pytest.approx(wanted, rel=0.25)


def test_two_classes_have_a_logit_each_in_its_recipes_and_one_in_older_files():
    levels = [torch.zeros(1, 8, 2, 2)] * 4
    for recipe in head_class("meddino").recipes:
        assert recipe.head_options["two_logits"]
        assert recipe.clip == 12
        options = recipe.head_options | {"width": 16}
        assert decoder("meddino", (8,) * 4, 2, **options).decode(levels).shape[1] == 2
        assert decoder("meddino", (8,) * 4, 3, **options).decode(levels).shape[1] == 3
    older = make_head("meddino")
    written = decoder("meddino", (8,) * 4, 2, width=16)
    tensors, meta = older.to_tensors(written, {})
    meta["options"] = {"width": 16}
    model, _ = older.from_tensors(tensors, meta)
    assert model.decode(levels).shape[1] == 1
