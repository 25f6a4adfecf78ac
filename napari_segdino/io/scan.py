"""What a scan is: pixels with the names, spacing and place of their axes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_segdino.errors import ScanError
from napari_segdino.io.geometry import Geometry, Matrix, layer_transform

PIXEL = "pixel"
"""Unit of an axis whose spacing is not known."""


SHORT_UNITS = {
    "micrometer": "um",
    "nanometer": "nm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "angstrom": "Å",
    "second": "s",
    "millisecond": "ms",
    "minute": "min",
}
"""Units as OME-Zarr and napari spell them, and as this program does."""

MILLIMETRES = {
    "Å": 1e-7,
    "nm": 1e-6,
    "um": 1e-3,
    "mm": 1.0,
    "cm": 10.0,
    "inch": 25.4,
    "m": 1000.0,
}
"""What a unit of length is in mm."""


LARGE = 2**29
"""Bytes of pixels from which on a claim is compared with the file."""

MOST_COMPRESSED = 2000
"""Times that compressed pixels may be larger than their file; zeros in zip are 1032."""


def check_claim(path: Path, wanted: int) -> None:
    """See that a file can hold the pixels that its header claims, before reading.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    wanted : int
        Bytes of pixels.

    Raises
    ------
    ScanError
        If it cannot, however well it is compressed.
    """
    size = path.stat().st_size
    if wanted > LARGE and wanted > MOST_COMPRESSED * size:
        raise ScanError(
            f"{path.name} cannot be read: it is damaged, as its header claims "
            f"{wanted / 1e9:.1f} GB of pixels and the file has {size / 1e6:.1f} MB."
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """What is asked of a reader; each heeds what its format has.

    Parameters
    ----------
    series : str or int, optional
        Which of several images in a file or folder.
    lazy : bool
        Read pixels when they are needed.
    axes : str, optional
        Names of the axes, for formats that do not say.
    as_mask : bool
        Give a palette image's numbers and not its colours.
    """

    series: str | int | None = None
    lazy: bool = False
    axes: str | None = None
    as_mask: bool = False


@dataclass(frozen=True, kw_only=True)
class Header:
    """All that is known of a scan except its pixels.

    Parameters
    ----------
    shape : tuple of int
        Of the data, channels included.
    axes : str
        One letter an axis: ``"YX"``, ``"YXC"``, ``"ZYX"``, ``"TZYX"``,
        ``"CYX"`` ... Channels are last when they are colour or when that was
        asked for, else first.
    spacing : tuple of float
        Per axis of :attr:`spatial_axes`, T included, in the data's order.
    units : tuple of str
        Per axis of :attr:`spatial_axes`, such as ``"mm"``; ``"pixel"`` where
        the file does not say.
    geometry : Geometry, optional
        The voxel grid in SimpleITK's order; None for photos.
    channel_names : tuple of str
        One a channel, or empty.
    colour : bool
        The channels are red, green, blue (and alpha).
    path : pathlib.Path, optional
        The file or folder.
    files : tuple of str
        The files of a DICOM series in the order of the slices.
    series : str
        Which of `all_series` it is; empty where there is only one.
    all_series : dict of str to str
        Where the path holds several images: what
        :func:`~napari_segdino.io.read.read_scan` takes for each, and a title.
    format : str
        ``"NIfTI"``, ``"DICOM"``, ``"TIFF"`` ...
    intensity_unit : str
        ``"HU"`` for CT from DICOM, else empty.
    name : str
        For the layer list.
    warnings : tuple of str
        What the user should know, a sentence each.
    """

    shape: tuple[int, ...]
    axes: str
    spacing: tuple[float, ...]
    units: tuple[str, ...]
    geometry: Geometry | None = None
    channel_names: tuple[str, ...] = ()
    colour: bool = False
    path: Path | None = None
    files: tuple[str, ...] = ()
    series: str = ""
    all_series: dict[str, str] = field(default_factory=dict)
    format: str = ""
    intensity_unit: str = ""
    name: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def spatial_axes(self) -> str:
        """`axes` without C."""
        return self.axes.replace("C", "")

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Shape without channels: the shape of a mask of this scan."""
        pairs = zip(self.axes, self.shape, strict=True)
        return tuple(int(n) for axis, n in pairs if axis != "C")

    @property
    def affine(self) -> Matrix | None:
        """Voxel (z, y, x, 1) to position (S, P, L, 1) in mm, or None.

        It has the grid's own number of axes: 4 x 4 for one slice of a volume.
        """
        return None if self.geometry is None else self.geometry.affine

    @property
    def plane_spacing(self) -> tuple[float, ...]:
        """Spacing of the axes among Z, Y, X, in the data's order."""
        pairs = zip(self.spatial_axes, self.spacing, strict=True)
        return tuple(step for axis, step in pairs if axis in "ZYX")

    @property
    def voxel_mm(self) -> tuple[float, ...] | None:
        """Distances along z, y and x in mm; None for planes, or if not known."""
        axes = self.spatial_axes
        if not axes.endswith("ZYX") or not set(self.units[-3:]) <= set(MILLIMETRES):
            return None
        pairs = zip(self.spacing[-3:], self.units[-3:], strict=True)
        return tuple(step * MILLIMETRES[unit] for step, unit in pairs)

    def layer_kwargs(self) -> dict[str, Any]:
        """Keywords for a napari layer of this scan.

        Returns
        -------
        dict
            ``name``, ``scale``, ``units``, ``axis_labels``, ``metadata``
            (this header under ``"segdino"``), either ``translate`` or
            ``affine`` where the place is known, ``rgb`` for colour and
            ``channel_axis`` for other channels (one layer each).
        """
        kwargs: dict[str, Any] = {
            "name": self._layer_names(),
            "scale": self.spacing,
            "units": self.units,
            "axis_labels": tuple(self.spatial_axes.lower()),
            "metadata": {"segdino": self.to_dict()},
        }
        if self.geometry is not None:
            kwargs.update(self._placed(self.geometry))
        if self.colour:
            kwargs["rgb"] = True
        elif "C" in self.axes:
            kwargs["channel_axis"] = self.axes.index("C")
        return kwargs

    def _layer_names(self) -> str | list[str]:
        if self.colour or "C" not in self.axes:
            return self.name
        count = self.shape[self.axes.index("C")]
        # napari takes one name for each of the layers that it makes of channels.
        names = self.channel_names or tuple(f"channel {i + 1}" for i in range(count))
        return [f"{self.name} {name}".strip() for name in names]

    def _placed(self, geometry: Geometry) -> dict[str, Any]:
        # Axes in front of z, such as time, which have no place in space.
        lead = len(self.spatial_axes) - len(self.plane_spacing)
        placed = layer_transform(geometry, len(self.plane_spacing))
        if "translate" in placed:
            return {"translate": (0.0,) * lead + placed["translate"]}
        affine = np.eye(lead + len(placed["affine"]))
        affine[lead:, lead:] = placed["affine"]
        return {"affine": affine}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON and for layer metadata."""
        values = {f.name: getattr(self, f.name) for f in fields(Header)}
        values["path"] = None if self.path is None else str(self.path)
        values["geometry"] = self.geometry and self.geometry.to_dict()
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Header:
        """Make one from :meth:`to_dict`'s answer.

        Parameters
        ----------
        values : dict of str to object
            As JSON or a layer's metadata has it.

        Raises
        ------
        ScanError
            If it is something else.
        """
        try:
            # Layers outlive versions: what a newer one added is left out, what is
            # missing has its default.
            known = {f.name: values[f.name] for f in fields(Header) if f.name in values}
            for key, value in known.items():
                known[key] = tuple(value) if isinstance(value, list) else value
            if known.get("path"):
                known["path"] = Path(known["path"])
            if known.get("geometry"):
                known["geometry"] = Geometry.from_dict(known["geometry"])
            return Header(**known)
        except (TypeError, KeyError, ValueError) as error:
            raise ScanError("This is not the header of a scan.") from error


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan(Header):
    """A scan: :class:`Header` and pixels.

    Parameters
    ----------
    data : numpy, dask or zarr array, shape `shape`
        The pixels at full resolution.
    pyramid : tuple of arrays
        The same at lower resolutions, finest first; empty for most files.
    """

    data: Any = field(repr=False)
    pyramid: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def header(self) -> Header:
        """The scan without its pixels."""
        return Header(**{f.name: getattr(self, f.name) for f in fields(Header)})

    def layer_data(self) -> tuple[Any, dict[str, Any], str]:
        """Return data, keywords and layer type, as napari's readers hand them over."""
        kwargs = self.layer_kwargs()
        if not self.pyramid:
            return self.data, kwargs, "image"
        return [self.data, *self.pyramid], {**kwargs, "multiscale": True}, "image"

    def channels_last(self) -> Scan:
        """Return this scan with its channels on the last axis, if it has any."""
        if "C" not in self.axes[:-1]:
            return self
        at = self.axes.index("C")
        return replace(
            self,
            data=_move(self.data, at, -1),
            pyramid=tuple(_move(level, at, -1) for level in self.pyramid),
            axes=self.axes.replace("C", "") + "C",
            shape=self.shape[:at] + self.shape[at + 1 :] + self.shape[at : at + 1],
        )

    def channels_first(self) -> Scan:
        """Return this scan with channels that are not colour on the first axis."""
        if self.colour or "C" not in self.axes[1:]:
            return self
        at = self.axes.index("C")
        return replace(
            self,
            data=_move(self.data, at, 0),
            pyramid=tuple(_move(level, at, 0) for level in self.pyramid),
            axes="C" + self.axes.replace("C", ""),
            shape=self.shape[at : at + 1] + self.shape[:at] + self.shape[at + 1 :],
        )


def _move(array: Any, source: int, target: int) -> Any:
    """Move an axis of a numpy or dask array; a zarr array becomes dask."""
    if isinstance(array, np.ndarray):
        return np.moveaxis(array, source, target)
    import dask.array as da

    # A zarr array cannot be moved without reading all of it.
    lazy = array if isinstance(array, da.Array) else da.from_zarr(array)
    return da.moveaxis(lazy, source, target)
