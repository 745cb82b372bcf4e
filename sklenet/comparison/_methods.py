"""The deep LeNet-5 and the methods that the paper compares it with, ready to use.

The settings of the baselines were chosen on training images: by 5-fold cross-validation on
scikit-learn's digits and on random splits of MNIST's training set (6,000 images to train, 3,000 or
4,000 to validate). Their accuracies, in this order:

- "svm": RBF kernel on images of unit length 0.990 and 0.966; on pixels in [0, 1] with
  ``gamma="scale"`` 0.989 and 0.960.
- "knn": three neighbors weighted by distance, on images of unit length 0.986 and 0.950; on pixels
  in [0, 1] 0.988 and 0.943.
- "mlp": one hidden layer of 800 units (Simard, Steinkraus and Platt, ICDAR 2003), pixels in [0, 1]
  and early stopping 0.970 and 0.954; with `MLPClassifier`'s own `alpha` and `batch_size` 0.969 and
  0.948. The hold-out of early stopping costs accuracy where images are few: after 100, 300 and
  1,000 of MNIST's training images, scored on 10,000 others (three splits), it reaches 0.728, 0.826
  and 0.884, without early stopping, in seven times the time, 0.752, 0.833 and 0.904.
- "lenet5": the normalization and augmentation of the deep network, a larger learning rate and a
  smaller weight decay. After 1,000 of MNIST's training images, scored on 10,000 others (two
  splits), 40 epochs reach 0.980, the 20 of LeCun et al. (1998) 0.974; after 10,000 images (one)
  0.9944 and 0.9940. Twice or half the learning rate reach 0.9932 and 0.9928 there.
"""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC

from .._classifier import DeepLeNetClassifier
from .._compat import MLPClassifier
from ._pixel_scaler import PixelScaler

__all__ = ["METHODS", "make_method", "search_grid", "search_space"]


def _pipeline(scaler, classifier):
    return Pipeline([("scaler", scaler), ("classifier", classifier)])


# Distances between images of unit length do not depend on their size: one gamma suits all.
_UNIT_LENGTH = make_pipeline(PixelScaler(), Normalizer())
# Each method and the grid of a search; the networks scale the images themselves.
_METHODS = {
    "deep_lenet": (
        _pipeline("passthrough", DeepLeNetClassifier()),
        {"classifier__activation": ["sigmoid", "tanh", "relu", "l_relu"]},
    ),
    "lenet5": (
        _pipeline(
            "passthrough",
            # Few saturating units need a larger learning rate and hardly any weight decay.
            DeepLeNetClassifier(
                "sigmoid",
                conv_channels=(6, 16),
                pooling="avg",
                hidden_layer_sizes=(120, 84),
                lr=0.1,
                weight_decay=5e-3,
                max_epochs=40,
            ),
        ),
        {"classifier__activation": ["sigmoid", "tanh"]},
    ),
    "svm": (
        _pipeline(_UNIT_LENGTH, SVC(C=5, gamma=2.5)),
        {"classifier__C": [2, 5, 10], "classifier__gamma": [1.5, 2.5]},
    ),
    "mlp": (
        _pipeline(
            PixelScaler(),
            MLPClassifier(
                (800,), alpha=1e-2, batch_size=64, early_stopping=True, n_iter_no_change=20
            ),
        ),
        {"classifier__alpha": [1e-4, 1e-2], "classifier__hidden_layer_sizes": [(100,), (800,)]},
    ),
    "knn": (
        _pipeline(_UNIT_LENGTH, KNeighborsClassifier(n_neighbors=3, weights="distance")),
        {"classifier__n_neighbors": [1, 3, 5]},
    ),
}

METHODS = tuple(_METHODS)
"""Names of the methods, the deep LeNet-5 first."""


def make_method(
    name: str,
    *,
    random_state: int | np.random.RandomState | None = None,
    device: str | torch.device = "auto",
) -> Pipeline:
    """Make one of the compared methods, with settings that do not need tuning.

    Parameters
    ----------
    name : {"deep_lenet", "lenet5", "svm", "mlp", "knn"}
        The method; see the Notes.
    random_state : int, RandomState instance or None, default=None
        Source of the randomness of the networks.
    device : str or torch.device, default="auto"
        Device on which "deep_lenet" and "lenet5" are trained, as for `DeepLeNetClassifier`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Unfitted steps "scaler" and "classifier", which support images and flat rows.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.

    Notes
    -----
    "deep_lenet" is `DeepLeNetClassifier` with its defaults. "lenet5" has the layers of the original
    LeNet-5 [1]_, 6 and 16 kernels, average pooling, 120 and 84 hidden units and sigmoid, and the
    normalization and augmentation of the former; it trains for 40 epochs. "svm" has an RBF kernel,
    and "knn" weights the 3 nearest neighbors by their distance, both on images of unit length.
    "mlp" has one hidden layer of 800 units as in [2]_. The settings of all were chosen on training
    images.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
       Recognition", Proceedings of the IEEE 86(11), 1998.
    .. [2] P. Y. Simard, D. Steinkraus, J. C. Platt, "Best Practices for Convolutional Neural
       Networks Applied to Visual Document Analysis", ICDAR 2003.

    Examples
    --------
    >>> from sklenet.comparison import make_method
    >>> from sklenet.datasets import load_digits_images
    >>> X, y = load_digits_images()
    >>> make_method("knn").fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.95
    True
    """
    method = clone(_entry(name)[0])
    given = {"classifier__random_state": random_state, "classifier__device": device}
    known = method.get_params()
    return method.set_params(**{key: value for key, value in given.items() if key in known})


def search_grid(name: str) -> dict[str, list]:
    """Return the grid of a search over the settings of a method.

    Parameters
    ----------
    name : {"deep_lenet", "lenet5", "svm", "mlp", "knn"}
        The method.

    Returns
    -------
    dict of str to list
        A parameter grid for `make_method(name)`; it contains the settings of `make_method`.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklenet.comparison import make_method, search_grid
    >>> search_grid("knn")
    {'classifier__n_neighbors': [1, 3, 5]}
    >>> search = GridSearchCV(make_method("knn"), search_grid("knn"))
    """
    grid = _entry(name)[1]
    return {parameter: list(values) for parameter, values in grid.items()}


def search_space(
    *,
    random_state: int | np.random.RandomState | None = None,
    device: str | torch.device = "auto",
) -> tuple[Pipeline, list[dict[str, list]]]:
    """Make one pipeline and one grid with which a grid search compares all methods.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Seed of the networks.
    device : str or torch.device, default="auto"
        Device on which "deep_lenet" and "lenet5" are trained, as for `DeepLeNetClassifier`.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        Steps "scaler" and "classifier".
    param_grid : list of dict
        For each method its two steps and its `search_grid`; within "deep_lenet" that is the
        activations.

    See Also
    --------
    sklenet.comparison.compare_methods : Compares the methods by more than their accuracy.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklenet.comparison import search_space
    >>> search = GridSearchCV(*search_space(random_state=0), n_jobs=2)
    """
    methods = {
        name: make_method(name, random_state=random_state, device=device) for name in METHODS
    }
    param_grid = [
        {step: [part] for step, part in method.steps} | search_grid(name)
        for name, method in methods.items()
    ]
    return methods[METHODS[0]], param_grid


def _entry(name):
    if name not in METHODS:
        raise ValueError(f"name must be one of {list(METHODS)}, got {name!r}.")
    return _METHODS[name]
