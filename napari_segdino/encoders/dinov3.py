"""DINOv3's ViTs and ConvNeXts, and any other timm model, loaded strictly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_segdino.encoders.base import IMAGENET_MEAN, IMAGENET_STD, EncoderSpec
from napari_segdino.encoders.frozen import FrozenEncoder
from napari_segdino.encoders.layouts import State
from napari_segdino.errors import InputError, WeightsError

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

_NAMED = 2
_SAMPLES = 4096
_DIGITS = 16
_PROBE_SIDE = 224  # a multiple of 14, 16 and 32


def build_empty(spec: EncoderSpec) -> torch.nn.Module:
    """Build an encoder's network on the meta device: shapes and no memory.

    Parameters
    ----------
    spec : EncoderSpec
        Its row.

    Returns
    -------
    torch.nn.Module
        timm's model without a classifier.
    """
    import timm
    import torch
    from timm.layers import LayerNorm

    options: dict[str, Any] = dict(spec.shape)
    if spec.norm_eps is not None:
        options["norm_layer"] = partial(LayerNorm, eps=spec.norm_eps)
    if not timm.is_model(spec.timm_name):
        raise WeightsError(
            f"These are weights of {spec.timm_name}, which timm does not have."
        )
    # On the meta device: timm would first draw random weights, 27 GB of them for 7B.
    with torch.device("meta"):
        model: torch.nn.Module = timm.create_model(
            spec.timm_name, pretrained=False, num_classes=0, **options
        )
    return model


def load_state(
    state: State,
    spec: EncoderSpec,
    device: torch.device,
    precision: str = "auto",
) -> FrozenEncoder:
    """Make an encoder of a checkpoint's tensors.

    Parameters
    ----------
    state : State
        The checkpoint; every tensor must have its place and every place its
        tensor.
    spec : EncoderSpec
        The row, of the state's architecture.
    device : torch.device
        Where it computes.
    precision : str
        See :class:`FrozenEncoder`.

    Returns
    -------
    FrozenEncoder
        Ready to encode.

    Raises
    ------
    WeightsError
        The tensors do not fit, or are not finite.
    """
    model = build_empty(spec)
    _check_fit(model.state_dict(), state.tensors, spec.name)
    # A copy: the file may be mapped, and may change under us.
    own = {name: _own_copy(tensor) for name, tensor in state.tensors.items()}
    model.load_state_dict(own, strict=True, assign=True)
    _fill_buffers(model)
    _set_periods(model, state.periods, spec)
    return FrozenEncoder(model, spec, make_key(model, spec), device, precision)


def make_key(model: torch.nn.Module, spec: EncoderSpec) -> str:
    """Return ``<architecture>:<weights' fingerprint>`` of a loaded network.

    Parameters
    ----------
    model : torch.nn.Module
        With its weights, on the CPU.
    spec : EncoderSpec
        Its row.
    """
    tensors = dict(model.state_dict())
    periods = getattr(getattr(model, "rope", None), "periods", None)
    if periods is not None:
        # A buffer that is in no state dict, and that changes the features.
        tensors["rope.periods"] = periods
    architecture = spec.timm_name
    if spec.norm_eps is not None:
        architecture += f"/eps={spec.norm_eps:g}"
    # The same weights behind another normalisation give other features.
    if (spec.mean, spec.std) != (IMAGENET_MEAN, IMAGENET_STD):
        architecture += f"/mean={spec.mean[0]:.3g}"
    return f"{architecture}:{fingerprint(tensors)}"


def load_timm(
    timm_name: str,
    tensors: Tensors,
    device: torch.device,
    precision: str = "auto",
) -> FrozenEncoder:
    """Make an encoder of any timm model with ``forward_intermediates``.

    Parameters
    ----------
    timm_name : str
        timm's name, with or without a tag.
    tensors : dict of torch.Tensor
        The pretrained weights as published for timm.
    device, precision
        As for :func:`load_state`.

    Returns
    -------
    FrozenEncoder
        Its row is made up from the model.

    Raises
    ------
    InputError
        timm's model cannot give intermediate features.
    WeightsError
        The tensors do not fit.
    """
    model = _create_timm(timm_name, tensors)
    if not hasattr(model, "forward_intermediates"):
        raise InputError(f"timm's {timm_name} gives no intermediate features.")
    model.eval().requires_grad_(False)
    if "_dinov3" in timm_name:
        _truncate_periods(model)
    spec = _probe_spec(model, timm_name)
    return FrozenEncoder(model, spec, make_key(model, spec), device, precision)


def _create_timm(timm_name: str, tensors: Tensors) -> Any:
    import timm

    biased = any(name.endswith(".attn.qkv.bias") for name in tensors)
    if "storage_tokens" in tensors and biased and "_qkvb" not in timm_name:
        # timm would print a line and drop them.
        raise WeightsError(
            f"The weights hold biases that timm's {timm_name} has no place for; "
            f"use {timm_name.partition('.')[0]}_qkvb."
        )
    # timm then fits its own converters of older names to the tensors.
    overlay = {"state_dict": tensors}
    # Models with position embeddings take one size unless they are told to interpolate;
    # others refuse the option.
    for options in ({"dynamic_img_size": True}, {}):
        try:
            model = timm.create_model(
                timm_name,
                pretrained=True,
                pretrained_cfg_overlay=overlay,
                **options,
            )
            break
        except TypeError:  # a model whose size is free or fixed anyway
            continue
        except RuntimeError as error:
            raise WeightsError(f"The weights do not fit timm's {timm_name}.") from error
    else:
        raise InputError(f"timm cannot build {timm_name}.")
    model.reset_classifier(0)
    return model


def _probe_spec(model: Any, timm_name: str) -> EncoderSpec:
    """Run a model once to see its levels."""
    import torch

    config = model.pretrained_cfg
    side = config["input_size"][-1] if config.get("fixed_input_size") else _PROBE_SIDE
    with torch.no_grad():
        levels = model.forward_intermediates(
            torch.zeros(1, 3, side, side), intermediates_only=True
        )
    strides = tuple(round(side / level.shape[-1]) for level in levels)
    return EncoderSpec(
        name=f"timm:{timm_name}",
        title=f"timm {timm_name}",
        family="vit" if len(set(strides)) == 1 else "cnn",
        timm_name=timm_name.partition(".")[0],
        timm_tag=config.get("tag") or "",
        channels=tuple(int(level.shape[1]) for level in levels),
        strides=strides,
        parameters=sum(p.numel() for p in model.parameters()),
        mean=config["mean"],
        std=config["std"],
        licence=config.get("license") or "see the model's page",
        licence_url=f"https://huggingface.co/{config.get('hf_hub_id') or ''}",
    )


def _own_copy(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.to(dtype, copy=True).contiguous()


def _check_fit(wanted: Tensors, given: Tensors, name: str) -> None:
    missing = sorted(wanted.keys() - given.keys())
    unknown = sorted(given.keys() - wanted.keys())
    shapes = [
        f"{key} is {tuple(given[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in sorted(wanted.keys() & given.keys())
        if given[key].shape != wanted[key].shape
    ]
    faults = [
        f"{len(found)} {what} ({'; '.join(found[:_NAMED])}"
        f"{'; ...' if len(found) > _NAMED else ''})"
        for what, found in (
            ("missing", missing),
            ("not known", unknown),
            ("of another shape", shapes),
        )
        if found
    ]
    if faults:
        raise WeightsError(f"The tensors do not fit {name}: {', '.join(faults)}.")


def _fill_buffers(model: torch.nn.Module) -> None:
    """Make the buffers that no checkpoint holds, which are on meta still."""
    import torch

    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_meta:
                empty = torch.empty_like(buffer, device="cpu")
                module.register_buffer(name, empty, persistent=False)
    for module in model.modules():
        fill = getattr(module, "init_non_persistent_buffers", None)
        if fill is not None:
            fill()


def _set_periods(model: Any, periods: torch.Tensor | None, spec: EncoderSpec) -> None:
    if spec.family != "vit":
        return
    if periods is not None:
        if periods.shape != model.rope.periods.shape:
            raise WeightsError(
                f"The file's rotary periods are {tuple(periods.shape)}, not "
                f"{tuple(model.rope.periods.shape)}."
            )
        model.rope.periods = periods.float().clone()
    elif "_dinov3" in spec.timm_name:
        _truncate_periods(model)


def _truncate_periods(model: Any) -> None:
    """Round to bfloat16, as Meta's checkpoints store them; timm does not."""
    import torch

    model.rope.periods = model.rope.periods.to(torch.bfloat16).float()


def fingerprint(tensors: Mapping[str, torch.Tensor]) -> str:
    """Name a set of tensors by what they hold.

    Every element counts, through the exact integer sum of the bit patterns,
    and up to 4096 evenly spaced elements of each tensor are hashed with its
    name and shape: one pass at the speed of memory, no 27 GB of SHA-256. It
    tells models apart; it is no defence against a forger.

    Parameters
    ----------
    tensors : mapping of str to torch.Tensor
        Parameters and buffers, on the CPU.

    Returns
    -------
    str
        16 hexadecimal digits; the same on every machine.

    Raises
    ------
    WeightsError
        A tensor holds NaN or infinity, so its features would mean nothing.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        if tensor.is_floating_point():
            tensor = tensor.float()
            if not bool(torch.isfinite(tensor).all()):
                raise WeightsError(
                    f"The weights are damaged: {name} holds NaN or infinity."
                )
            # Bits and not values: sums of floats depend on their order, and so on the
            # machine.
            tensor = tensor.view(torch.int32)
        flat = tensor.reshape(-1)
        digest.update(str(int(flat.sum(dtype=torch.int64))).encode())
        step = max(1, -(-flat.numel() // _SAMPLES))
        digest.update(flat[::step].contiguous().numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]
