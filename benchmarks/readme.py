"""The numbers and tables of the README, from the results."""

import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from sklenet.comparison._results import _format as format_three_digits

from . import lab
from .speed import prediction_speed, scaling, time_to_accuracy, training_speed

ROOT = Path(__file__).parents[1]
README, RESULTS = ROOT / "README.md", ROOT / "benchmarks" / "results"
# A value in a sentence, or a block of lines. A line that begins with a comment is HTML in Markdown:
# the marker of a value must not begin it.
MARKED = re.compile(
    r"(<!-- (value:|begin generated:) (\w+) -->).*?(<!-- end(?: generated)? -->)", re.DOTALL
)
DEEP, FAST, INTELEX = "deep_lenet", "deep_lenet, fast", "svm, intelex"


def update(is_check):
    """Fill in the README, unless it is a check; return whether it was up to date."""
    before = README.read_text(encoding="utf-8")
    after = MARKED.sub(fill_in, before)
    if not is_check:
        README.write_text(after, encoding="utf-8")
    return before == after


def fill_in(match):
    begin, kind, name, end = match.groups()
    if name not in VALUES:
        raise lab.Refusal(f"README.md: a value must be one of {', '.join(VALUES)}, got {name}")
    space = "" if kind == "value:" else "\n\n"
    return f"{begin}{space}{lab.as_markdown(VALUES[name](read))}{space}{end}"


@cache
def read(name):
    """Return the rows and the options of a result."""
    rows, run = lab.read_result(RESULTS / name)
    return rows, SimpleNamespace(**run["options"])


def comparison_table(results):
    rows, _ = results("compare_methods")
    times = {"fit (s)": rows.fit_time, "predict 1000 (s)": rows.predict_time}
    columns = {name: values.map(format_three_digits) for name, values in times.items()}
    accuracy = rows.accuracy.map("{:.4f}".format)
    return pd.DataFrame({"method": rows.method, "accuracy": accuracy, **columns})


def fit_time(results, method):
    rows, _ = results("compare_methods")
    return f"{rows.set_index('method').fit_time[method]:.0f}"


def paper_accuracy(results, contender):
    rows, _ = results("paper_table")
    n_wrong = rows.wrong[rows.contender == contender].map(json.loads).map(len)
    return f"{1 - (n_wrong / rows.n_test).mean():.4f}"


def few_images_accuracy(results, method):
    rows, _ = results("generalization")
    chosen = rows[(rows["size"] == 1000) & (rows.method == method) & rows.corruption.isna()]
    return f"{chosen[chosen.tested_on == 'mnist'].accuracy.mean():.4f}"


def seconds_to_99(results, contender):
    times = time_to_accuracy.seconds_to(0.99, results("time_to_accuracy")[0])
    return f"{times.loc[contender].mean():.0f}"


def fitted(results, contender):
    """Return the means of the trials: seconds and accuracy of a fitted model."""
    rows, _ = results("time_to_accuracy")
    return rows[rows.contender == contender].groupby("trial")[["seconds", "accuracy"]].last().mean()


def speedup(results, ours, other):
    times = training_speed.times_of(results("training_speed")[0], "fit")
    return f"{(times[other] / times[ours]).median():.2f}"


def prediction_seconds(results, n_images, contender="deep_lenet `predict`"):
    calls = prediction_speed.each_call(results("prediction_speed")[0])
    return calls[calls.n_images == n_images].groupby("contender").seconds.median()[contender]


def largest_fit(results):
    return scaling.median_fits(results("scaling")[0]).iloc[-1]


VALUES = {
    # All of MNIST, one fit of each method
    "comparison_table": comparison_table,
    "n_methods": lambda results: len(results("compare_methods")[0]),
    "deep_lenet_fit_s": lambda results: fit_time(results, DEEP),
    "svm_fit_s": lambda results: fit_time(results, "svm"),
    # All of MNIST, means of the trials
    "deep_lenet_accuracy": lambda results: paper_accuracy(results, DEEP),
    "augmented_accuracy": lambda results: paper_accuracy(results, f"{DEEP}, augmentation"),
    "few_images_deep_lenet": lambda results: few_images_accuracy(results, DEEP),
    "few_images_svm": lambda results: few_images_accuracy(results, "svm"),
    "generalization_trials": lambda results: results("generalization")[1].trials,
    "paper_table_trials": lambda results: results("paper_table")[1].trials,
    "deep_lenet_to_99_s": lambda results: seconds_to_99(results, DEEP),
    "fast_to_99_s": lambda results: seconds_to_99(results, FAST),
    "fast_accuracy": lambda results: f"{fitted(results, FAST).accuracy:.4f}",
    "intelex_fit_s": lambda results: f"{fitted(results, INTELEX).seconds:.0f}",
    "intelex_accuracy": lambda results: f"{fitted(results, INTELEX).accuracy:.4f}",
    "time_to_accuracy_trials": lambda results: results("time_to_accuracy")[1].trials,
    "time_to_accuracy_table": lambda results: time_to_accuracy.contenders(
        *results("time_to_accuracy")
    ),
    # Medians of the rounds
    "speedup_over_skorch": lambda results: speedup(results, "sklenet", "skorch"),
    "speedup_over_skorch_float32": lambda results: speedup(results, "sklenet, float32", "skorch"),
    "speedup_over_bare_loop": lambda results: speedup(results, "sklenet", "bare loop"),
    "training_speed_rounds": lambda results: results("training_speed")[1].rounds,
    "training_speed_table": lambda results: training_speed.contenders(*results("training_speed")),
    "images_per_s": lambda results: f"{10_000 / prediction_seconds(results, 10_000):,.0f}",
    "one_image_ms": lambda results: f"{1e3 * prediction_seconds(results, 1):.1f}",
    "one_image_module_ms": lambda results: (
        f"{1e3 * prediction_seconds(results, 1, 'bare module'):.1f}"
    ),
    "prediction_speed_rounds": lambda results: results("prediction_speed")[1].rounds,
    "largest_fit_images": lambda results: f"{largest_fit(results).name:,}",
    "largest_fit_memory_mb": lambda results: f"{largest_fit(results).memory_mb:.0f}",
    "scaling_rounds": lambda results: results("scaling")[1].rounds,
    "scaling_table": lambda results: scaling.fits(*results("scaling")),
}
