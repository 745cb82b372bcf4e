"""The compared methods: what they take, how well they do, how they are searched."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklenet import DeepLeNetClassifier
from sklenet.comparison import METHODS, PixelScaler, make_method, search_grid, search_space
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


@parametrize_with_checks([PixelScaler()])
def test_the_scaler_is_a_scikit_learn_transformer(estimator, check):
    check(estimator)


def test_the_scaler_divides_all_pixels_by_the_largest_of_the_training_images():
    scaler = PixelScaler().fit([[[0, 1], [2, 4]], [[0, 0], [-8, 0]]])
    assert scaler.scale_ == 8
    assert_array_equal(scaler.transform([[[16, 8], [4, 0]]]), [[2, 1, 0.5, 0]])


@pytest.mark.parametrize(
    ("dtype", "expected"), [("uint8", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_the_scaler_keeps_float64_and_makes_float32_of_the_rest(dtype, expected):
    assert PixelScaler().fit_transform(X[:5].astype(dtype)).dtype == expected


def test_the_scaler_leaves_black_images_black():
    assert_array_equal(PixelScaler().fit_transform(np.zeros((2, 3, 3))), np.zeros((2, 9)))


def test_the_scaler_puts_channels_in_one_order():
    images = np.random.default_rng(0).random((4, 8, 8, 3))
    scaler = PixelScaler().fit(images)
    assert_array_equal(
        scaler.transform(np.moveaxis(images, -1, 1)), scaler.transform(images.reshape(4, -1))
    )


def test_the_scaler_refuses_images_of_another_size():
    scaler = PixelScaler().fit(X)
    with pytest.raises(ValueError, match=r"expected the \(height, width, channels\) \(8, 8, 1\)"):
        scaler.transform(X[:, :4])
    with pytest.raises(ValueError, match="X has 32 features, but PixelScaler is expecting 64"):
        scaler.transform(X[:, :4].reshape(len(X), -1))


def test_the_scaler_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="Input X contains NaN"):
        PixelScaler().fit(np.full((2, 3, 3), np.nan))


def test_the_scaler_survives_pickle_and_clone():
    scaler = PixelScaler().fit(X)
    assert_array_equal(pickle.loads(pickle.dumps(scaler)).transform(X), scaler.transform(X))
    assert not hasattr(clone(scaler), "scale_")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_images_and_flat_rows_alike(name):
    on_images = quick(name).fit(X[:300], y[:300])
    on_rows = quick(name).fit(X[:300].reshape(300, -1), y[:300])
    with_channels = X[300:400, :, :, None]
    assert_array_equal(on_images.predict(with_channels), on_rows.predict(X[300:400]))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_predicts_labels_of_any_type(name):
    labels = np.array(["even", "odd"])[y % 2]
    method = quick(name).fit(X[:300], labels[:300])
    assert set(method.predict(X[300:400])) <= {"even", "odd"}


@pytest.mark.parametrize(("name", "least"), [("knn", 0.985), ("svm", 0.988), ("mlp", 0.965)])
def test_a_baseline_is_good_on_the_digits(name, least):
    folds = StratifiedKFold(shuffle=True, random_state=0)
    assert cross_val_score(make_method(name, random_state=0), X, y, cv=folds).mean() >= least


@pytest.mark.parametrize("name", ["svm", "knn"])
def test_settings_suit_every_image_size_and_pixel_range(name):
    larger = np.kron(X, np.ones((3, 3))) * 1000
    small = make_method(name).fit(X[:300], y[:300]).predict(X[300:])
    large = make_method(name).fit(larger[:300], y[:300]).predict(larger[300:])
    assert np.mean(small == large) > 0.99


def test_lenet5_is_the_original_network():
    lenet5 = make_method("lenet5")["classifier"]
    assert isinstance(lenet5, DeepLeNetClassifier)
    assert lenet5.conv_channels == (6, 16)
    assert lenet5.pooling == "avg"
    assert lenet5.hidden_layer_sizes == (120, 84)
    assert lenet5.activation == "sigmoid"


def test_seed_and_device_reach_the_networks():
    for name in NETWORKS:
        network = make_method(name, random_state=3, device="cpu")["classifier"]
        assert network.random_state == 3
        assert network.device == "cpu"
    assert make_method("mlp", random_state=3)["classifier"].random_state == 3


def test_every_call_makes_a_new_method():
    make_method("svm").set_params(classifier__C=77)
    search_grid("svm")["classifier__C"].append(77)
    assert make_method("svm")["classifier"].C != 77
    assert 77 not in search_grid("svm")["classifier__C"]


@pytest.mark.parametrize("function", [make_method, search_grid])
def test_an_unknown_name_gets_the_known_ones(function):
    with pytest.raises(ValueError, match="'cnn' is unknown; the known ones are .*'knn'"):
        function("cnn")


@pytest.mark.parametrize("name", METHODS)
def test_the_grid_of_a_method_contains_its_own_settings(name):
    settings = make_method(name).get_params()
    for parameter, values in search_grid(name).items():
        assert settings[parameter] in values


def test_the_search_space_holds_every_method_with_its_grid():
    pipeline, param_grid = search_space(random_state=0)
    assert [step for step, _ in pipeline.steps] == ["scaler", "classifier"]
    assert len(param_grid) == len(METHODS)
    for name, grid in zip(METHODS, param_grid, strict=True):
        assert search_grid(name).items() <= grid.items()
    deep = param_grid[METHODS.index("deep_lenet")]
    assert set(deep["classifier__activation"]) == {"sigmoid", "tanh", "relu", "l_relu"}


def test_one_grid_search_compares_all_methods():
    pipeline, param_grid = search_space(random_state=0)
    for name, grid in zip(METHODS, param_grid, strict=True):
        if name in NETWORKS:
            grid["classifier"][0].set_params(max_epochs=1, hidden_layer_sizes=(8,))
        else:
            for parameter in search_grid(name):
                grid[parameter] = grid[parameter][:1]
    search = GridSearchCV(pipeline, param_grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(X[:300], y[:300])
    assert search.best_score_ > 0.9
    classifiers = {type(c).__name__ for c in search.cv_results_["param_classifier"]}
    assert classifiers == {"DeepLeNetClassifier", "SVC", "MLPClassifier", "KNeighborsClassifier"}


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_fitted_baseline_survives_pickle(name):
    method = make_method(name, random_state=0).fit(X[:300], y[:300])
    copy = pickle.loads(pickle.dumps(method))
    assert_allclose(copy.predict(X[300:400]), method.predict(X[300:400]))
