"""Pictures of estimates, in one panel or in several."""

import io
import math
import textwrap
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._sklenet import COLORS, MARKERS
from ._statistics import estimate, interval

LETTERS_PER_INCH = 9  # of the title of a panel


class Picture(NamedTuple):
    """A function that draws rows into axes, and how the figure is divided into panels."""

    draw: Callable
    title: str
    size: tuple[float, float]
    panels: list[str]
    shared: dict

    def to_png(self, rows, options, data_name):
        from matplotlib.figure import Figure

        figure = Figure(figsize=self.size, layout="constrained")
        figure.suptitle(self.title.format(**vars(options), data_name=data_name))
        parts = rows.groupby(self.panels, sort=False) if self.panels else [((), rows)]
        n_rows = math.isqrt(len(parts))
        n_columns = math.ceil(len(parts) / n_rows)
        n_letters = int(LETTERS_PER_INCH * self.size[0] / n_columns)
        axes = figure.subplots(n_rows, n_columns, squeeze=False, **self.shared)
        for ax, (names, part) in zip(axes.flat, parts, strict=False):
            ax.set_title(textwrap.fill(", ".join(names), n_letters), fontsize=10)
            ax.grid(alpha=0.3)
            self.draw(part, options, ax)
            if self.shared.get("sharex"):
                ax.label_outer()
        for ax in axes.flat[len(parts) :]:
            ax.set_axis_off()
        if self.panels:
            legend = axes[0, 0].get_legend_handles_labels()
            figure.legend(*legend, loc="outside right", frameon=False)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        return buffer.getvalue()


def draw_lines(ax, rows, x, column, by, options, interval=interval, bands=None, **style):
    """Draw the estimates of a column over x, a line for each value of `by`.

    With `bands`, names of lines, these have a band instead of error bars, the others have neither.
    """
    for number, (name, part) in enumerate(rows.groupby(by, sort=False)):
        points = estimate(part, column, x, options, interval)
        draw_line(ax, points, number, has_bars=bands is None, **{"label": name, **style})
        if bands and name in bands:
            _, low, high = zip(*points, strict=True)
            color, _ = style_of(number)
            ax.fill_between(points.index, low, high, color=color, alpha=0.2, linewidth=0)


def draw_line(ax, points, number, has_bars=True, **style):
    """Draw a series of estimates over its index."""
    mean, low, high = np.transpose(list(points))
    color, marker = style_of(number)
    style = {"color": color, "marker": marker, "markersize": 5, **style}
    errors = (mean - low, high - mean) if has_bars else None
    ax.errorbar(points.index, mean, errors, capsize=2, linewidth=1.2, **style)


def style_of(number):
    """Return the color and the marker of a line; where the colors recur, the markers differ."""
    color = COLORS[number % len(COLORS)]
    return color, MARKERS[(number + number // len(COLORS)) % len(MARKERS)]
