"""Checks of parameters, labels and weights."""

import math
from numbers import Integral

import numpy as np
from sklearn.utils import compute_class_weight

__all__ = [
    "check_callbacks",
    "check_count",
    "check_numeric",
    "check_sizes",
    "encode_target",
    "weigh_classes",
]


def check_count(name, value):
    """Refuse a value that is not a positive integer."""
    if isinstance(value, bool) or not (isinstance(value, Integral) and int(value) > 0):
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")


def check_sizes(name, values, lengths=None):
    """Convert a parameter to a tuple of positive integers, of one of the `lengths`."""
    sizes = tuple(values)
    wrong = not all(isinstance(size, Integral) and int(size) > 0 for size in sizes)
    if wrong or (lengths and len(sizes) not in lengths):
        count = f"{' or '.join(map(str, lengths))} " if lengths else ""
        raise ValueError(f"{name} must have {count}positive integers, got {values!r}.")
    return tuple(int(size) for size in sizes)


def check_numeric(rows):
    """Refuse an array that does not hold numbers."""
    if rows.dtype.kind not in "biuf":
        raise TypeError(f"X must hold numbers, got the dtype {rows.dtype}.")


def check_callbacks(callbacks):
    """Refuse what skorch would not call."""
    for callback in callbacks:
        hooks = callback[1] if isinstance(callback, tuple) else callback
        if not hasattr(hooks, "on_train_begin"):
            raise TypeError(
                "callbacks must be callbacks of skorch or tuples of a name and one, "
                f"got {callback!r}."
            )


def encode_target(y, sample_weight, classes):
    """Return the position of each label in the sorted classes; that of rows of weight zero is 0."""
    target = np.zeros(len(y), dtype=np.int64)
    weighted = sample_weight > 0  # the other rows may have labels that are not in classes
    target[weighted] = np.searchsorted(classes, y[weighted])
    return target


def weigh_classes(class_weight, y, target, sample_weight, classes):
    """Multiply the weight of each sample with that of its class."""
    weighted = sample_weight > 0
    weights = compute_class_weight(
        class_weight, classes=classes, y=y[weighted], sample_weight=sample_weight[weighted]
    )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(
            f"class_weight must hold finite numbers that are not negative, got {class_weight}."
        )
    sample_weight = sample_weight * weights[target]
    if not 0 < sample_weight.sum() < math.inf:
        raise ValueError(
            "The product of sample_weight and class_weight must have a positive finite sum, "
            f"got {sample_weight.sum()}."
        )
    return sample_weight
