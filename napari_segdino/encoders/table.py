"""The encoders by name: one row each, no weights, nothing heavy imported."""

from __future__ import annotations

from dataclasses import replace

from napari_segdino.config import CT_Z_SCORE
from napari_segdino.encoders.base import EncoderSpec
from napari_segdino.encoders.layouts import FLEXICT
from napari_segdino.errors import InputError, unknown_name

DEFAULT_ENCODER = "dinov3_vits16"
BUILTIN_ENCODER = "efficientnet_lite0"

SATELLITE = "sat493m"
"""Tag of weights from satellite images, also in the names of Meta's files."""

SAT_MEAN = (0.430, 0.411, 0.296)
SAT_STD = (0.213, 0.156, 0.143)
_HALF = (0.5, 0.5, 0.5)
# MedDINOv3 takes (HU - 65.1084) / 178.0166 of HU in [-1000, 1000]; this is the
# same for that window brought to [0, 1].
_MEDDINO_MEAN = (0.5325542106628418,) * 3
_MEDDINO_STD = (0.08900831604003906,) * 3

_DINOV3_LICENCE = "DINOv3 License"
_DINOV3_URL = "https://ai.meta.com/resources/models-and-libraries/dinov3-license/"
_APACHE = "Apache-2.0"


def _vit(
    name: str,
    title: str,
    timm_name: str,
    size: tuple[int, int, int],
    tag: str = "lvd1689m",
    licence: tuple[str, str] = (_DINOV3_LICENCE, _DINOV3_URL),
) -> EncoderSpec:
    """Make a ViT's row; ``size`` is width, depth, parameters."""
    width, depth, parameters = size
    spec = EncoderSpec(
        name=name,
        title=title,
        family="vit",
        timm_name=timm_name,
        timm_tag=tag,
        channels=(width,) * depth,
        strides=(16,) * depth,
        parameters=parameters,
        licence=licence[0],
        licence_url=licence[1],
    )
    return replace(satellite(spec), hint=tag) if tag == SATELLITE else spec


def _convnext(size: str, widths: tuple[int, ...], parameters: int) -> EncoderSpec:
    return EncoderSpec(
        name=f"dinov3_convnext_{size}",
        title=f"DINOv3 ConvNeXt {size.capitalize()}, web images",
        family="convnext",
        timm_name=f"convnext_{size}",
        timm_tag="dinov3_lvd1689m",
        channels=widths,
        strides=(4, 8, 16, 32),
        parameters=parameters,
        licence=_DINOV3_LICENCE,
        licence_url=_DINOV3_URL,
    )


def satellite(spec: EncoderSpec) -> EncoderSpec:
    """Give a row the normalisation of the satellite images' weights.

    Parameters
    ----------
    spec : EncoderSpec
        A row of the same architecture.
    """
    return replace(spec, mean=SAT_MEAN, std=SAT_STD)


_S = (384, 12, 21_596_160)
_L = (1024, 24, 303_128_576)
_7B = (4096, 40, 6_716_030_976)

# The names with _qkvb keep the query and value biases: no tensor is lost.
_ROWS = (
    _vit(
        "dinov3_vits16",
        "DINOv3 ViT-S/16, web images",
        "vit_small_patch16_dinov3_qkvb",
        _S,
    ),
    _vit(
        "dinov3_vits16plus",
        "DINOv3 ViT-S+/16, web images",
        "vit_small_plus_patch16_dinov3_qkvb",
        (384, 12, 28_692_480),
    ),
    _vit(
        "dinov3_vitb16",
        "DINOv3 ViT-B/16, web images",
        "vit_base_patch16_dinov3_qkvb",
        (768, 12, 85_659_648),
    ),
    _vit(
        "dinov3_vitl16",
        "DINOv3 ViT-L/16, web images",
        "vit_large_patch16_dinov3_qkvb",
        _L,
    ),
    _vit(
        "dinov3_vith16plus",
        "DINOv3 ViT-H+/16, web images",
        "vit_huge_plus_patch16_dinov3_qkvb",
        (1280, 32, 840_591_360),
    ),
    _vit(
        "dinov3_vit7b16", "DINOv3 ViT-7B/16, web images", "vit_7b_patch16_dinov3", _7B
    ),
    _vit(
        "dinov3_vitl16_sat",
        "DINOv3 ViT-L/16, satellite images",
        "vit_large_patch16_dinov3_qkvb",
        _L,
        SATELLITE,
    ),
    _vit(
        "dinov3_vit7b16_sat",
        "DINOv3 ViT-7B/16, satellite images",
        "vit_7b_patch16_dinov3",
        _7B,
        SATELLITE,
    ),
    _convnext("tiny", (96, 192, 384, 768), 27_820_128),
    _convnext("small", (96, 192, 384, 768), 49_454_688),
    _convnext("base", (128, 256, 512, 1024), 87_566_464),
    _convnext("large", (192, 384, 768, 1536), 196_230_336),
    replace(
        _vit(
            "meddinov3_vitb16",
            "MedDINOv3 ViT-B/16, CT slices",
            "vit_base_patch16_dinov3",
            (768, 12, 85_641_216),
            "",
            (
                _APACHE,
                "https://huggingface.co/ricklisz123/MedDINOv3-ViTB-16-CT-3M",
            ),
        ),
        mean=_MEDDINO_MEAN,
        std=_MEDDINO_STD,
        window="meddinov3",
        # It was built with "layernorm"; Meta's models with 1e-5.
        norm_eps=1e-6,
        hint="meddino",
        teacher=True,
    ),
    replace(
        _vit(
            "flexict_2d",
            "FlexiCT-2D, CT slices, non-commercial",
            "vit_base_patch16_dinov3",
            (864, 16, 143_665_920),
            "",
            (
                "CC BY-NC-ND 4.0, non-commercial",
                "https://creativecommons.org/licenses/by-nc-nd/4.0/",
            ),
        ),
        # Its authors show it mean and spread of each scan; see features.intensity.
        window=CT_Z_SCORE,
        mean=_HALF,
        std=(0.125,) * 3,
        strides=(8,) * 16,
        norm_eps=1e-6,
        recognised_as=FLEXICT,
        shape=(
            ("patch_size", 8),
            ("embed_dim", 864),
            ("depth", 16),
            ("num_heads", 12),
        ),
    ),
    replace(
        _vit(
            "lingbot_vits16",
            "LingBot-Vision ViT-S/16, free licence",
            "vit_small_patch16_lingbot",
            _S,
            "robbyant",
            (_APACHE, "https://github.com/robbyant/lingbot-vision/blob/main/LICENSE"),
        ),
        owner="belfner",
        recognised_as="vit_small_patch16_dinov3_qkvb",
        hint="lingbot",
    ),
    EncoderSpec(
        name=BUILTIN_ENCODER,
        title="EfficientNet-Lite0, built in, needs no download",
        family="cnn",
        timm_name="tf_efficientnet_lite0",
        timm_tag="",
        channels=(16, 24, 40, 112, 320),
        strides=(2, 4, 8, 16, 32),
        parameters=3_371_008,
        mean=_HALF,
        std=_HALF,
        licence=_APACHE,
        licence_url="https://www.apache.org/licenses/LICENSE-2.0",
        bundled=True,
    ),
)
_TABLE = {spec.name: spec for spec in _ROWS}


def encoder_names() -> tuple[str, ...]:
    """Return the names of the table's encoders, in menu order."""
    return tuple(_TABLE)


def get_spec(name: str) -> EncoderSpec:
    """Return an encoder's row.

    Parameters
    ----------
    name : str
        One of :func:`encoder_names`.

    Returns
    -------
    EncoderSpec
        The row.

    Raises
    ------
    InputError
        There is no such name.
    """
    if name not in _TABLE:
        raise InputError(unknown_name("encoder", name, _TABLE))
    return _TABLE[name]
