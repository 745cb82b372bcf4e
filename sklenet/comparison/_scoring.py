"""One fit of one method: how accurate, how fast, how large."""

import math
import pickle
import warnings
from time import perf_counter

from sklearn.metrics import accuracy_score, f1_score

from .._inspection import prediction_confidence
from ._results import MethodScores

__all__ = ["fit_and_score"]


def fit_and_score(name, estimator, X_train, y_train, X_test, y_test):
    """Fit a classifier in place and score it on test images; its error is a score.

    A `KeyboardInterrupt` is raised even if the classifier ends its training without one.
    """
    try:
        start = perf_counter()
        with warnings.catch_warnings():
            # A network survives an interruption, but half trained it is not to be compared.
            warnings.filterwarnings("error", message="Training was interrupted")
            estimator.fit(X_train, y_train)
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
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        reason = next(iter(str(error).splitlines()), "")
        return MethodScores(name, error=f"{type(error).__name__}: {reason}")


def _pickled_size(model):
    try:
        return len(pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL))
    except Exception:  # objects that cannot be pickled raise what they like
        return math.nan
