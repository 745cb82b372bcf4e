"""`DeepLeNetClassifier`: accuracy, input, weights, continued training and reproducibility."""

import copy
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import Small, weights_of
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, Dataset

from sklenet import DeepLeNetClassifier, LReLU


class EndlessDataset(Dataset):
    """A data set of images and labels whose items do not end."""

    def __len__(self):
        return 300

    def __getitem__(self, index):
        return np.zeros((8, 8)), 0


def as_data_frame(X):
    return pd.DataFrame(X.reshape(len(X), -1))


def broken(X, value):
    X = X.astype(float)
    X[3, 2, 1] = value
    return X


# Accuracy


@pytest.mark.slow
def test_fit_defaults_learns_digits(digits):
    X_train, X_test, y_train, y_test = digits
    assert DeepLeNetClassifier(random_state=0).fit(X_train, y_train).score(X_test, y_test) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"output": "sigmoid"},
        {"optimizer": "adam"},
        {"optimizer": "sgd", "lr": 0.1},
        {"optimizer": partial(torch.optim.SGD, momentum=0.9), "lr": 0.05},
        {"optimizer": torch.optim.RMSprop, "lr": 1e-3},
        {"lr_schedule": "constant", "lr": 1e-3},
        {"augmentation": "affine"},
        {"dropout": 0.3},
        {"pooling": "avg"},
        {"class_weight": "balanced"},
        {"hidden_layer_sizes": 64},
        {"hidden_layer_sizes": ()},
        {"conv_channels": [8], "kernel_size": 3},
        {"conv_channels": 8, "kernel_size": 3},
        {"activation": nn.Hardswish},
        {"activation": partial(LReLU, beta=2.0)},
        {"early_stopping": True, "validation_fraction": 0.2},
    ],
    ids=str,
)
def test_fit_every_option_learns_digits(digits, options):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(**{"max_epochs": 30, **options}).fit(X_train, y_train)
    assert classifier.score(X_test, y_test) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu"])
def test_fit_every_activation_learns_digits(digits, activation):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(activation=activation, max_epochs=15).fit(X_train, y_train)
    assert classifier.score(X_test, y_test) > 0.8


@pytest.mark.slow
def test_grid_search_activations_finds_accurate_one(digits):
    X_train, X_test, y_train, y_test = digits
    grid = {"activation": ["sigmoid", "tanh", "relu", "l_relu"]}
    search = GridSearchCV(Small(max_epochs=20), grid, cv=2, n_jobs=2)
    search.fit(X_train, y_train)
    assert search.score(X_test, y_test) > 0.9


def test_cross_val_score_pipeline_is_accurate(digits):
    X_train, _, y_train, _ = digits
    rows = X_train.reshape(len(X_train), -1)
    pipeline = make_pipeline(StandardScaler(), Small(max_epochs=20))
    assert cross_val_score(pipeline, rows, y_train, cv=2).mean() > 0.7


@pytest.mark.gpu
def test_fit_cuda_is_as_accurate_as_cpu(digits):
    X_train, X_test, y_train, y_test = digits
    for device in ("cpu", "cuda"):
        classifier = DeepLeNetClassifier(device=device, random_state=0).fit(X_train, y_train)
        assert classifier.score(X_test, y_test) > 0.95


@pytest.mark.gpu
def test_fit_cuda_has_losses_of_cpu(digits):
    X_train, _, y_train, _ = digits
    # Each device draws other random changes of the images.
    same = {"precision": "float32", "augmentation": None, "max_epochs": 3, "random_state": 0}
    cpu, cuda = (
        DeepLeNetClassifier(device=device, **same).fit(X_train, y_train).loss_curve_
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(cuda, cpu, rtol=0.02)


# Input


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X[:, np.newaxis],
        lambda X: X[..., np.newaxis],
        lambda X: X.reshape(len(X), -1),
        lambda X: X.tolist(),
        torch.from_numpy,
        as_data_frame,
    ],
    ids=["channels first", "channels last", "flat", "list", "tensor", "data frame"],
)
def test_fit_images_in_any_form_trains_same_model(digits, convert):
    X_train, X_test, y_train, _ = digits
    expected = Small().fit(X_train.astype(np.int64), y_train).predict_proba(X_test)
    classifier = Small().fit(convert(X_train.astype(np.int64)), y_train)
    # Wide integers are standardized in double precision, bytes in single.
    np.testing.assert_allclose(classifier.predict_proba(convert(X_test)), expected, rtol=1e-4)


def test_fit_memory_map_trains_same_model(tmp_path, digits):
    X_train, X_test, y_train, _ = digits
    np.save(tmp_path / "X.npy", X_train)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        Small().fit(on_disk, y_train).predict_proba(X_test),
        Small().fit(X_train, y_train).predict_proba(X_test),
    )


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.uint8, torch.int64),
        (torch.uint8, torch.int8),
        (torch.uint8, torch.bool),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_fit_tensors_trains_model_of_arrays(digits, images, labels):
    # Tensors of floats require gradients.
    X_train, X_test, y_train, y_test = (
        torch.from_numpy(part).to(dtype).requires_grad_(dtype.is_floating_point)
        for part, dtype in zip(digits, [images, images, labels, labels], strict=True)
    )
    arrays = [part.detach().numpy() for part in (X_train, X_test, y_train, y_test)]
    weight = torch.ones(len(y_train), requires_grad=True)
    classifier = Small(max_epochs=1).fit(X_train, y_train, weight)
    expected = Small(max_epochs=1).fit(arrays[0], arrays[2], weight.detach().numpy())
    assert torch.equal(weights_of(classifier), weights_of(expected))
    assert classifier.classes_.dtype == arrays[2].dtype
    np.testing.assert_array_equal(classifier.predict_proba(X_test), expected.predict_proba(X_test))
    weight = torch.rand(len(y_test), requires_grad=True)
    for y in (y_test, y_test[:, None]):
        assert classifier.score(X_test, y) == expected.score(arrays[1], arrays[3])
    assert classifier.score(X_test, y_test, weight) == expected.score(
        arrays[1], arrays[3], weight.detach().numpy()
    )
    classes = torch.unique(y_train)
    classifier.partial_fit(X_train, y_train, classes=classes)
    expected.partial_fit(arrays[0], arrays[2], classes=classes.detach().numpy())
    assert torch.equal(weights_of(classifier), weights_of(expected))


def test_fit_column_of_labels_trains_model_with_warning(digits):
    X_train, _, y_train, _ = digits
    expected = weights_of(Small(max_epochs=1).fit(X_train, y_train))
    for y in (y_train[:, None], torch.from_numpy(y_train)[:, None]):
        with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
            classifier = Small(max_epochs=1).fit(X_train, y)
        assert torch.equal(weights_of(classifier), expected)


@pytest.mark.parametrize("image_shape", [(5, 8, 3), (3, 5, 8)])
def test_fit_color_rows_have_order_of_image_shape(image_shape):
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 8, 3), dtype=np.uint8)
    same = images if image_shape[-1] == 3 else np.moveaxis(images, -1, 1)
    y = np.arange(20) % 2
    classifier = Small(max_epochs=1, image_shape=image_shape).fit(same.reshape(20, -1), y)
    assert classifier.image_shape_ == (5, 8, 3)
    expected = Small(max_epochs=1).fit(same, y)
    assert torch.equal(weights_of(classifier), weights_of(expected))
    np.testing.assert_array_equal(classifier.predict_proba(images), expected.predict_proba(same))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_fit_rows_of_three_times_a_square_warns_once(method):
    X, y = np.random.default_rng(0).random((20, 48)), np.arange(20) % 2
    classes = {"classes": [0, 1]} if method == "partial_fit" else {}
    classifier = Small(max_epochs=1)
    message = r"read as gray images of 7x7 .*\(4, 4, 3\) if .*, or image_shape=\(3, 4, 4\) if"
    with pytest.warns(UserWarning, match="X has 48 features, which are " + message) as warnings:
        getattr(classifier, method)(X, y, **classes)
    assert len(warnings) == 1
    # The suite makes any other warning an error.
    classifier.predict(X)
    classifier.score(X, y)
    classifier.partial_fit(X, y)
    with pytest.warns(UserWarning, match="X has 48 features"):
        Small(max_epochs=1).fit(pd.DataFrame(X), y)


@pytest.mark.parametrize(
    ("X", "image_shape"),
    [
        (np.ones((20, 27)), (9, 3)),
        (np.ones((20, 27)), (3, 3, 3)),
        (np.ones((20, 3, 3, 3)), (3, 3, 3)),
        (np.ones((20, 3, 4, 4)), (3, 4, 4)),
        (np.ones((20, 36)), None),
        (np.ones((20, 3)), None),
        (np.ones((20, 3, 9)), None),
    ],
)
def test_fit_images_that_are_not_ambiguous_rows_is_silent(X, image_shape):
    Small(max_epochs=1, image_shape=image_shape).fit(X, np.arange(20) % 2)


@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"],
        [-5, -1, 0, 2, 3, 10, 11, 40, 41, 100],
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
        np.array(list("abcdefghij"), dtype=object),
    ],
    ids=["strings", "gappy integers", "floats", "objects"],
)
def test_fit_labels_of_any_type_predicts_that_type(digits, labels):
    X_train, X_test, y_train, y_test = digits
    labels = np.asarray(labels)
    classifier = Small(max_epochs=10).fit(X_train, labels[y_train])
    np.testing.assert_array_equal(classifier.classes_, labels)
    assert classifier.predict(X_test).dtype == labels.dtype
    assert classifier.score(X_test, labels[y_test]) > 0.7


def test_decision_function_two_classes_is_log_odds(digits):
    X_train, X_test, y_train, y_test = digits
    for output in ("softmax", "sigmoid"):
        classifier = Small(output=output, max_epochs=10).fit(X_train, y_train > 4)
        assert classifier.classes_.dtype == bool
        scores = classifier.decision_function(X_test)
        assert scores.shape == (len(X_test),)
        np.testing.assert_array_equal(scores > 0, classifier.predict(X_test))
        odds = classifier.predict_proba(X_test)
        np.testing.assert_allclose(scores, np.log(odds[:, 1] / odds[:, 0]), rtol=1e-6)
        assert classifier.score(X_test, y_test > 4) > 0.8


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_predict_proba_each_output_is_link_of_scores(digits, output):
    X_train, X_test, y_train, _ = digits
    classifier = Small(output=output).fit(X_train, y_train)
    scores, proba = classifier.decision_function(X_test), classifier.predict_proba(X_test)
    wanted = 1 / (1 + np.exp(-scores)) if output == "sigmoid" else np.exp(scores)
    np.testing.assert_allclose(proba, wanted / wanted.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(np.exp(classifier.predict_log_proba(X_test)), proba)
    np.testing.assert_array_equal(classifier.classes_[proba.argmax(1)], classifier.predict(X_test))


@pytest.mark.parametrize(
    "options", [{}, {"activation": "sigmoid", "conv_channels": (5, 7), "hidden_layer_sizes": 31}]
)
def test_decision_function_some_rows_equals_that_of_all_rows(digits, options):
    X_train, X_test, y_train, _ = digits
    classifier = DeepLeNetClassifier(max_epochs=1, random_state=0, **options)
    classifier.fit(X_train[:100], y_train[:100])
    expected = classifier.decision_function(X_test)
    order = np.random.default_rng(0).permutation(len(X_test))
    for n_rows in (1, 2, 17, 255):
        rows = order[:n_rows]
        np.testing.assert_array_equal(classifier.decision_function(X_test[rows]), expected[rows])


@pytest.mark.parametrize("activation", ["l_relu", "sigmoid"])
@pytest.mark.parametrize("n_samples", [1, 3, 64])
def test_module_preprocessed_rows_computes_class_scores(digits, activation, n_samples):
    X_train, X_test, y_train, _ = digits
    classifier = Small(activation=activation).fit(X_train, y_train)
    X = X_test[:n_samples]
    rows = torch.from_numpy(X.reshape(n_samples, -1))
    with torch.no_grad():
        logits = classifier.module_(classifier.preprocessor_(rows))
    assert logits.shape == (n_samples, 10)
    np.testing.assert_allclose(logits, classifier.decision_function(X), rtol=1e-4, atol=1e-5)


def test_fit_sets_attributes(digits):
    X_train, _, y_train, _ = digits
    classifier = Small().fit(X_train, y_train)
    assert classifier.n_features_in_ == 64
    assert classifier.image_shape_ == (8, 8, 1)
    assert classifier.n_iter_ == 3 == len(classifier.loss_curve_) == len(classifier.history_)
    assert classifier.loss_ == classifier.loss_curve_[-1] < classifier.loss_curve_[0]
    assert classifier.module_ is classifier.net_.module_
    assert not hasattr(classifier, "validation_scores_")
    assert not hasattr(classifier, "feature_names_in_")


def test_predict_other_feature_names_raises(digits):
    X_train, _, y_train, _ = digits
    frame = as_data_frame(X_train).add_prefix("pixel")
    classifier = Small().fit(frame, y_train)
    assert classifier.feature_names_in_[0] == "pixel0"
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame.rename(columns={"pixel0": "other"}))


@pytest.mark.parametrize("scale", [1e100, 1e-100])
def test_fit_pixels_of_any_scale_is_as_accurate(digits, scale):
    X_train, X_test, y_train, y_test = digits
    expected = Small().fit(X_train, y_train).score(X_test, y_test)
    scaled = Small().fit(X_train * scale, y_train).score(X_test * scale, y_test)
    assert scaled == pytest.approx(expected, abs=0.05)
    assert scaled > 0.5


# Invalid input


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: broken(X, np.nan), ValueError, "Input X contains NaN"),
        (lambda X: broken(X, np.inf), ValueError, "Input X contains infinity"),
        (lambda X: X.astype(str), ValueError, "X must hold numbers, got strings such as '0'"),
        (
            lambda X: [f"{i}.png" for i in range(len(X))],
            ValueError,
            "got file names such as '0.png'",
        ),
        (lambda X: [*X[1:], X[0, 1:]], ValueError, r"of different sizes: \(8, 8\), \(7, 8\)"),
        (lambda X: iter(X), TypeError, "X must be an array, .* got .*iterator"),
        (lambda X: EndlessDataset(), TypeError, "X must be an array, .* got EndlessDataset. Stack"),
        (lambda X: DataLoader(EndlessDataset()), TypeError, "got DataLoader. Stack"),
        (lambda X: None, TypeError, "X must be an array, .* got None"),
        (lambda X: pd.Series(list(X)), ValueError, r"pass np.stack\(list\(column\)\)"),
        (lambda X: X.astype("datetime64[D]"), TypeError, "X must hold numbers, got .*datetime64"),
        (lambda X: X + 1j, ValueError, "Complex data not supported"),
        (lambda X: np.full(X.shape, {}), TypeError, "must be a string or a real number"),
        (lambda X: sparse.csr_array(X.reshape(len(X), -1)), TypeError, "Sparse data was passed"),
        (lambda X: X[:0], ValueError, "Found array with 0 sample"),
        (lambda X: X[:, :, :0], ValueError, "X must have images with pixels"),
        (lambda X: X[:, 0, 0], ValueError, "Expected 2D array, got 1D array instead"),
        (lambda X: X[:-1], ValueError, "inconsistent numbers of samples"),
        (lambda X: np.zeros((len(X), 3, 8, 3)), ValueError, "channels is ambiguous"),
        (lambda X: np.zeros((len(X), 1, 2, 3, 4)), ValueError, "X must have the shape"),
        (lambda X: X * 1e300, ValueError, "their variance overflows"),
    ],
)
def test_fit_invalid_images_raises_and_stays_unfitted(digits, change, error, message):
    X_train, _, y_train, _ = digits
    y = y_train[: 0 if message.startswith("Found array") else None]
    classifier = Small()
    with pytest.raises(error, match=message):
        classifier.fit(change(X_train), y)
    with pytest.raises(NotFittedError):
        classifier.predict(X_train)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "swish"}, "activation must be .*'l_relu'.*, got 'swish'"),
        ({"activation": 3}, "'activation' parameter of DeepLeNetClassifier must be"),
        ({"output": "linear"}, "'output' parameter .*'softmax'"),
        ({"pooling": "min"}, "'pooling' parameter .*'avg'"),
        ({"optimizer": "lion"}, "'optimizer' parameter .*'adamw'"),
        ({"lr": 0}, "'lr' parameter"),
        ({"label_smoothing": 1}, "'label_smoothing' parameter"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"lr_schedule": "step"}, "'lr_schedule' parameter .*'one_cycle'"),
        ({"batch_size": 0}, "'batch_size' parameter"),
        ({"max_epochs": 1.5}, "'max_epochs' parameter"),
        ({"augmentation": "rotate"}, "'augmentation' parameter .*'affine'"),
        ({"conv_channels": (4, 0)}, r"conv_channels must have positive integers, got \(4, 0\)"),
        ({"conv_channels": "ab"}, "conv_channels"),
        ({"conv_channels": 0}, "'conv_channels' parameter"),
        ({"conv_channels": True}, "conv_channels"),
        ({"hidden_layer_sizes": (1.5,)}, r"hidden_layer_sizes must have positive integers"),
        ({"kernel_size": 40}, "got none after C1"),
        ({"image_shape": (8,)}, r"image_shape must have 2 or 3 positive integers, got \(8,\)"),
        ({"image_shape": (7, 8)}, "X must have images of"),
        ({"device": "tpu9"}, "device='tpu9' cannot be used"),
        ({"class_weight": {0: -1.0}}, "class_weight must have finite non-negative values"),
        ({"class_weight": {0: np.nan}}, "class_weight must have finite non-negative values"),
        ({"class_weight": {0: "a"}}, "class_weight must have numbers as values, got {0: 'a'}"),
        ({"class_weight": dict.fromkeys(range(10), 0)}, "must have a positive finite sum"),
        ({"device": "hpu"}, "device='hpu' cannot be used"),
        ({"device": "meta"}, "device='meta' cannot be used"),
    ],
    ids=str,
)
def test_fit_invalid_parameter_raises(digits, parameters, message):
    X_train, _, y_train, _ = digits
    with pytest.raises(ValueError, match=message):
        Small(**parameters).fit(X_train, y_train)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": torch.relu}, "activation=.* must return an nn.Module"),
        ({"callbacks": [1]}, "callbacks must be skorch callbacks .* got 1"),
    ],
    ids=["activation", "callbacks"],
)
def test_fit_parameter_of_wrong_type_raises(digits, parameters, message):
    X_train, _, y_train, _ = digits
    with pytest.raises(TypeError, match=message):
        Small(**parameters).fit(X_train, y_train)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(300), "at least 2 classes with a positive weight, got 1 class"),
        (np.linspace(0, 1, 300), "Unknown label type: continuous. y must have class labels, got"),
        (["a", *[1] * 299], "y must have labels of one type, got int, str"),
        ([None, *[1] * 299], "y must have a label for each image, got None"),
        (np.eye(2)[np.arange(300) % 2], "y should be a 1d array, got an array of shape"),
        (np.full(300, np.nan), "Input y contains NaN"),
        (np.zeros((300, 2), int), "y should be a 1d array"),
        (None, "requires y to be passed"),
    ],
    ids=["one class", "continuous", "mixed", "missing", "one-hot", "nan", "two columns", "none"],
)
def test_fit_invalid_labels_raises(digits, y, message):
    with pytest.raises(ValueError, match=message):
        Small().fit(digits[0], y)


def test_predict_invalid_images_raises(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().fit(X_train, y_train)
    with pytest.raises(ValueError, match="X has 63 features, but .* is expecting 64 features"):
        classifier.predict(X_test.reshape(len(X_test), -1)[:, :-1])
    with pytest.raises(ValueError, match=r"X must have images of .* got images of shape \(8, 7\)"):
        classifier.predict(X_test[:, :, :-1])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        classifier.predict(broken(X_test, np.nan))


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function", "score"]
)
@pytest.mark.parametrize("is_flat", [False, True])
def test_predict_one_image_raises(digits, method, is_flat):
    X_train, X_test, y_train, _ = digits
    classifier = Small(max_epochs=1).fit(
        X_train.reshape(len(X_train), -1) if is_flat else X_train, y_train
    )
    message = re.escape(
        "X must have the shape (n_samples, 8, 8), got one image of shape (8, 8): pass X[np.newaxis]"
    )
    for image in (X_test[0], torch.from_numpy(X_test[0]), X_test[0].tolist()):
        with pytest.raises(ValueError, match=message):
            getattr(classifier, method)(image, *[[1]] * (method == "score"))
    with pytest.raises(ValueError, match=r"array.reshape\(1, -1\) if it contains a single sample"):
        getattr(classifier, method)(X_test[0].ravel(), *[[1]] * (method == "score"))


@pytest.mark.parametrize("channels_first", [False, True])
def test_predict_one_color_image_raises(channels_first):
    X, y = np.random.default_rng(0).random((20, 8, 9, 3)), np.arange(20) % 2
    classifier = Small(max_epochs=1).fit(np.moveaxis(X, -1, 1) if channels_first else X, y)
    for image, shape in [(X[0], "8, 9, 3"), (np.moveaxis(X[0], -1, 0), "3, 8, 9")]:
        message = f"X must have the shape (n_samples, {shape}), got one image of shape ({shape})"
        with pytest.raises(ValueError, match=re.escape(message)):
            classifier.predict(image)


def test_predict_rows_of_the_shape_of_an_image_are_rows():
    X, y = np.random.default_rng(0).random((20, 2)), np.arange(20) % 2
    classifier = Small(max_epochs=1).fit(X, y)
    assert classifier.image_shape_ == (2, 2, 1)
    assert len(classifier.predict(X[:2])) == 2


def test_predict_overflowing_pixels_raises(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().fit(X_train, y_train)
    with pytest.raises(ValueError, match="values that overflow the network"):
        classifier.predict(X_test * 1e60)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_predict_unfitted_raises_not_fitted_error(digits, method):
    with pytest.raises(NotFittedError):
        getattr(Small(), method)(digits[1])


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_fit_after_error_keeps_last_model(digits, method):
    X_train, X_test, y_train, _ = digits
    classifier = Small().partial_fit(X_train, y_train, classes=range(10))
    untouched = copy.deepcopy(classifier)
    for X, y in [
        (broken(X_train, np.nan), y_train),
        (X_train[:, :-1], np.full(300, 11)),
        (X_train * 1e300, y_train),
    ]:
        with pytest.raises(ValueError, match=r"NaN|class|shape|overflow|diverged"):
            getattr(classifier, method)(X, y)
        np.testing.assert_array_equal(
            classifier.predict_proba(X_test), untouched.predict_proba(X_test)
        )
    assert torch.equal(
        weights_of(classifier.partial_fit(X_train, y_train)),
        weights_of(untouched.partial_fit(X_train, y_train)),
    )


def test_set_params_fitted_keeps_predictions(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().fit(X_train, y_train)
    expected = classifier.predict_proba(X_test)
    classifier.set_params(output="sigmoid", activation="tanh", conv_channels=(9,))
    np.testing.assert_array_equal(classifier.predict_proba(X_test), expected)


@pytest.mark.parametrize(
    "options",
    [
        {"activation": partial(nn.ReLU, inplace=True)},
        {"optimizer": torch.optim.Rprop, "lr": 1e-3},
        {"max_epochs": np.int64(2), "batch_size": np.int64(16)},
        {"max_epochs": 1, "batch_size": 1000},
    ],
    ids=str,
)
def test_fit_unusual_value_changes_weights(digits, options):
    X_train, _, y_train, _ = digits
    classifier = Small(**{"lr": 1e-2, **options}).fit(X_train, y_train)
    untrained = Small(optimizer="sgd", lr=1e-12, max_epochs=1).fit(X_train, y_train)
    assert (weights_of(classifier) - weights_of(untrained)).abs().max() > 1e-4


# Weights


def test_fit_weight_equals_repetition(digits):
    X_train, X_test, y_train, _ = digits
    weight = np.random.default_rng(0).integers(0, 3, len(X_train))
    repeated = np.repeat(np.arange(len(X_train)), weight)
    weighted = Small().fit(X_train, y_train, sample_weight=weight)
    expected = Small().fit(X_train[repeated], y_train[repeated])
    np.testing.assert_array_equal(weighted.predict_proba(X_test), expected.predict_proba(X_test))


def test_fit_augmented_weight_equals_repetition(digits):
    X_train, _, y_train, _ = digits
    weight = np.random.default_rng(0).integers(0, 3, len(X_train))
    repeated = np.repeat(np.arange(len(X_train)), weight)
    options = {"augmentation": "affine", "dropout": 0.1, "early_stopping": True}
    weighted = Small(**options).fit(X_train, y_train, sample_weight=weight)
    expected = Small(**options).fit(X_train[repeated], y_train[repeated])
    assert torch.equal(weights_of(weighted), weights_of(expected))


@pytest.mark.slow
def test_fit_equal_blank_images_do_not_harm_other_classes(digits):
    X_train, X_test, y_train, y_test = digits
    options = {"max_epochs": 25, "batch_size": "auto"}
    blanks = np.zeros((200, 8, 8), np.uint8)
    X, y = np.concatenate([X_train, blanks]), np.append(y_train, [10] * len(blanks))
    alone, both = Small(**options).fit(X_train, y_train), Small(**options).fit(X, y)
    assert both.score(X_test, y_test) > alone.score(X_test, y_test) - 0.01
    assert (both.predict(blanks) == 10).all()


def test_fit_permuted_rows_trains_same_model(digits):
    X_train, X_test, y_train, _ = digits
    order = np.random.default_rng(0).permutation(len(X_train))
    np.testing.assert_array_equal(
        Small().fit(X_train, y_train).predict_proba(X_test),
        Small().fit(X_train[order], y_train[order]).predict_proba(X_test),
    )


@pytest.mark.parametrize("weight", [1e-50, 1e40])
def test_fit_equal_weights_of_any_scale_trains_same_model(digits, weight):
    X_train, _, y_train, _ = digits
    weighted = Small().fit(X_train, y_train, np.full(len(y_train), weight))
    assert torch.equal(weights_of(weighted), weights_of(Small().fit(X_train, y_train)))


def test_class_weight_dict_equals_sample_weight(digits):
    X_train, X_test, y_train, _ = digits
    by_class = Small(class_weight={3: 5.0}).fit(X_train, y_train)
    by_sample = Small().fit(X_train, y_train, sample_weight=np.where(y_train == 3, 5.0, 1.0))
    np.testing.assert_array_equal(by_class.predict_proba(X_test), by_sample.predict_proba(X_test))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(list("0123456789")),
        np.array(list("0123456789"), dtype=object),
        np.arange(10) + np.datetime64("2020-01-01"),
        np.arange(10.0),
    ],
    ids=["digits as text", "objects", "dates", "floats"],
)
def test_class_weight_any_labels_equals_that_of_numbers(labels, digits):
    X_train, _, y_train, _ = digits
    expected = Small(class_weight={3: 5.0}, max_epochs=1).fit(X_train, y_train)
    found = Small(class_weight={labels[3]: 5.0}, max_epochs=1).fit(X_train, labels[y_train])
    assert torch.equal(weights_of(found), weights_of(expected))


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_fit_masked_values_raises(name, digits):
    X_train, _, y_train, _ = digits
    data = {"X": X_train, "y": y_train, "sample_weight": np.ones(len(y_train))}
    data[name] = np.ma.array(data[name], mask=False)
    Small(max_epochs=1).fit(**data)
    data[name][0] = np.ma.masked
    with pytest.raises(ValueError, match=f"{name} must not have masked values"):
        Small().fit(**data)


def test_class_weight_balanced_is_inverse_to_frequency(digits):
    X_train, X_test, y_train, _ = digits
    y = np.where(y_train < 8, 0, 1)
    by_class = Small(class_weight="balanced").fit(X_train, y)
    weight = len(y) / (2 * np.bincount(y)[y])
    by_sample = Small().fit(X_train, y, sample_weight=weight)
    np.testing.assert_allclose(by_class.predict_proba(X_test), by_sample.predict_proba(X_test))


def test_fit_classes_without_weight_are_left_out(digits):
    X_train, _, y_train, _ = digits
    classifier = Small().fit(X_train, y_train, sample_weight=(y_train < 4).astype(float))
    np.testing.assert_array_equal(classifier.classes_, [0, 1, 2, 3])


def test_fit_negative_weight_raises(digits):
    X_train, _, y_train, _ = digits
    with pytest.raises(ValueError, match="sample_weight"):
        Small().fit(X_train, y_train, sample_weight=-np.ones(len(y_train)))


# Early stopping, warm start, partial fit


def test_early_stopping_equals_fit_of_best_epoch(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(
        early_stopping=True, n_iter_no_change=3, max_epochs=100, lr=1e-3, lr_schedule="constant"
    ).fit(X_train, y_train)
    scores = classifier.validation_scores_
    assert classifier.n_iter_ == len(scores) == len(classifier.loss_curve_) < 100
    assert classifier.best_validation_score_ == max(scores)
    assert np.argmax(scores) == len(scores) - 1 - 3
    rerun = Small(
        early_stopping=True, max_epochs=int(np.argmax(scores)) + 1, lr=1e-3, lr_schedule="constant"
    ).fit(X_train, y_train)
    torch.testing.assert_close(weights_of(classifier), weights_of(rerun))


def test_early_stopping_classes_of_one_sample_trains():
    X, y = make_blobs(n_samples=[8, 1, 1], n_features=4, shuffle=False, random_state=0)
    assert len(Small(early_stopping=True).fit(X, y).validation_scores_) == 3


def test_early_stopping_validation_fraction_is_held_out(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(early_stopping=True, validation_fraction=0.2).fit(X_train, y_train)
    for epoch in classifier.history_:
        n_validated = sum(batch.get("valid_batch_size", 0) for batch in epoch["batches"])
        n_trained = sum(batch.get("train_batch_size", 0) for batch in epoch["batches"])
        assert (n_trained, n_validated) == (240, 60)


def test_warm_start_second_fit_continues(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(warm_start=True).fit(X_train, y_train)
    first = classifier.loss_
    classifier.fit(X_train, y_train)
    assert classifier.n_iter_ == 6
    assert classifier.loss_curve_[3] < classifier.loss_curve_[0]
    assert classifier.loss_ < first


def test_warm_start_other_classes_raises(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(warm_start=True, max_epochs=1).fit(X_train, y_train)
    with pytest.raises(ValueError, match="the classes of the last fit with warm_start=True"):
        classifier.fit(X_train, y_train % 5)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warm_start_other_image_shape_raises(method, digits):
    X_train, _, y_train, _ = digits
    classifier = Small(warm_start=True, max_epochs=1, image_shape=(8, 8)).fit(X_train, y_train)
    getattr(classifier, method)(X_train.reshape(-1, 64), y_train)
    classifier.set_params(image_shape=(4, 16))
    with pytest.raises(ValueError, match="image_shape must be that of the last fit"):
        getattr(classifier, method)(X_train.reshape(-1, 64), y_train)


def test_warm_start_early_stopping_keeps_scores_of_last_fit(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(warm_start=True).fit(X_train, y_train)
    for _ in range(2):
        classifier.set_params(early_stopping=True).fit(X_train, y_train)
        assert len(classifier.validation_scores_) == 3
        assert classifier.best_validation_score_ == max(classifier.validation_scores_)
    assert classifier.n_iter_ == 9


def test_fit_without_warm_start_starts_again(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small(early_stopping=True).fit(X_test, y_train % 3)
    classifier.set_params(early_stopping=False).fit(X_train, y_train)
    assert not hasattr(classifier, "validation_scores_")
    expected = Small().fit(X_train, y_train)
    assert torch.equal(weights_of(classifier), weights_of(expected))
    assert classifier.n_iter_ == 3


def test_partial_fit_chunks_learns_digits(digits):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(lr=2e-3)
    for _ in range(12):
        for chunk in np.array_split(np.arange(len(X_train)), 3):
            classifier.partial_fit(X_train[chunk], y_train[chunk], classes=range(10))
    assert classifier.n_iter_ == 36
    assert classifier.score(X_test, y_test) > 0.8


def test_partial_fit_tiny_rate_keeps_predictions(digits):
    """A pass with a rate of almost zero starts from the weights of the last fit."""
    X_train, X_test, y_train, _ = digits
    classifier = Small(max_epochs=10, normalization=None).fit(X_train, y_train)
    expected = classifier.predict(X_test)
    classifier.set_params(lr=1e-12).partial_fit(X_train[:50], y_train[:50])
    np.testing.assert_array_equal(classifier.predict(X_test), expected)


def test_partial_fit_missing_or_other_classes_raises(digits):
    X_train, _, y_train, _ = digits
    with pytest.raises(ValueError, match="classes must list all class labels, at least two"):
        Small().partial_fit(X_train, y_train)
    with pytest.raises(TypeError, match="classes must be an array or a list of labels, got set"):
        Small().partial_fit(X_train, y_train, classes=set(y_train))
    classifier = Small().partial_fit(X_train[:20], y_train[:20], classes=range(10))
    with pytest.raises(ValueError, match="classes must be those of the last fit"):
        classifier.partial_fit(X_train, y_train, classes=range(9))
    with pytest.raises(ValueError, match=r"y must have labels from classes=.* got also \[17\]"):
        classifier.partial_fit(X_train[:1], [17])


def test_partial_fit_new_rate_is_used(digits):
    X_train, _, y_train, _ = digits
    classifier = Small().partial_fit(X_train, y_train, classes=range(10))
    classifier.set_params(lr=1e-5, weight_decay=0.01).partial_fit(X_train, y_train)
    (group,) = classifier.net_.optimizer_.param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-5, 0.01)


def test_partial_fit_balanced_or_early_stopping_raises(digits):
    X_train, _, y_train, _ = digits
    with pytest.raises(
        ValueError, match="class_weight must be a dict or None in partial_fit, got 'balanced'"
    ):
        Small(class_weight="balanced").partial_fit(X_train, y_train, classes=range(10))
    stopping = Small(early_stopping=True)
    assert not hasattr(stopping, "partial_fit")
    with pytest.raises(AttributeError) as error:
        stopping.partial_fit(X_train, y_train)
    assert "early_stopping must be False for partial_fit, got True" in str(error.value.__cause__)


# Reproducibility and state


def test_fit_same_seed_trains_same_model(digits):
    X_train, _, y_train, _ = digits
    options = {"dropout": 0.2, "augmentation": "affine", "early_stopping": True}
    first, second, other = (
        Small(**options, random_state=seed).fit(X_train, y_train) for seed in (0, 0, 1)
    )
    assert torch.equal(weights_of(first), weights_of(second))
    assert not torch.equal(weights_of(first), weights_of(other))


CONTAINERS = {
    "int16": lambda X: X.astype("i2"),
    "int64": lambda X: X.astype("i8"),
    "uint16": lambda X: X.astype("u2"),
    "float16": lambda X: X.astype("f2"),
    "float32": lambda X: X.astype("f4"),
    "float64": lambda X: X.astype("f8"),
    "big-endian": lambda X: X.astype(">f8"),
    "longdouble": lambda X: X.astype("longdouble"),
    "Fortran order": np.asfortranarray,
    "reversed": lambda X: X[::-1].copy()[::-1],
    "list": lambda X: X.tolist(),
    "list of arrays": list,
    "tensor": torch.tensor,
    "objects": lambda X: X.astype(object),
    "rows": lambda X: X.reshape(len(X), -1),
    "frame": lambda X: pd.DataFrame(X.reshape(len(X), -1)),
}


@pytest.mark.parametrize("convert", CONTAINERS.values(), ids=CONTAINERS)
def test_fit_same_values_in_other_container_trains_same_model(digits, convert):
    X_train, X_test, y_train, _ = digits
    options = {"early_stopping": True, "augmentation": "affine", "max_epochs": 2}
    expected = Small(**options).fit(X_train, y_train)
    classifier = Small(**options).fit(convert(X_train), y_train)
    assert torch.equal(weights_of(classifier), weights_of(expected))
    np.testing.assert_array_equal(
        classifier.predict_proba(convert(X_test)), expected.predict_proba(X_test)
    )


def test_fit_same_fractions_in_other_type_trains_same_model(digits):
    X_train, _, y_train, _ = digits
    X = X_train.astype("f4") / 16 - 0.5
    expected = weights_of(Small().fit(X, y_train))
    for dtype in ("f2", "f8", ">f4", "longdouble"):
        assert torch.equal(weights_of(Small().fit(X.astype(dtype), y_train)), expected)


@pytest.mark.parametrize(
    "options", [{"dropout": 0.1, "augmentation": "affine"}, {"early_stopping": True}]
)
def test_fit_beside_thread_that_draws_trains_same_model(digits, options):
    X_train, _, y_train, _ = digits
    expected = weights_of(Small(**options).fit(X_train, y_train))
    torch.manual_seed(3)
    numbers = [float(torch.rand(1)) for _ in range(1000)]
    torch.manual_seed(3)
    drawn, is_fitted = [], Event()

    def draw():
        while not is_fitted.is_set():
            drawn.append(float(torch.rand(1)))

    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(draw)
        classifier = Small(**options).fit(X_train, y_train)
        is_fitted.set()
        drawing.result()
    assert torch.equal(weights_of(classifier), expected)
    assert drawn
    assert drawn[:1000] == numbers[: len(drawn)]


def test_fit_random_custom_activation_is_reproducible(digits):
    X_train, _, y_train, _ = digits
    fitted = [Small(activation=torch.nn.RReLU).fit(X_train, y_train) for _ in range(2)]
    assert torch.equal(*map(weights_of, fitted))


def test_fit_keeps_global_random_states(digits):
    X_train, _, y_train, _ = digits
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    Small(dropout=0.1).fit(X_train, y_train)
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])


def test_fit_in_threads_trains_same_models(digits):
    X_train, _, y_train, _ = digits
    expected = [weights_of(Small(random_state=seed).fit(X_train, y_train)) for seed in range(4)]
    state = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        fitted = pool.map(lambda seed: Small(random_state=seed).fit(X_train, y_train), range(4))
        assert all(map(torch.equal, expected, map(weights_of, fitted)))
    assert torch.equal(torch.get_rng_state(), state)


def test_pickle_predicts_and_continues(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().partial_fit(X_train, y_train, classes=range(10))
    for duplicate in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(
            duplicate.predict_proba(X_test), classifier.predict_proba(X_test)
        )
        duplicate.partial_fit(X_train, y_train)
        expected = copy.deepcopy(classifier).partial_fit(X_train, y_train)
        assert torch.equal(weights_of(duplicate), weights_of(expected))


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:0", torch.device("cpu", 0)])
def test_pickle_any_spelling_of_device_predicts_the_same(digits, device):
    X_train, X_test, y_train, _ = digits
    classifier = Small(device=device, precision="float32").fit(X_train, y_train)
    for duplicate in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(
            duplicate.predict_proba(X_test), classifier.predict_proba(X_test)
        )
    assert pickle.loads(pickle.dumps(classifier)).fit(X_train, y_train).n_iter_ == 3


def test_pickle_holds_network_without_data(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(early_stopping=True).fit(X_train, y_train)
    n_bytes = weights_of(classifier).numel() * 4
    assert len(pickle.dumps(classifier)) < n_bytes + 30_000


def test_get_params_fitted_returns_given_values(digits):
    X_train, _, y_train, _ = digits
    given = {"conv_channels": [4, 8], "hidden_layer_sizes": [32], "callbacks": [], "max_epochs": 1}
    classifier = clone(DeepLeNetClassifier(**given)).fit(X_train, y_train)
    assert {name: classifier.get_params()[name] for name in given} == given


def test_fit_keeps_input(digits):
    X_train, X_test, y_train, _ = (part.copy() for part in digits)
    weight = np.ones(len(y_train))
    Small().fit(X_train, y_train, weight).predict(X_test)
    for part, original in zip((X_train, X_test, y_train), digits, strict=False):
        np.testing.assert_array_equal(part, original)
    assert (weight == 1).all()


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        assert torch.get_default_dtype() == dtype
        torch.set_default_dtype(torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make_setting",
    [
        partial(torch.autocast, "cpu", torch.bfloat16),
        partial(torch.autocast, "cpu", torch.float16),
        partial(default_dtype, torch.float64),
        partial(default_dtype, torch.bfloat16),
        partial(torch.device, "meta"),
        torch.inference_mode,
        torch.no_grad,
    ],
    ids=["bfloat16", "float16", "double", "default bfloat16", "meta", "inference", "no_grad"],
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_fit_settings_of_caller_trains_same_model(digits, make_setting, precision):
    X_train, X_test, y_train, _ = digits
    expected = Small(precision=precision).fit(X_train, y_train).decision_function(X_test)
    with make_setting():
        classifier = Small(precision=precision).fit(X_train, y_train)
        found = classifier.decision_function(X_test)
    np.testing.assert_array_equal(found, expected)
