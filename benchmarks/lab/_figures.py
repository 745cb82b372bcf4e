"""Pictures of estimates."""

import io

import numpy as np

from ._sklenet import COLORS, MARKERS


def draw_estimates(ax, positions, estimates, number, horizontal=False, **style):
    """Draw means and intervals, in the color and with the marker of this number."""
    mean, low, high = np.transpose(list(estimates))
    style = {"color": COLORS[number], "marker": MARKERS[number], "capsize": 3, **style}
    if horizontal:
        ax.errorbar(mean, positions, xerr=(mean - low, high - mean), **style)
    else:
        ax.errorbar(positions, mean, yerr=(mean - low, high - mean), **style)


def draw_curve(ax, x, estimates, number, has_band=True, **style):
    """Draw a line of means and, as a band, their intervals."""
    mean, low, high = np.transpose(list(estimates))
    color = COLORS[number]
    ax.plot(x, mean, color=color, marker=MARKERS[number], markersize=4, **style)
    if has_band:
        ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)


def to_png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
