"""Heads: what is trained on the features of a frozen encoder.

:mod:`~napari_segdino.heads.base` says what a head is,
:mod:`~napari_segdino.heads.registry` which there are.
"""
