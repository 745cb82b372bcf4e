"""Does the deep LeNet-5 recognize over 98 % of MNIST, and more than every other method?"""

import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from sklenet.comparison import make_method, mcnemar_test

from .. import lab

OURS, LONGER = "deep_lenet", "deep_lenet, twice the epochs"
RIVALS = ["knn", "mlp", "svm", "lenet5"]
# KNN and the SVM are deterministic; the MLP takes minutes on all of MNIST.
ONCE = {"digits": ["knn", "svm"], "mnist": ["knn", "svm", "mlp"]}
# Test errors on MNIST; the page names the sources.
PUBLISHED = pd.read_csv(Path(__file__).with_name("published_errors.csv"))
SIGNIFICANT = 0.001

experiment = lab.Experiment(
    __name__, __doc__, digits={"trials": 5, "n_train": 300}, mnist={"trials": 3, "n_train": 60_000}
)
experiment.images(lab.load_subset)


@experiment.rows
def cells(options):
    for trial in range(options.trials):
        for contender in (*RIVALS, OURS, LONGER):
            if trial == 0 or contender not in ONCE[options.data]:
                yield {"trial": trial, "contender": contender}


@experiment.measure
def mistakes(trial, contender, *, images, options):
    X, X_test, y, y_test = images
    method = make_method(contender.partition(",")[0], random_state=trial)
    if contender == LONGER:
        method.set_params(classifier__augmentation="affine")
    start = time.perf_counter()
    method.fit(X, y)
    fitted = time.perf_counter()
    predictions = method.predict(X_test)
    end = time.perf_counter()
    wrong = np.flatnonzero(predictions != y_test).tolist()
    times = {"fit_s": fitted - start, "predict_s": end - fitted}
    return {**times, "n_test": len(y_test), "wrong": json.dumps(wrong)}


class Contender(NamedTuple):
    """The recognition rate of each trial, their mean, and McNemar's tests against ours."""

    rates: np.ndarray
    rate: lab.Estimate
    p_values: list[float]

    def __str__(self):
        return f"{self.rate.mean:.4f} ({self.rate.low:.4f} to {self.rate.high:.4f})"

    def outcome(self, ours):
        """Say whether ours is better or worse, significantly, in every trial."""
        leads = ours.rates - self.rates
        if max(self.p_values) >= SIGNIFICANT or leads.min() < 0 < leads.max():
            return "inconclusive"
        return "better" if leads.min() > 0 else "worse"


def summarize(rows):
    """Return each contender by its name."""
    n_test = rows.n_test.iloc[0]
    right = [~np.isin(range(n_test), json.loads(wrong)) for wrong in rows.wrong]
    by_name = rows.assign(right=right).groupby("contender", sort=False).right.agg(list)
    contenders = {}
    for name, right in by_name.items():
        rates = np.mean(right, axis=1)
        interval = binomtest(round(rates.mean() * n_test), n_test).proportion_ci(method="wilson")
        p_values = [
            mcnemar_test(np.ones(n_test), ours, right[min(trial, len(right) - 1)])
            for trial, ours in enumerate(by_name[OURS])
        ]
        contenders[name] = Contender(rates, lab.Estimate(rates.mean(), *interval), p_values)
    return contenders


@experiment.claim("The deep LeNet-5 recognizes more than 98 % of the images.")
def recognizes(rows, options):
    ours = summarize(rows)[OURS]
    return lab.Finding([ours.rate.outcome(0.98)], f"{ours}.")


@experiment.claim("Every other method recognizes fewer images, p < 0.001 in every trial.")
def recognizes_more(rows, options):
    contenders = summarize(rows)
    ours, rivals = contenders[OURS], {name: contenders[name] for name in RIVALS}
    effect = "; ".join(
        f"{name} {ours.rate.mean - rival.rate.mean:+.4f}, {lab.format_p(*rival.p_values)}"
        for name, rival in rivals.items()
    )
    return lab.Finding([rival.outcome(ours) for rival in rivals.values()], f"{effect}.")


@experiment.claim("In twice the epochs the deep LeNet-5 recognizes at least the published 99.6 %.")
def recognizes_as_published(rows, options):
    longer = summarize(rows)[LONGER]
    finding = lab.Finding([longer.rate.outcome(0.996)], f"{longer}.")
    return finding if options.data == "mnist" else None


def published_errors(name, options):
    return PUBLISHED[PUBLISHED.method == name] if options.data == "mnist" else PUBLISHED[:0]


@experiment.table
def contenders(rows, options):
    times = rows.groupby("contender")[["fit_s", "predict_s"]].median()
    lines = []
    for name, (rates, rate, p_values) in summarize(rows).items():
        published = published_errors(name, options)[["source", "percent"]].to_numpy()
        lines.append(
            {
                "method": name,
                "recognition rate": f"{rate.mean:.4f}",
                "95 % interval": f"{rate.low:.4f} to {rate.high:.4f}",
                "trials": f"{min(rates):.4f} to {max(rates):.4f}" if len(rates) > 1 else "",
                f"against {OURS}": "" if name == OURS else lab.format_p(*p_values),
                "fit (s)": f"{times.fit_s[name]:.1f}",
                f"predict {rows.n_test.iloc[0]:,} (s)": f"{times.predict_s[name]:.2f}",
                "error": f"{100 * (1 - rate.mean):.2f} %",
                "published error": "; ".join(f"{source} {x:g} %" for source, x in published),
            }
        )
    return pd.DataFrame(lines)


@experiment.figure(
    "recognition_rates.png", "Test error after {n_train:,} training images of {data_name}", (8, 4.9)
)
def recognition_rates(rows, options, ax):
    contenders = summarize(rows)
    for height, (name, contender) in enumerate(contenders.items()):
        mean, high, low = 100 * (1 - np.array(contender.rate))  # of the error
        color = lab.COLORS[0 if name.startswith(OURS) else 1]
        errors = [[mean - low], [high - mean]]
        ours = ax.errorbar(mean, height, xerr=errors, fmt="o", color=color, capsize=4)
        percent = published_errors(name, options).percent
        (others,) = ax.plot(percent, [height] * len(percent), "kD", fillstyle="none")
    ax.set_yticks(range(len(contenders)), contenders)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xticks([0.2, 0.5, 1, 2, 5, 10], [0.2, 0.5, 1, 2, 5, 10])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("Test error (percent, logarithmic)")
    ax.legend([ours, others], ["here, 95 % interval", "published, on MNIST"], frameon=False)
