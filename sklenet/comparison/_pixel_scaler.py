"""`PixelScaler`: the preprocessing of the methods that do not have one."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..images import ImageLayout, as_array, has_ambiguous_channels

__all__ = ["PixelScaler"]

_DTYPES = (np.float32, np.float64)


class PixelScaler(TransformerMixin, BaseEstimator):
    """Flatten images and divide their pixels by the largest of the training images.

    All pixels are divided by the same number; images of `uint8`, for instance, are scaled to
    [0, 1]. Unlike scikit-learn's scalers it preserves the ratios between pixels and supports images
    in the shapes that `DeepLeNetClassifier` supports. Images with channels first and images with
    channels last have the same rows, in the order of the training images, unless the position of
    the channels is ambiguous: then all images need the shape of the training images.

    Attributes
    ----------
    scale_ : float
        The largest absolute pixel of the training images, or 1.0 if they are black.
    n_features_in_ : int
        Pixels of an image, all channels counted.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has names that are all strings.

    See Also
    --------
    sklearn.preprocessing.MaxAbsScaler : Divides each feature by its maximum.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.comparison import PixelScaler
    >>> PixelScaler().fit_transform(np.array([[[0, 255], [51, 0]]], dtype=np.uint8))
    array([[0. , 1. , 0.2, 0. ]], dtype=float32)
    """

    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Find the largest absolute pixel.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The training images, of any integer or floating type.
        y : None
            Ignored.

        Returns
        -------
        self : PixelScaler
            The fitted transformer.

        Raises
        ------
        ValueError
            If X does not have the shape of images, is empty or holds NaN or infinity.
        TypeError
            If X is sparse or does not hold numbers.
        """
        images = as_array(X)
        # Rows have the order of the axes: any reading of an ambiguous shape fits.
        image_shape = images.shape[1:] if has_ambiguous_channels(images.shape) else None
        self._layout = ImageLayout.from_images(images, image_shape)
        rows = validate_data(self, self._layout.flatten(images), dtype=_DTYPES)
        self.scale_ = float(max(rows.max(), -rows.min())) or 1.0
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Flatten and scale images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images, shaped like the training images.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The scaled pixels: float64 where X is float64, else float32.

        Raises
        ------
        ValueError
            If the number of pixels differs from that in `fit`, or X holds NaN or infinity.
        TypeError
            If X is sparse or does not hold numbers.
        """
        check_is_fitted(self)
        rows = self._layout.flatten(as_array(X), self.n_features_in_)
        return validate_data(self, rows, dtype=_DTYPES, reset=False) / self.scale_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32", "float64"]
        return tags
