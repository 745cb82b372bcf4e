"""Feature maps of an image."""

from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from .._compat import import_optional
from .._inspection import fitted_attribute
from ..images import as_array
from ._style import figure_or_new, mosaic

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

__all__ = ["FeatureMapDisplay"]


class FeatureMapDisplay:
    """The output of each stage of the network for one image.

    Use `from_estimator` to make one.

    Parameters
    ----------
    image : ndarray of shape (channels, 32, 32)
        The image as the network reads it.
    feature_maps : dict of str to ndarray of shape (n_maps, height, width)
        The output of each stage, by its name.

    Attributes
    ----------
    axes_ : ndarray of shape (1 + n_stages,) of matplotlib.axes.Axes
        The axes of the image and of the stages, after `plot`.
    figure_ : matplotlib.figure.Figure or matplotlib.figure.SubFigure
        Their figure.

    Examples
    --------
    >>> from sklenet import DeepLeNetClassifier
    >>> from sklenet.datasets import load_digits_images
    >>> from sklenet.plotting import FeatureMapDisplay
    >>> X, y = load_digits_images()
    >>> classifier = DeepLeNetClassifier(max_epochs=1, random_state=0).fit(X[:200], y[:200])
    >>> display = FeatureMapDisplay.from_estimator(classifier, X[:1])
    >>> {name: maps.shape for name, maps in display.feature_maps.items()}
    {'C1, S2': (32, 14, 14), 'C3, S4': (64, 5, 5)}
    """

    def __init__(self, image: NDArray, feature_maps: dict[str, NDArray]) -> None:
        self.image = image
        self.feature_maps = feature_maps

    @classmethod
    def from_estimator(cls, estimator: BaseEstimator, X: ArrayLike, **plot_kwargs: Any) -> Self:
        """Draw the feature maps that a fitted classifier computes from an image.

        Parameters
        ----------
        estimator : estimator
            A fitted `DeepLeNetClassifier`, or a pipeline or search with one.
        X : array-like of shape (1, n_features), (1, height, width) or with channels
            The image, in a shape that fits the training images.
        **plot_kwargs : dict
            Passed on to `plot`.

        Returns
        -------
        FeatureMapDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator is not a fitted network, or if X holds another number of images.
        """
        import_optional("matplotlib", cls.__name__)
        network = fitted_attribute(estimator, "module_")
        shape = as_array(X).shape
        if len(shape) > 1 and shape[0] != 1:
            raise ValueError(
                f"X must hold one image, as X[:1] does, got {shape[0]} in the shape {shape}."
            )
        seen, stages = {}, _stages(network)

        def remember(name, module, inputs, output):
            seen[name] = output[0].cpu().numpy()

        def remember_image(module, inputs):
            seen["image"] = inputs[0][0].cpu().numpy()

        hooks = [network.register_forward_pre_hook(remember_image)]
        try:
            for name, layer in stages.items():
                hooks.append(layer.register_forward_hook(partial(remember, name)))
            estimator.predict(X)
        finally:
            for hook in hooks:
                hook.remove()
        return cls(seen.pop("image"), seen).plot(**plot_kwargs)

    def plot(
        self, *, cmap: "str | Colormap" = "viridis", figure: "Figure | SubFigure | None" = None
    ) -> Self:
        """Draw the image and, next to it, a mosaic of each stage.

        Parameters
        ----------
        cmap : str or matplotlib.colors.Colormap, default="viridis"
            The colors of the stages, from the lowest to the highest output of each.
        figure : matplotlib.figure.Figure or matplotlib.figure.SubFigure, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        FeatureMapDisplay
            The display itself.
        """
        import_optional("matplotlib", type(self).__name__)
        mosaics = {name: mosaic(maps) for name, maps in self.feature_maps.items()}
        self.figure_ = figure_or_new(figure, (3 + 4.5 * len(mosaics), 3))
        widths = [1, *(tiles.shape[1] / tiles.shape[0] for tiles in mosaics.values())]
        self.axes_ = self.figure_.subplots(
            1, len(widths), width_ratios=widths, squeeze=False, gridspec_kw={"wspace": 0.08}
        )[0]
        low, high = self.image.min(), self.image.max()
        pixels = (np.moveaxis(self.image, 0, -1) - low) / ((high - low) or 1)
        self.axes_[0].imshow(pixels if len(self.image) == 3 else pixels.mean(-1), cmap="gray_r")
        self.axes_[0].set_title("Input")
        for ax, (name, tiles) in zip(self.axes_[1:], mosaics.items(), strict=True):
            n_maps, height, width = self.feature_maps[name].shape
            ax.imshow(tiles, cmap=cmap)
            ax.set_title(f"{name}: {n_maps} maps of {height}×{width}")
        for ax in self.axes_:
            ax.set_axis_off()
        return self


def _stages(network):
    """Return the last layer of each stage of convolution and down-sampling, by the stage's name."""
    stages, convolution, last = {}, None, None
    for name, module in network.features.named_children():
        if name.startswith("C") or name == "flatten":
            if convolution is not None:
                stages[f"{convolution}, S{int(convolution[1:]) + 1}"] = last
            convolution = name
        last = module
    return stages
