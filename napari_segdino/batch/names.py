"""Which of many files are images, and what their masks are called."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from napari_segdino.batch.record import Made, Record, Wanted, measure_image, seen_from


def masks_among(paths: Iterable[Path]) -> dict[Path, str]:
    """Find masks that are named after an image beside them.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Images, and masks perhaps.

    Returns
    -------
    dict of pathlib.Path to str
        By mask, the name of its image.
    """
    from napari_segdino.io.pairs import is_mask_name, key_of, stem_of

    paths = list(paths)
    images = {(path.parent, stem_of(path)): path.name for path in reversed(paths)}
    found = ((p, images.get((p.parent, key_of(p)))) for p in paths if is_mask_name(p))
    return {path: image for path, image in found if image is not None}


def name_images(
    paths: Sequence[Path], folder: Path, series: str, record: Record
) -> dict[Path, str]:
    """Find a name for each image, so that no two masks have the same.

    An image whose mask the record knows keeps that name.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        The images.
    folder : pathlib.Path
        Where masks go.
    series : str
        Which one of several in each image.
    record : Record
        Of the folder.

    Returns
    -------
    dict of pathlib.Path to str
        Names of files, as :attr:`~napari_segdino.batch.Job.name`.
    """
    owners = {_stem(Path(made.mask)): made for made in record.lines}
    sources = {made.image for made in record.lines}
    before = sorted(paths, key=lambda path: seen_from(folder, path) not in sources)
    ambiguous = _same_stem(paths)
    taken: set[str] = set()
    names: dict[Path, str] = {}
    for path in before:
        for name in _candidates(path, path in ambiguous):
            stem = _mask_stem(name, series)
            owner = owners.get(stem)
            if stem in taken or (owner and not _owns(path, folder, owner)):
                continue
            taken.add(stem)
            names[path] = name
            break
    return names


def _owns(path: Path, folder: Path, made: Made) -> bool:
    """Whether a mask was made from the image at `path`."""
    seen = seen_from(folder, path)
    if seen == made.image:
        return True
    if path.name != Path(made.image).name:
        return False
    return Wanted(seen, *measure_image(path), "", "", "").is_image_of(made)


def _same_stem(paths: Iterable[Path]) -> set[Path]:
    """Images beside which there is one that differs in its suffix alone."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        groups.setdefault((path.parent, _stem(path)), []).append(path)
    return {path for group in groups.values() if len(group) > 1 for path in group}


def _candidates(path: Path, ambiguous: bool) -> Iterator[str]:
    """Names for an image: its own, with its suffix, its folders, a number."""
    from napari_segdino.files import split_suffix

    stem, suffix = split_suffix(path)
    yield path.name
    if ambiguous and suffix:
        yield f"{stem}_{suffix[1:]}{suffix}"
    name = path.name
    for parent in path.parents:
        if parent.name:
            name = f"{parent.name}_{name}"
            yield name
    for number in itertools.count(2):
        yield f"{stem}_{number}{suffix}"


def _mask_stem(name: str, series: str) -> str:
    from napari_segdino.io.pairs import mask_name

    return _stem(Path(mask_name(Path(name), ".tif", series)))


def _stem(path: Path) -> str:
    """Stem without capitals, which not all file systems tell apart."""
    from napari_segdino.io.pairs import stem_of

    return stem_of(path).casefold()
