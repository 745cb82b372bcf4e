"""Activation functions and their derivatives."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from numpy.typing import NDArray
from torch import nn

from .._compat import import_optional
from .._torch import default_torch_settings
from .._validation import check_positive
from ..network import make_activation, value_and_derivative
from ._style import COLORS, figure_or_new

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

__all__ = ["ActivationDisplay"]


class ActivationDisplay:
    """Activation functions next to their derivatives, which scale the gradient of a layer.

    Use `from_activations` to make one.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Where the functions are evaluated.
    values : dict of str to ndarray of shape (n_points,)
        The value of each function, by its name.
    derivatives : dict of str to ndarray of shape (n_points,)
        The derivative of each function.

    Attributes
    ----------
    axes_ : ndarray of shape (2,) of matplotlib.axes.Axes
        The axes of the functions and of the derivatives, after `plot`.
    figure_ : matplotlib.figure.Figure or matplotlib.figure.SubFigure
        Their figure.

    Examples
    --------
    >>> from sklenet.plotting import ActivationDisplay
    >>> display = ActivationDisplay.from_activations(["sigmoid", "l_relu"])
    >>> [ax.get_title() for ax in display.axes_]
    ['Activation', 'Derivative']
    """

    def __init__(
        self, x: NDArray, values: dict[str, NDArray], derivatives: dict[str, NDArray]
    ) -> None:
        self.x = x
        self.values = values
        self.derivatives = derivatives

    @classmethod
    def from_activations(
        cls,
        activations: Sequence[str] | dict[str, str | Callable[[], nn.Module]],
        *,
        limit: float = 5.0,
        **plot_kwargs: Any,
    ) -> Self:
        """Draw activations.

        Parameters
        ----------
        activations : sequence of str, or dict of str to str or callable
            Names of activations, or activations as `DeepLeNetClassifier` takes them, by the names
            to show.
        limit : float, default=5.0
            The functions are drawn from ``-limit`` to ``limit``.
        **plot_kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        ActivationDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a name is unknown, if there are no activations, if one does not work element by
            element, or if `limit` is not positive.
        TypeError
            If an activation is neither a name nor a callable, or a sequence does not hold names.
        """
        import_optional("matplotlib", cls.__name__)
        check_positive("limit", limit)
        if isinstance(activations, str):
            activations = [activations]
        if not isinstance(activations, dict):
            if not all(isinstance(name, str) for name in activations):
                raise TypeError(
                    "activations must be names; put others into a dict, each with a name to show."
                )
            activations = {name: name for name in activations}
        if not activations:
            raise ValueError("activations must hold at least one activation.")
        values, derivatives = {}, {}
        with default_torch_settings():
            # An even number of points excludes zero, where many activations have a kink.
            x = torch.linspace(-float(limit), float(limit), 1000)
            for name, activation in activations.items():
                y, slope = value_and_derivative(make_activation(activation), x)
                if y.shape != x.shape:
                    raise ValueError(f"The activation {name!r} does not work element by element.")
                values[name], derivatives[name] = y.numpy(), slope.numpy()
        return cls(x.numpy(), values, derivatives).plot(**plot_kwargs)

    def plot(self, *, figure: "Figure | SubFigure | None" = None) -> Self:
        """Draw the functions and the derivatives side by side.

        Parameters
        ----------
        figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        ActivationDisplay
            The display itself.
        """
        import_optional("matplotlib", type(self).__name__)
        self.figure_ = figure_or_new(figure, (9, 3.6))
        self.axes_ = self.figure_.subplots(1, 2)
        parts = [("Activation", "f(x)", self.values), ("Derivative", "f′(x)", self.derivatives)]
        for ax, (title, label, curves) in zip(self.axes_, parts, strict=True):
            for number, (name, curve) in enumerate(curves.items()):
                style = ["-", "--", ":", "-."][number // len(COLORS) % 4]
                color = COLORS[number % len(COLORS)]
                ax.plot(self.x, curve, style, color=color, label=name)
            ax.set(title=title, xlabel="x", ylabel=label)
            ax.grid(alpha=0.3)
        handles, labels = self.axes_[0].get_legend_handles_labels()
        self.figure_.legend(handles, labels, loc="outside right center", frameon=False)
        return self
