"""`fit_and_score`: the scores of one fit of one method, and its errors."""

import contextlib
import json
import math
import pickle
import signal

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from skorch.callbacks import Callback

from sklenet import DeepLeNetClassifier
from sklenet.comparison._scoring import fit_and_score
from sklenet.datasets import load_digits_images

images, y = load_digits_images()
X = images.reshape(len(y), -1)
SETS = X[:200], y[:200], X[200:300], y[200:300]


class Failing(ClassifierMixin, BaseEstimator):
    """Fail to fit, with a given error."""

    def __init__(self, error):
        self.error = error

    def fit(self, X, y):
        raise self.error


class Unpicklable(GaussianNB):
    """Fit, but raise an error when pickled."""

    def __getstate__(self):
        raise TypeError("cannot be pickled")


class Interrupted(GaussianNB):
    """Take Ctrl-C for the end of the training, as `MLPClassifier` does."""

    def fit(self, X, y):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return super().fit(X, y)


class StopAfterABatch(Callback):
    """End the training as the callbacks of skorch do."""

    def on_batch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_fit_and_score_has_scores_of_test_images():
    reference = GaussianNB().fit(X[:200], y[:200])
    scores = fit_and_score("it", GaussianNB(), *SETS)
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


def test_fit_and_score_predict_time_is_for_thousand_images(monkeypatch):
    clock = iter([0.0, 3.0, 5.0])
    monkeypatch.setattr("sklenet.comparison._scoring.perf_counter", lambda: next(clock))
    scores = fit_and_score("it", GaussianNB(), *SETS)
    assert scores.fit_time == 3
    assert scores.predict_time == 20


def test_fit_and_score_search_has_best_params():
    search = GridSearchCV(GaussianNB(), {"var_smoothing": [1e-2]}, cv=2)
    best_params = fit_and_score("it", search, *SETS).best_params
    assert json.dumps(best_params) == '[{"var_smoothing": 0.01}]'


def test_fit_and_score_failure_is_one_line():
    scores = fit_and_score("it", Failing(ValueError("no luck\nand more")), *SETS)
    assert scores.error == "ValueError: no luck"
    assert str(scores) == "failed: ValueError: no luck"
    assert math.isnan(scores.accuracy)
    assert fit_and_score("it", Failing(RuntimeError()), *SETS).error == "RuntimeError: "


def test_fit_and_score_unpicklable_model_lacks_size():
    scores = fit_and_score("it", Unpicklable(), *SETS)
    assert math.isnan(scores.model_size)
    assert scores.error is None


def test_fit_and_score_interrupted_raises():
    with pytest.raises(KeyboardInterrupt):
        fit_and_score("it", Failing(KeyboardInterrupt()), *SETS)


@pytest.mark.usefixtures("sigint")
@pytest.mark.parametrize("search", [False, True])
def test_fit_and_score_swallowed_interruption_raises(search):
    estimator = GridSearchCV(Interrupted(), {}, cv=2) if search else Interrupted()
    with pytest.raises(KeyboardInterrupt):
        fit_and_score("it", estimator, *SETS)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_fit_and_score_network_stopped_by_callback_has_scores():
    network = DeepLeNetClassifier(
        hidden_layer_sizes=8, max_epochs=1, callbacks=[StopAfterABatch()], random_state=0
    )
    scores = fit_and_score("it", network, *SETS)
    assert scores.error is None
    assert 0 <= scores.accuracy <= 1
