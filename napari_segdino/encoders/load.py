"""Get an encoder by name: find its weights or fetch them, and load them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_segdino.encoders.base import Encoder, EncoderSpec
from napari_segdino.encoders.builtin import load_builtin
from napari_segdino.encoders.checkpoint import (
    read_checkpoint,
    read_tensors,
    spec_for_state,
)
from napari_segdino.encoders.device import PRECISIONS, resolve_device
from napari_segdino.encoders.dinov3 import load_state, load_timm
from napari_segdino.encoders.download import iter_fetch
from napari_segdino.encoders.layouts import NESTED
from napari_segdino.encoders.table import encoder_names, get_spec
from napari_segdino.encoders.weights import (
    Source,
    find_source,
    find_weights,
    row_of_timm,
    table_source,
    timm_source,
)
from napari_segdino.errors import InputError, WeightsError, unknown_name
from napari_segdino.progress import Progress, Steps, drive

_TIMM = "timm:"


def load_encoder(
    name: str | Path, device: str = "auto", precision: str = "auto"
) -> Encoder:
    """Load an encoder, downloading its weights where they are not here yet.

    Parameters
    ----------
    name : str or Path
        A name of the table, ``"timm:<model name>"``, or the path of a
        checkpoint file, whose architecture is recognised from its tensors.
    device : {"auto", "cpu", "cuda", "mps"}
        Where it computes.
    precision : {"auto", "float32", "bfloat16", "float16"}
        See :func:`napari_segdino.encoders.device.resolve_precision`.

    Returns
    -------
    Encoder
        Frozen and in evaluation mode.

    Raises
    ------
    InputError
        There is no such encoder or device.
    WeightsError
        The weights cannot be found, fetched, read or matched.

    Examples
    --------
    >>> import torch
    >>> from napari_segdino.encoders import load_encoder
    >>> encoder = load_encoder("efficientnet_lite0", "cpu")
    >>> batch = torch.rand(1, 3, 64, 96)
    >>> [level.shape for level in encoder.encode(batch, [1, 3])]
    [torch.Size([1, 24, 16, 24]), torch.Size([1, 112, 4, 6])]
    """
    return drive(iter_load_encoder(name, device, precision))


def iter_load_encoder(
    name: str | Path, device: str = "auto", precision: str = "auto"
) -> Steps[Encoder]:
    """Load an encoder step by step; see :func:`load_encoder`.

    Parameters
    ----------
    name, device, precision
        As for :func:`load_encoder`.

    Yields
    ------
    Progress
        Downloading (in bytes), checking and reading.

    Returns
    -------
    Encoder
        Frozen and in evaluation mode.
    """
    if precision not in PRECISIONS:
        raise InputError(unknown_name("precision", precision, PRECISIONS))
    text = str(name)
    if text in encoder_names():
        return (yield from _iter_row(get_spec(text), device, precision))
    if text.startswith(_TIMM):
        model = text.removeprefix(_TIMM)
        row = row_of_timm(model)
        if row is not None:
            return (yield from _iter_row(row, device, precision))
        return (yield from _iter_timm(model, device, precision))
    path = Path(text).expanduser()
    if path.exists():
        yield Progress(0, 1, f"Reading {path.name}")
        return _load_file(path, None, device, precision)
    if isinstance(name, Path) or path.suffix or len(path.parts) > 1:
        raise WeightsError(f"There is no file {path}.")
    get_spec(text)  # says which names there are
    # get_spec has raised: the name is not in the table.
    raise AssertionError(text)


def missing_source(name: str) -> Source | None:
    """Return what loading an encoder would download.

    Parameters
    ----------
    name : str
        As for :func:`load_encoder`.

    Returns
    -------
    Source or None
        None where it is on this machine, or is a file.

    Raises
    ------
    InputError, WeightsError
        timm has no such model, or its authors' file has to be got by hand.
    """
    row = get_spec(name) if name in encoder_names() else None
    if name.startswith(_TIMM):
        row = row_of_timm(name.removeprefix(_TIMM))
        if row is None:
            source = timm_source(name.removeprefix(_TIMM))
            return None if find_source(source) else source
    if row is None or find_weights(row) is not None:
        return None
    return table_source(row)


def _iter_row(spec: EncoderSpec, device: str, precision: str) -> Steps[Encoder]:
    where = resolve_device(device)
    if spec.bundled:
        yield Progress(0, 1, f"Reading {spec.title}")
        return load_builtin(where, precision)
    path = find_weights(spec)
    if path is None:
        path = yield from iter_fetch(table_source(spec))
    yield Progress(0, 1, f"Reading {spec.title}")
    return _load_file(path, spec, device, precision)


def _iter_timm(model: str, device: str, precision: str) -> Steps[Encoder]:
    where = resolve_device(device)
    source = timm_source(model)
    path = find_source(source)
    if path is None:
        path = yield from iter_fetch(source)
    yield Progress(0, 1, f"Reading {source.title}")
    # timm's converters expect bare names.
    tensors = {
        name.rpartition(NESTED)[2]: tensor
        for name, tensor in read_tensors(path).items()
    }
    return load_timm(source.stem, tensors, where, precision)


def _load_file(
    path: Path, wanted: EncoderSpec | None, device: str, precision: str
) -> Encoder:
    where = resolve_device(device)
    state = read_checkpoint(path)
    spec = spec_for_state(state, wanted.name if wanted is not None else path)
    if wanted is not None:
        spec = _match(wanted, spec, path)
    try:
        return load_state(state, spec, where, precision)
    except WeightsError as error:
        raise WeightsError(f"{path.name} cannot be used: {error}") from error


def _match(wanted: EncoderSpec, found: EncoderSpec, path: Path) -> EncoderSpec:
    """Return the wanted row as the file has it, biases left out or not."""
    timm_name = found.timm_name
    plain = wanted.timm_name.removesuffix("_qkvb")
    if timm_name.removesuffix("_qkvb") != plain:
        raise WeightsError(f"{path.name} holds {found.title}, not {wanted.title}.")
    return replace(wanted, timm_name=timm_name, parameters=found.parameters)
