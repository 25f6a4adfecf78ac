"""Checkpoint layouts: any publisher's tensor names to timm's, none lost unseen."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_segdino.errors import WeightsError

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

_log = logging.getLogger(__name__)

Rules = tuple[tuple[str, str], ...]

# Only for pre-training, or made anew by the model: safe to leave out.
_UNUSED = re.compile(r"(^|\.)(mask_token|bias_mask|inv_freq)$|^local_cls_norm\.|_3D\.")
_PERIODS = re.compile(r"^rope(_embed)?(_2D)?\.periods$")

# A tensor that every checkpoint of a layout has; what stands before is its prefix.
_ANCHORS = (
    "embeddings.cls_token",
    "cls_token",
    "model.stages.0.downsample_layers.0.weight",
    "stages.0.downsample_layers.0.weight",
    "downsample_layers.0.0.weight",
    "stem.0.weight",
)
NESTED = "/"
"""Parts the name of a table within a checkpoint from those of its tensors."""

_META_VIT: Rules = (
    (r"^storage_tokens$", "reg_token"),
    (r"^patch_embed_2D\.", "patch_embed."),
    (r"\.ls([12])\.gamma$", r".gamma_\1"),
    (r"\.mlp\.w1\.", ".mlp.fc1_g."),
    (r"\.mlp\.w2\.", ".mlp.fc1_x."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)
_HF_VIT: Rules = (
    (r"^(model\.)?layer\.", "blocks."),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.patch_embeddings\.", "patch_embed.proj."),
    (r"\.attention\.o_proj\.", ".attn.proj."),
    (r"\.layer_scale([12])\.lambda1$", r".gamma_\1"),
    (r"\.mlp\.gate_proj\.", ".mlp.fc1_g."),
    (r"\.mlp\.down_proj\.", ".mlp.fc2."),
)
_META_CONVNEXT: Rules = (
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.pwconv([12])\.", r".mlp.fc\1."),
    (r"^norm\.", "head.norm."),
)
_HF_CONVNEXT: Rules = (
    (r"^model\.", ""),
    (r"^stages\.0\.downsample_layers\.", "stem."),
    (r"^stages\.(\d+)\.downsample_layers\.", r"stages.\1.downsample."),
    (r"^stages\.(\d+)\.layers\.", r"stages.\1.blocks."),
    (r"\.depthwise_conv\.", ".conv_dw."),
    (r"\.pointwise_conv([12])\.", r".mlp.fc\1."),
    (r"^layer_norm\.", "head.norm."),
    (r"\.layer_norm\.", ".norm."),
)

FLEXICT = "flexict"
"""Our name for the ViT of FlexiCT, which timm does not have."""

_VITS = {
    (192, 12, False): "vit_tiny_patch16_dinov3",
    (384, 12, False): "vit_small_patch16_dinov3",
    (384, 12, True): "vit_small_plus_patch16_dinov3",
    (768, 12, False): "vit_base_patch16_dinov3",
    (864, 16, False): FLEXICT,
    (1024, 24, False): "vit_large_patch16_dinov3",
    (1280, 32, True): "vit_huge_plus_patch16_dinov3",
    (4096, 40, True): "vit_7b_patch16_dinov3",
}
_CONVNEXTS = {
    (96, 9): "convnext_tiny",
    (96, 27): "convnext_small",
    (128, 27): "convnext_base",
    (192, 27): "convnext_large",
}


@dataclass(frozen=True, slots=True)
class State:
    """A checkpoint in timm's names.

    Parameters
    ----------
    timm_name : str
        The architecture that the tensors are of.
    tensors : dict of torch.Tensor
        Parameters by timm's names.
    periods : torch.Tensor or None
        The rotary embedding's periods, where the file holds them.
    teacher : bool
        The file is a training checkpoint with a ``teacher``, as MedDINOv3's.
    """

    timm_name: str
    tensors: Tensors
    periods: torch.Tensor | None = None
    teacher: bool = False


def convert(tensors: Mapping[str, torch.Tensor]) -> State:
    """Bring a checkpoint of a known layout into timm's names.

    Parameters
    ----------
    tensors : mapping of str to torch.Tensor
        As read from the file: Meta's, Hugging Face transformers', MedDINOv3's
        or timm's names, behind any prefix. Of several encoders the teacher is
        taken, or the moving average; what stands beside the encoder is left.

    Returns
    -------
    State
        Ready to be loaded strictly.

    Raises
    ------
    WeightsError
        The layout or the architecture is not known, or a tensor in the file
        changes the features in a way that timm's model cannot hold.
    """
    prefix = _prefix_of(tensors)
    teacher = "teacher" in prefix or prefix == "backbone."
    found: Tensors = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        # Tensors of a further table are an optimiser's or another network's.
        if name.startswith(prefix) and NESTED not in name.removeprefix(prefix)
    }
    if teacher:
        heads = ("ibot", "dino_head")
        found = {n: t for n, t in found.items() if not any(h in n for h in heads)}
    if "cls_token" in found or "embeddings.cls_token" in found:
        return _convert_vit(found, teacher)
    if any(re.match(r"(model\.)?(stages|downsample_layers)\.0\.", n) for n in found):
        return _convert_convnext(found)
    raise WeightsError("It does not hold a DINOv3 encoder in any layout known here.")


def _prefix_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """Return what stands before the names of the encoder that is meant."""
    found = set()
    for name in tensors:
        for anchor in _ANCHORS:
            before = name.removesuffix(anchor)
            if before != name and (not before or before[-1] in "./"):
                found.add(before)
                break

    def rank(prefix: str) -> tuple[int, int, str]:
        words = ("teacher", "ema", "student")
        order = [i for i, word in enumerate(words) if word in prefix]
        # An encoder that is called nothing comes before a student.
        # Even ranks leave room for the unnamed one: teacher 0, average 2, unnamed 3,
        # student 4.
        return (2 * order[0] if order else 3), len(prefix), prefix

    best = min(found, key=rank, default="")
    others = [p for p in sorted(found - {best}) if rank(p)[0] == rank(best)[0]]
    if others:
        _log.warning(
            "The checkpoint holds several encoders: the one under %r is used, not %s.",
            best,
            " or ".join(map(repr, others)),
        )
    return best


def _rename(tensors: Tensors, rules: Rules) -> Tensors:
    renamed: Tensors = {}
    for name, value in tensors.items():
        new = name
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        # Otherwise the second would silently replace the first.
        if new in renamed:
            raise WeightsError(f"It holds two tensors for {new}.")
        renamed[new] = value
    return renamed


def _convert_vit(tensors: Tensors, teacher: bool) -> State:
    periods = [tensors.pop(n) for n in list(tensors) if _PERIODS.match(n)]
    masks = {n: t for n, t in tensors.items() if n.endswith(".bias_mask")}
    tensors = {n: t for n, t in tensors.items() if not _UNUSED.search(n)}
    if "embeddings.cls_token" in tensors:
        tensors = _join_hf_attention(_rename(tensors, _HF_VIT))
    else:
        tensors = _split_meta_biases(_rename(tensors, _META_VIT), masks)
    embed = tensors.get("patch_embed.proj.weight")
    if embed is not None and embed.shape[1:2] == (1,):
        # A grey image has three equal channels.
        tensors["patch_embed.proj.weight"] = embed.expand(-1, 3, -1, -1) / 3
    if "reg_token" not in tensors:
        raise WeightsError("It has no register tokens, so it is not a DINOv3 encoder.")
    return State(_name_vit(tensors), tensors, periods[0] if periods else None, teacher)


def _join_hf_attention(tensors: Tensors) -> Tensors:
    """Join the three projections; name the two ways of the feed-forward."""
    import torch

    gated = any(".mlp.fc1_g." in name for name in tensors)
    up = ".mlp.fc1_x." if gated else ".mlp.fc1."
    joined: Tensors = {}
    for name, value in tensors.items():
        match = re.fullmatch(r"(.*)\.attention\.([qkv])_proj\.(weight|bias)", name)
        if match is None:
            joined[name.replace(".mlp.up_proj.", up)] = value
            continue
        block, part, kind = match.groups()
        if kind == "bias" and part == "k":
            _refuse_key_bias(value)
        elif kind == "bias":
            joined[f"{block}.attn.{part}_bias"] = value
        elif part == "q":
            names = [f"{block}.attention.{p}_proj.weight" for p in "qkv"]
            if any(n not in tensors for n in names):
                raise WeightsError(f"It lacks a part of {block}'s attention.")
            joined[f"{block}.attn.qkv.weight"] = torch.cat([tensors[n] for n in names])
    return joined


def _split_meta_biases(tensors: Tensors, masks: Tensors) -> Tensors:
    split: Tensors = {}
    for name, value in tensors.items():
        if not name.endswith(".attn.qkv.bias"):
            split[name] = value
            continue
        query, key, values = value.chunk(3)
        mask = masks.get(f"{name}_mask")
        # Meta multiplies by a mask that is 0 on the keys' third, 1 elsewhere.
        if mask is None or bool(mask.chunk(3)[1].any()):
            _refuse_key_bias(key)
        if mask is not None and not bool(
            (mask.chunk(3)[0] == 1).all() and (mask.chunk(3)[2] == 1).all()
        ):
            raise WeightsError("It masks biases of queries or values, not only keys.")
        split[name.replace("qkv.bias", "q_bias")] = query
        split[name.replace("qkv.bias", "v_bias")] = values
    return split


def _refuse_key_bias(bias: torch.Tensor) -> None:
    if bool(bias.any()):
        raise WeightsError("It has a bias on the attention keys, which DINOv3 has not.")


def _name_vit(tensors: Tensors) -> str:
    blocks = {int(m[1]) for n in tensors if (m := re.match(r"blocks\.(\d+)\.", n))}
    width = int(tensors["cls_token"].shape[-1])
    gated = any(".mlp.fc1_g." in name for name in tensors)
    depth = max(blocks, default=-1) + 1
    name = _VITS.get((width, depth, gated))
    if name is None:
        raise WeightsError(
            f"It is a ViT of width {width} with {depth} blocks, which is none of "
            "DINOv3's sizes."
        )
    # timm has one 7B model, without these biases.
    biased = any(n.endswith(".attn.q_bias") for n in tensors)
    return f"{name}_qkvb" if biased and "_7b_" not in name else name


def _convert_convnext(tensors: Tensors) -> State:
    if "downsample_layers.0.0.weight" in tensors:
        tensors = _rename(_drop_second_norm(tensors), _META_CONVNEXT)
    elif "stem.0.weight" not in tensors:
        tensors = _rename(tensors, _HF_CONVNEXT)
    stem = tensors.get("stem.0.weight")
    if stem is None:
        raise WeightsError("It has no first convolution, so it is not whole.")
    # The third stage is the only one whose depth differs between sizes of one width.
    third = {int(m[1]) for n in tensors if (m := re.match(r"stages\.2\.\D+(\d+)", n))}
    size = (int(stem.shape[0]), max(third, default=-1) + 1)
    if size not in _CONVNEXTS:
        raise WeightsError(
            f"It is a ConvNeXt of width {size[0]} with {size[1]} blocks in its third "
            "stage, which is none of DINOv3's sizes."
        )
    return State(_CONVNEXTS[size], tensors)


def _drop_second_norm(tensors: Tensors) -> Tensors:
    """Leave out ``norms.3``, the final norm stored a second time."""
    import torch

    kept: Tensors = {}
    for name, value in tensors.items():
        first = tensors.get(name.replace("norms.3.", "norm.", 1))
        if name.startswith("norms.3.") and first is not None:
            if not torch.equal(first, value):
                raise WeightsError("Its two copies of the final norm differ.")
            continue
        kept[name] = value
    return kept
