"""Accuracy of the defaults on the test images of the real MNIST."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from sklenet import DeepLeNetClassifier
from sklenet.comparison import make_method

pytestmark = pytest.mark.mnist


def mean_accuracy(mnist, n_train, seeds, **parameters):
    X_train, X_test, y_train, y_test = mnist
    scores = []
    for seed in seeds:
        rows = np.arange(len(X_train))
        if n_train < len(rows):
            rows, _ = train_test_split(
                rows, train_size=n_train, random_state=seed, stratify=y_train
            )
        classifier = DeepLeNetClassifier(random_state=seed, **parameters)
        scores.append(classifier.fit(X_train[rows], y_train[rows]).score(X_test, y_test))
    return np.mean(scores)


def test_accuracy_one_thousand_images_is_reached(mnist):
    assert mean_accuracy(mnist, 1_000, seeds=range(3)) >= 0.958


def test_accuracy_ten_thousand_images_is_reached(mnist):
    assert mean_accuracy(mnist, 10_000, seeds=range(3)) >= 0.986


def test_accuracy_all_images_is_reached(mnist):
    assert mean_accuracy(mnist, 60_000, seeds=range(1)) >= 0.9925


def test_accuracy_all_images_augmented_is_reached(mnist):
    assert mean_accuracy(mnist, 60_000, seeds=range(1), augmentation="affine") >= 0.995


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
