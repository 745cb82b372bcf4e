"""What displays read from fitted estimators."""

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = ["fitted_attribute", "fitted_network"]


def fitted_attribute(estimator, name):
    """Return an attribute of a fitted estimator, or of the last step of a pipeline.

    Parameters
    ----------
    estimator : estimator
        The estimator or pipeline.
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
    check_is_fitted(estimator)
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not hasattr(last, name):
        raise ValueError(f"estimator must have {name}, which {type(last).__name__} has not.")
    return getattr(last, name)


def fitted_network(estimator):
    """Return the trained network of a classifier.

    Parameters
    ----------
    estimator : DeepLeNetClassifier or Pipeline
        The fitted classifier, or a pipeline that ends in one.

    Returns
    -------
    DeepLeNet
        The network.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If it has no network.
    """
    return fitted_attribute(estimator, "module_")
