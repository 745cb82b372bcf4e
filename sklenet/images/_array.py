"""The containers and values that images may come in: `as_array`."""

import math
import os
from collections.abc import Iterator, Sequence, Set
from decimal import Decimal
from itertools import islice
from numbers import Number, Real
from types import NoneType
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from torch.utils.data import DataLoader, Dataset, IterableDataset

__all__ = ["as_array", "tensor_to_array"]

_PLAIN = {bool, int, float}  # a test of exact types is quicker than one of abstract classes
_NUMERIC_KINDS = frozenset("biuf")  # of dtypes
_TEXT = (str, bytes, os.PathLike)
_MAX_SHAPES = 5
_MAX_CHARACTERS = 100

_READ_FILES = (
    "Read them with sklenet.ImageReader().fit_transform(files), or put an ImageReader before the "
    "classifier: make_pipeline(ImageReader(), classifier)."
)
_STACK_PAIRS = "X, y = np.stack(images), np.array(labels)"
# What makes arrays of other types; the first type that fits counts.
_ADVICE = {
    # In one pass: a loader that shuffles has another order in the next.
    DataLoader: "images, labels = zip(*loader); X, y = torch.cat(images), torch.cat(labels)",
    IterableDataset: f"images, labels = zip(*dataset); {_STACK_PAIRS}",
    Dataset: f"images, labels = zip(*[dataset[i] for i in range(len(dataset))]); {_STACK_PAIRS}",
    Iterator: "X = np.stack(list(images))",
    Set: "X = np.stack(list(images))",
}


def as_array(X: Any, name: str = "X") -> Any:
    """Convert X to an array of numbers; arrays, data frames and sparse matrices pass unchanged.

    Errors call it by its `name`.
    """
    _refuse_masked(X, name)
    if isinstance(X, np.ndarray):
        return _as_numbers(X, name)
    if issparse(X):
        return X
    if not _is_array_like(X):
        raise TypeError(_refusal(X, name))
    if _is_frame(X):
        # It stays a frame for its feature names; scikit-learn converts other columns later.
        dtypes = getattr(X, "dtypes", [None])
        if not all(getattr(dtype, "kind", None) in _NUMERIC_KINDS for dtype in dtypes):
            _as_numbers(np.asarray(X), name)
        return X
    return _convert(X, name)


def tensor_to_array(values, name="X"):
    """Convert a tensor to an array, on the CPU without a copy; anything else passes unchanged."""
    _refuse_masked(values, name)
    if not isinstance(values, torch.Tensor):
        return values
    if values.layout != torch.strided:
        raise TypeError(
            f"{name} must be a dense tensor, got the layout {values.layout}: use to_dense()."
        )
    if values.is_floating_point() and values.itemsize < 4 and values.dtype != torch.float16:
        values = values.float()  # NumPy does not have bfloat16
    return values.numpy(force=True)


def _refuse_masked(values, name):
    """Refuse a masked value: NumPy's conversions would take what the mask hides."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} must not have masked values: use filled() or compressed().")


def _is_array_like(X):
    return _is_sequence(X) or _holds_array(X)


def _is_sequence(X):
    """Tell whether X is a sequence; an object that only has `__getitem__` may never end."""
    if isinstance(X, list | tuple):
        return True
    return isinstance(X, Sequence) and not isinstance(X, (*_TEXT, Dataset)) and not _holds_array(X)


def _holds_array(X):
    """Tell whether X has one of the protocols by which NumPy reads arrays."""
    if isinstance(X, (*_TEXT, np.generic, type)):
        return False
    if any(hasattr(X, f"__array{protocol}__") for protocol in ("", "_interface", "_struct")):
        return True
    try:
        memoryview(X)
    except TypeError:
        return False
    return True


def _is_frame(X):
    shape = getattr(X, "shape", None)
    return isinstance(shape, tuple) and len(shape) == 2 and hasattr(X, "columns")


def _convert(X, name, is_outermost=True):
    """Convert what `_is_array_like`; an item of a sequence is not the outermost."""
    if not _is_sequence(X):
        array = tensor_to_array(X, name) if isinstance(X, torch.Tensor) else np.asarray(X)
        return _as_numbers(array, name, is_outermost)
    items = list(islice(X, len(X)))
    types = set(map(type, items))
    if types <= _PLAIN or all(issubclass(kind, (Number, np.bool_)) for kind in types):
        return _as_numbers(np.asarray(items), name)
    return np.stack(_convert_items(items, name, is_column=is_outermost))


def _as_numbers(array, name, is_outermost=True):
    """Pass an array of numbers; convert one of objects that are numbers."""
    if array.dtype.kind in _NUMERIC_KINDS:
        return array
    is_column = is_outermost and math.prod(array.shape[1:]) == 1
    if array.dtype.kind == "O":
        items = list(array.flat)
        if all(issubclass(kind, (Real, Decimal)) for kind in set(map(type, items))):
            return array.astype(np.float64)
        arrays = _convert_items(items, name, is_column)
        if arrays[0].ndim:
            raise ValueError(
                f"{name} must be one array of numbers, got a column of arrays of shape "
                f"{arrays[0].shape}: pass np.stack(list(column))."
            )
        return np.stack(arrays).reshape(array.shape)
    if array.dtype.kind in "SUT":
        _refuse_text(array.ravel()[:1].tolist(), name, is_column)
    if array.dtype.kind == "c":
        # scikit-learn's checks of estimators require this type and these first words.
        raise ValueError(
            f"Complex data not supported: {name} must hold real numbers, got {array.dtype}."
        )
    raise TypeError(f"{name} must hold numbers, got the dtype {array.dtype}.")


def _convert_items(items, name, is_column):
    """Convert each item to an array of numbers, all of the same shape."""
    _refuse_text(items, name, is_column)
    arrays = [_convert_item(item, name) for item in items]
    shapes = list(dict.fromkeys(array.shape for array in arrays))
    if len(shapes) == 1:
        return arrays
    if () in shapes:
        others = _listed([shape for shape in shapes if shape])
        raise ValueError(
            f"{name} must have images or rows of one size, got numbers next to arrays of shape "
            f"{others}. Labels belong in y."
        )
    if all(len(shape) == 1 for shape in shapes):
        lengths = _listed([length for (length,) in shapes])
        raise ValueError(
            f"{name} must have rows of one length, got rows of different lengths: {lengths}."
        )
    raise ValueError(
        f"{name} must have images of one size, got images of different sizes: {_listed(shapes)}."
    )


def _convert_item(item, name):
    if _is_array_like(item):
        return _convert(item, name, is_outermost=False)
    if isinstance(item, (Number, np.bool_)):
        return _as_numbers(np.asarray(item), name)
    if item is None:
        raise TypeError(f"{name} must hold numbers, got None.")
    try:
        return np.asarray(float(item))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must hold numbers, got {_type_name(item)}: {error}.") from error


def _refuse_text(items, name, is_column):
    """Refuse strings; a column of them are rather the names of image files."""
    text = next((item for item in items if isinstance(item, _TEXT)), None)
    if text is None:
        return
    if is_column and all(isinstance(item, (*_TEXT, float, NoneType)) for item in items):
        raise ValueError(
            f"{name} must hold numbers, got file names such as {_example(text)}. {_READ_FILES}"
        )
    raise ValueError(f"{name} must hold numbers, got strings such as {_example(text)}.")


def _refusal(X, name):
    """Say what to pass instead of an object that is not array-like."""
    message = (
        f"{name} must be an array, a tensor, a data frame or a list of images or flat rows, "
        f"got {_type_name(X)}"
    )
    if isinstance(X, _TEXT):
        return f"{message} {_example(X)}. {_READ_FILES}"
    for kind, advice in _ADVICE.items():
        if isinstance(X, kind):
            return f"{message}. Stack what it holds: {advice}."
    for method in ("collect", "compute"):
        if callable(getattr(X, method, None)):
            return f"{message}. Load it first: X = X.{method}()."
    return f"{message}."


def _type_name(value):
    return "None" if value is None else type(value).__name__


def _example(text):
    path = os.fspath(text)
    shown = repr(path if isinstance(path, bytes) else str(path))  # not that of np.str_
    return shown if len(shown) <= _MAX_CHARACTERS else f"{shown[:_MAX_CHARACTERS]}..."


def _listed(values):
    listed = [str(value) for value in values[:_MAX_SHAPES]]
    return ", ".join(listed + ["..."] * (len(values) > _MAX_SHAPES))
