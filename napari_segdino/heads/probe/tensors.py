"""Probes as tensors by name, and back."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from napari_segdino.features.local import COLOUR_FEATURES, COUNT
from napari_segdino.heads.base import Tensors
from napari_segdino.heads.filed import check_count, checked
from napari_segdino.heads.probe.atlas import check_place
from napari_segdino.heads.probe.basis import Basis
from napari_segdino.heads.probe.box_prior import check_table
from napari_segdino.heads.probe.model import KernelProbe, NetworkProbe, Probe
from napari_segdino.heads.probe.samples import Place, Sample
from napari_segdino.schema import check_types

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

LAYOUT: dict[str, tuple[torch.dtype, str]] = {
    "landmarks": (torch.float32, "nj"),
    "weight": (torch.float32, "nk"),
    "present": (torch.bool, "k"),
    "length_scale": (torch.float64, ""),
    "landmark_tiles": (torch.int64, "n"),
    "hidden": (torch.float32, "ejh"),
    "hidden_bias": (torch.float32, "e1h"),
    "output": (torch.float32, "ehk"),
    "output_bias": (torch.float32, "e1k"),
    "centring": (torch.float32, "e"),
}
"""Types and axes of a probe's tensors; one letter, one length."""

SAMPLE_LAYOUT: dict[str, tuple[torch.dtype, str]] = {
    "marks": (torch.uint8, "yx"),
    "features": (torch.float16, "nd"),
    "codes": (torch.uint8, "n"),
    "weights": (torch.float32, "n"),
    "strokes": (torch.int64, "n"),
    "parts": (torch.float32, "n"),
    "context": (torch.float16, "md"),
    "widths": (torch.int64, "b"),
    "image": (torch.int64, ""),
    "boxes": (torch.float32, "ae"),
    "place": (torch.float32, "p"),
}
"""The same of a :class:`Sample`."""

TILE_SHAPE = re.compile(r"\(\d+, '[0-9a-f]+', \((\d+), (\d+), \d+\), ")
"""How a key begins, see :meth:`Extractor.key`."""

LATER = ("parts", "image", "boxes", "place")
"""Fields of a sample that files of earlier versions lack."""

META = {
    "kind": str,
    "stacked": bool,
    "tiles": list[str],
    "images": list[int],
    "strokes": int,
    "before": dict[str, Any],
}

NOT_TENSORS = ("basis", "tiles", "images", "strokes", "previous", "priors", "atlas")
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
        # safetensors refuses tensors that share memory, and the two probes may share a
        # basis.
        named |= {PREVIOUS + name: tensor.clone() for name, tensor in tensors.items()}
    return named, meta


def probe_from_tensors(tensors: Tensors, meta: dict[str, Any]) -> Probe:
    """Undo :func:`probe_to_tensors`; other tensors are left alone.

    Parameters
    ----------
    tensors : dict of str to torch.Tensor
        By name; those of the corrected probe begin with :data:`PREVIOUS`.
    meta : dict
        As :func:`probe_to_tensors` gave it, or read from a file.

    Raises
    ------
    LookupError, TypeError, ValueError
        If something is missing, or not of the type, shape or range that it has.
    """
    check_types(meta, META)
    basis, width = _basis_from(tensors, meta["stacked"])
    kind = KINDS[meta["kind"]]
    sizes = {"j": width, "1": 1}
    values: dict[str, Any] = {}
    if kind is NetworkProbe and _filed("centring") not in tensors:
        # Earlier files have members that take nothing off.
        members = len(tensors[_filed("hidden")])
        tensors = tensors | {_filed("centring"): torch.zeros(members)}
    for name in _tensors_of(kind):
        found = tensors[_filed(name)]
        # Classes without marks have a bias of minus infinity, the only number that may
        # not be finite.
        never = found == -torch.inf if name == "output_bias" else torch.tensor(False)
        made = checked(found.masked_fill(never, 0), *LAYOUT[name], sizes)
        values[name] = made.masked_fill(never, -torch.inf) if never.any() else made
    if kind is KernelProbe:
        values["length_scale"] = float(values["length_scale"])
        values["tiles"] = tuple(meta["tiles"])
        values["images"] = tuple(meta.get("images", ()))
        values["strokes"] = meta.get("strokes", 0)
        _check_kernel(**values)
    if "before" in meta:
        own = {
            name.removeprefix(PREVIOUS): tensor
            for name, tensor in tensors.items()
            if name.startswith(PREVIOUS)
        }
        values["previous"] = probe_from_tensors(own, meta["before"])
    probe: Probe = kind(basis, **values)
    return probe


def _basis_from(tensors: Tensors, stacked: bool) -> tuple[Basis, int]:
    """Return the basis, and how long its vectors are."""
    count = sum(name.startswith("maps.") for name in tensors)
    means, maps, widths = [], [], []
    for i in range(count):
        sizes: dict[str, int] = {}
        means.append(checked(tensors[f"means.{i}"], torch.float32, "d", sizes))
        maps.append(checked(tensors[f"maps.{i}"], torch.float32, "dj", sizes))
        widths.append(sizes["j"])
    missing = _missing_colour(len(means[-1]))
    means[-1], maps[-1] = (_pad_rows(block[-1], missing) for block in (means, maps))
    if not stacked and len(set(widths)) > 1:
        raise ValueError(f"vectors of blocks have lengths {widths}")
    width = sum(widths) if stacked else widths[0]
    return Basis(tuple(means), tuple(maps), stacked), width


def _check_kernel(
    length_scale: float,
    landmark_tiles: torch.Tensor,
    tiles: tuple[str, ...],
    images: tuple[int, ...],
    strokes: int,
    **others: Any,
) -> None:
    """See that numbers are in their range: others give masks without a word."""
    at = landmark_tiles.tolist()
    if not (
        length_scale > 0
        and strokes >= 0
        and all(0 <= i < len(tiles) for i in at)
        and len(images) in (0, len(tiles))
    ):
        raise ValueError("landmarks, tiles and images do not fit")


def samples_to_tensors(samples: Mapping[str, Sample]) -> Tensors:
    """Turn samples into tensors by name; their keys are filed apart, in order.

    Parameters
    ----------
    samples : mapping of str to Sample
        By the key of their tile.
    """
    return {
        f"memory.{i}.{field.name}": tensor
        for i, sample in enumerate(samples.values())
        for field in dataclasses.fields(Sample)
        if (tensor := getattr(sample, field.name)) is not None
    }


def samples_from_tensors(
    tensors: Tensors, keys: Sequence[str], n_classes: int
) -> dict[str, Sample]:
    """Undo :func:`samples_to_tensors`; other tensors are left alone.

    Parameters
    ----------
    tensors : dict of str to torch.Tensor
        By name.
    keys : sequence of str
        Of the samples, in order.
    n_classes : int
        Classes with background; no mark may be higher.

    Raises
    ------
    LookupError, ValueError
        As :func:`probe_from_tensors`.
    """
    samples = {}
    for i, key in enumerate(check_count(tensors, keys)):
        sizes: dict[str, int] = {}
        stored: dict[str, Any] = {
            name: checked(tensors[f"memory.{i}.{name}"], *layout, sizes)
            for name, layout in SAMPLE_LAYOUT.items()
            if name not in LATER or f"memory.{i}.{name}" in tensors
        }
        if "parts" not in stored:
            # Before parts were counted a tile had its strokes to itself.
            stored["parts"] = stored["weights"].new_ones(len(stored["weights"]))
        sample = Sample(**stored)
        widths, codes = sample.widths.tolist(), sample.codes.tolist()
        if min(widths) < 1 or sum(widths) != sizes["d"]:
            raise ValueError(f"blocks of widths {widths} are not {sizes['d']} wide")
        marks = int(sample.marks.max())
        if (told := TILE_SHAPE.match(key)) and sample.marks.shape != tuple(
            map(int, told.groups())
        ):
            raise ValueError(f"marks of {tuple(sample.marks.shape)} are of {key}")
        if min(codes) < 1 or max(marks, *codes) > n_classes:
            raise ValueError(f"marks of {n_classes} classes go up to {marks}")
        if sample.boxes is not None:
            check_table(sample.boxes)
        if sample.place is not None:
            check_place(Place(*sample.place.tolist()))
        samples[key] = sample
    return samples


def with_colour(sample: Sample) -> Sample:
    """Add what earlier files lack: features of colour in grey, which are 0.

    Parameters
    ----------
    sample : Sample
        As read; returned as it is if it lacks nothing.
    """
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
