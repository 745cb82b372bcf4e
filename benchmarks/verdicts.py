"""What the trials of an experiment say about its claims: intervals, comparisons, verdicts.

The outcome of a comparison is "ahead" or "behind" where the 95 % interval says so, else "open". A
claim that names several comparisons holds where all are ahead, holds in part where some are and no
more are behind, is open where all are open, and fails else.
"""

from collections import Counter

import numpy as np
from scipy import stats

OUTCOMES = ["ahead", "open", "behind"]


def overlap(data):
    """Return the `test_train_ratio` of `interval` for the trials of a result.

    The trials on the digits are the folds of a cross-validation, whose training images overlap.
    Those on MNIST have test images of their own and a choice of the training images each.
    """
    return 1 / (data["trials"] - 1) if data["name"] == "digits" else 0


def describe_overlap(data):
    """Put what `overlap` does to an interval into words, for the end of a sentence."""
    return ", widened for the overlap of their training images" if overlap(data) else ""


def interval(values, test_train_ratio=0):
    """Return the mean of a value per trial and the half-width of its 95 % interval (Student).

    With `test_train_ratio` the variance is that of the corrected resampled t-test, see
    `sklenet.comparison.corrected_t_test`.
    """
    n_trials = len(values)
    standard_error = np.std(values, ddof=1) * np.sqrt(1 / n_trials + test_train_ratio)
    half_width = stats.t.ppf(0.975, n_trials - 1) * standard_error
    return float(np.mean(values)), float(half_width)


def geometric_interval(values, test_train_ratio=0):
    """Return the geometric mean of a value per trial and the ends of its 95 % interval."""
    mean, half_width = interval(np.log(values), test_train_ratio)
    return np.exp([mean, mean - half_width, mean + half_width])


def plus_minus(values, test_train_ratio=0, digits=4):
    mean, half_width = interval(values, test_train_ratio)
    return f"{mean:.{digits}f} ± {half_width:.{digits}f}"


def outcome_of(low, high, threshold=0):
    """Say where an interval lies."""
    return "ahead" if low > threshold else "behind" if high < threshold else "open"


def compare(ours, others, test_train_ratio=0):
    """Return the mean difference over the trials, its half-width, and the outcome."""
    mean, half_width = interval(np.subtract(ours, others), test_train_ratio)
    return mean, half_width, outcome_of(mean - half_width, mean + half_width)


def verdict_of(outcomes):
    counts = Counter(outcomes)
    if not counts["open"] and not counts["behind"]:
        return "holds"
    if not counts["ahead"] and not counts["behind"]:
        return "open"
    return "holds in part" if counts["ahead"] >= counts["behind"] else "fails"


def describe_counts(outcomes):
    """Say how many comparisons came out how."""
    counts = Counter(outcomes)
    return ", ".join(f"{counts[name]} {name}" for name in OUTCOMES if counts[name])


def count_leads(comparisons, digits=4, unit=""):
    """Return the verdict on a claim to be ahead everywhere, how large the lead is, and the rest.

    `comparisons` has, by the name of each case, what `compare` returns, in this unit.
    """
    by_lead = sorted(comparisons, key=lambda case: comparisons[case][0])
    cases = {
        outcome: [case for case in by_lead if comparisons[case][2] == outcome]
        for outcome in OUTCOMES
    }
    ends = " to ".join(
        f"{comparisons[case][0]:+.{digits}f} ± {comparisons[case][1]:.{digits}f}{unit} ({case})"
        for case in dict.fromkeys([by_lead[0], by_lead[-1]])
    )
    details = " ".join(
        f"{outcome.capitalize()}: {', '.join(cases[outcome])}."
        for outcome in ("behind", "open")
        if cases[outcome]
    )
    outcomes = [outcome for *_, outcome in comparisons.values()]
    return verdict_of(outcomes), f"{describe_counts(outcomes)}: {ends}.", details


def claim(text, picture, verdict, effect, details=""):
    """Return a claim as it stands in a result, with the name of the picture that shows it best."""
    return {
        "claim": text,
        "verdict": verdict,
        "effect": effect,
        "details": details,
        "picture": picture,
    }


def format_claims(claims):
    """Put the claims and their verdicts at the head of a page."""
    return "\n\n".join(
        f"**Claim.** {claim['claim']}\n"
        f"**Verdict: {claim['verdict']}.** {claim['effect']} {claim['details']}".rstrip()
        for claim in claims
    )
