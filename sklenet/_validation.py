"""Checks of parameters, labels and weights."""

import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from skorch.callbacks import LRScheduler

__all__ = [
    "check_callbacks",
    "check_count",
    "check_discrete",
    "check_label_types",
    "check_n_threads",
    "check_positive",
    "check_sizes",
    "encode_target",
    "is_small_finite_array",
    "weigh_classes",
]

_FEW = 256  # rows; checks of more take a small share of the time of their prediction
_MAX_THREADS = 1024  # OpenMP ends the process if it cannot create a thread


def _is_count(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) > 0


def check_count(name, value):
    """Refuse a value that is not a positive integer."""
    if not _is_count(value):
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")


def check_n_threads(value):
    """Refuse a number of threads other than "auto" that the machine may be unable to start."""
    if value != "auto" and not (_is_count(value) and value <= _MAX_THREADS):
        raise ValueError(
            f"n_threads must be 'auto' or an integer from 1 to {_MAX_THREADS}, got {value!r}."
        )


def check_positive(name, value):
    """Refuse a value that is not a positive finite number."""
    is_number = not isinstance(value, bool) and isinstance(value, Real)
    if not (is_number and 0 < float(value) < math.inf):
        raise ValueError(f"{name} must be a positive finite number, got {value!r}.")


def check_sizes(name, values, lengths=None):
    """Convert a parameter, also a single integer, to a tuple of positive integers.

    `lengths` are the lengths that it may have.
    """
    values = values.tolist() if hasattr(values, "tolist") else values
    sizes = tuple(values) if isinstance(values, Iterable) else (values,)
    if not all(map(_is_count, sizes)) or (lengths and len(sizes) not in lengths):
        count = f"{' or '.join(map(str, lengths))} " if lengths else ""
        raise ValueError(f"{name} must have {count}positive integers, got {values!r}.")
    return tuple(int(size) for size in sizes)


def check_label_types(y, name="y"):
    """Refuse labels that are not in a sequence, missing, or of types that NumPy makes strings."""
    if y is None:
        return  # scikit-learn says who needs it
    if not (isinstance(y, Sequence) or hasattr(y, "__array__")):
        raise TypeError(f"{name} must be an array or a list of labels, got {type(y).__name__}.")
    dtype = getattr(y, "dtype", None)
    if not (isinstance(y, list | tuple) or getattr(dtype, "kind", None) == "O"):
        return
    for label in y:
        if label is None or (isinstance(label, float) and math.isnan(label)):
            raise ValueError(f"{name} must have a label for each image, got {label}.")
    types = {type(label) for label in y}
    numbers = {kind for kind in types if issubclass(kind, Real | np.bool_)}
    strings = {kind for kind in types if issubclass(kind, str)}
    if len(types) > 1 and types not in (numbers, strings):
        names = ", ".join(sorted(kind.__name__ for kind in types))
        raise ValueError(f"{name} must have labels of one type, got {names}.")


def check_discrete(y, name="y"):
    """Refuse an array of numbers that are not class labels."""
    assert_all_finite(y, input_name=name)
    if y.dtype.kind == "f" and (y % 1).any():
        # scikit-learn's checks of estimators require these first words.
        raise ValueError(
            f"Unknown label type: continuous. {name} must have class labels, got continuous "
            f"numbers such as {y[y % 1 != 0][0]:g}."
        )
    check_classification_targets(y)


def is_small_finite_array(rows, n_features):
    """Tell whether rows are a small array of finite numbers with as many columns.

    Such rows pass scikit-learn's checks, which would take a third of the time of a prediction.
    """
    return (
        type(rows) is np.ndarray
        and rows.dtype.kind in "uif"
        and rows.ndim == 2
        and 0 < len(rows) <= _FEW
        and rows.shape[1] == n_features
        and bool(np.isfinite(rows).all())
    )


def check_callbacks(callbacks, *, has_validation_data, has_schedule):
    """Check that each item is a callback of skorch, or a tuple of a name and one, that can work."""
    for callback in callbacks:
        hooks = callback[-1] if isinstance(callback, tuple) and callback else callback
        if not hasattr(hooks, "on_train_begin"):
            raise TypeError(
                f"callbacks must be skorch callbacks or (name, callback) tuples, got {callback!r}."
            )
        hooks = hooks() if isinstance(hooks, type) else hooks
        name = type(hooks).__name__
        if has_schedule and isinstance(hooks, LRScheduler):
            raise ValueError(
                f"lr_schedule must be 'constant' with a learning rate schedule in callbacks, got "
                f"{name}: lr_schedule would override it."
            )
        monitor, on_train = getattr(hooks, "monitor", None), getattr(hooks, "on_train", True)
        if not has_validation_data and isinstance(monitor, str) and monitor.startswith("valid_"):
            raise ValueError(
                f"callbacks must not monitor validation data without early_stopping=True, got "
                f"{name} with monitor={monitor!r}; 'train_loss' is always recorded."
            )
        if not has_validation_data and not on_train:
            raise ValueError(
                f"callbacks must not score validation data without early_stopping=True, got "
                f"{name} with on_train=False."
            )


def encode_target(y, sample_weight, classes):
    """Return the position of each label in the sorted classes; that of rows of weight zero is 0."""
    target = np.zeros(len(y), dtype=np.int64)
    weighted = sample_weight > 0  # the other rows may have labels that are not in classes
    target[weighted] = np.searchsorted(classes, y[weighted])
    return target


def weigh_classes(class_weight, y, target, sample_weight, classes):
    """Multiply each sample weight by its class weight."""
    weighted = sample_weight > 0
    if isinstance(class_weight, dict):
        known = set(classes)
        unknown = [label for label in class_weight if label not in known]
        # Weights for all classes and more are useful: a part of the data may lack some.
        if unknown and not known.issubset(class_weight):
            raise ValueError(
                f"class_weight must have labels of y as keys, got {unknown}; the labels of y are "
                f"{classes.tolist()}."
            )
        if not all(isinstance(weight, Real) for weight in class_weight.values()):
            raise ValueError(f"class_weight must have numbers as values, got {class_weight}.")
        # scikit-learn's function takes text such as "3" for a number.
        weights = np.array([class_weight.get(label, 1.0) for label in classes], dtype=np.float64)
    else:
        weights = compute_class_weight(
            class_weight, classes=classes, y=y[weighted], sample_weight=sample_weight[weighted]
        )
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"class_weight must have finite non-negative values, got {class_weight}.")
    sample_weight = sample_weight * weights[target]
    if not 0 < sample_weight.sum() < math.inf:
        raise ValueError(
            "The product of sample_weight and class_weight must have a positive finite sum, "
            f"got {sample_weight.sum()}."
        )
    return sample_weight
