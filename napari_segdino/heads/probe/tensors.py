"""Probes as tensors by name, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from napari_segdino.features.local import COLOUR_FEATURES, COUNT
from napari_segdino.heads.base import Tensors
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.model import KernelProbe, NetworkProbe, Probe
from napari_segdino.heads.probe.samples import Sample

# Names in files are those of the first version, whatever fields are called now.
PREVIOUS = "before."
"""Names of what belongs to the probe that was corrected begin so."""

FILED_AS = {
    "landmarks": "units",
    "length_scale": "length",
    "landmark_tiles": "own",
}

KINDS: dict[str, Any] = {
    "RadialProbe": KernelProbe,
    "NetworkProbe": NetworkProbe,
    "KernelProbe": KernelProbe,
}

NOT_TENSORS = ("basis", "tiles", "images", "strokes", "previous")
"""Fields of a probe that are filed apart."""


def probe_to_tensors(probe: Probe) -> tuple[Tensors, dict[str, Any]]:
    """Turn a probe into tensors by name, and what JSON can hold.

    Parameters
    ----------
    probe : KernelProbe or NetworkProbe
        Its :attr:`KernelProbe.previous` goes along.

    Returns
    -------
    tensors : dict of str to torch.Tensor
    meta : dict
    """
    meta: dict[str, Any] = {
        "kind": next(name for name, kind in KINDS.items() if type(probe) is kind),
        "stacked": probe.basis.stacked,
        "tiles": list(getattr(probe, "tiles", ())),
        "images": list(getattr(probe, "images", ())),
        "strokes": getattr(probe, "strokes", 0),
    }
    fields = _tensors_of(type(probe))
    named = {_filed(name): _tensor(getattr(probe, name)) for name in fields}
    for name in ("means", "maps"):
        for i, tensor in enumerate(getattr(probe.basis, name)):
            named[f"{name}.{i}"] = tensor
    previous = getattr(probe, "previous", None)
    if previous is not None:
        tensors, meta["before"] = probe_to_tensors(previous)
        named |= {PREVIOUS + name: tensor.clone() for name, tensor in tensors.items()}
    return named, meta


def probe_from_tensors(tensors: Tensors, meta: dict[str, Any]) -> Probe:
    """Undo :func:`probe_to_tensors`; other tensors are left alone."""
    count = sum(name.startswith("maps.") for name in tensors)
    means, maps = (
        [tensors[f"{name}.{i}"] for i in range(count)] for name in ("means", "maps")
    )
    missing = _missing_colour(len(means[-1]))
    means[-1], maps[-1] = (_pad_rows(block[-1], missing) for block in (means, maps))
    kind = KINDS[meta["kind"]]
    values: dict[str, Any] = {n: tensors[_filed(n)] for n in _tensors_of(kind)}
    if kind is KernelProbe:
        values["length_scale"] = float(values["length_scale"])
        values["tiles"] = tuple(meta["tiles"])
        values["images"] = tuple(meta.get("images", ()))
        values["strokes"] = int(meta.get("strokes", 0))
    if "before" in meta:
        own = {
            name.removeprefix(PREVIOUS): tensor
            for name, tensor in tensors.items()
            if name.startswith(PREVIOUS)
        }
        values["previous"] = probe_from_tensors(own, meta["before"])
    probe: Probe = kind(Basis(tuple(means), tuple(maps), meta["stacked"]), **values)
    return probe


def samples_to_tensors(samples: Mapping[str, Sample]) -> Tensors:
    """Turn samples into tensors by name; their keys are filed apart, in order."""
    return {
        f"memory.{i}.{field.name}": tensor
        for i, sample in enumerate(samples.values())
        for field in dataclasses.fields(Sample)
        if (tensor := getattr(sample, field.name)) is not None
    }


def samples_from_tensors(tensors: Tensors, keys: Sequence[str]) -> dict[str, Sample]:
    """Undo :func:`samples_to_tensors`; other tensors are left alone."""
    fields = [field.name for field in dataclasses.fields(Sample)]
    samples = {}
    for i, key in enumerate(keys):
        stored: dict[str, Any] = {f: tensors.get(f"memory.{i}.{f}") for f in fields}
        if stored["parts"] is None:  # a file of before they were known
            stored["parts"] = stored["weights"].new_ones(len(stored["weights"]))
        samples[key] = Sample(**stored)
    return samples


def with_colour(sample: Sample) -> Sample:
    """Add what earlier files lack: features of colour in grey, which are 0."""
    missing = _missing_colour(int(sample.widths[-1]))
    if not missing:
        return sample
    widths = sample.widths.clone()
    widths[-1] += missing
    padded = {
        name: _pad_rows(getattr(sample, name).T, missing).T.contiguous()
        for name in ("features", "context")
    }
    return dataclasses.replace(sample, widths=widths, **padded)


def _missing_colour(width: int) -> int:
    """How many local features a file lacks: earlier ones had none of colour in grey."""
    return COUNT - width if width == COUNT - COLOUR_FEATURES else 0


def _pad_rows(tensor: torch.Tensor, count: int) -> torch.Tensor:
    """Add so many rows of zeros."""
    return torch.cat([tensor, tensor.new_zeros(count, *tensor.shape[1:])])


def _filed(field: str) -> str:
    """Return what a field is called in a file."""
    return f"probe.{FILED_AS.get(field, field)}"


def _tensors_of(kind: Any) -> list[str]:
    """Fields of a probe that are tensors, or numbers kept as such."""
    names = [field.name for field in dataclasses.fields(kind)]
    return [name for name in names if name not in NOT_TENSORS]


def _tensor(value: Any) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float64 if np.isscalar(value) else None)
