"""Whether two classifiers differ by more than chance."""

import numpy as np
from scipy import stats

__all__ = ["corrected_t_test", "mcnemar_test"]


def mcnemar_test(y_true, y_pred_a, y_pred_b):
    """Compare two classifiers on one test set with McNemar's exact test.

    Only the samples count that one classifier gets right and the other wrong. If both are equally
    accurate, each of the two wins such a sample with probability one half.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        The true labels.
    y_pred_a, y_pred_b : array-like of shape (n_samples,)
        The labels that the two classifiers predict.

    Returns
    -------
    float
        The two-sided p-value; 1.0 where no sample tells the classifiers apart.

    Raises
    ------
    ValueError
        If the arguments are not equally long.

    References
    ----------
    .. [1] Q. McNemar, "Note on the sampling error of the difference between correlated proportions
       or percentages", Psychometrika 12(2), 1947.
    .. [2] T. G. Dietterich, "Approximate Statistical Tests for Comparing Supervised Classification
       Learning Algorithms", Neural Computation 10(7), 1998.

    Examples
    --------
    >>> from sklenet.comparison import mcnemar_test
    >>> mcnemar_test([1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0])
    0.125
    """
    lengths = [len(y_true), len(y_pred_a), len(y_pred_b)]
    if len(set(lengths)) > 1:
        raise ValueError(f"The labels must be equally many, got {lengths}.")
    a_is_right = np.asarray(y_true) == np.asarray(y_pred_a)
    b_is_right = np.asarray(y_true) == np.asarray(y_pred_b)
    only_a = int((a_is_right & ~b_is_right).sum())
    only_b = int((b_is_right & ~a_is_right).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b).pvalue)


def corrected_t_test(scores_a, scores_b, test_train_ratio):
    """Compare two classifiers over cross-validation folds with the corrected resampled t-test.

    The training sets of the folds overlap, so that the usual t-test takes the differences for more
    independent than they are. Nadeau and Bengio [1]_ therefore enlarge their variance: the
    ``1 / n_folds`` of the standard error becomes ``1 / n_folds + test_train_ratio``.

    Parameters
    ----------
    scores_a, scores_b : array-like of shape (n_folds,)
        The scores of the two classifiers on the same folds, at least two.
    test_train_ratio : float
        Number of test samples divided by number of training samples in a fold.

    Returns
    -------
    float
        The two-sided p-value; 1.0 where the scores are the same on average.

    Raises
    ------
    ValueError
        If the scores are not equally many or fewer than two.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52,
       2003, section 3.1.

    Examples
    --------
    >>> from sklenet.comparison import corrected_t_test
    >>> p_value = corrected_t_test([0.98, 0.99, 0.98], [0.95, 0.97, 0.96], test_train_ratio=1 / 2)
    >>> round(p_value, 3)
    0.047
    """
    if len(scores_a) != len(scores_b) or len(scores_a) < 2:
        raise ValueError(
            "The test needs the scores of both classifiers on the same folds, at least two; "
            f"got {len(scores_a)} and {len(scores_b)}."
        )
    differences = np.subtract(scores_a, scores_b)
    n_folds = len(differences)
    mean = differences.mean()
    standard_error = np.sqrt((1 / n_folds + test_train_ratio) * differences.var(ddof=1))
    if mean == 0:
        return 1.0
    if standard_error == 0:
        return 0.0
    return float(2 * stats.t.sf(abs(mean) / standard_error, df=n_folds - 1))
