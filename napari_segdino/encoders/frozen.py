"""The encoder that runs: a frozen timm network on one device."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from napari_segdino.encoders.base import Encoder, EncoderSpec
from napari_segdino.encoders.device import (
    available_memory,
    free_memory,
    lacks_memory,
    measured_memory,
    resolve_precision,
)
from napari_segdino.encoders.openvino import CompiledLevels, compile_levels
from napari_segdino.errors import InputError

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)
_HALF_MAX = 65504.0

FREE_SHARE = 0.7
"""Of the free memory that a batch may take: heads need some beside it."""

MOST_PLANES = 32
"""Planes encoded at once; more keep no card busier."""


class FrozenEncoder(Encoder):
    """A timm network whose weights never change.

    Parameters
    ----------
    model : torch.nn.Module
        A timm model with ``forward_intermediates``, on the CPU.
    spec : EncoderSpec
        Its row.
    key : str
        Names architecture and weights.
    device : torch.device
        Where it computes.
    precision : {"auto", "float32", "bfloat16", "float16"}
        See :func:`resolve_precision`. The key does not tell precisions apart, since a
        probe learns from either; the cache of features does.

    Attributes
    ----------
    model : torch.nn.Module
        The network, in evaluation mode, without gradients.

    Raises
    ------
    InputError
        The precision is not known, or the device has too little memory.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        spec: EncoderSpec,
        key: str,
        device: torch.device,
        precision: str = "auto",
    ) -> None:
        import torch

        self.spec, self.key, self.device = spec, key, device
        try:
            self.model: Any = model.eval().requires_grad_(False).to(device)
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            raise InputError(
                f"{spec.title} does not fit into the memory of {device}; choose a "
                "smaller encoder or the CPU."
            ) from error
        self.precision = resolve_precision(precision, device, spec.family)
        self._on_cpu: FrozenEncoder | None = None
        # Planes at once and bytes of each, by their size: what ran out of memory once
        # is not tried again.
        self._most: dict[tuple[int, int], int] = {}
        self._each: dict[tuple[int, int], int] = {}
        self._mean = torch.tensor(spec.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(spec.std, device=device).view(1, 3, 1, 1)
        if device.type == "cpu" and spec.family == "cnn":
            # The same sums in another order of memory, a fifth to a third faster.
            self.model.to(memory_format=torch.channels_last)
        self._compiled: CompiledLevels | None = None
        self._compile_tried = False

    def at_once(self, size: tuple[int, int]) -> int:
        """See :meth:`Encoder.at_once`."""
        each = self._each.get(size)
        if self.device.type == "cpu" or each is None:
            return 1
        fit = int(FREE_SHARE * available_memory(self.device)) // max(1, each)
        return max(1, min(fit, self._most.get(size, MOST_PLANES), MOST_PLANES))

    def encode(
        self, batch: torch.Tensor, levels: Sequence[int]
    ) -> tuple[torch.Tensor, ...]:
        """Encode planes; see :meth:`Encoder.encode`.

        When the device's memory runs out, the batch is halved until it fits, which is
        remembered; where one plane alone does not fit, the CPU encodes it.

        Parameters
        ----------
        batch, levels
            See :meth:`Encoder.encode`.

        Raises
        ------
        InputError
            The batch or a level is not as its spec has it, or one plane alone does not
            fit into the memory of the CPU.
        """
        import torch

        self._check(batch, levels)
        parts: list[tuple[torch.Tensor, ...]] = []
        shape = batch.shape[2], batch.shape[3]
        start, size = 0, min(len(batch), self._most.get(shape, len(batch)))
        while start < len(batch):
            if not size:
                parts.append(self._encode_on_cpu(batch[start:], levels))
                break
            part = self._encode_or_none(batch[start : start + size], levels)
            if part is not None:
                parts.append(part)
                start += size
            elif size > 1 or self.device.type != "cpu":
                size //= 2
                self._most[shape] = size
                _LOG.info("memory ran out on %s: batches of %d now", self.device, size)
            else:
                raise InputError(
                    f"A plane of {shape[0]} x {shape[1]} pixels does not "
                    f"fit into the memory of {self.device}: lower the resolution."
                )
        if len(parts) == 1:
            return parts[0]
        return tuple(torch.cat(level) for level in zip(*parts, strict=True))

    def _encode_on_cpu(
        self, batch: torch.Tensor, levels: Sequence[int]
    ) -> tuple[torch.Tensor, ...]:
        """Encode what does not fit into the device's memory."""
        import torch

        if self._on_cpu is None:
            y, x = batch.shape[2:]
            _LOG.warning(
                "A plane of %d x %d pixels does not fit into the memory of %s: the CPU "
                "encodes it.",
                y,
                x,
                self.device,
            )
            cpu = torch.device("cpu")
            # Module.to works in place: without the copy the model itself would go.
            model = copy.deepcopy(self.model).to(cpu)
            self._on_cpu = FrozenEncoder(model, self.spec, self.key, cpu, "float32")
        return self._on_cpu.encode(batch.cpu(), levels)

    def features(
        self, batch: torch.Tensor, levels: Sequence[int]
    ) -> tuple[torch.Tensor, ...]:
        """Encode planes in full precision, in one go, on the device.

        Parameters
        ----------
        batch, levels
            As for :meth:`encode`.

        Returns
        -------
        tuple of torch.Tensor, each (B, D, h, w), float32, on ``device``
            One per level asked for.
        """
        import torch

        height, width = batch.shape[2:]
        multiple = self.spec.multiple
        # torch's pad counts from the last axis: left, right, top, bottom.
        padding = (0, -width % multiple, 0, -height % multiple)
        x = batch.to(self.device, torch.float32)
        # The border is repeated: zeros would be an edge that the image does not have.
        x = torch.nn.functional.pad((x - self._mean) / self._std, padding, "replicate")
        wanted = sorted(set(levels))
        # Not inference_mode: heads train on these tensors.
        # Not asked for where it is off: some versions refuse MPS even so, others warn.
        low = None
        if self.precision != "float32":
            low = torch.autocast(self.device.type, getattr(torch, self.precision))
        with torch.no_grad(), low or nullcontext():
            found = self._intermediates(x, wanted)
        cut = {}
        for level, feature in zip(wanted, found, strict=True):
            stride = self.spec.strides[level]
            rows, columns = -(-height // stride), -(-width // stride)
            cut[level] = feature[:, :, :rows, :columns].float()
        return tuple(cut[level] for level in levels)

    def _intermediates(self, x: torch.Tensor, wanted: list[int]) -> list[torch.Tensor]:
        if (compiled := self._compile(wanted)) is not None:
            return compiled(x, wanted)
        # Without the final norm, blocks before the last are on another scale.
        options: dict[str, Any] = {"norm": True} if self.spec.family == "vit" else {}
        try:
            found: list[torch.Tensor] = self.model.forward_intermediates(
                x,
                indices=wanted,
                intermediates_only=True,
                output_fmt="NCHW",
                stop_early=True,
                **options,
            )
        except AssertionError as error:  # timm's models of one input size
            raise InputError(
                f"{self.spec.name} does not take images of this size: {error}."
            ) from error
        last = len(self.spec.channels) - 1
        if self.spec.family == "convnext" and wanted[-1] == last:
            # DINOv3 norms the last stage; timm keeps that norm in the head.
            found[-1] = self.model.head.norm(found[-1])
        return found

    def _compile(self, wanted: list[int]) -> CompiledLevels | None:
        """Compile a pyramid on the CPU, when all of its levels are first wanted."""
        whole = wanted[-1] == len(self.spec.channels) - 1
        if self.spec.family != "cnn" or self.device.type != "cpu" or not whole:
            return None
        if self.precision != "float32":
            return None
        if not self._compile_tried:
            self._compile_tried = True
            depth = len(self.spec.channels)
            self._compiled = compile_levels(self.model, depth, self.key)
        return self._compiled

    def _encode_or_none(
        self, batch: torch.Tensor, levels: Sequence[int]
    ) -> tuple[torch.Tensor, ...] | None:
        """Encode a batch; None when the memory ran out, and is free again."""
        size = batch.shape[2], batch.shape[3]
        try:
            with measured_memory(self.device) as used:
                found = self.features(batch, levels)
            if used and size not in self._each:
                self._each[size] = used[0] // len(batch)
            return tuple(
                # float16 ends there: an infinite feature would be NaN in every sum.
                level.clamp(-_HALF_MAX, _HALF_MAX).half().cpu().contiguous()
                for level in found
            )
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
        # Out of the except block, so that its frames hold no tensors.
        free_memory(self.device)
        return None

    def _check(self, batch: torch.Tensor, levels: Sequence[int]) -> None:
        if batch.ndim != 4 or batch.shape[1] != 3 or 0 in batch.shape:
            raise InputError(
                f"An encoder takes (B, 3, H, W), not {tuple(batch.shape)}."
            )
        if not levels or any(not 0 <= level < self.spec.depth for level in levels):
            raise InputError(
                f"{self.spec.name} has levels 0 to {self.spec.depth - 1}, not "
                f"{list(levels)}."
            )
