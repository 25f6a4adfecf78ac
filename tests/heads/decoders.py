"""Decoders of the dense heads by name."""

from napari_segdino.heads.dense.decoder import make_decoder
from napari_segdino.heads.registry import HEADS, head_class

DENSE = tuple(name for name in HEADS if head_class(name).trains_in_epochs)


def decoder(name, channels, n_classes, seed=0, **options):
    kind = head_class(name).decoder
    return make_decoder(kind, channels, n_classes, seed, **options)
