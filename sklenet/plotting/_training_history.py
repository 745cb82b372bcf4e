"""Loss and validation score by epoch."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .._compat import import_optional
from .._inspection import fitted_attribute, last_estimator
from ._style import COLORS, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrainingHistoryDisplay"]


class TrainingHistoryDisplay:
    """Loss and validation score over the epochs of a training.

    Use `from_estimator` to make one.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Mean training loss of each epoch.
    validation_scores : array-like of shape (n_validated,), default=None
        Validation score after each of the last epochs.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the loss, after `plot`.
    figure_ : matplotlib.figure.Figure
        Their figure.
    validation_ax_ : matplotlib.axes.Axes or None
        The axes of the validation score, which share the epochs with `ax_`.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores over the number of training samples.

    Examples
    --------
    >>> from sklenet import DeepLeNetClassifier
    >>> from sklenet.datasets import load_digits_images
    >>> from sklenet.plotting import TrainingHistoryDisplay
    >>> X, y = load_digits_images()
    >>> classifier = DeepLeNetClassifier(max_epochs=2, early_stopping=True, random_state=0)
    >>> display = TrainingHistoryDisplay.from_estimator(classifier.fit(X[:200], y[:200]))
    >>> display.ax_.get_xlabel()
    'Epoch'
    """

    def __init__(self, loss: ArrayLike, validation_scores: ArrayLike | None = None) -> None:
        self.loss = loss
        self.validation_scores = validation_scores

    @classmethod
    def from_estimator(cls, estimator: BaseEstimator, **plot_kwargs: Any) -> Self:
        """Draw the training of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `loss_curve_` and perhaps `validation_scores_`: `DeepLeNetClassifier`,
            scikit-learn's `MLPClassifier`, or a pipeline or search with one.
        **plot_kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        TrainingHistoryDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator has no `loss_curve_`.
        """
        import_optional("matplotlib", cls.__name__)
        loss = fitted_attribute(estimator, "loss_curve_")
        scores = getattr(last_estimator(estimator), "validation_scores_", None)
        return cls(loss, scores).plot(**plot_kwargs)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes of the loss; those of a new figure by default.

        Returns
        -------
        TrainingHistoryDisplay
            Itself.
        """
        import_optional("matplotlib", type(self).__name__)
        from matplotlib.ticker import MaxNLocator

        self.ax_ = axes_or_new(ax, (6, 4))
        self.figure_ = self.ax_.figure
        self.validation_ax_ = None
        n_epochs = np.size(self.loss)
        epochs = np.arange(1, n_epochs + 1)
        lines = self.ax_.plot(epochs, self.loss, "o-", color=COLORS[0], label="loss")
        if self.validation_scores is not None:
            self.validation_ax_ = self.ax_.twinx()
            lines += self.validation_ax_.plot(
                epochs[n_epochs - np.size(self.validation_scores) :],
                self.validation_scores,
                "s--",
                color=COLORS[1],
                label="validation score",
            )
            self.validation_ax_.set_ylabel("Validation score")
            self.ax_.legend(handles=lines, loc="center right")
        self.ax_.set(xlabel="Epoch", ylabel="Training loss", title="Training history")
        self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        self.ax_.grid(alpha=0.3)
        return self
