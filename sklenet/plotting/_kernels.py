"""The kernels that a convolution has learned."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from .._compat import import_optional
from .._inspection import fitted_attribute
from ._style import axes_or_new, mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

__all__ = ["KernelDisplay"]


class KernelDisplay:
    """The kernels of a convolution, side by side.

    Use `from_estimator` to make one.

    Parameters
    ----------
    kernels : ndarray of shape (n_kernels, height, width)
        The weights.
    title : str, default="Kernels"
        What they are.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the mosaic, after `plot`.
    figure_ : matplotlib.figure.Figure
        Their figure.
    image_ : matplotlib.image.AxesImage
        The mosaic of all kernels.

    Examples
    --------
    >>> from sklenet import DeepLeNetClassifier
    >>> from sklenet.datasets import load_digits_images
    >>> from sklenet.plotting import KernelDisplay
    >>> X, y = load_digits_images()
    >>> classifier = DeepLeNetClassifier(max_epochs=1, random_state=0).fit(X[:200], y[:200])
    >>> KernelDisplay.from_estimator(classifier).kernels.shape
    (32, 5, 5)
    """

    def __init__(self, kernels: NDArray, title: str = "Kernels") -> None:
        self.kernels = kernels
        self.title = title

    @classmethod
    def from_estimator(
        cls, estimator: BaseEstimator, *, layer: str = "C1", **plot_kwargs: Any
    ) -> Self:
        """Draw the kernels of a fitted classifier.

        Parameters
        ----------
        estimator : estimator
            A fitted `DeepLeNetClassifier`, or a pipeline or search with one.
        layer : str, default="C1"
            Name of the convolution. Of a layer that reads several channels each kernel is shown
            as its mean over them.
        **plot_kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        KernelDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator is not a fitted network or has no such convolution.
        """
        import_optional("matplotlib", cls.__name__)
        convolutions = {
            name: module
            for name, module in fitted_attribute(estimator, "module_").features.named_children()
            if hasattr(module, "kernel_size") and hasattr(module, "weight")
        }
        if layer not in convolutions:
            raise ValueError(f"layer must be one of {list(convolutions)}, got {layer!r}.")
        weight = convolutions[layer].weight.detach().cpu().numpy()
        n_kernels, n_channels, height, width = weight.shape
        mean = ", mean over the channels" if n_channels > 1 else ""
        title = f"{layer}: {n_kernels} kernels of {height}×{width}{mean}"
        return cls(weight.mean(axis=1), title).plot(**plot_kwargs)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        n_columns: int | None = None,
        cmap: "str | Colormap" = "RdBu_r",
    ) -> Self:
        """Draw the kernels, zero in the middle of the colors.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a new figure.
        n_columns : int, default=None
            Kernels in a row; None makes the picture about twice as wide as high.
        cmap : str or matplotlib.colors.Colormap, default="RdBu_r"
            The colors, from negative to positive weights.

        Returns
        -------
        KernelDisplay
            The display itself.
        """
        import_optional("matplotlib", type(self).__name__)
        tiles = mosaic(self.kernels, n_columns)
        largest = np.abs(self.kernels).max()
        self.ax_ = axes_or_new(ax, (7, 3.6))
        self.figure_ = self.ax_.figure
        self.image_ = self.ax_.imshow(tiles, cmap=cmap, vmin=-largest, vmax=largest)
        self.ax_.set_axis_off()
        self.ax_.set_title(self.title)
        self.figure_.colorbar(self.image_, ax=self.ax_, label="Weight", shrink=0.8)
        return self
