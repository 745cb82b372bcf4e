"""The deep LeNet-5 and the methods that the paper compares it with, ready to use."""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, validate_data

from .classifier import DeepLeNetClassifier
from .images import ImageFormat, as_array

__all__ = ["METHODS", "PixelScaler", "make_method", "search_grid", "search_space"]


class PixelScaler(TransformerMixin, BaseEstimator):
    """Flatten images and divide their pixels by the largest one of the training images.

    All pixels are divided by the same number: bytes, for instance, come to lie in [0, 1]. Unlike
    scikit-learn's scalers it keeps the proportions of the pixels to each other and takes images of
    every shape that `DeepLeNetClassifier` takes.

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
    >>> from sklenet.baselines import PixelScaler
    >>> PixelScaler().fit_transform(np.array([[[0, 255], [51, 0]]], dtype=np.uint8))
    array([[0. , 1. , 0.2, 0. ]], dtype=float32)
    """

    _image_format: ImageFormat

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
        self._image_format = ImageFormat(X)
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
        rows = self._image_format.flatten(X)
        return validate_data(self, rows, dtype=(np.float32, np.float64), reset=reset)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32", "float64"]
        return tags


# Of each method: what it does to the images, the classifier, and the settings worth a search. The
# networks read the images themselves. Images of unit length let one `gamma` suit every image size.
_UNIT_LENGTH = make_pipeline(PixelScaler(), Normalizer())
_METHODS = {
    "deep_lenet": (
        "passthrough",
        DeepLeNetClassifier(),
        {"classifier__activation": ["sigmoid", "tanh", "relu", "l_relu"]},
    ),
    "lenet5": (
        "passthrough",
        DeepLeNetClassifier(
            "sigmoid", conv_channels=(6, 16), pooling="avg", hidden_layer_sizes=(120, 84)
        ),
        {"classifier__activation": ["sigmoid", "tanh"]},
    ),
    "svm": (
        _UNIT_LENGTH,
        SVC(C=5, gamma=2.5),
        {"classifier__C": [2, 5, 10], "classifier__gamma": [1.5, 2.5, 4]},
    ),
    "mlp": (
        PixelScaler(),
        MLPClassifier(hidden_layer_sizes=(800,), early_stopping=True),
        {"classifier__alpha": [1e-4, 1e-2], "classifier__hidden_layer_sizes": [(100,), (800,)]},
    ),
    "knn": (
        _UNIT_LENGTH,
        KNeighborsClassifier(n_neighbors=3, weights="distance"),
        {"classifier__n_neighbors": [1, 3, 5]},
    ),
}

METHODS = tuple(_METHODS)


def make_method(name, *, random_state=None, device="auto"):
    """Make one of the compared methods, with settings that need no tuning.

    Parameters
    ----------
    name : {"deep_lenet", "lenet5", "svm", "mlp", "knn"}
        The method; see the Notes.
    random_state : int, RandomState instance or None, default=None
        Seed of the networks.
    device : str or torch.device, default="auto"
        Where "deep_lenet" and "lenet5" are trained, as for `DeepLeNetClassifier`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        An unfitted pipeline of the steps "scaler" and "classifier", which takes images or flat
        rows.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.

    Notes
    -----
    The settings were chosen on training images only.

    "deep_lenet" is `DeepLeNetClassifier` as it is, "lenet5" the original LeNet-5 [1]_ with the same
    training: 6 and 16 kernels, average down-sampling, 120 and 84 hidden units, sigmoid.

    NOTES

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
       Recognition", Proceedings of the IEEE 86(11), 1998.
    .. [2] P. Y. Simard, D. Steinkraus, J. C. Platt, "Best Practices for Convolutional Neural
       Networks Applied to Visual Document Analysis", ICDAR 2003.

    Examples
    --------
    >>> from sklenet.baselines import make_method
    >>> from sklenet.datasets import load_digits_images
    >>> X, y = load_digits_images()
    >>> make_method("knn").fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.95
    True
    """
    scaler, classifier, _ = _METHODS[_known(name)]
    method = Pipeline([("scaler", clone_step(scaler)), ("classifier", clone(classifier))])
    return method
