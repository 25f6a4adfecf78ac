"""The features are the published models' own, to the last digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from dinov3_reference import (
    Tensors,
    bf16_periods,
    random_meta_state,
    reference_vit,
    to_hugging_face,
)
from safetensors.torch import save_file

from napari_segdino.encoders import (
    FrozenEncoder,
    get_spec,
    load_encoder,
    spec_for_state,
)
from napari_segdino.encoders.dinov3 import load_state
from napari_segdino.encoders.layouts import convert

CPU = torch.device("cpu")
SIZES = [(256, 256), (224, 320), (250, 333)]
BLOCKS = [2, 5, 8, 11]


def encoder_of(state: Tensors, hint: str = "") -> FrozenEncoder:
    converted = convert(state)
    return load_state(converted, spec_for_state(converted, hint), CPU)


def prepared(batch: torch.Tensor, encoder: FrozenEncoder) -> torch.Tensor:
    """Normalise and pad as the reference wants it."""
    mean = torch.tensor(encoder.spec.mean)[:, None, None]
    std = torch.tensor(encoder.spec.std)[:, None, None]
    rows = torch.arange(-(-batch.shape[2] // 16) * 16).clamp(max=batch.shape[2] - 1)
    columns = torch.arange(-(-batch.shape[3] // 16) * 16).clamp(max=batch.shape[3] - 1)
    return ((batch - mean) / std)[:, :, rows][:, :, :, columns]


def worst(got: Any, wanted: Any) -> float:
    pairs = zip(got, wanted, strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


@pytest.fixture(scope="module")
def small() -> tuple[Tensors, FrozenEncoder]:
    state = random_meta_state(width=384)
    return state, encoder_of(state)


@pytest.mark.parametrize("size", SIZES)
def test_meta_vit_s_is_bit_identical(
    small: tuple[Tensors, FrozenEncoder], size: tuple[int, int]
) -> None:
    state, encoder = small
    batch = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    wanted = reference_vit(state, prepared(batch, encoder), BLOCKS)
    got = encoder.features(batch, BLOCKS)
    assert [tuple(level.shape) for level in got] == [
        (1, 384, -(-size[0] // 16), -(-size[1] // 16))
    ] * 4
    assert max(float(level.abs().max()) for level in wanted) > 1
    assert worst(got, wanted) <= 1e-5


def test_parity_notices_what_it_should(small: tuple[Tensors, FrozenEncoder]) -> None:
    """Each trap of the port is further away than the tolerance above."""
    state, encoder = small
    batch = torch.rand(1, 3, 64, 96)
    x = prepared(batch, encoder)
    got = encoder.features(batch, BLOCKS)
    periods = 100.0 ** (torch.arange(16) / 16)
    unrounded = state | {"rope_embed.periods": periods}
    assert worst(got, reference_vit(unrounded, x, BLOCKS)) > 1e-4
    for index in range(12):
        state = state | {f"blocks.{index}.attn.qkv.bias": torch.zeros(3 * 384)}
    assert worst(got, reference_vit(state, x, BLOCKS)) > 0.1


@pytest.mark.parametrize(("width", "gated"), [(192, 0), (384, 1536)])
def test_transformers_vit(width: int, gated: int, tmp_path: Path) -> None:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    state = random_meta_state(width, gated=gated, seed=3)
    config = DINOv3ViTConfig(
        hidden_size=width,
        num_attention_heads=width // 64,
        intermediate_size=gated or 4 * width,
        num_register_tokens=4,
        use_gated_mlp=bool(gated),
        hidden_act="silu" if gated else "gelu",
    )
    theirs = DINOv3ViTModel(config).eval()
    theirs.load_state_dict(to_hugging_face(state, "model."), strict=True)
    theirs.rope_embeddings.inv_freq = 1 / bf16_periods().float()
    theirs.save_pretrained(tmp_path / "theirs")
    encoder = load_encoder(tmp_path / "theirs", "cpu")
    assert isinstance(encoder, FrozenEncoder)
    for size in [(96, 96), (64, 112), (50, 93)]:
        batch = torch.rand(2, 3, *size)
        x = prepared(batch, encoder)
        with torch.no_grad():
            tokens = theirs(x).last_hidden_state[:, 5:]
        wanted = tokens.transpose(1, 2).reshape(
            2, width, x.shape[2] // 16, x.shape[3] // 16
        )
        assert worst(encoder.features(batch, [11]), [wanted]) <= 1e-5


def test_meddino_norms_with_its_own_epsilon() -> None:
    # Faint tokens, so that the epsilon decides.
    state = random_meta_state(768, bias=False, seed=5, embed_std=2e-4)
    for block in range(12):
        for part in (1, 2):
            state[f"blocks.{block}.ls{part}.gamma"] = torch.zeros(768)
    training = {f"backbone.{name}": value for name, value in state.items()}
    training["dino_head.last.weight"] = torch.ones(3)
    training["ibot_head.bias"] = torch.ones(2)
    encoder = encoder_of(training)
    assert encoder.spec.name == "meddinov3_vitb16"
    batch = torch.rand(1, 3, 32, 48)
    x = prepared(batch, encoder)
    got = encoder.features(batch, [2, 11])
    assert worst(got, reference_vit(state, x, [2, 11], eps=1e-6)) <= 1e-5
    assert worst(got, reference_vit(state, x, [2, 11], eps=1e-5)) > 1e-3


def test_meddino_normalises_hounsfield_units_as_its_authors() -> None:
    spec = get_spec("meddinov3_vitb16")
    units = torch.tensor([-1000.0, -400.0, 0.0, 65.1084, 1000.0])
    window = (units + 1000) / 2000
    got = (window - spec.mean[0]) / spec.std[0]
    torch.testing.assert_close(got, (units - 65.1084213256836) / 178.01663208007812)


def test_transformers_convnext(tmp_path: Path) -> None:
    from transformers import DINOv3ConvNextConfig, DINOv3ConvNextModel

    torch.manual_seed(0)
    theirs = DINOv3ConvNextModel(DINOv3ConvNextConfig()).eval()
    with torch.no_grad():
        for name, value in theirs.named_parameters():
            is_norm = "norm" in name and name.endswith("weight")
            scale = 0.5 if name.endswith("gamma") else 0.05
            value.copy_(torch.randn_like(value) * scale + float(is_norm))
    theirs.save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path, "cpu")
    assert isinstance(encoder, FrozenEncoder)
    assert encoder.spec.name == "dinov3_convnext_tiny"
    batch = torch.rand(1, 3, 64, 96)
    x = prepared(batch, encoder)
    with torch.no_grad():
        out = theirs(x, output_hidden_states=True)
    got = encoder.features(batch, [0, 1, 2, 3])
    stages = {h.shape[1]: h for h in out.hidden_states if h.ndim == 4}
    assert worst(got[:3], [stages[width] for width in (96, 192, 384)]) <= 1e-4
    last = out.last_hidden_state[:, 1:].transpose(1, 2).reshape(1, 768, 2, 3)
    assert worst(got[3:], [last]) <= 1e-4
    assert float(last.abs().max()) > 0.1


def test_meta_convnext_is_the_same_model(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(0)
    state = timm.create_model("convnext_tiny", num_classes=0).state_dict()
    save_file(state, tmp_path / "timm.safetensors")
    torch.save(timm_convnext_to_meta(state), tmp_path / "meta.pth")
    ours = [load_encoder(tmp_path / n, "cpu") for n in ("timm.safetensors", "meta.pth")]
    assert ours[0].key == ours[1].key


def timm_convnext_to_meta(state: Tensors) -> Tensors:
    out = {}
    for name, value in state.items():
        if name.startswith("stem."):
            name = name.replace("stem.", "downsample_layers.0.")
        elif ".downsample." in name:
            stage, rest = name.removeprefix("stages.").split(".downsample.")
            name = f"downsample_layers.{stage}.{rest}"
        name = name.replace(".blocks.", ".").replace("conv_dw", "dwconv")
        name = name.replace("mlp.fc", "pwconv").replace("head.norm.", "norm.")
        out[name] = value
        if name.startswith("norm."):
            out[name.replace("norm.", "norms.3.")] = value.clone()
    return out


def test_flexict_is_read_with_its_one_channel_and_cells_of_8_pixels() -> None:
    spec = get_spec("flexict_2d")
    assert "non-commercial" in spec.licence and "non-commercial" in spec.title
    state = random_meta_state(width=864, depth=16, bias=False)
    own = torch.Generator().manual_seed(3)
    state["patch_embed.proj.weight"] = 0.1 * torch.randn(864, 1, 8, 8, generator=own)
    state["rope_embed.periods"] = bf16_periods(72)
    renamed = {
        name.replace("patch_embed.", "patch_embed_2D.").replace(
            "rope_embed.", "rope_embed_2D."
        ): t
        for name, t in state.items()
    }
    renamed["patch_embed_3D.proj.weight"] = torch.zeros(864, 1, 8, 8, 8)
    renamed["rope_embed_3D.periods"] = torch.ones(12)
    encoder = encoder_of({f"backbone.{name}": t for name, t in renamed.items()})
    assert encoder.spec == spec
    grey = torch.rand(1, 1, 40, 56, generator=own)
    wanted = reference_vit(state, (grey - 0.5) / 0.125, [3, 15], eps=1e-6)
    got = encoder.features(grey.expand(-1, 3, -1, -1), [3, 15])
    assert got[0].shape == (1, 864, 5, 7)
    scale = max(float(level.abs().max()) for level in wanted)
    assert worst(got, wanted) < 1e-5 * scale
