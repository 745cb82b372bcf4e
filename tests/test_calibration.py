"""The temperature of the probabilities."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import Small, weights_of
from sklearn.metrics import log_loss

from sklenet import DeepLeNetClassifier
from sklenet.training import LOSSES, expected_temperature, fit_temperature, undo_smoothing

by_output = pytest.mark.parametrize("output", LOSSES)


def make_scores(n_samples=2000, n_classes=4, seed=0):
    """Return scores, and targets drawn with the probabilities of their softmax."""
    random = np.random.RandomState(seed)
    scores = torch.from_numpy(3 * random.standard_normal((n_samples, n_classes)))
    proba = torch.softmax(scores, dim=1).numpy()
    target = [random.choice(n_classes, p=each) for each in proba]
    return scores, torch.nn.functional.one_hot(torch.tensor(target), n_classes)


def ones(n_samples):
    return torch.ones(n_samples, dtype=torch.float64)


@pytest.mark.parametrize("factor", [0.3, 1.0, 3.0])
def test_fit_temperature_finds_factor_of_scores(factor):
    scores, target = make_scores()
    found = fit_temperature(LOSSES["softmax"](), factor * scores, target, ones(2000))
    assert found == pytest.approx(factor, rel=0.1)


def test_fit_temperature_few_samples_is_near_the_expected_one():
    scores, target = make_scores(n_samples=3)
    for smoothing in (0.0, 0.1):
        expected = expected_temperature(smoothing)
        found = fit_temperature(LOSSES["softmax"](smoothing), scores, target, ones(3))
        assert expected / 2 < found < 2 * expected


def test_fit_temperature_weight_of_zero_drops_samples():
    scores, target = make_scores()
    weight = ones(2000).index_fill(0, torch.arange(1000), 0.0)
    wrong = target.clone()
    wrong[:1000] = wrong[:1000].roll(1, dims=1)
    loss = LOSSES["softmax"]()
    found, expected = (fit_temperature(loss, scores, each, weight) for each in (wrong, target))
    assert found == pytest.approx(expected)


def test_expected_temperature_falls_with_label_smoothing():
    temperatures = [expected_temperature(each) for each in (0, 0.05, 0.1, 0.2, 0.5)]
    assert temperatures[0] == 1
    assert all(lower > higher > 0 for lower, higher in pairwise(temperatures))


@by_output
def test_unsmoothed_proba_inverts_the_smoothing(output):
    proba = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]], dtype=torch.float64)
    smoothed = 0.9 * proba + 0.1 / 3
    logits = smoothed.log() if output == "softmax" else smoothed.logit()
    torch.testing.assert_close(LOSSES[output](0.1).unsmoothed_proba(logits), proba)


def test_unsmoothed_proba_of_no_class_is_zero():
    logits = torch.tensor([[-9.0, -8.0, -9.0], [-9.0, 2.0, -9.0]], dtype=torch.float64)
    loss = LOSSES["sigmoid"](0.1)
    proba = loss.unsmoothed_proba(logits)
    torch.testing.assert_close(proba.sum(dim=1), torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert 0 < undo_smoothing(loss, logits) < 1


def test_undo_smoothing_of_one_image_is_near_the_expected_temperature():
    loss = LOSSES["softmax"](0.1)
    found = undo_smoothing(loss, torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64))
    assert found == pytest.approx(expected_temperature(0.1), rel=0.3)


@pytest.mark.slow
@by_output
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}], ids=["all", "hold-out"])
def test_fit_label_smoothing_has_lower_log_loss_than_its_scores(output, options, digits):
    X_train, X_test, y_train, y_test = digits
    classifier = Small(output=output, max_epochs=15, **options).fit(X_train, y_train)
    proba = classifier.predict_proba(X_test)
    classifier.net_.divide_logits(1 / classifier.net_.temperature_)
    assert log_loss(y_test, proba) < log_loss(y_test, classifier.predict_proba(X_test))


def test_fit_without_label_smoothing_keeps_its_scores(digits):
    X, _, y, _ = digits
    assert Small(label_smoothing=0).fit(X, y).net_.temperature_ == 1


def test_fit_hold_out_calibrates_without_label_smoothing(digits):
    X, _, y, _ = digits
    assert Small(label_smoothing=0, early_stopping=True).fit(X, y).net_.temperature_ != 1


def test_fit_hold_out_counts_by_weight(digits):
    X, _, y, _ = digits
    untrained = Small(
        lr=1e-9, max_epochs=1, normalization=None, label_smoothing=0, early_stopping=True
    )
    is_right = untrained.fit(X, y).predict(X) == y
    where_right, where_wrong = (
        untrained.fit(X, y, np.where(is_heavy, 1, 1e-3)).net_.temperature_
        for is_heavy in (is_right, ~is_right)
    )
    assert where_right < 1 < where_wrong


def test_module_has_the_temperature(digits):
    X, _, y, _ = digits
    classifier = Small().fit(X, y)
    rows = torch.from_numpy(X[:50].reshape(50, -1))
    with torch.no_grad():
        scores = classifier.module_(classifier.preprocessor_(rows)).double()
    np.testing.assert_allclose(classifier.decision_function(X[:50]), scores, rtol=1e-5, atol=1e-5)
    proba = torch.softmax(scores, dim=1)
    np.testing.assert_allclose(classifier.predict_proba(X[:50]), proba, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", ["warm start", "partial fit"])
def test_continued_training_starts_without_the_temperature(method, digits):
    X, _, y, _ = digits
    classifier = Small(lr=1e-9, normalization=None, warm_start=True).fit(X, y)
    expected, temperature = weights_of(classifier), classifier.net_.temperature_
    if method == "warm start":
        classifier.fit(X, y)
    else:
        classifier.partial_fit(X, y)
    torch.testing.assert_close(weights_of(classifier), expected, rtol=1e-2, atol=1e-4)
    assert classifier.net_.temperature_ == pytest.approx(temperature, rel=0.05)


@pytest.mark.slow
def test_fit_defaults_are_nearly_calibrated(digits):
    X_train, X_test, y_train, y_test = digits
    options = {"max_epochs": 12, "device": "cpu", "precision": "float32", "random_state": 0}
    classifier = DeepLeNetClassifier(**options).fit(X_train, y_train)
    accuracy = classifier.score(X_test, y_test)
    gap = abs(classifier.predict_proba(X_test).max(axis=1).mean() - accuracy)
    classifier.net_.divide_logits(1 / classifier.net_.temperature_)
    assert gap < abs(classifier.predict_proba(X_test).max(axis=1).mean() - accuracy) / 2
