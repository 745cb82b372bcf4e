"""Activation functions and their derivatives."""

from numbers import Real

import torch

from .._torch import default_torch_settings
from ..network import make_activation
from ._style import COLORS, figure_or_new

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

    def __init__(self, x, values, derivatives):
        self.x = x
        self.values = values
        self.derivatives = derivatives

    @classmethod
    def from_activations(cls, activations, *, limit=5.0, **plot_kwargs):
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
            If an activation is no name and no callable, or one in a sequence is no name.
        """
        if not (isinstance(limit, Real) and 0 < float(limit) < float("inf")):
            raise ValueError(f"limit must be a positive number, got {limit!r}.")
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
            # An even number of points has none at zero, where many activations have a kink.
            x = torch.linspace(-float(limit), float(limit), 1000, requires_grad=True)
            for name, activation in activations.items():
                y = make_activation(activation)(x.clone())  # it may work in place
                if y.shape != x.shape:
                    raise ValueError(f"The activation {name!r} does not work element by element.")
                constant = torch.zeros_like(x)
                (slope,) = torch.autograd.grad(y.sum(), x) if y.requires_grad else (constant,)
                values[name], derivatives[name] = y.detach().numpy(), slope.detach().numpy()
        return cls(x.detach().numpy(), values, derivatives).plot(**plot_kwargs)

    def plot(self, *, figure=None):
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
        self.figure_ = figure_or_new(figure, (9, 3.6))
        self.axes_ = self.figure_.subplots(1, 2)
        parts = [("Activation", "f(x)", self.values), ("Derivative", "f′(x)", self.derivatives)]
        for ax, (title, label, curves) in zip(self.axes_, parts, strict=True):
            for number, (name, curve) in enumerate(curves.items()):
                style = ["-", "--", ":", "-."][number // len(COLORS) % 4]
                colour = COLORS[number % len(COLORS)]
                ax.plot(self.x, curve, style, color=colour, label=name)
            ax.set(title=title, xlabel="x", ylabel=label)
            ax.grid(alpha=0.3)
        handles, labels = self.axes_[0].get_legend_handles_labels()
        self.figure_.legend(handles, labels, loc="outside right center", frameon=False)
        return self
