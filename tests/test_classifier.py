import copy
import pickle
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, LRScheduler
from torch import nn

from sklenet import DeepLeNetClassifier, LReLU
from sklenet.comparison import search_space
from sklenet.datasets import load_digits_images
from sklenet.training._callbacks import ValidationAccuracy

Small = partial(
    DeepLeNetClassifier,
    conv_channels=(4, 8),
    hidden_layer_sizes=(32,),
    lr=1e-2,
    max_epochs=3,
    batch_size=32,
    random_state=0,
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits_images()
    return train_test_split(X, y, train_size=300, test_size=300, random_state=0, stratify=y)


def weights_of(classifier):
    return torch.cat([weight.flatten() for weight in classifier.module_.parameters()])


# What it learns


def test_default_learns_the_digits(digits):
    X_train, X_test, y_train, y_test = digits
    assert DeepLeNetClassifier(random_state=0).fit(X_train, y_train).score(X_test, y_test) > 0.95


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
        {"activation": nn.Hardswish},
        {"activation": partial(LReLU, beta=2.0)},
        {"early_stopping": True, "validation_fraction": 0.2},
    ],
    ids=str,
)
def test_every_option_learns(digits, options):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(**{"max_epochs": 30, **options}).fit(X_train, y_train)
    assert classifier.score(X_test, y_test) > 0.8


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu"])
def test_every_activation_learns(digits, activation):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(activation=activation, max_epochs=15).fit(X_train, y_train)
    assert classifier.score(X_test, y_test) > 0.8


def test_a_grid_over_activations(digits):
    X_train, X_test, y_train, y_test = digits
    grid = {"activation": ["sigmoid", "tanh", "relu", "l_relu"]}
    search = GridSearchCV(DeepLeNetClassifier(random_state=0), grid, cv=2, n_jobs=2)
    search.fit(X_train, y_train)
    assert search.best_params_["activation"] in grid["activation"]
    assert (search.cv_results_["mean_test_score"] > 0.7).all()
    assert search.score(X_test, y_test) > 0.9


def test_a_grid_over_all_methods(digits):
    X_train, X_test, y_train, y_test = digits
    search = GridSearchCV(*search_space(random_state=0), cv=2, n_jobs=2).fit(X_train, y_train)
    assert (search.cv_results_["mean_test_score"] > 0.5).all()
    assert search.score(X_test, y_test) > 0.9


def test_it_works_in_a_pipeline_and_cross_validation(digits):
    X_train, _, y_train, _ = digits
    rows = X_train.reshape(len(X_train), -1)
    pipeline = make_pipeline(StandardScaler(), Small(max_epochs=20))
    assert cross_val_score(pipeline, rows, y_train, cv=2).mean() > 0.7


# What it takes


def as_data_frame(X):
    return pd.DataFrame(X.reshape(len(X), -1))


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
def test_the_same_images_in_any_form_give_the_same_model(digits, convert):
    X_train, X_test, y_train, _ = digits
    expected = Small().fit(X_train.astype(np.int64), y_train).predict_proba(X_test)
    classifier = Small().fit(convert(X_train.astype(np.int64)), y_train)
    # Wide integers are standardised in double precision, bytes in single.
    np.testing.assert_allclose(classifier.predict_proba(convert(X_test)), expected, rtol=1e-4)


def test_a_memory_map_is_as_good_as_an_array(tmp_path, digits):
    X_train, X_test, y_train, _ = digits
    np.save(tmp_path / "X.npy", X_train)
    on_disk = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        Small().fit(on_disk, y_train).predict_proba(X_test),
        Small().fit(X_train, y_train).predict_proba(X_test),
    )


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
def test_labels_of_any_type(digits, labels):
    X_train, X_test, y_train, y_test = digits
    labels = np.asarray(labels)
    classifier = Small(max_epochs=10).fit(X_train, labels[y_train])
    np.testing.assert_array_equal(classifier.classes_, labels)
    assert classifier.predict(X_test).dtype == labels.dtype
    assert classifier.score(X_test, labels[y_test]) > 0.7


def test_boolean_labels_and_two_classes(digits):
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
def test_probabilities(digits, output):
    X_train, X_test, y_train, _ = digits
    classifier = Small(output=output).fit(X_train, y_train)
    scores, proba = classifier.decision_function(X_test), classifier.predict_proba(X_test)
    wanted = 1 / (1 + np.exp(-scores)) if output == "sigmoid" else np.exp(scores)
    np.testing.assert_allclose(proba, wanted / wanted.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(np.exp(classifier.predict_log_proba(X_test)), proba)
    np.testing.assert_array_equal(classifier.classes_[proba.argmax(1)], classifier.predict(X_test))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "elu"},
        {"activation": "sigmoid", "conv_channels": (5, 7), "hidden_layer_sizes": (31,)},
        {"activation": "gelu"},
        {"conv_channels": (6, 16), "hidden_layer_sizes": (120, 84), "activation": "sigmoid"},
        {"conv_channels": (5, 7), "kernel_size": 3, "pooling": "avg"},
        {"kernel_size": 1, "conv_channels": (3,)},
        {"hidden_layer_sizes": (31,)},
    ],
    ids=str,
)
def test_predictions_do_not_depend_on_the_other_rows(digits, options):
    X_train, X_test, y_train, _ = digits
    classifier = DeepLeNetClassifier(max_epochs=1, random_state=0, **options)
    classifier.fit(X_train[:100], y_train[:100])
    expected = classifier.decision_function(X_test)
    order = np.random.default_rng(0).permutation(len(X_test))
    for n_rows in (1, 2, 3, 5, 13, 17, 31, 129, 255, 300):
        rows = order[:n_rows]
        np.testing.assert_array_equal(classifier.decision_function(X_test[rows]), expected[rows])


def test_attributes(digits):
    X_train, _, y_train, _ = digits
    classifier = Small().fit(X_train, y_train)
    assert classifier.n_features_in_ == 64
    assert classifier.image_shape_ == (8, 8, 1)
    assert classifier.n_iter_ == 3 == len(classifier.loss_curve_) == len(classifier.history_)
    assert classifier.loss_ == classifier.loss_curve_[-1] < classifier.loss_curve_[0]
    assert classifier.module_ is classifier.net_.module_
    assert not hasattr(classifier, "validation_scores_")
    assert not hasattr(classifier, "feature_names_in_")


def test_feature_names(digits):
    X_train, _, y_train, _ = digits
    frame = as_data_frame(X_train).add_prefix("pixel")
    classifier = Small().fit(frame, y_train)
    assert classifier.feature_names_in_[0] == "pixel0"
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame.rename(columns={"pixel0": "other"}))


# Bad input


def broken(X, value):
    X = X.astype(float)
    X[3, 2, 1] = value
    return X


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: broken(X, np.nan), ValueError, "Input X contains NaN"),
        (lambda X: broken(X, np.inf), ValueError, "Input X contains infinity"),
        (lambda X: X.astype(str), ValueError, "not compatible with arrays of bytes/strings"),
        (lambda X: X.astype("datetime64[D]"), TypeError, "X must hold numbers, got .*datetime64"),
        (lambda X: X + 1j, ValueError, "Complex data not supported"),
        (lambda X: np.full(X.shape, {}), TypeError, "must be a string or a real number"),
        (lambda X: sparse.csr_array(X.reshape(len(X), -1)), TypeError, "Sparse data was passed"),
        (lambda X: X[:0], ValueError, "Found array with 0 sample"),
        (lambda X: X[:, :, :0], ValueError, "X has images without pixels"),
        (lambda X: X[:, 0, 0], ValueError, "Expected 2D array, got 1D array instead"),
        (lambda X: X[:-1], ValueError, "inconsistent numbers of samples"),
        (lambda X: np.zeros((len(X), 3, 8, 3)), ValueError, "channels is ambiguous"),
        (lambda X: np.zeros((len(X), 1, 2, 3, 4)), ValueError, "X must have the shape"),
        (lambda X: X * 1e300, ValueError, "their variance overflows"),
    ],
)
def test_bad_images_are_refused_before_training(digits, change, error, message):
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
        ({"activation": "swish"}, "activation='swish' is unknown; the known names are .*'l_relu'"),
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
        ({"augmentation": "flip"}, "'augmentation' parameter .*'affine'"),
        ({"conv_channels": (4, 0)}, r"conv_channels must have positive integers, got \(4, 0\)"),
        ({"conv_channels": "ab"}, "conv_channels"),
        ({"hidden_layer_sizes": (1.5,)}, r"hidden_layer_sizes must have positive integers"),
        ({"kernel_size": 40}, "No pixels are left after layer C1"),
        ({"image_shape": (8,)}, r"image_shape must have 2 or 3 positive integers, got \(8,\)"),
        ({"image_shape": (7, 8)}, "X has images of shape"),
        ({"device": "tpu9"}, "device='tpu9' cannot be used"),
        ({"class_weight": {0: -1.0}}, "class_weight must hold finite numbers"),
        ({"class_weight": {0: np.nan}}, "class_weight must hold finite numbers"),
        ({"class_weight": dict.fromkeys(range(10), 0)}, "must have a positive finite sum"),
        ({"device": "hpu"}, "device='hpu' cannot be used"),
        ({"device": "meta"}, "device='meta' cannot be used"),
        ({"lr": 1e38, "lr_schedule": "constant", "optimizer": "sgd"}, "Training diverged"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(digits, parameters, message):
    X_train, _, y_train, _ = digits
    with pytest.raises(ValueError, match=message):
        Small(**parameters).fit(X_train, y_train)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(300), "at least 2 classes; y has 1 class"),
        (np.linspace(0, 1, 300), "Unknown label type"),
        (np.full(300, np.nan), "Input y contains NaN"),
        (np.zeros((300, 2), int), "y should be a 1d array"),
        (None, "requires y to be passed"),
    ],
    ids=["one class", "continuous", "nan", "two columns", "none"],
)
def test_bad_labels_are_refused(digits, y, message):
    with pytest.raises(ValueError, match=message):
        Small().fit(digits[0], y)


def test_later_images_must_fit_the_first(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().fit(X_train, y_train)
    with pytest.raises(ValueError, match="X has 63 features, but .* is expecting 64 features"):
        classifier.predict(X_test.reshape(len(X_test), -1)[:, :-1])
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 7\); expected"):
        classifier.predict(X_test[:, :, :-1])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        classifier.predict(broken(X_test, np.nan))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_failed_fit_keeps_the_last_model(digits, method):
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


def test_pixels_that_overflow_the_network_are_refused(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().fit(X_train, y_train)
    with pytest.raises(ValueError, match="so far from those of the training images"):
        classifier.predict(X_test * 1e60)


def test_setting_a_parameter_does_not_change_the_fitted_model(digits):
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
def test_reasonable_values_train(digits, options):
    X_train, _, y_train, _ = digits
    classifier = Small(**{"lr": 1e-2, **options}).fit(X_train, y_train)
    untrained = Small(optimizer="sgd", lr=1e-12, max_epochs=1).fit(X_train, y_train)
    assert (weights_of(classifier) - weights_of(untrained)).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": torch.relu}, "activation=.* must return an nn.Module"),
        ({"callbacks": [1]}, "callbacks must be callbacks of skorch .* got 1"),
    ],
    ids=["activation", "callbacks"],
)
def test_parameters_of_the_wrong_kind_are_refused(digits, parameters, message):
    X_train, _, y_train, _ = digits
    with pytest.raises(TypeError, match=message):
        Small(**parameters).fit(X_train, y_train)


# Weights


def test_a_weight_is_a_repetition(digits):
    X_train, X_test, y_train, _ = digits
    weight = np.random.default_rng(0).integers(0, 3, len(X_train))
    repeated = np.repeat(np.arange(len(X_train)), weight)
    weighted = Small().fit(X_train, y_train, sample_weight=weight)
    expected = Small().fit(X_train[repeated], y_train[repeated])
    np.testing.assert_array_equal(weighted.predict_proba(X_test), expected.predict_proba(X_test))


def test_the_order_of_the_rows_does_not_matter(digits):
    X_train, X_test, y_train, _ = digits
    order = np.random.default_rng(0).permutation(len(X_train))
    np.testing.assert_array_equal(
        Small().fit(X_train, y_train).predict_proba(X_test),
        Small().fit(X_train[order], y_train[order]).predict_proba(X_test),
    )


class FirstLoss(Callback):
    """Remember the loss of the first batch, and the logits that it was computed from."""

    def on_train_begin(self, net, **kwargs):
        self.batch = None

    def on_batch_end(self, net, batch=None, y_pred=None, loss=None, training=False, **kwargs):
        if self.batch is None:
            self.batch, self.y_pred, self.loss = batch, y_pred.detach(), float(loss.detach())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_the_loss_is_the_weighted_mean(digits, output, smoothing):
    X_train, _, y_train, _ = digits
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X_train))
    seen = FirstLoss()
    Small(output=output, label_smoothing=smoothing, callbacks=[seen], batch_size=1000).fit(
        X_train, y_train, weight
    )
    _, (target, weight_of_row) = seen.batch
    weight_of_row = weight_of_row.double().numpy()
    np.testing.assert_allclose(np.sort(weight_of_row), np.sort(weight / weight.mean()), rtol=1e-5)
    logits = seen.y_pred.double().numpy()
    wanted = np.eye(10)[target] * (1 - smoothing) + smoothing / 10
    if output == "softmax":
        log_proba = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses = -(wanted * log_proba).sum(axis=1)
    else:
        proba = 1 / (1 + np.exp(-logits))
        losses = -(wanted * np.log(proba) + (1 - wanted) * np.log(1 - proba)).sum(axis=1)
    assert seen.loss == pytest.approx(np.average(losses, weights=weight_of_row), rel=1e-5)


def test_class_weight_is_a_sample_weight(digits):
    X_train, X_test, y_train, _ = digits
    by_class = Small(class_weight={3: 5.0}).fit(X_train, y_train)
    by_sample = Small().fit(X_train, y_train, sample_weight=np.where(y_train == 3, 5.0, 1.0))
    np.testing.assert_array_equal(by_class.predict_proba(X_test), by_sample.predict_proba(X_test))


def test_balanced_is_inverse_to_the_frequency(digits):
    X_train, X_test, y_train, _ = digits
    y = np.where(y_train < 8, 0, 1)
    by_class = Small(class_weight="balanced").fit(X_train, y)
    weight = len(y) / (2 * np.bincount(y)[y])
    by_sample = Small().fit(X_train, y, sample_weight=weight)
    np.testing.assert_allclose(by_class.predict_proba(X_test), by_sample.predict_proba(X_test))


def test_classes_without_weight_are_unknown(digits):
    X_train, _, y_train, _ = digits
    classifier = Small().fit(X_train, y_train, sample_weight=(y_train < 4).astype(float))
    np.testing.assert_array_equal(classifier.classes_, [0, 1, 2, 3])


def test_negative_weights_are_refused(digits):
    X_train, _, y_train, _ = digits
    with pytest.raises(ValueError, match="sample_weight"):
        Small().fit(X_train, y_train, sample_weight=-np.ones(len(y_train)))


# Early stopping, warm start, partial fit


def test_early_stopping_restores_the_best_epoch(digits):
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
    torch.testing.assert_close(weights_of(classifier), weights_of(rerun), rtol=0, atol=0)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_the_holdout_is_stratified(digits, fraction):
    X_train, _, y_train, _ = digits
    held_out = []

    class Count(Callback):
        def on_batch_end(self, net, batch=None, training=False, **kwargs):
            if not training:
                held_out.append(batch[1][0])

    Small(early_stopping=True, validation_fraction=fraction, callbacks=[Count()], max_epochs=1).fit(
        X_train, y_train
    )
    counts = np.bincount(torch.cat(held_out), minlength=10)
    assert counts.sum() == np.ceil(fraction * len(y_train))
    assert (np.abs(counts - fraction * np.bincount(y_train)) <= 1).all()


def test_early_stopping_works_with_classes_of_one_sample():
    X, y = make_blobs(n_samples=[8, 1, 1], n_features=4, shuffle=False, random_state=0)
    assert len(Small(early_stopping=True).fit(X, y).validation_scores_) == 3
    with pytest.raises(ValueError, match="needs a class with at least two different samples"):
        Small(early_stopping=True).fit(X[7:], y[7:])


def test_warm_start_continues(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(warm_start=True).fit(X_train, y_train)
    first = classifier.loss_
    classifier.fit(X_train, y_train)
    assert classifier.n_iter_ == 6
    assert classifier.loss_curve_[3] < classifier.loss_curve_[0]
    assert classifier.loss_ < first
    with pytest.raises(ValueError, match="warm_start=True needs the classes of the last fit"):
        classifier.fit(X_train, y_train % 5)
    with pytest.raises(ValueError, match="whose layers must not change"):
        classifier.set_params(conv_channels=(5, 8)).fit(X_train, y_train)


def test_warm_start_with_early_stopping(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(warm_start=True).fit(X_train, y_train)
    for _ in range(2):
        classifier.set_params(early_stopping=True).fit(X_train, y_train)
        assert len(classifier.validation_scores_) == 3
        assert classifier.best_validation_score_ == max(classifier.validation_scores_)
    assert classifier.n_iter_ == 9


def test_fit_without_warm_start_forgets(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small(early_stopping=True).fit(X_test, y_train % 3)
    classifier.set_params(early_stopping=False).fit(X_train, y_train)
    assert not hasattr(classifier, "validation_scores_")
    expected = Small().fit(X_train, y_train)
    assert torch.equal(weights_of(classifier), weights_of(expected))
    assert classifier.n_iter_ == 3


def test_partial_fit_learns_from_chunks(digits):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(lr=2e-3)
    for _ in range(12):
        for chunk in np.array_split(np.arange(len(X_train)), 3):
            classifier.partial_fit(X_train[chunk], y_train[chunk], classes=range(10))
    assert classifier.n_iter_ == 36
    assert classifier.score(X_test, y_test) > 0.8


def test_partial_fit_keeps_what_it_learned(digits):
    """A chunk of weightless steps (a rate of almost zero) changes nothing that matters."""
    X_train, X_test, y_train, _ = digits
    classifier = Small(max_epochs=10).fit(X_train, y_train)
    expected = classifier.predict(X_test)
    classifier.set_params(lr=1e-12).partial_fit(X_train[:50], y_train[:50])
    np.testing.assert_array_equal(classifier.predict(X_test), expected)


def test_partial_fit_on_the_first_call(digits):
    X_train, _, y_train, _ = digits
    with pytest.raises(ValueError, match="first call to partial_fit needs classes"):
        Small().partial_fit(X_train, y_train)
    classifier = Small().partial_fit(X_train[:20], y_train[:20], classes=range(10))
    with pytest.raises(ValueError, match="is not the same as"):
        classifier.partial_fit(X_train, y_train, classes=range(9))
    with pytest.raises(ValueError, match=r"labels that are not in classes: \[17\]"):
        classifier.partial_fit(X_train[:1], [17])


def test_partial_fit_takes_a_new_rate_and_refuses_a_new_optimizer(digits):
    X_train, _, y_train, _ = digits
    classifier = Small().partial_fit(X_train, y_train, classes=range(10))
    classifier.set_params(lr=1e-5, weight_decay=0.01).partial_fit(X_train, y_train)
    (group,) = classifier.net_.optimizer_.param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-5, 0.01)
    with pytest.raises(ValueError, match="optimizer of the last call, which must not change"):
        classifier.set_params(optimizer="sgd").partial_fit(X_train, y_train)


def test_what_partial_fit_cannot_do(digits):
    X_train, _, y_train, _ = digits
    with pytest.raises(ValueError, match="partial_fit does not support class_weight='balanced'"):
        Small(class_weight="balanced").partial_fit(X_train, y_train, classes=range(10))
    stopping = Small(early_stopping=True)
    assert not hasattr(stopping, "partial_fit")
    with pytest.raises(AttributeError) as error:
        stopping.partial_fit(X_train, y_train)
    assert "does not support early_stopping=True" in str(error.value.__cause__)


# Reproducibility and state


def test_the_same_seed_gives_the_same_model_bit_by_bit(digits):
    X_train, _, y_train, _ = digits
    options = {"dropout": 0.2, "augmentation": "affine", "early_stopping": True}
    first, second, other = (
        Small(**options, random_state=seed).fit(X_train, y_train) for seed in (0, 0, 1)
    )
    assert torch.equal(weights_of(first), weights_of(second))
    assert not torch.equal(weights_of(first), weights_of(other))


def test_global_random_states_are_left_alone(digits):
    X_train, _, y_train, _ = digits
    torch.manual_seed(5)
    np.random.seed(5)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(5)
    np.random.seed(5)
    Small(dropout=0.1).fit(X_train, y_train)
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])


def test_fits_in_threads_are_those_of_a_single_thread(digits):
    X_train, _, y_train, _ = digits
    expected = [weights_of(Small(random_state=seed).fit(X_train, y_train)) for seed in range(4)]
    state = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        fitted = pool.map(lambda seed: Small(random_state=seed).fit(X_train, y_train), range(4))
        assert all(map(torch.equal, expected, map(weights_of, fitted)))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_pickle_predicts_and_continues(digits):
    X_train, X_test, y_train, _ = digits
    classifier = Small().partial_fit(X_train, y_train, classes=range(10))
    for duplicate in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(
            duplicate.predict_proba(X_test), classifier.predict_proba(X_test)
        )
        duplicate.partial_fit(X_train, y_train)
        expected = copy.deepcopy(classifier).partial_fit(X_train, y_train)
        assert torch.equal(weights_of(duplicate), weights_of(expected))


def test_a_pickle_holds_the_network_and_not_the_data(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(early_stopping=True).fit(X_train, y_train)
    n_bytes = weights_of(classifier).numel() * 4
    assert len(pickle.dumps(classifier)) < n_bytes + 30_000


def test_parameters_are_stored_as_given(digits):
    X_train, _, y_train, _ = digits
    given = {"conv_channels": [4, 8], "hidden_layer_sizes": [32], "callbacks": [], "max_epochs": 1}
    classifier = clone(DeepLeNetClassifier(**given)).fit(X_train, y_train)
    assert {name: classifier.get_params()[name] for name in given} == given


def test_input_is_not_changed(digits):
    X_train, X_test, y_train, _ = (part.copy() for part in digits)
    weight = np.ones(len(y_train))
    Small().fit(X_train, y_train, weight).predict(X_test)
    for part, original in zip((X_train, X_test, y_train), digits, strict=False):
        np.testing.assert_array_equal(part, original)
    assert (weight == 1).all()


# What the user sees


def test_verbose_prints_a_table_of_epochs(digits, capsys):
    X_train, _, y_train, _ = digits
    Small(verbose=1).fit(X_train, y_train)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["epoch", "train_loss", "dur"]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]
    Small().fit(X_train, y_train)
    assert capsys.readouterr().out == ""


def test_callbacks_of_skorch_are_called(digits):
    class Epochs(Callback):
        def on_train_begin(self, net, **kwargs):
            self.epochs = []

        def on_epoch_end(self, net, **kwargs):
            self.epochs.append(net.history[-1, "epoch"])

    X_train, _, y_train, _ = digits
    seen = Epochs()
    Small(callbacks=[("mine", seen)]).fit(X_train, y_train)
    assert seen.epochs == [1, 2, 3]


def test_interruption_leaves_a_usable_estimator(digits):
    class Interrupt(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if training and len(net.history) == 3:
                raise KeyboardInterrupt

    X_train, X_test, y_train, y_test = digits
    classifier = Small(max_epochs=10, callbacks=[Interrupt()])
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        classifier.fit(X_train, y_train)
    assert classifier.n_iter_ == 2 == len(classifier.loss_curve_)
    assert accuracy_score(y_test, classifier.predict(X_test)) > 0.15


def test_nothing_is_warned_of(digits):
    X_train, X_test, y_train, _ = digits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(Small().fit(X_train, y_train))).predict(X_test)


def test_the_loss_of_each_batch_is_in_the_history(digits):
    X_train, _, y_train, _ = digits
    classifier = Small(batch_size=50).fit(X_train, y_train)
    columns = ["train_loss", "train_batch_size"]
    for epoch, loss in zip(classifier.history_, classifier.loss_curve_, strict=True):
        losses, sizes = zip(
            *([batch[column] for column in columns] for batch in epoch["batches"]), strict=True
        )
        assert sum(sizes) == len(X_train)
        assert loss == pytest.approx(np.average(losses, weights=sizes))
    assert type(classifier.loss_) is float


def test_callbacks_of_skorch_read_the_loss_of_a_batch(digits):
    X_train, _, y_train, _ = digits
    by_loss = LRScheduler(
        torch.optim.lr_scheduler.ReduceLROnPlateau, monitor="train_loss", step_every="batch"
    )
    Small(lr_schedule="constant", callbacks=[by_loss]).fit(X_train, y_train)


def test_an_interruption_of_the_validation_leaves_no_data_behind(digits):
    class Interrupt(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if not training:
                raise KeyboardInterrupt

    X_train, _, y_train, _ = digits
    classifier = Small(early_stopping=True, callbacks=[Interrupt()])
    with pytest.warns(UserWarning, match="interrupted"):
        classifier.fit(X_train, y_train)
    (recorder,) = (c for _, c in classifier.net_.callbacks_ if isinstance(c, ValidationAccuracy))
    assert not vars(recorder)


def test_the_default_type_of_torch_may_be_another(digits):
    X_train, _, y_train, _ = digits
    torch.set_default_dtype(torch.float64)
    try:
        classifier = Small().fit(X_train, y_train)
    finally:
        torch.set_default_dtype(torch.float32)
    assert classifier.score(X_train, y_train) > 0.5


@pytest.mark.parametrize("scale", [1e100, 1e-100])
def test_the_scale_of_the_pixels_does_not_matter(digits, scale):
    X_train, X_test, y_train, y_test = digits
    expected = Small().fit(X_train, y_train).score(X_test, y_test)
    scaled = Small().fit(X_train * scale, y_train).score(X_test * scale, y_test)
    assert scaled == pytest.approx(expected, abs=0.05)
    assert scaled > 0.5


def test_bfloat16_trains_and_predicts_in_float32(digits):
    X_train, X_test, y_train, y_test = digits
    classifier = DeepLeNetClassifier(precision="bfloat16", max_epochs=8, random_state=0)
    classifier.fit(X_train, y_train)
    assert classifier.score(X_test, y_test) > 0.9
    expected = classifier.decision_function(X_test)
    np.testing.assert_array_equal(classifier.decision_function(X_test[:7]), expected[:7])
    images = classifier._image_format.batch(torch.from_numpy(X_test).flatten(1)).double()
    exact = copy.deepcopy(classifier.module_).double()(images)
    np.testing.assert_allclose(expected, exact.detach().numpy(), rtol=1e-4, atol=1e-4)
    full = DeepLeNetClassifier(precision="float32", max_epochs=8, random_state=0)
    assert not np.array_equal(full.fit(X_train, y_train).decision_function(X_test), expected)


@pytest.mark.parametrize(
    ("has_instructions", "activation", "expected"),
    [
        (True, "l_relu", torch.bfloat16),
        (False, "l_relu", torch.float32),
        (True, LReLU, torch.float32),  # of the user, and perhaps for float32 only
    ],
)
def test_auto_precision_is_what_the_cpu_computes_with(
    digits, monkeypatch, has_instructions, activation, expected
):
    capabilities = {"avx512_bf16": has_instructions}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    X_train, _, y_train, _ = digits
    auto = Small(activation=activation, device="cpu").fit(X_train, y_train)
    name = str(expected).removeprefix("torch.")
    same = Small(activation=activation, device="cpu", precision=name).fit(X_train, y_train)
    assert auto.loss_curve_ == same.loss_curve_
    assert auto.net_.precision == expected


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        assert torch.get_default_dtype() == dtype
        torch.set_default_dtype(torch.float32)


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
def test_a_setting_of_the_caller_changes_nothing(digits, make_setting, precision):
    X_train, X_test, y_train, _ = digits
    expected = Small(precision=precision).fit(X_train, y_train).decision_function(X_test)
    with make_setting():
        classifier = Small(precision=precision).fit(X_train, y_train)
        found = classifier.decision_function(X_test)
    np.testing.assert_array_equal(found, expected)


def test_settings_of_the_caller_survive(digits):
    X_train, _, y_train, _ = digits
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.conv.fp32_precision = "ieee"
    try:
        Small().fit(X_train, y_train)
        assert torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.conv.fp32_precision == "ieee"
    finally:
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.conv.fp32_precision = "none"


@pytest.mark.parametrize("options", [{}, {"augmentation": "affine"}, {"early_stopping": True}])
def test_images_that_are_kept_train_as_those_that_are_made_anew(digits, monkeypatch, options):
    X_train, X_test, y_train, _ = digits
    kept = Small(**options).fit(X_train, y_train)
    monkeypatch.setattr("sklenet.training._data._WORTH_KEEPING", 0)
    anew = Small(**options).fit(X_train, y_train)
    assert kept.loss_curve_ == anew.loss_curve_
    np.testing.assert_array_equal(kept.predict_proba(X_test), anew.predict_proba(X_test))


def test_the_trained_network_is_in_evaluation_mode(digits):
    X_train, _, y_train, _ = digits
    assert not Small(dropout=0.5).fit(X_train, y_train).module_.training


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_learns_the_same(digits, monkeypatch):
    compiled_functions = []
    make = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda f, **k: compiled_functions.append(f) or make(f, **k)
    )
    X_train, X_test, y_train, _ = digits
    plain, compiled = (
        DeepLeNetClassifier(compile=compile, max_epochs=1, batch_size=32, random_state=0)
        for compile in (False, True)
    )
    plain.fit(X_train, y_train)
    pickled = pickle.dumps(compiled.fit(X_train, y_train))
    assert len(compiled_functions) == 1
    assert compiled.loss_ == pytest.approx(plain.loss_, rel=1e-2)
    np.testing.assert_array_equal(
        pickle.loads(pickled).predict_proba(X_test), compiled.predict_proba(X_test)
    )


class ChangeAndCopy(Callback):
    """Make the network anew in the second epoch, and copy it in two ways after each."""

    def initialize(self):
        self.copies = []
        return self

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            net.set_params(module__dropout=0.1)

    def on_epoch_end(self, net, **kwargs):
        pickled = pickle.loads(pickle.dumps(net)).module_.eval()
        weights = copy.deepcopy(net.module_.state_dict())
        self.copies.append((pickled, copy.deepcopy(net.module_).eval(), weights))


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_compiled_network_can_be_copied_and_changed_in_training(digits):
    X_train, _, y_train, _ = digits
    images = torch.randn(4, 1, 32, 32)
    callback = ChangeAndCopy()
    classifier = Small(compile=True, max_epochs=2, callbacks=[callback]).fit(X_train, y_train)
    assert len(callback.copies) == classifier.n_iter_ == 2
    network = classifier.module_
    for pickled, copied, weights in callback.copies:
        network.load_state_dict(weights)
        with torch.inference_mode():
            np.testing.assert_array_equal(pickled(images), network(images))
            np.testing.assert_array_equal(copied(images), network(images))


def test_compile_without_a_compiler_is_refused(digits, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/there/is/no/compiler"))
    X_train, _, y_train, _ = digits
    # Another number of kernels than any compiled before: nothing can come from a cache.
    with pytest.raises(ValueError, match="compile=True cannot be used: .*compiler"):
        Small(compile=True, conv_channels=(3, 5)).fit(X_train, y_train)


@pytest.mark.gpu
def test_cuda_learns_what_the_cpu_learns(digits):
    X_train, X_test, y_train, y_test = digits
    for device in ("cpu", "cuda"):
        classifier = DeepLeNetClassifier(device=device, random_state=0).fit(X_train, y_train)
        assert classifier.score(X_test, y_test) > 0.95


@pytest.mark.gpu
def test_cuda_has_the_losses_of_the_cpu(digits):
    X_train, _, y_train, _ = digits
    cpu, cuda = (
        DeepLeNetClassifier(device=device, precision="float32", max_epochs=3, random_state=0)
        .fit(X_train, y_train)
        .loss_curve_
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(cuda, cpu, rtol=0.02)
