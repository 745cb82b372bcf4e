"""What the displays have in common: colours, axes and mosaics."""

import math

import numpy as np

from .._validation import check_count

__all__ = ["COLORS", "MARKERS", "axes_or_new", "figure_or_new", "mosaic"]

COLORS = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9"]
"""The colours of Okabe and Ito, which the colour-blind tell apart, strongest first."""

MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
"""Markers that differ where the colours are not seen."""


def axes_or_new(ax, figsize):
    """Return the axes that the user gave, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        The user's axes.
    figsize : tuple of float
        Width and height of a new figure, in inches.

    Returns
    -------
    matplotlib.axes.Axes
        The axes to draw in.
    """
    return figure_or_new(None, figsize).subplots() if ax is None else ax


def figure_or_new(figure, figsize):
    """Return the figure that the user gave, or a new one.

    Parameters
    ----------
    figure : matplotlib.figure.Figure, matplotlib.figure.SubFigure or None
        The user's figure.
    figsize : tuple of float
        Width and height of a new figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.figure.SubFigure
        The figure to draw in.
    """
    if figure is not None:
        return figure
    import matplotlib.pyplot as plt

    return plt.figure(figsize=figsize, layout="constrained")


def mosaic(images, n_columns=None, gap=1):
    """Lay images side by side, in rows, as one.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width)
        The images.
    n_columns : int, default=None
        Images in a row; None makes the mosaic about twice as wide as high, with full rows where
        there are such.
    gap : int, default=1
        Pixels between two images; they are NaN, which matplotlib leaves blank.

    Returns
    -------
    ndarray of shape (rows of pixels, columns of pixels), floating point
        The mosaic.

    Raises
    ------
    ValueError
        If `n_columns` is no positive integer.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.plotting._style import mosaic
    >>> mosaic(np.ones((3, 1, 2)), n_columns=2)
    array([[ 1.,  1., nan,  1.,  1.],
           [nan, nan, nan, nan, nan],
           [ 1.,  1., nan, nan, nan]])
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
    tiles = np.full((n_rows, n_columns, height + gap, width + gap), np.nan)
    tiles.reshape(-1, height + gap, width + gap)[:n_images, :height, :width] = images
    pixels = tiles.swapaxes(1, 2).reshape(n_rows * (height + gap), n_columns * (width + gap))
    return pixels[: n_rows * (height + gap) - gap, : n_columns * (width + gap) - gap]
