import itertools

import pytest
import torch
from decoders import DENSE, decoder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from napari_segdino.encoders.table import encoder_names, get_spec
from napari_segdino.errors import InputError
from napari_segdino.heads.dense.decoder import levels_of, probabilities, resize
from napari_segdino.heads.dense.segdino import SegDINODecoder
from napari_segdino.heads.registry import head_class

SMALL = {
    "segdino": {},
    "segdino_v2": {"width": 32},
    "meddino": {"width": 16},
}


def count(head):
    return sum(p.numel() for p in head.parameters())


@pytest.mark.parametrize(
    ("depth", "upsample_first", "expected"),
    [
        (384, False, 2_213_793),
        (768, False, 2_766_753),
        (384, True, 2_475_937),
        (768, True, 3_028_897),
    ],
)
def test_parameters_are_the_published_ones(depth, upsample_first, expected):
    assert (
        count(SegDINODecoder((depth,) * 4, upsample_first=upsample_first)) == expected
    )


def test_several_classes_have_a_logit_each():
    head = SegDINODecoder((8,) * 4, 3)
    assert head.n_logits == 3
    scores = head([torch.zeros(2, 8, 3, 5) for _ in range(4)], (48, 80))
    assert scores.shape == (2, 3, 48, 80)


@pytest.mark.parametrize("upsample_first", [False, True])
def test_the_released_head_is_affine_and_gelu_is_not(upsample_first):
    g = torch.Generator().manual_seed(0)
    a, b = ([torch.randn(1, 8, 4, 6, generator=g) for _ in range(4)] for _ in "ab")
    zero = [torch.zeros(1, 8, 4, 6)] * 4
    both = [x + y for x, y in zip(a, b, strict=True)]

    def gap(activation):
        head = decoder(
            "segdino", (8,) * 4, 2, upsample_first=upsample_first, activation=activation
        )
        with torch.no_grad():
            at = [head(x, (64, 96)) for x in (a, b, zero, both)]
        return float((at[0] + at[1] - at[2] - at[3]).abs().max())

    assert gap("none") < 1e-5
    assert gap("gelu") > 1e-3


def test_the_transposed_convolution_works_at_a_quarter():
    head = decoder("segdino", (8,) * 4, 2, upsample_first=True)
    tokens = [torch.ones(1, 8, 4, 6)] * 4
    assert head.decode(tokens).shape == (1, 1, 16, 24)
    plain = decoder("segdino", (8,) * 4, 2)
    assert plain.decode(tokens).shape == (1, 1, 4, 6)
    pyramid = [torch.ones(1, 8, 16 // 2**i, 24 // 2**i) for i in range(4)]
    assert head.decode(pyramid).shape == plain.decode(pyramid).shape == (1, 1, 16, 24)


def test_corners_are_aligned():
    head = decoder("segdino", (8,) * 4, 2)
    g = torch.Generator().manual_seed(1)
    tokens = [torch.randn(1, 8, 3, 4, generator=g) for _ in range(4)]
    with torch.no_grad():
        coarse, fine = head.decode(tokens), head(tokens, (31, 41))
    for y, x in itertools.product((0, -1), (0, -1)):
        assert torch.isclose(coarse[0, 0, y, x], fine[0, 0, y, x])


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("n_classes", [2, 3])
@settings(max_examples=5, deadline=None)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    cells=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    is_vit=st.booleans(),
    batch=st.integers(1, 2),
)
@example(size=(1, 1), cells=(1, 1), is_vit=True, batch=1)
def test_any_size_of_any_family(name, n_classes, size, cells, is_vit, batch):
    channels = (16,) * 4 if is_vit else (8, 12, 16, 24)
    scales = (1,) * 4 if is_vit else (8, 4, 2, 1)
    levels = [
        torch.randn(batch, d, cells[0] * s, cells[1] * s)
        for d, s in zip(channels, scales, strict=True)
    ]
    head = decoder(name, channels, n_classes, **SMALL[name])
    with torch.no_grad():
        scores = head([level.half() for level in levels], size)
    assert scores.shape == (batch, 1 if n_classes == 2 else 3, *size)
    assert scores.dtype == torch.float32
    assert scores.isfinite().all()


@pytest.mark.parametrize("name", DENSE)
def test_every_encoder_of_the_table_has_a_head(name):
    for spec in {get_spec(e).channels: get_spec(e) for e in encoder_names()}.values():
        levels = levels_of(spec)
        with torch.device("meta"):
            head = head_class(name).decoder([spec.channels[i] for i in levels])
            strides = [spec.strides[i] for i in levels]
            maps = [
                torch.empty(1, spec.channels[i], 64 // s, 96 // s)
                for i, s in zip(levels, strides, strict=True)
            ]
            assert head(maps, (64, 96)).shape == (1, 1, 64, 96)


@pytest.mark.parametrize(
    ("encoder", "expected"),
    [
        ("dinov3_vits16", (2, 5, 8, 11)),
        ("dinov3_vitl16", (4, 11, 17, 23)),
        ("dinov3_vith16plus", (7, 15, 23, 31)),
        ("dinov3_vit7b16", (9, 19, 29, 39)),
        ("dinov3_convnext_tiny", (0, 1, 2, 3)),
        ("efficientnet_lite0", (1, 2, 3, 4)),
    ],
)
def test_levels(encoder, expected):
    assert levels_of(get_spec(encoder)) == expected


def test_one_logit_gives_two_probabilities():
    p = probabilities(
        torch.tensor([0.0, torch.log(torch.tensor(3.0)), -200.0, 200.0])[
            None, None, None
        ]
    )
    assert p.shape == (1, 2, 1, 4)
    assert torch.allclose(p[0, 1, 0], torch.tensor([0.5, 0.75, 0.0, 1.0]))
    assert torch.allclose(p[0, 0, 0], torch.tensor([0.5, 0.25, 1.0, 0.0]))


def test_several_logits_give_a_softmax():
    p = probabilities(torch.tensor([1.0, 2.0, 5.0]).log()[None, :, None, None])
    assert torch.allclose(p.flatten(), torch.tensor([0.125, 0.25, 0.625]))


def test_shrinking_averages():
    checks = torch.tensor([0.0, 1.0]).repeat(8)[None, None, None].expand(1, 1, 16, 16)
    small = resize(checks, (4, 4), align_corners=True)
    assert (small - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("name", DENSE)
def test_a_seed_makes_a_head_and_leaves_torch_alone(name):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (
        decoder(name, (16,) * 4, 2, seed, **SMALL[name]) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(3), expected)
    pairs = zip(first.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(first.classify.weight, other.classify.weight)
    assert all(p.isfinite().all() for p in first.parameters())


@pytest.mark.parametrize("name", DENSE)
def test_weights_are_drawn_as_torch_draws_them(name):
    options = SMALL[name]
    ours = decoder(name, (64,) * 4, 2, 0, **options)
    torch.manual_seed(0)
    theirs = head_class(name).decoder((64,) * 4, 2, **options)
    for (key, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert a.shape == b.shape
        if a.numel() > 500:
            assert torch.isclose(a.std(), b.std(), rtol=0.15), key


@pytest.mark.parametrize("name", DENSE)
def test_options_make_the_same_head_again(name):
    head = decoder(name, (32,) * 4, 3, **SMALL[name])
    again = decoder(name, head.channels, head.n_classes, 7, **head.options)
    again.load_state_dict(head.state_dict())
    levels = [torch.randn(1, 32, 2, 2)] * 4
    with torch.no_grad():
        assert torch.equal(head(levels, (9, 9)), again(levels, (9, 9)))


def test_standardised_levels():
    head = decoder("segdino", (4,) * 4, 2)
    levels = [torch.randn(1, 4, 3, 3) for _ in range(4)]
    with torch.no_grad():
        expected = head([2 * (level - 1) for level in levels], (5, 5))
        head.set_standardisation([torch.ones(4)] * 4, [torch.full((4,), 2.0)] * 4)
        assert torch.allclose(head(levels, (5, 5)), expected, atol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: decoder("segdino", (8,) * 4, 1),
        lambda: decoder("segdino", (8,) * 5, 2),
        lambda: decoder("segdino", (), 2),
        lambda: decoder("segdino", (8,) * 4, 2, activation="relu"),
        lambda: decoder("segdino", (8,) * 4, 2, width=64),
        lambda: decoder("segdino_v2", (8,) * 4, 2, width=40),
        lambda: decoder("segdino_v2", (8,) * 4, 2, width=0),
        lambda: decoder("meddino", (8,) * 4, 2, width=8),
        lambda: SegDINODecoder((8,) * 4)([torch.zeros(1, 9, 2, 2)] * 4, (4, 4)),
        lambda: SegDINODecoder((8,) * 4)([torch.zeros(1, 8, 2, 2)] * 3, (4, 4)),
    ],
)
def test_what_cannot_be_made_is_refused(make):
    with pytest.raises(InputError):
        make()
