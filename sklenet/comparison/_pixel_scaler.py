"""`PixelScaler`: the one preprocessing step of the methods besides the network."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..images import ImageLayout, as_array

__all__ = ["PixelScaler"]


class PixelScaler(TransformerMixin, BaseEstimator):
    """Flatten images and divide their pixels by the largest one of the training images.

    All pixels are divided by the same number: bytes, for instance, come to lie in [0, 1]. Unlike
    scikit-learn's scalers it keeps the proportions of the pixels to each other and takes images as
    `DeepLeNetClassifier` does without `image_shape`.

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
    sklearn.preprocessing.MaxAbsScaler : Divides each feature by a number of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.comparison import PixelScaler
    >>> PixelScaler().fit_transform(np.array([[[0, 255], [51, 0]]], dtype=np.uint8))
    array([[0. , 1. , 0.2, 0. ]], dtype=float32)
    """

    def fit(self, X, y=None):
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
            If X has no shape of images, is empty or holds NaN or infinity.
        TypeError
            If X is sparse.
        """
        X = as_array(X)
        self._layout = ImageLayout.from_images(X)
        rows = self._flatten(X, reset=True)
        self.scale_ = float(max(rows.max(), -rows.min())) or 1.0
        return self

    def transform(self, X):
        """Flatten and scale images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            The images, in a shape that fits the training images.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            The scaled pixels: float64 where X is float64, else float32.

        Raises
        ------
        ValueError
            If the images have not as many pixels as those of `fit`, or hold NaN or infinity.
        TypeError
            If X is sparse.
        """
        check_is_fitted(self)
        return self._flatten(as_array(X), reset=False) / self.scale_

    def _flatten(self, X, *, reset):
        rows = self._layout.flatten(X)
        return validate_data(self, rows, dtype=(np.float32, np.float64), reset=reset)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32", "float64"]
        return tags
