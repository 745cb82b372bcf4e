"""One fit of one method: how accurate, how fast, how large."""

import math
import pickle
import warnings
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from .._inspection import prediction_confidence

__all__ = ["FitScores", "fit_and_score"]


@dataclass
class FitScores:
    """What one fit of one method achieves.

    Attributes
    ----------
    accuracy, macro_f1 : float
        Accuracy and mean over the classes of the F1 score on the test images.
    fit_time : float
        Seconds to fit.
    predict_time : float
        Seconds to predict a thousand images.
    model_size : float
        Bytes of the pickled model; NaN if it cannot be pickled.
    best_params : dict or None
        The settings that a search chose (`best_params_`).
    predictions : ndarray of shape (n_samples,) or None
        What is predicted for the test images.
    confidence : ndarray of shape (n_samples,) or None
        The `prediction_confidence` of these predictions.
    error : str or None
        Why the method failed; then there are no scores.
    """

    accuracy: float = math.nan
    macro_f1: float = math.nan
    fit_time: float = math.nan
    predict_time: float = math.nan
    model_size: float = math.nan
    best_params: dict[str, Any] | None = None
    predictions: np.ndarray | None = None
    confidence: np.ndarray | None = None
    error: str | None = None

    def __str__(self):
        if self.error:
            return f"failed: {self.error}"
        return f"accuracy {self.accuracy:.4f}, fitted in {self.fit_time:.3g} s"


def fit_and_score(estimator, X_train, y_train, X_test, y_test):
    """Fit a classifier, and measure it on test images.

    Parameters
    ----------
    estimator : estimator
        The classifier; it is fitted in place.
    X_train : array-like of shape (n_samples, n_features) or images
        The training images.
    y_train : ndarray of shape (n_samples,)
        Their labels.
    X_test : array-like of shape (n_test, n_features) or images
        The test images.
    y_test : ndarray of shape (n_test,)
        Their labels.

    Returns
    -------
    FitScores
        The scores, or the error with which the classifier failed.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts the fit, although the networks of this package survive that.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from sklenet.comparison._scoring import fit_and_score
    >>> X, y = load_iris(return_X_y=True)
    >>> scores = fit_and_score(DecisionTreeClassifier(), X[::2], y[::2], X[1::2], y[1::2])
    >>> scores.accuracy > 0.9
    True
    """
    try:
        start = perf_counter()
        with warnings.catch_warnings():
            # The networks survive an interruption, but half trained they are not to be compared.
            warnings.filterwarnings("error", message="Training was interrupted")
            estimator.fit(X_train, y_train)
        fitted = perf_counter()
        predictions = estimator.predict(X_test)
        predicted = perf_counter()
        return FitScores(
            accuracy=float(accuracy_score(y_test, predictions)),
            macro_f1=float(f1_score(y_test, predictions, average="macro", zero_division=0)),
            fit_time=fitted - start,
            predict_time=(predicted - fitted) / len(y_test) * 1000,
            model_size=_pickled_size(estimator),
            best_params=getattr(estimator, "best_params_", None),
            predictions=predictions,
            confidence=prediction_confidence(estimator, X_test),
        )
    except Exception as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        reason = next(iter(str(error).splitlines()), "")
        return FitScores(error=f"{type(error).__name__}: {reason}")


def _pickled_size(model):
    try:
        return len(pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL))
    except Exception:  # objects that cannot be pickled raise what they like
        return math.nan
