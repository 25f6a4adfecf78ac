"""DINOv3's ViT from its description, in plain torch, on Meta's tensor names.

Independent of timm and of the package: the yardstick of the parity tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

Tensors = dict[str, torch.Tensor]


def bf16_periods(head_dim: int = 64) -> torch.Tensor:
    """Return the rotary periods as Meta's checkpoints store them."""
    exponents = torch.arange(head_dim // 4) / (head_dim // 4)
    return (100.0**exponents).to(torch.bfloat16)


def random_meta_state(
    width: int = 192,
    depth: int = 12,
    gated: int = 0,
    bias: bool = True,
    seed: int = 0,
    embed_std: float = 0.05,
) -> Tensors:
    """Make a whole checkpoint in Meta's layout, nothing in it trivial.

    ``gated`` is the hidden width of a SwiGLU feed-forward, 0 for the plain one.
    The keys' bias is not zero: Meta's mask makes it so.
    """
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int, std: float = 0.05, mean: float = 0.0) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * std + mean

    state = {
        "cls_token": noise(1, 1, width, std=embed_std),
        "storage_tokens": noise(1, 4, width, std=embed_std),
        "mask_token": noise(1, width),
        "patch_embed.proj.weight": noise(width, 3, 16, 16, std=embed_std),
        "patch_embed.proj.bias": noise(width, std=embed_std),
        "rope_embed.periods": bf16_periods(),
        "norm.weight": noise(width, mean=1.0, std=0.2),
        "norm.bias": noise(width),
    }
    sizes = {"fc1": (4 * width, width), "fc2": (width, 4 * width)}
    if gated:
        sizes = {"w1": (gated, width), "w2": (gated, width), "w3": (width, gated)}
    for index in range(depth):
        block = f"blocks.{index}."
        for norm in ("norm1", "norm2"):
            state[f"{block}{norm}.weight"] = noise(width, mean=1.0, std=0.2)
            state[f"{block}{norm}.bias"] = noise(width)
        state[f"{block}attn.qkv.weight"] = noise(3 * width, width)
        state[f"{block}attn.proj.weight"] = noise(width, width)
        state[f"{block}attn.proj.bias"] = noise(width)
        if bias:
            mask = torch.ones(3 * width)
            mask[width : 2 * width] = 0
            state[f"{block}attn.qkv.bias"] = noise(3 * width, std=0.5)
            state[f"{block}attn.qkv.bias_mask"] = mask
        state[f"{block}ls1.gamma"] = noise(width, mean=0.5, std=0.2)
        state[f"{block}ls2.gamma"] = noise(width, mean=0.5, std=0.2)
        for name, (rows, columns) in sizes.items():
            state[f"{block}mlp.{name}.weight"] = noise(rows, columns)
            state[f"{block}mlp.{name}.bias"] = noise(rows)
    return state


def _rotary(
    rows: int, columns: int, periods: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sine and cosine of every patch: (rows * columns, head_dim)."""
    y = (torch.arange(rows) + 0.5) / rows * 2 - 1
    x = (torch.arange(columns) + 0.5) / columns * 2 - 1
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).reshape(-1, 2)
    angles = (2 * math.pi * grid[:, :, None] / periods.float()).flatten(1)
    angles = torch.cat([angles, angles], dim=1)
    return angles.sin(), angles.cos()


def _turn(tokens: torch.Tensor, sin: torch.Tensor, cos: torch.Tensor) -> torch.Tensor:
    """Rotate the patch tokens; class and register tokens stay."""
    first, patches = tokens[:, :, :5], tokens[:, :, 5:]
    low, high = patches.chunk(2, dim=-1)
    turned = patches * cos + torch.cat([-high, low], dim=-1) * sin
    return torch.cat([first, turned], dim=2)


def _attention(
    x: torch.Tensor, state: Tensors, block: str, angles: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    batch, count, width = x.shape
    bias = state.get(f"{block}attn.qkv.bias")
    if bias is not None:
        bias = bias * state[f"{block}attn.qkv.bias_mask"]
    qkv = functional.linear(x, state[f"{block}attn.qkv.weight"], bias)
    size = 4 * len(state["rope_embed.periods"])
    qkv = qkv.reshape(batch, count, 3, width // size, size).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)
    out = functional.scaled_dot_product_attention(
        _turn(query, *angles), _turn(key, *angles), value
    )
    out = out.transpose(1, 2).reshape(batch, count, width)
    weight, shift = state[f"{block}attn.proj.weight"], state[f"{block}attn.proj.bias"]
    return functional.linear(out, weight, shift)


def _feed_forward(x: torch.Tensor, state: Tensors, block: str) -> torch.Tensor:
    def linear(name: str, value: torch.Tensor) -> torch.Tensor:
        weight = state[f"{block}mlp.{name}.weight"]
        return functional.linear(value, weight, state[f"{block}mlp.{name}.bias"])

    if f"{block}mlp.w1.weight" in state:
        return linear("w3", functional.silu(linear("w1", x)) * linear("w2", x))
    return linear("fc2", functional.gelu(linear("fc1", x)))


@torch.no_grad()
def reference_vit(
    state: Tensors, x: torch.Tensor, blocks: Sequence[int], eps: float = 1e-5
) -> list[torch.Tensor]:
    """Return the normed patch features of some blocks, each (B, D, h, w)."""

    def norm(value: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.layer_norm(value, weight.shape, weight, bias, eps)

    width = state["cls_token"].shape[-1]
    embed, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    patches = functional.conv2d(x, embed, bias, stride=embed.shape[-1])
    rows, columns = patches.shape[2:]
    first = torch.cat([state["cls_token"], state["storage_tokens"]], dim=1)
    tokens = torch.cat(
        [first.expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1
    )
    angles = _rotary(rows, columns, state["rope_embed.periods"])
    found = {}
    for index in range(max(blocks) + 1):
        block = f"blocks.{index}."
        out = _attention(norm(tokens, f"{block}norm1"), state, block, angles)
        tokens = tokens + out * state[f"{block}ls1.gamma"]
        out = _feed_forward(norm(tokens, f"{block}norm2"), state, block)
        tokens = tokens + out * state[f"{block}ls2.gamma"]
        found[index] = norm(tokens, "norm")[:, 5:]
    return [found[i].transpose(1, 2).reshape(-1, width, rows, columns) for i in blocks]


def to_hugging_face(state: Tensors, prefix: str = "") -> Tensors:
    """Rename a checkpoint of Meta's layout to transformers' (``prefix`` on layers)."""
    gated = "blocks.0.mlp.w1.weight" in state
    names = {
        "norm1": "norm1",
        "norm2": "norm2",
        "attn.proj": "attention.o_proj",
        "mlp.fc1": "mlp.up_proj",
        "mlp.fc2": "mlp.down_proj",
        "mlp.w1": "mlp.gate_proj",
        "mlp.w2": "mlp.up_proj",
        "mlp.w3": "mlp.down_proj",
    }
    out = {
        "embeddings.cls_token": state["cls_token"],
        "embeddings.mask_token": state["mask_token"][None],
        "embeddings.register_tokens": state["storage_tokens"],
        "embeddings.patch_embeddings.weight": state["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.bias": state["patch_embed.proj.bias"],
        "norm.weight": state["norm.weight"],
        "norm.bias": state["norm.bias"],
    }
    depth = sum(name.endswith("ls1.gamma") for name in state)
    for index in range(depth):
        block, layer = f"blocks.{index}.", f"{prefix}layer.{index}."
        parts = [p for p in names if p.startswith("mlp.w") == gated or "mlp" not in p]
        for part in parts:
            for kind in ("weight", "bias"):
                out[f"{layer}{names[part]}.{kind}"] = state[f"{block}{part}.{kind}"]
        for number in "12":
            gamma = state[f"{block}ls{number}.gamma"]
            out[f"{layer}layer_scale{number}.lambda1"] = gamma
        weights = state[f"{block}attn.qkv.weight"].chunk(3)
        for part, weight in zip("qkv", weights, strict=True):
            out[f"{layer}attention.{part}_proj.weight"] = weight
        if f"{block}attn.qkv.bias" in state:
            query, _, value = state[f"{block}attn.qkv.bias"].chunk(3)
            out[f"{layer}attention.q_proj.bias"] = query
            out[f"{layer}attention.v_proj.bias"] = value
    return {name: tensor.clone().contiguous() for name, tensor in out.items()}
