import pytest
import torch
from decoders import decoder

from napari_segdino.heads.dense.decoder import Scale
from napari_segdino.heads.dense.segdino_v2 import ScaleAwareBlock, SegDINOv2Decoder


@pytest.mark.parametrize(
    ("depth", "width", "expected"),
    [
        (384, 64, 284_233),
        (384, 128, 928_905),
        (768, 128, 1_125_513),
        (384, 256, 3_299_593),
        (768, 256, 3_692_809),
        (384, 512, 12_366_345),
        (768, 512, 13_152_777),
    ],
)
def test_parameters_are_the_published_ones(depth, width, expected):
    with torch.device("meta"):
        head = SegDINOv2Decoder((depth,) * 4, width=width)
    assert sum(p.numel() for p in head.parameters()) == expected


def test_the_pyramid_is_made_of_tokens_and_levels_alike():
    head = decoder("segdino_v2", (8,) * 4, 2, width=32)
    expected = [(16, 24), (8, 12), (4, 6), (2, 3)]
    tokens = [torch.zeros(1, 8, 2, 3)] * 4
    assert [tuple(m.shape[2:]) for m in head.pyramid(tokens)] == expected
    # strides 4, 8, 16, 32 of 32 x 64 pixels
    levels = [torch.zeros(1, 8, 8 >> i, 16 >> i) for i in range(4)]
    expected = [(16, 32), (8, 16), (4, 8), (2, 4)]
    assert [tuple(m.shape[2:]) for m in head.pyramid(levels)] == expected
    assert head.decode(levels).shape == (1, 1, 16, 32)


def test_blocks_do_nothing_at_first_and_then_something():
    block = ScaleAwareBlock(32)
    x = torch.randn(1, 32, 5, 7)
    assert torch.equal(block(x), x)
    with torch.no_grad():
        next(m for m in block.modules() if isinstance(m, Scale)).gamma.fill_(0.5)
        body = block.body
        expected = x + 0.5 * body[3](body[2](body[1](body[0](x))))
        assert torch.allclose(block(x), expected)
        assert not torch.allclose(block(x), x)


@pytest.mark.parametrize("width", [32, 64, 256])
def test_norms_have_the_groups_of_the_source_and_take_one_cell(width):
    block = ScaleAwareBlock(width)
    assert block.body[2].num_groups == 32
    x = torch.randn(2, width, 3, 5)
    wanted = torch.nn.functional.group_norm(x, 32)
    assert torch.allclose(block.body[2](x), wanted)
    assert torch.isfinite(block(torch.randn(1, width, 1, 1))).all()


def test_the_head_is_affine_until_it_has_learned():
    head = decoder("segdino_v2", (8,) * 4, 2, width=32)
    a, b = ([torch.randn(1, 8, 2, 3) for _ in range(4)] for _ in "ab")
    both = [x + y for x, y in zip(a, b, strict=True)]
    zero = [torch.zeros(1, 8, 2, 3)] * 4

    def gap():
        with torch.no_grad():
            at = [head(x, (32, 48)) for x in (a, b, zero, both)]
        return float((at[0] + at[1] - at[2] - at[3]).abs().max())

    assert gap() < 1e-5
    with torch.no_grad():
        for module in head.modules():
            if isinstance(module, Scale):
                module.gamma.fill_(1)
    assert gap() > 1e-3


def test_gammas_and_all_else_get_gradients():
    head = decoder("segdino_v2", (8,) * 4, 2, width=32)
    with torch.no_grad():
        for module in head.modules():
            if isinstance(module, Scale):
                module.gamma.fill_(0.1)
    levels = [torch.randn(1, 8, 2, 3) for _ in range(4)]
    head(levels, (32, 48)).square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for p in head.parameters())


def test_the_coarsest_level_reaches_the_finest_map():
    head = decoder("segdino_v2", (8,) * 4, 2, width=32)
    levels = [torch.zeros(1, 8, 2, 2) for _ in range(4)]
    with torch.no_grad():
        before = head.decode(levels)
        for i in range(4):
            moved = [level + (j == i) for j, level in enumerate(levels)]
            assert not torch.allclose(head.decode(moved), before)
