"""`as_array`: which containers and values of X are accepted, and how others are refused."""

import array
import re
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from sklenet.images import as_array, tensor_to_array

IMAGES = np.arange(2 * 3 * 4).reshape(2, 3, 4)


class Endless:
    """Has items for every index, as data sets of PyTorch may have."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return IMAGES[0]


class EndlessSequence(Endless, Sequence):
    """A sequence that relies on its length."""


class EndlessDataset(Endless, Dataset):
    """A data set with a length."""


class Stream(IterableDataset):
    def __iter__(self):
        return iter(IMAGES)


class WithArray:
    def __array__(self, dtype=None, copy=None):
        return IMAGES


class WithInterface:
    __array_interface__ = IMAGES.__array_interface__


def make_column(*items):
    column = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        column[index] = item
    return column


# Accepted


@pytest.mark.parametrize(
    "X",
    [
        IMAGES.tolist(),
        tuple(IMAGES),
        list(IMAGES),
        [torch.from_numpy(image) for image in IMAGES],
        [torch.from_numpy(image).double().requires_grad_() for image in IMAGES],
        [list(map(tuple, image)) for image in IMAGES],
        [list(map(torch.from_numpy, image)) for image in IMAGES],
        deque(IMAGES),
        torch.from_numpy(IMAGES),
        torch.from_numpy(IMAGES).double().requires_grad_(),
        torch.from_numpy(IMAGES).bfloat16(),
        memoryview(IMAGES),
        WithArray(),
        WithInterface(),
        IMAGES.astype(object),
    ],
    ids=lambda X: f"{type(X).__name__} of {type(X[0]).__name__}" if isinstance(X, list) else None,
)
def test_as_array_array_like_is_converted(X):
    np.testing.assert_array_equal(as_array(X), IMAGES)
    assert as_array(X).dtype.kind in "if"


def test_as_array_sequence_is_read_up_to_its_length():
    np.testing.assert_array_equal(as_array(EndlessSequence()), IMAGES[[0, 0]])


def test_as_array_buffer_or_range_is_one_dimensional():
    np.testing.assert_array_equal(as_array(array.array("d", [1, 2])), [1.0, 2.0])
    np.testing.assert_array_equal(as_array(range(3)), [0, 1, 2])


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        ([[True, False], [False, True]], "bool"),
        ([[True, False], [1, 2]], "int64"),
        ([[1, 2], [3, 4.5]], "float64"),
        ([np.float32([1, 2]), np.uint8([3, 4])], "float32"),
        ([[np.float32(1), np.float32(2)]], "float32"),
        ([[Fraction(1, 2), Decimal("0.25")]], "float64"),
        ([[2**70, 1]], "float64"),
        (np.array([[True, np.True_, 1.5]], dtype=object), "float64"),
        ([], "float64"),
        ([[], []], "float64"),
        (np.empty((0, 3), dtype=object), "float64"),
    ],
    ids=str,
)
def test_as_array_numbers_have_common_dtype(X, dtype):
    assert as_array(X).dtype == dtype


@pytest.mark.parametrize(
    "X",
    [
        IMAGES,
        IMAGES.astype(np.float16),
        IMAGES[0].view(np.ma.MaskedArray),
        sparse.eye(3).tocsr(),
        pd.DataFrame(IMAGES[0]),
        pd.DataFrame(IMAGES[0]).astype("Int8"),
        pd.DataFrame(IMAGES[0]).astype(object),
        pd.DataFrame({"a": pd.Categorical([1, 2])}),
        np.array(3.0),
        np.zeros(3),
    ],
    ids=lambda X: type(X).__name__,
)
def test_as_array_array_frame_or_sparse_matrix_passes(X):
    assert as_array(X) is X


def test_as_array_tensor_shares_memory():
    tensor = torch.zeros(2, 3)
    assert np.shares_memory(as_array(tensor), tensor.numpy())
    assert np.shares_memory(as_array(tensor.requires_grad_()), tensor.detach().numpy())


def test_tensor_to_array_other_value_passes():
    for value in (None, [1, 2], {"a": 1}):
        assert tensor_to_array(value) is value


@pytest.mark.gpu
def test_as_array_cuda_tensor_is_converted():
    tensor = torch.from_numpy(IMAGES).cuda()
    np.testing.assert_array_equal(as_array(tensor), IMAGES)
    np.testing.assert_array_equal(as_array(list(tensor)), IMAGES)


# Refused

IMAGES_OF_TWO_SIZES = [np.zeros((8, 8)), np.zeros((9, 8)), np.zeros((8, 8))]


@pytest.mark.parametrize(
    ("X", "shapes"),
    [
        (IMAGES_OF_TWO_SIZES, "(8, 8), (9, 8)"),
        (tuple(IMAGES_OF_TWO_SIZES), "(8, 8), (9, 8)"),
        ([image.tolist() for image in IMAGES_OF_TWO_SIZES], "(8, 8), (9, 8)"),
        (list(map(torch.from_numpy, IMAGES_OF_TWO_SIZES)), "(8, 8), (9, 8)"),
        (make_column(*IMAGES_OF_TWO_SIZES), "(8, 8), (9, 8)"),
        (pd.Series(IMAGES_OF_TWO_SIZES), "(8, 8), (9, 8)"),
        (pd.DataFrame({"image": IMAGES_OF_TWO_SIZES}), "(8, 8), (9, 8)"),
        ([np.zeros((8, 8, 3)), np.zeros((8, 8))], "(8, 8, 3), (8, 8)"),
        ([np.zeros((3, 8, 8)), np.zeros((1, 8, 8))], "(3, 8, 8), (1, 8, 8)"),
        (
            [np.zeros((side, side)) for side in range(1, 9)],
            "(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), ...",
        ),
    ],
)
def test_as_array_images_of_different_sizes_raises(X, shapes):
    message = f"X must have images of one size, got images of different sizes: {shapes}."
    with pytest.raises(ValueError, match=re.escape(message)):
        as_array(X)


@pytest.mark.parametrize(
    "X",
    [
        [[1, 2], [3]],
        [np.zeros(2), np.zeros(1)],
        [[[1, 2], [3]], [[1, 2], [3]]],
        make_column([1, 2], [3]),
        pd.Series([[1, 2], [3]]),
    ],
    ids=repr,
)
def test_as_array_rows_of_different_lengths_raises(X):
    message = "X must have rows of one length, got rows of different lengths: 2, 1."
    with pytest.raises(ValueError, match=re.escape(message)):
        as_array(X)


@pytest.mark.parametrize(
    "X",
    [[(np.zeros((2, 2)), 5)], [1, np.zeros((2, 2))], make_column(np.zeros((2, 2)), 5)],
    ids=["pairs", "list", "objects"],
)
def test_as_array_images_next_to_numbers_raises(X):
    message = "got numbers next to arrays of shape (2, 2). Labels belong in y."
    with pytest.raises(ValueError, match=re.escape(message)):
        as_array(X)


@pytest.mark.parametrize(
    ("X", "example"),
    [
        (["a.png", "b.png"], "'a.png'"),
        (("a.png",), "'a.png'"),
        (deque(["a.png"]), "'a.png'"),
        ([np.str_("a.png")], "'a.png'"),
        ([b"a.png"], "b'a.png'"),
        ([Path("a.png"), Path("b.png")], "'a.png'"),
        (["a.png", None], "'a.png'"),
        (np.array(["a.png"]), "'a.png'"),
        (np.array([["a.png"], ["b.png"]]), "'a.png'"),
        (np.array([b"a.png"]), "b'a.png'"),
        (np.array(["a.png"], dtype=object), "'a.png'"),
        (np.array([Path("a.png")]), "'a.png'"),
        (pd.Series(["a.png", "b.png"]), "'a.png'"),
        (pd.Series(["a.png", np.nan], dtype=object), "'a.png'"),
        (pd.Series(["a.png"], dtype="category"), "'a.png'"),
        (pd.DataFrame({"file": ["a.png", "b.png"]}), "'a.png'"),
        (pd.DataFrame({"file": [Path("a.png")]}), "'a.png'"),
        (["a" * 1000], "'" + "a" * 99 + "..."),
    ],
)
def test_as_array_file_names_raises_with_advice(X, example):
    message = (
        f"X must hold numbers, got file names such as {example}. Read them with "
        "sklenet.ImageReader().fit_transform(files), or put an ImageReader before the classifier"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        as_array(X)


@pytest.mark.parametrize(
    "X",
    [
        [["1", "2"], ["3", "4"]],
        [["1"], ["2"]],
        [[0, "1"]],
        [[0, b"1"]],
        [np.array(["1", "2"])],
        np.array([["1", "2"]]),
        np.array([["1", 2.5]], dtype=object),
        np.array([[["1", "2"]]]),
        pd.DataFrame({"a": ["1", "2"], "b": [3, 4]}),
    ],
    ids=repr,
)
def test_as_array_strings_raises(X):
    with pytest.raises(ValueError, match=r"X must hold numbers, got strings such as b?'1'\."):
        as_array(X)


class Lazy:
    """Stands for polars' LazyFrame."""

    columns = ["a"]

    def collect(self):
        raise AssertionError("as_array does not compute")

    def __getitem__(self, index):
        raise TypeError("not subscriptable")


class Delayed:
    """Stands for dask's Delayed and Bag."""

    def compute(self):
        raise AssertionError("as_array does not compute")


@pytest.mark.parametrize(
    ("X", "got"),
    [
        (
            DataLoader(EndlessDataset()),
            "DataLoader. Stack what it holds: images, labels = zip(*loader); "
            "X, y = torch.cat(images), torch.cat(labels).",
        ),
        (
            EndlessDataset(),
            "EndlessDataset. Stack what it holds: images, labels = "
            "zip(*[dataset[i] for i in range(len(dataset))]); "
            "X, y = np.stack(images), np.array(labels).",
        ),
        (TensorDataset(torch.zeros(2)), "TensorDataset. Stack what it holds: images, labels ="),
        (Subset(EndlessDataset(), [0]), "Subset. Stack what it holds: images, labels ="),
        (Stream(), "Stream. Stack what it holds: images, labels = zip(*dataset);"),
        (Endless(), "Endless."),
        ((image for image in IMAGES), "generator. Stack what it holds: X = np.stack(list(images))"),
        (iter(IMAGES), "iterator. Stack what it holds: X = np.stack(list(images))."),
        (map(abs, IMAGES), "map. Stack what it holds: X = np.stack(list(images))."),
        ({1, 2}, "set. Stack what it holds: X = np.stack(list(images))."),
        (frozenset(), "frozenset. Stack what it holds: X = np.stack(list(images))."),
        ({"a": [1]}, "dict."),
        ({"a": [1]}.values(), "dict_values."),
        (None, "None."),
        (3, "int."),
        (2.5, "float."),
        (True, "bool."),
        (np.float64(3), "float64."),
        (len, "builtin_function_or_method."),
        (np.ndarray, "type."),
        (Lazy(), "Lazy. Load it first: X = X.collect()."),
        (Delayed(), "Delayed. Load it first: X = X.compute()."),
        ("a.png", "str 'a.png'. Read them with sklenet.ImageReader()"),
        (b"a.png", "bytes b'a.png'. Read them with sklenet.ImageReader()"),
        (Path("a.png"), "Path 'a.png'. Read them with sklenet.ImageReader()"),
    ],
)
def test_as_array_other_type_raises(X, got):
    expected = re.escape(
        "X must be an array, a tensor, a data frame or a list of images or flat rows, got "
    )
    with pytest.raises(TypeError, match=rf"{expected}\w*{re.escape(got)}"):
        as_array(X)


@pytest.mark.parametrize(
    ("X", "got"),
    [
        ([[1, None]], "None"),
        ([IMAGES[0], None], "None"),
        ([None, None], "None"),
        (np.array([[1, None]], dtype=object), "None"),
        (np.array(None), "None"),
        ([{"a": 1}], "dict: .* not 'dict'"),
        (np.array([[1, {}]], dtype=object), "dict: .* not 'dict'"),
        ([EndlessDataset()], "EndlessDataset: .* not 'EndlessDataset'"),
        ([[Endless(), 1]], "Endless: .* not 'Endless'"),
        ([sparse.eye(2).tocsr()], "csr_matrix: .* not 'csr_matrix'"),
        (np.array([[pd.Timestamp(0)]], dtype=object), "Timestamp: .* not 'Timestamp'"),
        (np.zeros((2, 2), "datetime64[D]"), r"the dtype datetime64\[D\]"),
        (np.zeros((2, 2), "timedelta64[s]"), r"the dtype timedelta64\[s\]"),
        (np.zeros(2, "f4, f4"), r"the dtype \[\('f0', '<f4'\), \('f1', '<f4'\)\]"),
        (np.zeros((0, 2), "U1"), "the dtype <U1"),
        (pd.DataFrame({"a": pd.to_datetime(["2026-01-01"])}), r"the dtype datetime64\[\w+\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_as_array_values_that_are_not_numbers_raises(X, got):
    with pytest.raises(TypeError, match=rf"^X must hold numbers, got {got}\.$"):
        as_array(X)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((2, 2), complex),
        [[1j, 2]],
        np.array([[1j, 2]], dtype=object),
        torch.zeros(2, 2, dtype=torch.complex128),
        pd.DataFrame({"a": [1j]}),
    ],
    ids=lambda X: type(X).__name__,
)
def test_as_array_complex_numbers_raises(X):
    with pytest.raises(ValueError, match="X must hold real numbers, got complex128"):
        as_array(X)


@pytest.mark.parametrize(
    "X",
    [
        make_column(*IMAGES),
        make_column(*IMAGES)[:, np.newaxis],
        make_column(*IMAGES.tolist()),
        pd.Series(list(IMAGES)),
        pd.Series([torch.from_numpy(image) for image in IMAGES]),
        pd.DataFrame({"image": list(IMAGES)}),
    ],
    ids=["objects", "column", "lists", "series", "tensors", "frame"],
)
def test_as_array_column_of_arrays_raises_with_advice(X):
    message = (
        "X must be one array of numbers, got a column of arrays of shape (3, 4): "
        "pass np.stack(list(column))."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        as_array(X)


def test_as_array_sparse_tensor_raises():
    with pytest.raises(TypeError, match="X must be a dense tensor, got the layout torch.sparse"):
        as_array(torch.eye(2).to_sparse())


@pytest.mark.parametrize("X", [None, ["a.png"], [[1], [2, 3]], [1j], torch.eye(2).to_sparse()])
def test_as_array_error_has_name_of_argument(X):
    with pytest.raises((TypeError, ValueError), match="X_test must "):
        as_array(X, "X_test")
