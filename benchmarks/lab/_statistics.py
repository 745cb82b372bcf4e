"""Estimates over the trials of an experiment, comparisons and verdicts."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

OUTCOMES = ["better", "inconclusive", "worse"]


class Estimate(NamedTuple):
    """A mean over the trials and its 95 % interval; formatted, "+0.0042 ± 0.0056"."""

    mean: float
    low: float
    high: float

    def outcome(self, threshold=0):
        """Return "better" or "worse" if the interval is above or below the threshold."""
        if self.low > threshold:
            return "better"
        return "worse" if self.high < threshold else "inconclusive"

    def __format__(self, spec):
        half_width = (self.high - self.low) / 2
        return f"{self.mean:{spec}} ± {half_width:{spec.removeprefix('+')}}"


class Finding(NamedTuple):
    """The outcomes of the comparisons of a claim, the effect, and details."""

    outcomes: list[str]
    effect: str
    details: str = ""

    @property
    def verdict(self):
        n_better, n_inconclusive, n_worse = map(self.outcomes.count, OUTCOMES)
        if n_better == len(self.outcomes):
            return "holds"
        if n_inconclusive == len(self.outcomes):
            return "inconclusive"
        return "partly supported" if n_better >= n_worse else "fails"


def overlap(options):
    """Return the test-train ratio of the corrected interval for the trials on a data set.

    The trials on the digits are the folds of a cross-validation, whose training images overlap.
    Those on MNIST have disjoint test images and a random subset of the training images each.
    """
    return 1 / (options.trials - 1) if options.data == "digits" else 0


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


def estimate(rows, column, by, options, interval=interval):
    """Return a series of the estimates of a column, for each group of rows."""
    return rows.groupby(by, sort=False)[column].apply(interval, overlap(options))


def leads(rows, column, by, ours, within, options):
    """Return a series of the leads of `ours` over each other value of `by`, in each group."""
    leads = {}
    for group, part in rows.groupby(within, sort=False):
        values = part.pivot(index="trial", columns=by, values=column)
        for other in part[by].drop_duplicates():
            if other != ours:
                difference = values[ours] - values[other]
                leads[group, other] = interval(difference, overlap(options))
    return pd.Series(leads)


def judge(leads, form="{:+.4f}".format, threshold=0):
    """Return the finding on the claim that every lead is above the threshold; None without any."""
    if leads.empty:
        return None
    leads = {" against ".join(case): lead for case, lead in leads.items()}
    ordered = sorted(leads, key=leads.get)
    cases = {outcome: [] for outcome in OUTCOMES}
    for case in ordered:
        cases[leads[case].outcome(threshold)].append(case)
    counts = ", ".join(f"{len(cases[outcome])} {outcome}" for outcome in OUTCOMES if cases[outcome])
    ends = dict.fromkeys([ordered[0], ordered[-1]])
    effect = " to ".join(f"{form(leads[case])} ({case})" for case in ends)
    details = [
        f"{outcome.capitalize()}: {'; '.join(cases[outcome])}."
        for outcome in ("worse", "inconclusive")
        if cases[outcome]
    ]
    outcomes = [outcome for outcome in OUTCOMES for _ in cases[outcome]]
    return Finding(outcomes, f"{counts}: {effect}.", " ".join(details))


def format_median(values, spec):
    """Format the median and, of several values, their range."""
    low, median, high = (f"{x:{spec}}" for x in np.quantile(values, [0, 0.5, 1]))
    return f"{median} ({low} to {high})" if len(values) > 1 else median


def format_reached(times, form=lambda times: f"{times.mean():.1f}"):
    """Format the times of the trials until a goal is reached, NaN for never."""
    reached = times.dropna()
    if len(reached) == len(times):
        return form(times)
    return f"{reached.mean():.1f} ({len(reached)} of {len(times)})" if len(reached) else "never"


def format_p(*p_values):
    """Format a p-value, or the lowest and the highest of several."""
    ends = [min(p_values), max(p_values)]
    low, high = ("< 0.001" if p < 0.001 else f"{p:.3f}" for p in ends)
    text = low if low == high else f"{low} to {high}"
    return f"p {text}" if text.startswith("<") else f"p = {text}"
