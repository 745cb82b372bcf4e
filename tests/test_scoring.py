"""One fit of one method: what is measured, and what happens when it fails."""

import json
import math
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from skorch.callbacks import Callback

from sklenet import DeepLeNetClassifier
from sklenet._inspection import prediction_confidence
from sklenet.comparison._scoring import fit_and_score
from sklenet.datasets import load_digits_images

images, y = load_digits_images()
X = images.reshape(len(y), -1)
SETS = X[:200], y[:200], X[200:300], y[200:300]


class Failing(ClassifierMixin, BaseEstimator):
    """Fails to fit, with the error that it is given."""

    def __init__(self, error):
        self.error = error

    def fit(self, X, y):
        raise self.error


class Unpicklable(GaussianNB):
    """Fits, but does not go into a pickle."""

    def __getstate__(self):
        raise TypeError("cannot be pickled")


class InterruptAfterABatch(Callback):
    """Does what Ctrl-C does."""

    def on_batch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_the_scores_are_those_of_the_test_images():
    reference = GaussianNB().fit(X[:200], y[:200])
    scores = fit_and_score(GaussianNB(), *SETS)
    predictions = reference.predict(X[200:300])
    assert_array_equal(scores.predictions, predictions)
    assert scores.accuracy == np.mean(predictions == y[200:300])
    assert scores.macro_f1 == f1_score(y[200:300], predictions, average="macro")
    assert_allclose(scores.confidence, reference.predict_proba(X[200:300]).max(axis=1))
    assert scores.model_size == len(pickle.dumps(reference, pickle.HIGHEST_PROTOCOL))
    assert scores.fit_time > 0
    assert scores.predict_time > 0
    assert scores.error is None
    assert f"accuracy {scores.accuracy:.4f}" in str(scores)


def test_the_time_to_predict_is_that_of_a_thousand_images(monkeypatch):
    clock = iter([0.0, 3.0, 5.0])
    monkeypatch.setattr("sklenet.comparison._scoring.perf_counter", lambda: next(clock))
    scores = fit_and_score(GaussianNB(), *SETS)
    assert scores.fit_time == 3
    assert scores.predict_time == 20


def test_a_search_tells_what_it_chose():
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-2]}, cv=2)
    best_params = fit_and_score(search, *SETS).best_params
    assert json.dumps(best_params) == '{"var_smoothing": 0.01}'


def test_a_failure_becomes_one_line():
    scores = fit_and_score(Failing(ValueError("no luck\nand more")), *SETS)
    assert scores.error == "ValueError: no luck"
    assert str(scores) == "failed: ValueError: no luck"
    assert math.isnan(scores.accuracy)
    assert fit_and_score(Failing(RuntimeError()), *SETS).error == "RuntimeError: "


def test_a_model_that_cannot_be_pickled_has_no_size():
    scores = fit_and_score(Unpicklable(), *SETS)
    assert math.isnan(scores.model_size)
    assert scores.error is None


def test_an_interruption_is_none_of_the_failures():
    with pytest.raises(KeyboardInterrupt):
        fit_and_score(Failing(KeyboardInterrupt()), *SETS)


def test_a_network_that_survives_an_interruption_is_not_scored():
    network = DeepLeNetClassifier(
        hidden_layer_sizes=8, max_epochs=1, callbacks=[InterruptAfterABatch()], random_state=0
    )
    with pytest.raises(KeyboardInterrupt):
        fit_and_score(network, *SETS)


def test_confidence_is_the_highest_class_score_where_there_is_no_probability():
    ridge = RidgeClassifier().fit(X, y)
    assert_allclose(prediction_confidence(ridge, X), ridge.decision_function(X).max(axis=1))
    binary = RidgeClassifier().fit(X, y > 4)
    assert_allclose(prediction_confidence(binary, X), np.abs(binary.decision_function(X)))


def test_confidence_is_none_where_the_classifier_has_no_scores():
    classifier = Failing(ValueError())
    assert prediction_confidence(classifier, X) is None


def test_confidence_is_the_highest_probability_where_there_are_some():
    bayes = GaussianNB().fit(X, y)
    assert_allclose(prediction_confidence(bayes, X), bayes.predict_proba(X).max(axis=1))
