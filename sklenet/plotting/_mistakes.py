"""The most confident mistakes of a classifier."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import unique_labels

from .._compat import import_optional
from .._inspection import prediction_confidence
from .._validation import check_count
from ..images import ImageLayout, as_array, tensor_to_array
from ._style import figure_or_new

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

__all__ = ["MistakesDisplay"]

_INCHES_PER_LETTER = 0.11  # of a title in matplotlib's default size


class MistakesDisplay:
    """The most confident mistakes of a classifier, as images.

    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    images : ndarray of shape (n_mistakes, height, width) or (n_mistakes, height, width, channels)
        The images that were mistaken.
    y_true : ndarray of shape (n_mistakes,)
        Their labels.
    y_pred : ndarray of shape (n_mistakes,)
        What was predicted for them.
    confidence : ndarray of shape (n_mistakes,)
        How sure the classifier was.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure or matplotlib.figure.SubFigure
        The figure, after `plot`.
    axes_ : ndarray of shape (n_rows, n_columns) of matplotlib.axes.Axes
        The axes of the images.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : How often each class is taken for each other.

    Examples
    --------
    >>> from sklenet.comparison import make_method
    >>> from sklenet.datasets import load_digits_images
    >>> from sklenet.plotting import MistakesDisplay
    >>> X, y = load_digits_images()
    >>> knn = make_method("knn").fit(X[:1000], y[:1000])
    >>> display = MistakesDisplay.from_estimator(knn, X[1000:], y[1000:], n_mistakes=6)
    >>> display.axes_.shape
    (2, 4)
    """

    def __init__(
        self, images: NDArray, y_true: NDArray, y_pred: NDArray, confidence: NDArray
    ) -> None:
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.confidence = confidence

    @classmethod
    def from_predictions(
        cls,
        X: ArrayLike,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        confidence: ArrayLike,
        *,
        n_mistakes: int = 12,
        image_shape: Sequence[int] | None = None,
        **plot_kwargs: Any,
    ) -> Self:
        """Draw the most confident mistakes among predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images, in one of the shapes that `DeepLeNetClassifier` takes.
        y_true : array-like of shape (n_samples,)
            Their labels.
        y_pred : array-like of shape (n_samples,)
            What was predicted for them.
        confidence : array-like of shape (n_samples,)
            How sure the classifier was; a probability or any score that grows with it.
        n_mistakes : int, default=12
            Number of mistakes to show, at most.
        image_shape : tuple of int, default=None
            (height, width), (height, width, channels) or (channels, height, width), as for
            `DeepLeNetClassifier`.
        **plot_kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        MistakesDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the arguments do not have the same length, if labels are strings and predictions are
            numbers or vice versa, if X does not have the shape of images, or if `n_mistakes` or
            `n_columns` is not a positive integer.
        """
        import_optional("matplotlib", cls.__name__)
        check_count("n_mistakes", n_mistakes)
        images = as_array(X)
        labels, predictions = column_or_1d(tensor_to_array(y_true)), column_or_1d(y_pred)
        scores = column_or_1d(confidence, dtype=float)
        check_consistent_length(images, labels, predictions, scores)
        unique_labels(labels, predictions)  # refuses a mix of strings and numbers
        mistakes = np.flatnonzero(labels != predictions)
        # A stable sort, so that equally confident mistakes come in the order of the samples.
        mistakes = mistakes[np.argsort(-scores[mistakes], kind="stable")][:n_mistakes]
        return cls(
            _displayable(images, mistakes, image_shape),
            labels[mistakes],
            predictions[mistakes],
            scores[mistakes],
        ).plot(**plot_kwargs)

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, X: ArrayLike, y: ArrayLike, **kwargs: Any
    ) -> Self:
        """Draw the most confident mistakes of a fitted classifier.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier with `predict_proba` or `decision_function`.
        X : array-like of shape (n_samples, n_features) or images
            The images to predict.
        y : array-like of shape (n_samples,)
            Their labels.
        **kwargs : dict
            Passed on to `from_predictions`.

        Returns
        -------
        MistakesDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If the classifier has neither method, or as for `from_predictions`.
        """
        import_optional("matplotlib", cls.__name__)
        confidence = prediction_confidence(estimator, X)
        if confidence is None:
            raise ValueError(
                "estimator must have predict_proba or decision_function, "
                f"got {type(estimator).__name__}, which does not."
            )
        predictions = estimator.predict(X)
        return cls.from_predictions(X, y, predictions, confidence, **kwargs)

    def plot(
        self,
        *,
        n_columns: int = 4,
        cmap: "str | Colormap" = "gray_r",
        values_format: str = ".3f",
        figure: "Figure | SubFigure | None" = None,
    ) -> Self:
        """Draw the images with label, prediction and confidence above each.

        Parameters
        ----------
        n_columns : int, default=4
            Images in a row.
        cmap : str or matplotlib.colors.Colormap, default="gray_r"
            Colors of images with one channel: low pixels white, high pixels black.
        values_format : str, default=".3f"
            Format of the confidence.
        figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        MistakesDisplay
            The display itself.
        """
        import_optional("matplotlib", type(self).__name__)
        check_count("n_columns", n_columns)
        n_rows = max(1, math.ceil(len(self.images) / n_columns))
        rows = zip(self.y_true, self.y_pred, self.confidence, strict=True)
        titles = [
            f"{label} \N{RIGHTWARDS ARROW} {prediction}\n{confidence:{values_format}}"
            for label, prediction, confidence in rows
        ]
        n_letters = max((len(title.partition("\n")[0]) for title in titles), default=0)
        width = max(1.5, _INCHES_PER_LETTER * n_letters)  # or long titles would overlap
        self.figure_ = figure_or_new(figure, (width * n_columns, 1.8 * n_rows))
        self.axes_ = self.figure_.subplots(n_rows, n_columns, squeeze=False)
        for ax in self.axes_.flat:
            ax.set_axis_off()
        for ax, image, title in zip(self.axes_.flat, self.images, titles, strict=False):
            ax.imshow(image, cmap=cmap)
            ax.set_title(title)
        # The confidence of a classifier without predict_proba is not a probability.
        is_probability = (self.confidence >= 0).all() and (self.confidence <= 1).all()
        measure = "confidence" if is_probability else "class score"
        heading = f"Label \N{RIGHTWARDS ARROW} prediction, {measure}"
        self.figure_.suptitle(heading if len(self.images) else "No mistakes")
        return self


def _displayable(X, index, image_shape):
    """Select images that matplotlib can draw: in color or gray, with pixels in [0, 1]."""
    layout = ImageLayout.from_images(X, image_shape)
    rows = np.asarray(layout.flatten(X))[index].astype(float)
    rows = np.pad(rows, ((0, 0), (0, layout.n_values - rows.shape[1])))
    low, high = rows.min(initial=0), rows.max(initial=0)
    images = np.moveaxis(layout.unflatten((rows - low) / ((high - low) or 1)), 1, -1)
    return images if layout.channels in (3, 4) else images.mean(axis=-1)
