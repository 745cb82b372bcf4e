"""The significance tests against their formulas."""

from math import comb, sqrt

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad
from scipy.special import gamma

from sklenet.comparison import corrected_t_test, mcnemar_test

# Only A is right on seven samples, only B on two, both on three and neither on one.
Y_TRUE = np.zeros(13, dtype=int)
Y_PRED_A = np.array([0] * 7 + [1] * 2 + [0] * 3 + [1])
Y_PRED_B = np.array([1] * 7 + [0] * 2 + [0] * 3 + [1])

SCORES_A = [0.98, 0.97, 0.99, 0.96, 0.98]
SCORES_B = [0.95, 0.96, 0.95, 0.96, 0.94]


def test_mcnemar_test_is_two_sided_binomial_test():
    tail = sum(comb(9, k) for k in range(3)) / 2**9
    assert mcnemar_test(Y_TRUE, Y_PRED_A, Y_PRED_B) == pytest.approx(2 * tail)
    assert mcnemar_test(Y_TRUE, Y_PRED_B, Y_PRED_A) == pytest.approx(2 * tail)


def test_mcnemar_test_equal_predictions_is_one():
    assert mcnemar_test(Y_TRUE, Y_PRED_A, Y_PRED_A) == 1.0


def test_mcnemar_test_labels_of_strings_are_compared():
    assert mcnemar_test(["a", "b"], ["a", "a"], ["b", "b"]) == 1.0


def test_mcnemar_test_inconsistent_lengths_raises():
    with pytest.raises(ValueError, match=r"equally many, got \[13, 13, 12\]"):
        mcnemar_test(Y_TRUE, Y_PRED_A, Y_PRED_B[1:])


def test_corrected_t_test_is_that_of_nadeau_and_bengio():
    differences = [0.03, 0.01, 0.04, 0.0, 0.04]
    variance = sum((d - 0.024) ** 2 for d in differences) / 4
    t = 0.024 / sqrt((1 / 5 + 1 / 4) * variance)

    def density(x):  # of Student's t distribution with four degrees of freedom
        return gamma(2.5) / (sqrt(4 * np.pi) * gamma(2)) * (1 + x**2 / 4) ** -2.5

    expected = 2 * quad(density, t, np.inf)[0]
    assert corrected_t_test(SCORES_A, SCORES_B, 1 / 4) == pytest.approx(expected)
    assert corrected_t_test(SCORES_B, SCORES_A, 1 / 4) == pytest.approx(expected)


def test_corrected_t_test_ratio_of_zero_is_paired_t_test():
    expected = stats.ttest_rel(SCORES_A, SCORES_B).pvalue
    assert corrected_t_test(SCORES_A, SCORES_B, 0) == pytest.approx(expected)


def test_corrected_t_test_constant_differences_is_zero_or_one():
    assert corrected_t_test([0.5, 0.75], [0.5, 0.75], 1) == 1.0
    assert corrected_t_test([0.75, 1.0], [0.5, 0.75], 1) == 0.0


@pytest.mark.parametrize("scores", [([0.9], [0.8]), ([0.9, 0.8], [0.8])])
def test_corrected_t_test_other_folds_raises(scores):
    with pytest.raises(ValueError, match="on the same folds, at least two"):
        corrected_t_test(*scores, 1 / 4)
