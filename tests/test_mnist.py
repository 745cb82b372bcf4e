"""Accuracy of the defaults on the test images of the real MNIST."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from sklenet import DeepLeNetClassifier
from sklenet.comparison import make_method

pytestmark = pytest.mark.mnist


def evaluate(mnist, n_train, seeds, **parameters):
    """Return the mean accuracy and the mean expected calibration error."""
    X_train, X_test, y_train, y_test = mnist
    measured = []
    for seed in seeds:
        rows = np.arange(len(X_train))
        if n_train < len(rows):
            rows, _ = train_test_split(
                rows, train_size=n_train, random_state=seed, stratify=y_train
            )
        classifier = DeepLeNetClassifier(random_state=seed, **parameters)
        proba = classifier.fit(X_train[rows], y_train[rows]).predict_proba(X_test)
        is_right, confidence = proba.argmax(axis=1) == y_test, proba.max(axis=1)
        bins = (confidence * 15).astype(int)
        gaps = np.bincount(bins, weights=confidence - is_right)
        measured.append((is_right.mean(), np.abs(gaps).sum() / len(y_test)))
    return np.mean(measured, axis=0)


@pytest.mark.parametrize(
    ("n_train", "n_seeds", "accuracy"),
    [(100, 5, 0.885), (1_000, 2, 0.9815), (10_000, 1, 0.9925), (60_000, 1, 0.995)],
)
def test_defaults_are_accurate_and_calibrated(n_train, n_seeds, accuracy, mnist):
    reached, calibration_error = evaluate(mnist, n_train, seeds=range(n_seeds))
    assert reached >= accuracy
    assert n_train < 1_000 or calibration_error <= 0.012


def test_accuracy_one_epoch_is_reached(mnist):
    assert evaluate(mnist, 60_000, seeds=range(1), max_epochs=1)[0] >= 0.99


def test_accuracy_twice_the_epochs_is_reached(mnist):
    assert evaluate(mnist, 60_000, seeds=range(1), augmentation="affine")[0] >= 0.995


def test_accuracy_partial_fit_is_reached(mnist):
    X_train, X_test, y_train, y_test = mnist
    classifier = DeepLeNetClassifier(lr=1e-3, random_state=0)
    for chunk in np.array_split(np.arange(20_000), 10):
        classifier.partial_fit(X_train[chunk], y_train[chunk], classes=range(10))
    assert classifier.score(X_test, y_test) >= 0.97


@pytest.mark.parametrize("n_train", [100, 1_000])
def test_accuracy_few_images_is_better_than_baselines(mnist, n_train):
    X_train, X_test, y_train, y_test = mnist
    rows, _ = train_test_split(
        np.arange(len(X_train)), train_size=n_train, random_state=0, stratify=y_train
    )
    scores = {
        name: make_method(name, random_state=0)
        .fit(X_train[rows], y_train[rows])
        .score(X_test, y_test)
        for name in ("deep_lenet", "svm", "mlp", "knn")
    }
    assert max(scores, key=scores.get) == "deep_lenet"
