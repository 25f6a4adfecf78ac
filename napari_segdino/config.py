"""Settings, one frozen group each: defaults of the dock, the command line, files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from napari_segdino.errors import InputError, unknown_name

GIB = 1 << 30

WINDOWS = {
    "8-bit": (0.0, 255.0),
    "ct lung": (-1350.0, 150.0),
    "ct bone": (-500.0, 1300.0),
    "ct soft tissue": (-160.0, 240.0),
    "ct brain": (0.0, 80.0),
    "meddinov3": (-1000.0, 1000.0),
}
"""Pixels as stored in pictures, and windows on CT in Hounsfield units, the last of
which is the clamp of MedDINOv3."""

CT_Z_SCORE = "ct z-score"
"""Mean and spread of a scan in Hounsfield units, clamped to 1000 on either side."""

INTENSITIES = ("auto", "percentile", CT_Z_SCORE, *WINDOWS)
"""What :attr:`FeatureSettings.intensity` may be."""

Fusion = Literal["entropy", "mean"]
FUSIONS = get_args(Fusion)
"""What :attr:`PredictSettings.fusion` may be."""

ZUnit = Literal["slices", "mm"]
Z_UNITS = get_args(ZUnit)
"""What :attr:`PredictSettings.z_unit` may be."""

Squash = Literal["", "bilinear", "bicubic"]
SQUASHES = get_args(Squash)
"""What :attr:`FeatureSettings.squash` may be."""

Precision = Literal["auto", "float32", "bfloat16", "float16"]
"""In which numbers an encoder computes; see
:func:`napari_segdino.encoders.device.resolve_precision`."""

LEAST_TILE = 16
"""Features of a smaller tile are not finite."""

WHOLE = 1 << 30
"""Longest side of a tile where planes are not cut."""

SLICES = ("Z", "Y", "X", "ZYX")
"""What :attr:`FeatureSettings.slices` usually is; any of these letters may be."""


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """How planes are shown to the encoder.

    Parameters
    ----------
    sides : tuple of int
        Longer sides, in pixels, at which a tile is seen; 0 is twice the
        tile's own, at most 1024. Each gives one prediction; they are fused.
    factors : tuple of float
        Each of these times the side is encoded, and the probe reads all of
        them at once.
    flips : bool
        Whether each side is seen mirrored as well.
    tile, overlap : int
        Planes larger than `tile` pixels are cut into tiles that share
        `overlap` pixels.
    intensity : str
        Which intensities become 0 and 1: ``"percentile"``, four spreads on either
        side of the mean (:data:`CT_Z_SCORE`), a fixed window (:data:`WINDOWS`), or
        ``"auto"``, which is the encoder's own choice where it has one and else
        percentiles.
    percentiles : tuple of float
        Percentiles of the image, for ``"percentile"``.
    slices : str
        Axes across which a volume is cut into planes: ``"Z"`` as it lies,
        ``"Y"`` or ``"X"`` another way, ``"ZYX"`` all three, fused.
    neighbours : int
        Grey planes of a volume are seen with so many before and behind them, as
        channels; colour stands alone.
    squash : {"", "bilinear", "bicubic"}
        Planes are shown whole, as squares of each side, interpolated so; empty
        keeps their aspect ratio.
    """

    sides: tuple[int, ...] = (0,)
    factors: tuple[float, ...] = (0.5, 1.0)
    flips: bool = False
    tile: int = 1024
    overlap: int = 128
    intensity: str = "auto"
    percentiles: tuple[float, float] = (0.5, 99.5)
    slices: str = "Z"
    neighbours: int = 1
    squash: Squash = ""

    def __post_init__(self) -> None:
        if self.intensity not in INTENSITIES:
            name = self.intensity
            raise InputError(unknown_name("intensity preset", name, INTENSITIES))
        if self.squash not in SQUASHES:
            # Without the first, which is empty and would be listed as nothing.
            raise InputError(unknown_name("squash", self.squash, SQUASHES[1:]))
        low, high = self.percentiles
        for name, fits in (
            ("sides", self.sides and 0 <= min(self.sides) <= max(self.sides) <= 8192),
            ("factors", self.factors and min(self.factors) > 0),
            ("factors", self.factors and max(self.factors) <= 8),
            ("tile", LEAST_TILE <= self.tile <= WHOLE),
            ("overlap", 0 <= self.overlap < self.tile),
            ("percentiles", 0 <= low < high <= 100),
            ("neighbours", 0 <= self.neighbours <= 32),
        ):
            if not fits:
                value = getattr(self, name)
                raise InputError(f"The setting {name} cannot be {value!r}.")

    @property
    def longest_tile(self) -> int:
        """Longest side of a tile: what is squashed is not cut."""
        return WHOLE if self.squash else self.tile


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """How many features are kept.

    Parameters
    ----------
    ram_bytes, disk_bytes : int
        Bytes in memory and on disk.
    folder : pathlib.Path, optional
        Folder of the files; None is the user's cache folder.
    """

    ram_bytes: int = 2 * GIB
    disk_bytes: int = 10 * GIB
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class PredictSettings:
    """How predictions are made of what the head says.

    Parameters
    ----------
    fusion : {"entropy", "mean"}
        How the maps of several views are joined: surer views weigh more, or
        all the same.
    regularise : bool
        Whether probabilities flow along the image and stop at its edges, for
        ``probe``, or are smoothed with a small Gaussian, for ``mvr``.
    z_sigma : float
        Width of a Gaussian over the probabilities of neighbouring slices; 0
        is off. Never along time.
    z_unit : {"slices", "mm"}
        What `z_sigma` counts; mm become slices by the spacing, and slices
        reach at most 4 mm where the spacing is known.
    """

    fusion: Fusion = "entropy"
    regularise: bool = True
    z_sigma: float = 0.0
    z_unit: ZUnit = "slices"

    def __post_init__(self) -> None:
        if self.fusion not in FUSIONS:
            raise InputError(unknown_name("fusion", self.fusion, FUSIONS))
        if self.z_unit not in Z_UNITS:
            raise InputError(unknown_name("unit along z", self.z_unit, Z_UNITS))
        if not 0 <= self.z_sigma <= 1000:
            raise InputError(f"The setting z_sigma cannot be {self.z_sigma!r}.")


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """How objects are found.

    Parameters
    ----------
    split : bool
        Whether touching objects are parted; else connected ones are one.
    depth : float
        Two peaks are two objects where the way between them falls by this
        share of the lower peak, 0 to 1; smaller parts more.
    min_size, max_size : float
        Objects of another size are dropped: in pixels, or in the unit of the
        spacing squared (2D) or cubed (3D).
    max_hole : float
        Holes up to this size are filled, in the same unit.
    """

    split: bool = True
    depth: float = 0.25
    min_size: float = 0.0
    max_size: float = float("inf")
    max_hole: float = 0.0
