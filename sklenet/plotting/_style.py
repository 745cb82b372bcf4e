"""Colors, axes and mosaics of the displays."""

import math

import numpy as np

from .._validation import check_count

__all__ = ["COLORS", "MARKERS", "axes_or_new", "figure_or_new", "mosaic"]

COLORS = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9"]
"""The colors of Okabe and Ito, distinct for the color-blind, strongest first."""

MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
"""Markers that differ where colors are not seen."""


def axes_or_new(ax, figsize):
    """Return the axes that the user gave, or those of a new figure of a size in inches."""
    return figure_or_new(None, figsize).subplots() if ax is None else ax


def figure_or_new(figure, figsize):
    """Return the figure that the user gave, or a new one of a size in inches."""
    if figure is not None:
        return figure
    import matplotlib.pyplot as plt

    return plt.figure(figsize=figsize, layout="constrained")


def mosaic(images, n_columns=None):
    """Tile images of shape (n_images, height, width), with a NaN pixel between two.

    Without `n_columns` the mosaic is about twice as wide as high, with full rows if possible.
    """
    n_images, height, width = images.shape
    if n_columns is not None:
        check_count("n_columns", n_columns)
    else:
        wanted = math.sqrt(2 * n_images * height / width)
        full = [
            n for n in range(1, n_images + 1) if n_images % n == 0 and wanted / 2 < n < 2 * wanted
        ]
        n_columns = min(full, key=lambda n: abs(n - wanted), default=math.ceil(wanted))
    n_columns = min(n_columns, n_images)
    n_rows = math.ceil(n_images / n_columns)
    tiles = np.full((n_rows, n_columns, height + 1, width + 1), np.nan)
    tiles.reshape(-1, height + 1, width + 1)[:n_images, :height, :width] = images
    return tiles.swapaxes(1, 2).reshape(n_rows * (height + 1), n_columns * (width + 1))[:-1, :-1]
