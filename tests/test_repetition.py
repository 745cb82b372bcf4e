import numpy as np

from sklenet.training._repetition import merge_repeated_rows


def merged(X, y, weight):
    index, weight = merge_repeated_rows(X, y, weight)
    return {(*X[row].tolist(), int(y[row])): w for row, w in zip(index, weight, strict=True)}


def test_equal_rows_of_equal_class_become_one():
    X = np.array([[1, 2], [3, 4], [1, 2], [1, 2]], dtype=np.uint8)
    y = np.array([0, 1, 0, 1])
    weight = np.array([1.0, 2.0, 0.5, 3.0])
    assert merged(X, y, weight) == {(1, 2, 0): 1.5, (3, 4, 1): 2.0, (1, 2, 1): 3.0}


def test_rows_without_weight_are_left_out():
    X = np.array([[1.0], [2.0], [1.0]])
    assert merged(X, np.zeros(3, int), np.array([0.0, 1.0, 2.0])) == {(2.0, 0): 1, (1.0, 0): 2}


def test_weights_and_repetitions_are_the_same_in_any_order():
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(20, 5)), rng.integers(0, 3, 20), rng.integers(0, 4, 20)
    repeated = rng.permutation(np.repeat(np.arange(20), weight))
    index, merged_weight = merge_repeated_rows(X, y, weight.astype(float))
    again, repeated_weight = merge_repeated_rows(X[repeated], y[repeated], np.ones(len(repeated)))
    np.testing.assert_array_equal(X[index], X[repeated][again])
    np.testing.assert_array_equal(merged_weight, repeated_weight)


def test_strided_and_read_only_rows():
    X = np.arange(24.0).reshape(6, 4)
    X.flags.writeable = False
    index, _ = merge_repeated_rows(X[:, ::2], np.zeros(6, int), np.ones(6))
    expected, _ = merge_repeated_rows(X[:, ::2].copy(), np.zeros(6, int), np.ones(6))
    np.testing.assert_array_equal(index, expected)
