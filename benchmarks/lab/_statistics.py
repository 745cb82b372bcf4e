"""Intervals over the trials of an experiment, comparisons and verdicts."""

from collections import Counter
from typing import NamedTuple

import numpy as np
from scipy import stats

OUTCOMES = ["better", "inconclusive", "worse"]


class Estimate(NamedTuple):
    """A mean over the trials and its 95 % interval; formatted, "+0.0042 ± 0.0056"."""

    mean: float
    low: float
    high: float

    def outcome(self, threshold=0):
        """Return "better" or "worse" if the interval is above or below the threshold."""
        if self.low <= threshold <= self.high:
            return "inconclusive"
        return "better" if self.low > threshold else "worse"

    def complement(self):
        """Return the estimate of one minus the value."""
        return Estimate(1 - self.mean, 1 - self.high, 1 - self.low)

    def __format__(self, spec):
        half_width = (self.high - self.low) / 2
        return f"{self.mean:{spec}} ± {half_width:{spec.removeprefix('+')}}"


class Finding(NamedTuple):
    """What the rows say about a claim: the outcome of each comparison, in words, and the rest."""

    outcomes: list[str]
    effect: str
    details: str = ""

    @property
    def verdict(self):
        """Return the verdict: a claim holds if every comparison is better."""
        counts = Counter(self.outcomes)
        if counts["better"] == len(self.outcomes):
            return "holds"
        if counts["inconclusive"] == len(self.outcomes):
            return "inconclusive"
        return "partly supported" if counts["better"] >= counts["worse"] else "fails"


def training_overlap(data, n_trials):
    """Return the `test_train_ratio` of `interval` for trials on a data set.

    The trials on the digits are the folds of a cross-validation, whose training images overlap.
    Those on MNIST have disjoint test images and a random subset of the training images each.
    """
    return 1 / (n_trials - 1) if data == "digits" else 0


def interval(values, test_train_ratio=0):
    """Return the mean of a value per trial and its 95 % interval (Student).

    With `test_train_ratio` the variance is that of the corrected resampled t-test (Nadeau and
    Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003).
    """
    mean, n_trials = np.mean(values), len(values)
    standard_error = np.std(values, ddof=1) * np.sqrt(1 / n_trials + test_train_ratio)
    half_width = stats.t.ppf(0.975, n_trials - 1) * standard_error
    return Estimate(mean, mean - half_width, mean + half_width)


def geometric_interval(values, test_train_ratio=0):
    """Return the geometric mean of a value per trial and its 95 % interval."""
    return Estimate(*np.exp(interval(np.log(values), test_train_ratio)))


def format_p(*p_values):
    """Format a p-value, or the lowest and the highest of several."""
    ends = [min(p_values), max(p_values)]
    low, high = ("< 0.001" if p < 0.001 else f"{p:.3f}" for p in ends)
    text = low if low == high else f"{low} to {high}"
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def count_outcomes(outcomes):
    counts = Counter(outcomes)
    return ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if counts[name])


def judge_differences(differences, spec="+.4f", unit=""):
    """Return the finding on a claim that every difference is positive, from {case: estimate}."""
    ordered = sorted(differences, key=lambda case: differences[case].mean)
    cases = {outcome: [] for outcome in OUTCOMES}
    for case in ordered:
        cases[differences[case].outcome()].append(case)
    ends = " to ".join(
        f"{differences[case]:{spec}}{unit} ({case})"
        for case in dict.fromkeys([ordered[0], ordered[-1]])
    )
    details = [
        f"{outcome.capitalize()}: {', '.join(cases[outcome])}."
        for outcome in ("worse", "inconclusive")
        if cases[outcome]
    ]
    outcomes = [outcome for outcome in OUTCOMES for _ in cases[outcome]]
    return Finding(outcomes, f"{count_outcomes(outcomes)}: {ends}.", " ".join(details))


def format_median(values, spec):
    """Format the median and, of several values, their range."""
    low, median, high = (f"{x:{spec}}" for x in np.quantile(values, [0, 0.5, 1]))
    return f"{median} ({low} to {high})" if len(values) > 1 else median
