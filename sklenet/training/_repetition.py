"""Repeated rows and sample weights, made one."""

from hashlib import blake2b

import numpy as np

__all__ = ["merge_repeated_rows"]


def merge_repeated_rows(X, y, sample_weight):
    """Merge equal rows of equal class, adding up their weights, and drop rows without weight.

    A weight of two is then exactly the row given twice. The rows come in an order that depends on
    their content alone, so that a model fitted on them does not depend on the order of the data.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The rows; they are compared byte by byte and not copied.
    y : ndarray of shape (n_samples,), int
        Their classes.
    sample_weight : ndarray of shape (n_samples,), float
        Their weights.

    Returns
    -------
    index : ndarray of shape (n_unique,), int64
        One row for each set of equal rows.
    sample_weight : ndarray of shape (n_unique,), float64
        The sum of the weights of the set.

    Examples
    --------
    >>> import numpy as np
    >>> from sklenet.training import merge_repeated_rows
    >>> X = np.array([[1, 2], [3, 4], [1, 2], [5, 6]])
    >>> index, weight = merge_repeated_rows(X, np.array([0, 1, 0, 1]), np.array([1.0, 1, 2, 0]))
    >>> sorted(zip(index.tolist(), weight.tolist()))
    [(0, 3.0), (1, 1.0)]
    """
    kept = np.flatnonzero(sample_weight)
    # A digest of 128 bits stands for the row: equal ones would take 2**64 rows to meet by chance.
    digests = np.array(
        [blake2b(X[row].tobytes() + b"%d" % y[row], digest_size=16).digest() for row in kept],
        dtype="V16",
    ).view([("high", ">u8"), ("low", ">u8")])
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return kept[first], np.bincount(inverse, weights=sample_weight[kept])
