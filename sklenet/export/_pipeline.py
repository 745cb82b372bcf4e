"""The parts of a model that can be exported: `split_model`."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .._classifier import DeepLeNetClassifier
from ..images import ImageReader

__all__ = ["split_model"]


def split_model(model: Any) -> tuple[ImageReader | None, DeepLeNetClassifier]:
    """Return the reader of image files, if there is one, and the classifier of a fitted model.

    The model is a `DeepLeNetClassifier`, or a pipeline of it after an `ImageReader` and steps that
    pass everything through.
    """
    steps = _flatten(model)
    *before, (name, classifier) = steps or [("model", model)]
    if hasattr(classifier, "best_estimator_") or hasattr(classifier, "param_grid"):
        raise TypeError(
            f"model must be a DeepLeNetClassifier or a pipeline with one, got a "
            f"{type(classifier).__name__}: pass its best_estimator_."
        )
    if not isinstance(classifier, DeepLeNetClassifier):
        got = (
            type(classifier).__name__ if isinstance(classifier, BaseEstimator) else repr(classifier)
        )
        raise TypeError(
            f"model must be a DeepLeNetClassifier or a pipeline that ends in one, got {got}."
        )
    for name, step in before[1:] if before and isinstance(before[0][1], ImageReader) else before:
        raise ValueError(
            "model must be a DeepLeNetClassifier, or a pipeline of an ImageReader and it, got the "
            f"step {name!r} before it: {step!r}."
        )
    for _, step in (*before, (name, classifier)):
        check_is_fitted(step)
    return (before[0][1] if before else None), classifier


def _flatten(model):
    """Return the steps of a pipeline, those of inner ones included, without empty ones."""
    steps = model.steps if isinstance(model, Pipeline) else [("model", model)]
    flat = []
    for name, step in steps:
        if isinstance(step, Pipeline):
            flat += _flatten(step)
        elif step is not None and step != "passthrough":
            flat.append((name, step))
    return flat
