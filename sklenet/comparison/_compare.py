"""Every method on the same data: accuracy, time, size and the significance of the differences."""

import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import BaseCrossValidator, StratifiedKFold, check_cv
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import column_or_1d

from .._compat import safe_indexing
from .._validation import check_discrete, check_label_types
from ..images import ImageReader, as_array, holds_files, tensor_to_array
from ._methods import METHODS, make_method
from ._results import Comparison, MethodScores
from ._scoring import fit_and_score
from ._significance import corrected_t_test, mcnemar_test

__all__ = ["compare_methods"]

_TEST_SET_TEST = "McNemar's exact test"
_CV_TEST = "corrected resampled t-test (Nadeau and Bengio, 2003)"


def compare_methods(
    X: ArrayLike,
    y: ArrayLike,
    methods: Sequence[str] | Mapping[str, BaseEstimator] | None = None,
    cv: int | BaseCrossValidator | Iterable = 5,
    n_jobs: int | None = None,
    X_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
    *,
    verbose: int = 1,
) -> Comparison:
    """Compare classifiers of images on the same folds or on a test set.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), images, or sequence of files
        The images, in one of the shapes that `DeepLeNetClassifier` takes, or image files, which an
        `sklenet.ImageReader` in the pipeline of each method reads.
    y : array-like of shape (n_samples,)
        The class labels.
    methods : list of str, dict of str to estimator, or None, default=None
        Names for `sklenet.comparison.make_method`, or unfitted classifiers by custom names, which
        get X as it is given, also file names; None compares all of `sklenet.comparison.METHODS`.
    cv : int, cross-validation splitter or iterable, default=5
        Number of stratified shuffled folds, or custom splits in which each sample is tested once.
        Ignored with a test set.
    n_jobs : int or None, default=None
        Number of fits at the same time, as in joblib. The times are only comparable between methods
        with None or 1, since fits at the same time share the cores.
    X_test : array-like of shape (n_test, n_features), images or files, default=None
        Test images. If given, every method is trained once, on all of `X`.
    y_test : array-like of shape (n_test,), default=None
        Their labels.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and of every method whose own `random_state` is None.
    verbose : int, default=1
        With 1, a line on the standard error stream for each fit.

    Returns
    -------
    Comparison
        The table, which prints, and the predictions.

    Raises
    ------
    ValueError
        If the arguments are inconsistent, if a method is unknown, or if every method fails. If
        only some fail, their rows have the error and the other methods are still compared.
    TypeError
        If `methods` is neither a list of names nor a dict of estimators.

    See Also
    --------
    sklenet.comparison.search_space : All methods for one grid search.
    sklenet.comparison.mcnemar_test : The significance test with a test set.
    sklenet.comparison.corrected_t_test : The significance test over folds.

    Notes
    -----
    The p-values are not corrected for the number of methods.

    Examples
    --------
    >>> from sklenet.comparison import compare_methods
    >>> from sklenet.datasets import load_digits_images
    >>> X, y = load_digits_images()
    >>> comparison = compare_methods(X, y, methods=["knn", "svm"], random_state=0, verbose=0)
    >>> comparison.best
    'svm'
    >>> comparison.predictions["svm"].shape
    (1797,)
    """
    images, labels = _check_samples(X, y)
    seed = random_state
    if not (seed is None or isinstance(seed, Integral)):
        seed = check_random_state(seed).randint(2**31 - 1)
    estimators = _check_methods(methods, seed, reads_files=holds_files(images))
    if X_test is None and y_test is None:
        test_images, y_true = images, labels
        splits = _check_splits(cv, images, labels, seed)
        protocol = f"{len(splits)}-fold cross-validation on {len(labels):,} images"
    else:
        test_images, y_true = _check_test_set(images, labels, X_test, y_test)
        splits = [(np.arange(len(labels)), np.arange(len(y_true)))]
        protocol = f"Trained on {len(labels):,} images, tested on {len(y_true):,}"

    order = np.argsort(np.concatenate([test for _, test in splits]))
    data = images, labels, test_images, y_true
    folds = _fit_all(estimators, data, splits, n_jobs, verbose)
    scores = [_mean_scores(folds[name], order) for name in estimators]
    scores.sort(key=lambda row: (row.error is not None, -row.accuracy))
    if scores[0].error:
        failures = "; ".join(f"{row.method}: {row.error}" for row in scores)
        raise ValueError(f"Every method failed. {failures}")
    test = _CV_TEST if len(splits) > 1 else _TEST_SET_TEST
    comparison = Comparison(scores, y_true, protocol, test)
    _set_p_values(comparison, splits)
    return comparison


def _check_samples(X, y, names=("X", "y")):
    X_name, y_name = names
    X, y = X if holds_files(X) else as_array(X, X_name), tensor_to_array(y, y_name)
    if len(np.shape(X)) < 2 and not holds_files(X):
        raise ValueError(
            f"{X_name} must have the shape (n_samples, n_features) or that of images, "
            f"got {X.shape}."
        )
    check_label_types(y, y_name)
    y = column_or_1d(y)
    check_consistent_length(X, y)
    check_discrete(y, y_name)
    return X, y


def _check_test_set(X, y, X_test, y_test):
    if X_test is None or y_test is None:
        raise ValueError("X_test and y_test belong together: pass both or neither.")
    X_test, y_test = _check_samples(X_test, y_test, ("X_test", "y_test"))
    if holds_files(X) != holds_files(X_test):
        raise ValueError("X_test must hold image files if X does, and arrays if X does.")
    widths = [math.prod(np.shape(images)[1:]) for images in (X, X_test)]
    if not holds_files(X) and widths[0] != widths[1]:
        raise ValueError(
            f"X_test must have images of {widths[0]} pixels as X has, got {widths[1]}."
        )
    is_text = [isinstance(next(iter(labels), None), str) for labels in (y, y_test)]
    if is_text[0] != is_text[1] or not np.isin(y_test, y).any():
        raise ValueError(
            f"y_test must have labels of y, {np.unique(y).tolist()}, "
            f"got {np.unique(y_test).tolist()}."
        )
    return X_test, y_test


def _check_methods(methods, seed, reads_files):
    """Return the unfitted estimators by name, seeded where they are not yet.

    The methods of sklenet get a reader of image files where X holds these.
    """
    if methods is None:
        methods = METHODS
    if isinstance(methods, str) or not isinstance(methods, Collection):
        raise TypeError(
            f"methods must be a list of names or a dict of names and estimators, got {methods!r}."
        )
    if not methods:
        raise ValueError(f"methods must not be empty; the known ones are {list(METHODS)}.")
    if isinstance(methods, Mapping):
        for name, estimator in methods.items():
            if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
                raise TypeError(f"methods must have estimators, got {estimator!r} for {name!r}.")
        estimators = {name: clone(estimator) for name, estimator in methods.items()}
    else:
        for method in methods:
            if not isinstance(method, str):
                raise TypeError(
                    "methods must be a list of names or a dict of names and estimators, got a list "
                    f"with {method!r}."
                )
            if method not in METHODS:
                raise ValueError(f"methods must have names of {list(METHODS)}, got {method!r}.")
        estimators = {name: make_method(name) for name in methods}
        for estimator in estimators.values():
            if reads_files:
                estimator.steps.insert(0, ("reader", ImageReader()))
    for name, estimator in estimators.items():
        if not isinstance(name, str):
            raise TypeError(f"The names in methods must be strings, got {name!r}.")
        unseeded = [
            key
            for key, value in estimator.get_params().items()
            if key.split("__")[-1] == "random_state" and value is None
        ]
        estimator.set_params(**dict.fromkeys(unseeded, seed))
    return estimators


def _check_splits(cv, X, y, seed):
    if isinstance(cv, Integral):
        cv = StratifiedKFold(cv, shuffle=True, random_state=seed)
    splits = list(check_cv(cv, y, classifier=True).split(X, y))
    tested = np.concatenate([test for _, test in splits])
    if not np.array_equal(np.sort(tested), np.arange(len(y))):
        raise ValueError("cv must test each sample exactly once, as KFold does.")
    return splits


def _fit_all(estimators, data, splits, n_jobs, verbose):
    """Return the folds of each method, in the order of the splits."""
    tasks = (
        delayed(_fit_fold)(name, index, estimator, data, *split)
        for name, estimator in estimators.items()
        for index, split in enumerate(splits)
    )
    folds = {name: [MethodScores(name)] * len(splits) for name in estimators}
    results = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(tasks)
    for done, (index, fold) in enumerate(results, start=1):
        folds[fold.method][index] = fold
        if verbose:
            total = len(estimators) * len(splits)
            of_fold = f", fold {index + 1}" if len(splits) > 1 else ""
            print(f"[{done}/{total}] {fold.method}{of_fold}: {fold}", file=sys.stderr, flush=True)
    return folds


def _fit_fold(name, index, estimator, data, train, test):
    X, y, X_test, y_test = data
    train_set = safe_indexing(X, train), y[train]
    test_set = safe_indexing(X_test, test), y_test[test]
    return index, fit_and_score(name, clone(estimator), *train_set, *test_set)


def _mean_scores(folds, order):
    """Average the folds of a method, and sort the predictions of all folds by `order`."""
    method = folds[0].method
    error = next((fold.error for fold in folds if fold.error), None)
    if error:
        return MethodScores(method, error=error)
    accuracies = [fold.accuracy for fold in folds]
    best_params = [params for fold in folds for params in fold.best_params or ()]
    names = ("accuracy", "macro_f1", "fit_time", "predict_time", "model_size")
    means: dict[str, Any] = {
        name: float(np.mean([getattr(fold, name) for fold in folds])) for name in names
    }
    return MethodScores(
        method,
        **means,
        accuracy_std=float(np.std(accuracies)) if len(folds) > 1 else math.nan,
        fold_accuracies=accuracies,
        best_params=best_params or None,
        predictions=np.concatenate([fold.predictions for fold in folds])[order],
        confidence=_concatenate_all([fold.confidence for fold in folds], order),
    )


def _concatenate_all(parts, order):
    return None if parts[0] is None else np.concatenate(parts)[order]


def _set_p_values(comparison, splits):
    best, *others = comparison.scores
    ratio = float(np.mean([len(test) / len(train) for train, test in splits]))
    for row in others:
        if row.error:
            continue
        if len(splits) > 1:
            row.p_value = corrected_t_test(best.fold_accuracies, row.fold_accuracies, ratio)
        else:
            row.p_value = mcnemar_test(comparison.y_true, best.predictions, row.predictions)
