"""Spacing, units and names of channels that a TIFF tells: OME's, ImageJ's, plain."""

from __future__ import annotations

from typing import Any

from napari_segdino.io.scan import PIXEL

UNITS = {
    "µm": "um",
    "μm": "um",
    "\\u00b5m": "um",
    "micron": "um",
    "microns": "um",
    "micrometer": "um",
    "pixels": PIXEL,
    "": PIXEL,
    "sec": "s",
}
"""Spellings met in files, and the one used here."""

KNOWN_UNITS = {"nm", "um", "mm", "cm", "m", "inch", "s", "ms", "min", "Å", PIXEL}

Steps = dict[str, tuple[float, str]]
"""Spacing and unit by axis letter."""


def plain_unit(unit: str) -> str:
    """Spell a unit as pint and napari do; ``"pixel"`` if it is not known.

    Parameters
    ----------
    unit : str
        As a file has it.
    """
    small = UNITS.get(unit.strip().lower(), unit.strip())
    return small if small in KNOWN_UNITS else PIXEL


def _ome_image(tif: Any, index: int) -> dict[str, Any]:
    """OME's description of one image, as dictionaries."""
    import tifffile

    images = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]
    images = images if isinstance(images, list) else [images]
    found: dict[str, Any] = images[index]
    return found


def _ome_steps(pixels: dict[str, Any]) -> Steps:
    steps: Steps = {}
    for axis in "ZYX":
        size = pixels.get(f"PhysicalSize{axis}")
        if size:
            unit = plain_unit(str(pixels.get(f"PhysicalSize{axis}Unit", "um")))
            steps[axis] = (float(size), unit)
    if pixels.get("TimeIncrement"):
        unit = plain_unit(str(pixels.get("TimeIncrementUnit", "s")))
        steps["T"] = (float(pixels["TimeIncrement"]), unit)
    return steps


def _ome_channels(pixels: dict[str, Any]) -> tuple[str, ...]:
    channels = pixels.get("Channel", [])
    channels = channels if isinstance(channels, list) else [channels]
    names = tuple(str(channel.get("Name", "")) for channel in channels)
    return names if all(names) else ()


def _page_steps(page: Any, unit: str) -> Steps:
    """Spacing in the plane from the resolution tags.

    ImageJ's unit counts where there is one; without it only centimetres are
    believed, as inches mostly are a printer's default of 72 dots.
    """
    x, y = page.resolution
    if not (x > 0 and y > 0):
        return {}
    if unit != PIXEL:
        return {"X": (1 / x, unit), "Y": (1 / y, unit)}
    if int(page.resolutionunit) == 3:
        return {"X": (1e4 / x, "um"), "Y": (1e4 / y, "um")}
    return {}


def _imagej_steps(tif: Any, page: Any) -> Steps:
    about = tif.imagej_metadata or {}
    unit = plain_unit(str(about.get("unit", "")))
    steps = _page_steps(page, unit)
    if "spacing" in about and steps:
        # It may be negative, or 0.
        steps["Z"] = (abs(float(about["spacing"])) or 1.0, unit)
    if about.get("finterval"):
        steps["T"] = (float(about["finterval"]), plain_unit(about.get("tunit", "s")))
    return steps


def names_and_steps(tif: Any, index: int) -> tuple[tuple[str, ...], Steps]:
    """Read the names of the channels and the spacing of one image of a file.

    Parameters
    ----------
    tif : tifffile.TiffFile
        Open.
    index : int
        Which of its images.

    Returns
    -------
    names : tuple of str
        Of the channels; empty where not all have one.
    steps : dict of str to (float, str)
        Spacing and unit by axis letter; axes that are not known are missing.
    """
    if tif.is_ome:
        pixels = _ome_image(tif, index)["Pixels"]
        return _ome_channels(pixels), _ome_steps(pixels)
    return (), _imagej_steps(tif, tif.series[index].pages[0])
