"""The scores of one fit of one method."""

import math
import pickle
from time import perf_counter

from sklearn.metrics import accuracy_score, f1_score

from .._inspection import prediction_confidence
from .._interrupts import Interrupts
from ._results import MethodScores

__all__ = ["fit_and_score"]


def fit_and_score(name, estimator, X_train, y_train, X_test, y_test):
    """Fit a classifier in place and score it on test images; its error is a score.

    Ctrl-C raises `KeyboardInterrupt` even if the classifier, as `MLPClassifier`, takes it for the
    end of its training.
    """
    try:
        start = perf_counter()
        with Interrupts(deferred=False) as interrupts:
            estimator.fit(X_train, y_train)
        if interrupts.arrived():
            raise KeyboardInterrupt
        fitted = perf_counter()
        predictions = estimator.predict(X_test)
        predicted = perf_counter()
        accuracy = float(accuracy_score(y_test, predictions))
        best_params = getattr(estimator, "best_params_", None)
        return MethodScores(
            name,
            accuracy=accuracy,
            macro_f1=float(f1_score(y_test, predictions, average="macro", zero_division=0)),
            fit_time=fitted - start,
            predict_time=(predicted - fitted) / len(y_test) * 1000,
            model_size=_pickled_size(estimator),
            fold_accuracies=[accuracy],
            best_params=None if best_params is None else [best_params],
            predictions=predictions,
            confidence=prediction_confidence(estimator, X_test),
        )
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        return MethodScores(name, error=f"{type(error).__name__}: {reason}")


def _pickled_size(model):
    try:
        return len(pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL))
    except Exception:  # pickling errors do not have a common base class
        return math.nan
