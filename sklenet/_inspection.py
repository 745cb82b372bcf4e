"""Attributes of fitted estimators for displays and comparisons."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = ["fitted_attribute", "last_estimator", "prediction_confidence"]


def last_estimator(estimator):
    """Return the estimator that predicts in a fitted pipeline or search, or itself."""
    check_is_fitted(estimator)
    if isinstance(estimator, Pipeline):
        return last_estimator(estimator[-1])
    if hasattr(estimator, "best_estimator_"):
        return last_estimator(estimator.best_estimator_)
    return estimator


def fitted_attribute(estimator, name):
    """Return an attribute of a fitted estimator, or of the last one in a pipeline or search."""
    last = last_estimator(estimator)
    if not hasattr(last, name):
        raise ValueError(f"estimator must have {name}, got {type(last).__name__}, which does not.")
    return getattr(last, name)


def prediction_confidence(estimator, X):
    """Compute the confidence of each prediction: the highest probability of a class.

    Without `predict_proba` it is the highest class score (`decision_function`), else None.
    """
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X).max(axis=1)
    if hasattr(estimator, "decision_function"):
        scores = estimator.decision_function(X)
        return np.abs(scores) if scores.ndim == 1 else scores.max(axis=1)
    return None
