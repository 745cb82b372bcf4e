"""Gradient norms by layer."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from .._compat import import_optional
from .._inspection import fitted_attribute
from .._validation import check_count
from ._style import COLORS, MARKERS, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GradientFlowDisplay"]


class GradientFlowDisplay:
    """The norm of the gradient in each layer, from the input to the output.

    Use `from_estimator` to make one for a training, or the class itself to compare several.

    Parameters
    ----------
    layers : sequence of str
        Names of the layers, from the input to the output.
    norms : dict of str to array-like of shape (n_layers,)
        Root mean square of the gradient of the weights of each layer; a line for each key.
    errors : dict of str to array-like of shape (n_layers,) or (2, n_layers), default=None
        Half-widths of their intervals, or how far these reach below and above.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes, after `plot`.
    figure_ : matplotlib.figure.Figure
        Their figure.

    See Also
    --------
    sklenet.callbacks.GradientNorm : Records what `from_estimator` draws.

    Examples
    --------
    >>> from sklenet import DeepLeNetClassifier
    >>> from sklenet.datasets import load_digits_images
    >>> from sklenet.callbacks import GradientNorm
    >>> from sklenet.plotting import GradientFlowDisplay
    >>> X, y = load_digits_images()
    >>> classifier = DeepLeNetClassifier(callbacks=[GradientNorm()], max_epochs=2, random_state=0)
    >>> display = GradientFlowDisplay.from_estimator(classifier.fit(X[:200], y[:200]))
    >>> display.layers
    ['C1', 'C3', 'F5', 'F6', 'output']
    """

    def __init__(
        self,
        layers: Sequence[str],
        norms: Mapping[str, ArrayLike],
        errors: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.layers = layers
        self.norms = norms
        self.errors = errors

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, n_epochs: int = 5, **plot_kwargs: Any
    ) -> Self:
        """Draw the gradients of a training that `GradientNorm` has recorded.

        Parameters
        ----------
        estimator : estimator
            A `DeepLeNetClassifier` that was fitted with the callback
            `sklenet.callbacks.GradientNorm`, or a pipeline or search with one.
        n_epochs : int, default=5
            Epochs to show, at most: the first, from two on the last, and others between them.
        **plot_kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        GradientFlowDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If nothing was recorded, or if `n_epochs` is not a positive integer.
        """
        import_optional("matplotlib", cls.__name__)
        check_count("n_epochs", n_epochs)
        history = fitted_attribute(estimator, "history_")
        recorded = [
            (number, epoch["event_gradient_norm"])
            for number, epoch in enumerate(history, start=1)
            if "event_gradient_norm" in epoch
        ]
        if not recorded:
            raise ValueError(
                "estimator must be fitted with callbacks=[GradientNorm()], "
                "got a history without gradient norms."
            )
        shown = np.unique(np.linspace(0, len(recorded) - 1, n_epochs).round().astype(int))
        norms = {f"epoch {recorded[i][0]}": list(recorded[i][1].values()) for i in shown}
        return cls(list(recorded[0][1]), norms).plot(**plot_kwargs)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw a line for each entry of `norms`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        GradientFlowDisplay
            The display itself.
        """
        import_optional("matplotlib", type(self).__name__)
        self.ax_ = axes_or_new(ax, (6, 4))
        self.figure_ = self.ax_.figure
        for number, (name, norms) in enumerate(self.norms.items()):
            self.ax_.errorbar(
                self.layers,
                norms,
                yerr=None if self.errors is None else self.errors[name],
                marker=MARKERS[number % len(MARKERS)],
                color=COLORS[number % len(COLORS)],
                capsize=3,
                label=name,
            )
        self.ax_.set_yscale("log")
        self.ax_.set(
            xlabel="Layer, from input to output",
            ylabel="Root mean square of the gradient",
            title="Gradient flow",
        )
        self.ax_.grid(alpha=0.3)
        self.ax_.legend()
        return self
