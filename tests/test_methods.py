"""The compared methods: input, accuracy, settings and grids."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from sklenet import DeepLeNetClassifier
from sklenet.comparison import METHODS, make_method, search_grid, search_space
from sklenet.datasets import load_digits_images

NETWORKS = ("deep_lenet", "lenet5")
CLASSICAL = tuple(name for name in METHODS if name not in NETWORKS)
X, y = load_digits_images()


def quick(name):
    """Make a method whose network is small and trained for one epoch."""
    method = make_method(name, random_state=0)
    if name in NETWORKS:
        method.set_params(classifier__max_epochs=1, classifier__hidden_layer_sizes=(8,))
    return method


@pytest.mark.parametrize("name", METHODS)
def test_method_images_and_flat_rows_predicts_the_same(name):
    on_images = quick(name).fit(X[:300], y[:300])
    on_rows = quick(name).fit(X[:300].reshape(300, -1), y[:300])
    with_channels = X[300:400, :, :, None]
    assert_array_equal(on_images.predict(with_channels), on_rows.predict(X[300:400]))


@pytest.mark.parametrize("name", CLASSICAL)
def test_baseline_ambiguous_channels_predicts_as_on_flat_rows(name):
    images = np.random.default_rng(0).random((100, 3, 5, 4))
    labels = np.arange(100) % 2
    method = quick(name).fit(images, labels)
    on_rows = quick(name).fit(images.reshape(100, -1), labels)
    assert_array_equal(method.predict(images), on_rows.predict(images.reshape(100, -1)))


@pytest.mark.parametrize("name", METHODS)
def test_method_labels_of_strings_are_predicted(name):
    labels = np.array(["even", "odd"])[y % 2]
    method = quick(name).fit(X[:300], labels[:300])
    assert set(method.predict(X[300:400])) <= {"even", "odd"}


@pytest.mark.parametrize(
    ("name", "least"),
    [("knn", 0.985), ("svm", 0.988), pytest.param("mlp", 0.965, marks=pytest.mark.slow)],
)
def test_baseline_digits_is_accurate(name, least):
    folds = StratifiedKFold(shuffle=True, random_state=0)
    assert cross_val_score(make_method(name, random_state=0), X, y, cv=folds).mean() >= least


@pytest.mark.parametrize("name", ["svm", "knn"])
def test_baseline_scaled_images_predicts_the_same(name):
    larger = np.kron(X, np.ones((3, 3))) * 1000
    small = make_method(name).fit(X[:300], y[:300]).predict(X[300:])
    large = make_method(name).fit(larger[:300], y[:300]).predict(larger[300:])
    assert np.mean(small == large) > 0.99


def test_make_method_lenet5_has_original_sizes():
    lenet5 = make_method("lenet5")["classifier"]
    assert isinstance(lenet5, DeepLeNetClassifier)
    assert lenet5.conv_channels == (6, 16)
    assert lenet5.pooling == "avg"
    assert lenet5.hidden_layer_sizes == (120, 84)
    assert lenet5.activation == "sigmoid"


def test_make_method_seed_and_device_reach_networks():
    for name in NETWORKS:
        network = make_method(name, random_state=3, device="cpu")["classifier"]
        assert network.random_state == 3
        assert network.device == "cpu"
    assert make_method("mlp", random_state=3)["classifier"].random_state == 3


def test_make_method_changed_result_keeps_settings():
    make_method("svm").set_params(classifier__C=77)
    search_grid("svm")["classifier__C"].append(77)
    assert make_method("svm")["classifier"].C != 77
    assert 77 not in search_grid("svm")["classifier__C"]


@pytest.mark.parametrize("function", [make_method, search_grid])
def test_make_method_unknown_name_raises(function):
    with pytest.raises(ValueError, match="name must be one of .*'knn'.*, got 'cnn'"):
        function("cnn")


@pytest.mark.parametrize("name", METHODS)
def test_search_grid_contains_settings_of_method(name):
    settings = make_method(name).get_params()
    for parameter, values in search_grid(name).items():
        assert settings[parameter] in values


def test_search_space_has_grid_of_every_method():
    pipeline, param_grid = search_space(random_state=0)
    assert [step for step, _ in pipeline.steps] == ["scaler", "classifier"]
    assert len(param_grid) == len(METHODS)
    for name, grid in zip(METHODS, param_grid, strict=True):
        assert search_grid(name).items() <= grid.items()
    deep = param_grid[METHODS.index("deep_lenet")]
    assert set(deep["classifier__activation"]) == {"sigmoid", "tanh", "relu", "l_relu"}


@pytest.mark.slow
def test_search_space_grid_search_fits_all_methods(digits):
    X_train, X_test, y_train, y_test = digits
    pipeline, param_grid = search_space(random_state=0)
    param_grid[METHODS.index("deep_lenet")]["classifier__max_epochs"] = [5]
    search = GridSearchCV(pipeline, param_grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(X_train, y_train)
    assert (search.cv_results_["mean_test_score"] > 0.5).all()
    assert search.score(X_test, y_test) > 0.9
    classifiers = list(search.cv_results_["param_classifier"])
    for kind in (DeepLeNetClassifier, SVC, MLPClassifier, KNeighborsClassifier):
        assert any(isinstance(classifier, kind) for classifier in classifiers)


@pytest.mark.parametrize("name", CLASSICAL)
def test_baseline_pickled_predicts_the_same(name):
    method = make_method(name, random_state=0).fit(X[:300], y[:300])
    copy = pickle.loads(pickle.dumps(method))
    assert_allclose(copy.predict(X[300:400]), method.predict(X[300:400]))
