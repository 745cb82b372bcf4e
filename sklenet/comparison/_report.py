"""The page and the pictures of a comparison."""

import io

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay

from .._compat import import_optional
from ..plotting import MistakesDisplay
from ..plotting._style import COLORS, MARKERS

__all__ = ["report_files"]

_PAGE = """# Comparison of the methods

{table}

![Test error against fit time](error_vs_time.png)

![Confusion matrix and the most confident mistakes of the best method](mistakes.png)

{footer}
"""


# Offset of a label in points, and how it is aligned there.
_SIDES = [
    ((9, 0), "left", "center"),
    ((-9, 0), "right", "center"),
    ((7, 7), "left", "bottom"),
    ((7, -7), "left", "top"),
    ((-7, 7), "right", "bottom"),
    ((-7, -7), "right", "top"),
]


def report_files(comparison, X, footer=""):
    """Return the content of each file of a report by its name; X are the images of `y_true`."""
    import_optional("matplotlib", "The report")
    from matplotlib.figure import Figure

    files = {"comparison.md": _PAGE.format(table=comparison.to_markdown(), footer=footer).encode()}
    drawings = {"error_vs_time.png": (6.5, 4), "mistakes.png": (12, 5.6)}
    figures = {name: Figure(figsize, layout="constrained") for name, figsize in drawings.items()}
    draw_error_against_time(comparison, figures["error_vs_time.png"].subplots())
    draw_mistakes(comparison, X, figures["mistakes.png"])
    for name, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        files[name] = buffer.getvalue()
    return files


def draw_error_against_time(comparison, ax):
    """Draw a labeled dot for each method, with the standard deviation over the folds."""
    rows = [row for row in comparison.scores if not row.error]
    is_over_folds = len(rows[0].fold_accuracies) > 1
    labels = []
    for number, row in enumerate(rows):
        x, y = row.fit_time, 100 * (1 - row.accuracy)
        color = COLORS[number % len(COLORS)]
        ax.errorbar(
            x,
            y,
            yerr=100 * row.accuracy_std if is_over_folds else None,
            fmt=MARKERS[number % len(MARKERS)],
            color=color,
            markersize=9,
            capsize=4,
        )
        label = f"{row.method}  {y:.2f} %"
        labels.append(ax.annotate(label, (x, y), (0, 0), textcoords="offset points", color=color))
    decades = np.log10([row.fit_time for row in rows])
    margin = max(0.45 * np.ptp(decades), 0.7)  # room for a label
    ax.set_xscale("log")
    ax.set_xlim(10 ** (decades.min() - margin), 10 ** (decades.max() + margin))
    ax.set_ylim(bottom=0, top=1.05 * ax.get_ylim()[1])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    deviation = " and its standard deviation" if is_over_folds else ""
    ax.set(xlabel="Fit time (s)", ylabel=f"Test error{deviation} (%)", title=comparison.protocol)
    ax.grid(alpha=0.3)
    _place_labels(ax, labels)


def _place_labels(ax, labels):
    """Move each label to the first side of its dot where it does not cover anything."""
    from matplotlib.transforms import Bbox

    ax.figure.draw_without_rendering()
    boxes = [line.get_window_extent().padded(6) for line in ax.lines]
    segments = [segment for bars in ax.collections for segment in bars.get_segments()]
    boxes += [Bbox(ax.transData.transform(segment)).padded(3) for segment in segments]
    for label in labels:
        for offset, side, height in _SIDES:
            label.xyann = offset
            label.set(ha=side, va=height)
            box = label.get_window_extent()
            is_inside = ax.bbox.containsx(box.x0) and ax.bbox.containsx(box.x1)
            if is_inside and not box.count_overlaps(boxes):
                break
        boxes.append(box)


def draw_mistakes(comparison, X, figure):
    """Draw the confusion matrix and the most confident mistakes of the best method."""
    best, y_true = comparison.best, comparison.y_true
    predictions = comparison.predictions[best]
    n_mistakes = int((predictions != y_true).sum())
    figure.suptitle(f"{best}: {n_mistakes:,} mistakes in {len(y_true):,} images", fontsize=15)
    left, right = figure.subfigures(1, 2)
    n_classes = len(np.unique(y_true))
    matrix = ConfusionMatrixDisplay.from_predictions(
        y_true,
        predictions,
        include_values=n_classes <= 20,
        cmap="Blues",
        colorbar=False,
        ax=left.subplots(),
    )
    for text in np.ravel(matrix.text_):
        if text is not None and text.get_text() == "0":
            text.set_text("")
    MistakesDisplay.from_predictions(
        X, y_true, predictions, comparison.confidences[best], figure=right
    )
