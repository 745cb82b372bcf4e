"""The deep LeNet-5 and the methods that the paper compares it with, ready to use."""

from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import SVC

from .._classifier import DeepLeNetClassifier
from ._pixel_scaler import PixelScaler

__all__ = ["METHODS", "make_method", "search_grid", "search_space"]


def _pipeline(scaler, classifier):
    return Pipeline([("scaler", scaler), ("classifier", classifier)])


# Each method with the settings that are worth a search. The networks scale the images themselves.
# Among images of unit length distances do not depend on the number of pixels: one gamma suits all.
_UNIT_LENGTH = make_pipeline(PixelScaler(), Normalizer())
_METHODS = {
    "deep_lenet": (
        _pipeline("passthrough", DeepLeNetClassifier()),
        {"classifier__activation": ["sigmoid", "tanh", "relu", "l_relu"]},
    ),
    "lenet5": (
        _pipeline(
            "passthrough",
            # Saturating units want a higher rate and hardly any decay; 20 passes as in LeCun et al.
            DeepLeNetClassifier(
                "sigmoid",
                conv_channels=(6, 16),
                pooling="avg",
                hidden_layer_sizes=(120, 84),
                lr=2e-2,
                weight_decay=2e-2,
                max_epochs=20,
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


def make_method(name, *, random_state=None, device="auto"):
    """Make one of the compared methods, with settings that need no tuning.

    Parameters
    ----------
    name : {"deep_lenet", "lenet5", "svm", "mlp", "knn"}
        The method; see the Notes.
    random_state : int, RandomState instance or None, default=None
        Source of the randomness of the networks.
    device : str or torch.device, default="auto"
        Where "deep_lenet" and "lenet5" are trained, as for `DeepLeNetClassifier`.

    Returns
    -------
    sklearn.pipeline.Pipeline
        Unfitted steps "scaler" and "classifier", which take images or flat rows.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.

    Notes
    -----
    "deep_lenet" is `DeepLeNetClassifier` as it comes. "lenet5" is the original LeNet-5 [1]_: 6 and
    16 kernels, average down-sampling, 120 and 84 hidden units, sigmoid, 20 passes, and the learning
    rate and weight decay that suit it (0.984 from 10,000 training images of MNIST on 10,000 others,
    mean of two splits; 0.966 with the settings of the deep network).

    The other settings were chosen on training images: by 5-fold cross-validation on scikit-learn's
    digits and on random splits of MNIST's training set (6,000 to train, 3,000 or 4,000 to
    validate), where they reach the accuracies given here in this order. "svm" has an RBF kernel on
    images of unit length (0.990, 0.966; with pixels in [0, 1] and ``gamma="scale"`` 0.989, 0.960).
    "knn" weighs the 3 nearest neighbours by their distance, also between images of unit length
    (0.986, 0.950; with pixels in [0, 1] 0.988, 0.943). "mlp" has one hidden layer of 800 units as
    in [2]_, pixels in [0, 1] and early stopping (0.970, 0.954; with `MLPClassifier`'s own `alpha`
    and `batch_size` 0.969, 0.948).

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


def search_grid(name):
    """List the settings of a method that are worth a search.

    Parameters
    ----------
    name : {"deep_lenet", "lenet5", "svm", "mlp", "knn"}
        The method.

    Returns
    -------
    dict of str to list
        A parameter grid for `make_method(name)`; it contains the settings that `make_method`
        chooses.

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


def search_space(*, random_state=None, device="auto"):
    """Make one pipeline and one grid with which a grid search compares all methods.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Source of the randomness of the networks.
    device : str or torch.device, default="auto"
        Where "deep_lenet" and "lenet5" are trained, as for `DeepLeNetClassifier`.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        Steps "scaler" and "classifier".
    param_grid : list of dict
        For each method its two steps and its `search_grid`; within "deep_lenet" that is the
        activations.

    See Also
    --------
    compare_methods : Compares the methods by more than their accuracy.

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
        raise ValueError(f"The method {name!r} is unknown; the known ones are {list(METHODS)}.")
    return _METHODS[name]
