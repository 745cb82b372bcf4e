"""Attributes and confidences of fitted estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from sklenet._inspection import fitted_attribute, last_estimator, prediction_confidence
from sklenet.datasets import load_digits_images

images, y = load_digits_images()
X = images.reshape(len(y), -1)


class Unsure(ClassifierMixin, BaseEstimator):
    """A classifier without scores."""


@pytest.mark.parametrize(
    "wrap",
    [
        lambda bayes: bayes,
        lambda bayes: make_pipeline("passthrough", bayes),
        lambda bayes: GridSearchCV(bayes, {}, cv=2),
        lambda bayes: GridSearchCV(make_pipeline("passthrough", bayes), {}, cv=2),
        lambda bayes: make_pipeline("passthrough", GridSearchCV(bayes, {}, cv=2)),
    ],
    ids=["alone", "pipeline", "search", "search of a pipeline", "pipeline with a search"],
)
def test_fitted_attribute_wrapped_estimator_is_that_of_last_one(wrap):
    estimator = wrap(GaussianNB()).fit(X, y)
    assert type(last_estimator(estimator)) is GaussianNB
    expected = GaussianNB().fit(X, y).theta_
    assert_allclose(fitted_attribute(estimator, "theta_"), expected)


@pytest.mark.parametrize("estimator", [GaussianNB(), make_pipeline("passthrough", GaussianNB())])
def test_fitted_attribute_unfitted_raises(estimator):
    with pytest.raises(NotFittedError):
        fitted_attribute(estimator, "theta_")


def test_fitted_attribute_missing_raises():
    bayes = make_pipeline("passthrough", GaussianNB()).fit(X, y)
    with pytest.raises(
        ValueError, match="estimator must have module_, got GaussianNB, which does not"
    ):
        fitted_attribute(bayes, "module_")


def test_prediction_confidence_with_predict_proba_is_highest_probability():
    bayes = GaussianNB().fit(X, y)
    assert_allclose(prediction_confidence(bayes, X), bayes.predict_proba(X).max(axis=1))


def test_prediction_confidence_with_decision_function_is_highest_score():
    ridge = RidgeClassifier().fit(X, y)
    assert_allclose(prediction_confidence(ridge, X), ridge.decision_function(X).max(axis=1))
    binary = RidgeClassifier().fit(X, y > 4)
    assert_allclose(prediction_confidence(binary, X), np.abs(binary.decision_function(X)))


def test_prediction_confidence_without_scores_is_none():
    assert prediction_confidence(Unsure(), X) is None
