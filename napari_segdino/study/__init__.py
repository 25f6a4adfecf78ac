"""Studies: training on a data set, scoring it, and how few cases are enough.

Beside :mod:`napari_segdino.batch` in the layers: between what shows (the
command line) and the estimator. Importing this package imports nothing heavy.
"""
