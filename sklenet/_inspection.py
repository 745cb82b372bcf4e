"""What displays read from fitted estimators."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = ["fitted_attribute", "last_estimator", "prediction_confidence"]


def last_estimator(estimator):
    """Return what predicts in a fitted pipeline or search.

    Parameters
    ----------
    estimator : estimator
        The estimator, a pipeline that ends in it, or a search that has refitted it.

    Returns
    -------
    estimator
        The last step of a pipeline, the best estimator of a search, or the estimator itself.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    """
    check_is_fitted(estimator)
    if isinstance(estimator, Pipeline):
        return last_estimator(estimator[-1])
    if hasattr(estimator, "best_estimator_"):
        return last_estimator(estimator.best_estimator_)
    return estimator


def fitted_attribute(estimator, name):
    """Return an attribute of a fitted estimator, or of the last one in a pipeline or search.

    Parameters
    ----------
    estimator : estimator
        The estimator, pipeline or search.
    name : str
        Name of the attribute.

    Returns
    -------
    object
        The attribute.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If it has no such attribute.
    """
    last = last_estimator(estimator)
    if not hasattr(last, name):
        raise ValueError(f"estimator must have {name}, which {type(last).__name__} has not.")
    return getattr(last, name)


def prediction_confidence(estimator, X):
    """Compute how sure a classifier is of what it predicts.

    Parameters
    ----------
    estimator : estimator
        A fitted classifier.
    X : array-like of shape (n_samples, n_features) or images
        The images.

    Returns
    -------
    ndarray of shape (n_samples,) or None
        The highest probability of a class (`predict_proba`), else the highest class score
        (`decision_function`), which is no probability, else None.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklenet._inspection import prediction_confidence
    >>> classifier = KNeighborsClassifier(2).fit([[0], [1], [4], [5]], [0, 0, 0, 1])
    >>> prediction_confidence(classifier, [[0], [5]])
    array([1. , 0.5])
    """
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X).max(axis=1)
    if hasattr(estimator, "decision_function"):
        scores = estimator.decision_function(X)
        return np.abs(scores) if scores.ndim == 1 else scores.max(axis=1)
    return None
