"""Where encoder weights are on this machine, and where they come from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.encoders.builtin import builtin_path
from napari_segdino.encoders.table import encoder_names, get_spec
from napari_segdino.errors import InputError, WeightsError

WEIGHTS_VARIABLE = "NAPARI_SEGDINO_WEIGHTS"
_SAFETENSORS = "model.safetensors"
# Most files of the hub are float32.
_BYTES_PER_PARAMETER = 4


@dataclass(frozen=True, slots=True)
class Source:
    """Where weights are fetched from.

    Parameters
    ----------
    title : str
        What they are, for people.
    repo : str
        Repository on the Hugging Face hub.
    files : tuple of str
        Names in it, the best first.
    stem : str
        File name here, without ending.
    licence, licence_url : str
        Terms of the weights.
    size : int
        About how many bytes; 0 where it is not known.
    """

    title: str
    repo: str
    files: tuple[str, ...]
    stem: str
    licence: str = ""
    licence_url: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class EncoderStatus:
    """An encoder of the table and whether it can be used right away.

    Parameters
    ----------
    spec : EncoderSpec
        Its row.
    path : Path or None
        Its weights on this machine; None where they are not here.
    download_bytes : int
        About how much is downloaded before its first use; 0 when it is here
        or cannot be downloaded.
    licence : str
        Terms of the weights.
    """

    spec: EncoderSpec
    path: Path | None
    download_bytes: int
    licence: str

    @property
    def here(self) -> bool:
        """Whether the weights are on this machine."""
        return self.path is not None


def list_encoders() -> tuple[EncoderStatus, ...]:
    """Return every encoder of the table with its state on this machine.

    Returns
    -------
    tuple of EncoderStatus
        In menu order. Nothing is downloaded or loaded.
    """
    found = []
    for name in encoder_names():
        spec = get_spec(name)
        path = find_weights(spec)
        fetched = path is None and bool(spec.timm_tag)
        size = table_source(spec).size if fetched else 0
        found.append(EncoderStatus(spec, path, size, spec.licence))
    return tuple(found)


def weights_folder() -> Path:
    """Return the folder of this program's weights, which may not exist yet.

    ``NAPARI_SEGDINO_WEIGHTS`` names another than the user's cache folder.
    """
    chosen = os.environ.get(WEIGHTS_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("napari-segdino") / "weights"


def find_weights(spec: EncoderSpec) -> Path | None:
    """Find an encoder's weights on this machine.

    The program's own folder comes first (files fetched before, Meta's
    downloads under their own names, ``<encoder name>.pth`` or
    ``.safetensors``), then the Hugging Face cache.

    Parameters
    ----------
    spec : EncoderSpec
        A row of the table.

    Returns
    -------
    Path or None
        The file, not read yet.
    """
    if spec.bundled:
        return builtin_path()
    stems = [spec.name]
    if spec.timm_tag:
        tag = spec.timm_tag.removeprefix("dinov3_")
        stems = [
            table_source(spec).stem,
            spec.name,
            # Meta's own names, which end in a piece of the checksum.
            f"{spec.name.removesuffix('_sat')}_pretrain_{tag}*",
        ]
    folder = weights_folder()
    for stem in stems:
        for ending in (".safetensors", ".pth", ".bin"):
            for path in sorted(folder.glob(f"{stem}{ending}")):
                if path.is_file():
                    return path
    if not spec.timm_tag:
        return None
    return _find_cached(table_source(spec))


def find_source(source: Source) -> Path | None:
    """Find fetched weights: in the program's folder, or the hub's cache.

    Parameters
    ----------
    source : Source
        Where they are fetched from.

    Returns
    -------
    Path or None
        The file, not read yet.
    """
    for file in source.files:
        path = target_path(source, file)
        if path.is_file():
            return path
    return _find_cached(source)


def _find_cached(source: Source) -> Path | None:
    """Find a source's weights in the Hugging Face cache, without network."""
    from huggingface_hub import constants

    # The rest of the library takes long to import: only where there is something.
    repo = "models--" + source.repo.replace("/", "--")
    if not (Path(constants.HF_HUB_CACHE) / repo).is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    for file in source.files:
        found = try_to_load_from_cache(source.repo, file)
        if isinstance(found, str):
            return Path(found)
    return None


def target_path(source: Source, file: str) -> Path:
    """Return where a source's file is kept here.

    Parameters
    ----------
    source : Source
        Where it is fetched from.
    file : str
        Its name there; only the suffix counts.
    """
    return weights_folder() / f"{source.stem}{Path(file).suffix}"


def table_source(spec: EncoderSpec) -> Source:
    """Return where a row's weights are fetched from.

    Parameters
    ----------
    spec : EncoderSpec
        A row of the table.

    Raises
    ------
    WeightsError
        They are given by their authors only, as a file.
    """
    if not spec.timm_tag:
        place = weights_folder() / f"{spec.name}.pth"
        where = f" from {spec.licence_url}" if spec.licence_url else ""
        raise WeightsError(
            f"{spec.title} is read from its authors' file: get it{where} and give "
            f"its path as the encoder, or save it as {place}."
        )
    full = f"{spec.timm_name}.{spec.timm_tag}"
    return Source(
        spec.title,
        f"{spec.owner}/{full}",
        (_SAFETENSORS,),
        full,
        spec.licence,
        spec.licence_url,
        spec.parameters * _BYTES_PER_PARAMETER,
    )


def timm_source(timm_name: str) -> Source:
    """Return where any timm model's pretrained weights are fetched from.

    Parameters
    ----------
    timm_name : str
        timm's name; without a tag, its default weights.

    Raises
    ------
    InputError
        timm has no such model, or no weights for it on the hub.
    """
    import timm

    architecture = timm_name.partition(".")[0]
    if not timm.is_model(architecture):
        raise InputError(f"timm has no model named {architecture!r}.")
    try:
        config = timm.get_pretrained_cfg(timm_name, allow_unregistered=False)
    except RuntimeError as error:
        raise InputError(f"timm has no weights named {timm_name!r}.") from error
    if config is None or not config.hf_hub_id:
        raise InputError(f"timm's {timm_name} has no weights on the hub.")
    full = f"{architecture}.{config.tag}" if config.tag else architecture
    # timm completes a hub id that ends in a slash by the model's own name.
    repo = f"{config.hf_hub_id}{full}" if config.hf_hub_id[-1] == "/" else None
    files: tuple[str, ...] = (_SAFETENSORS, "pytorch_model.bin")
    if config.hf_hub_filename:
        files = (config.hf_hub_filename, *files)
    repo = repo or config.hf_hub_id
    return Source(
        f"timm {full}",
        repo,
        files,
        full,
        config.license or "",
        f"https://huggingface.co/{repo}",
    )


def row_of_timm(timm_name: str) -> EncoderSpec | None:
    """Return the table's row that a timm name with its tag stands for.

    Parameters
    ----------
    timm_name : str
        Such as ``"vit_small_patch16_dinov3_qkvb.lvd1689m"``.
    """
    architecture, _, tag = timm_name.partition(".")
    # Rows whose weights are not on the hub have no tag, as timm's plain names.
    rows = [get_spec(name) for name in encoder_names()] if tag else []
    named = (
        row for row in rows if (row.timm_name, row.timm_tag) == (architecture, tag)
    )
    return next(named, None)
