"""What displays read from fitted estimators."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = ["fitted_attribute", "last_estimator"]


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
