"""The numbers and tables of the README, from the results."""

import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from . import lab
from .compare_methods import read_comparison
from .speed import prediction_speed, scaling, time_to_accuracy, training_speed

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
# A value within a line, which must not begin it, or a block of lines: Markdown takes a line that
# begins with a comment for HTML.
MARKED = re.compile(
    r"(?P<begin><!-- (?P<kind>value:|begin generated:) (?P<name>\w+) -->)"
    r".*?(?P<end><!-- end(?: generated)? -->)",
    re.DOTALL,
)


def update(is_check):
    """Fill in the README and return whether it was up to date; only check it with `is_check`."""
    before = README.read_text(encoding="utf-8")
    after = fill_in(before)
    if not is_check:
        README.write_text(after, encoding="utf-8")
    return before == after


def fill_in(text):
    """Replace what is between the markers of a Markdown text."""

    def replace(match):
        if match["name"] not in VALUES:
            raise lab.Refusal(
                f"README.md: value must be one of {', '.join(VALUES)}, got {match['name']}"
            )
        space = "" if match["kind"] == "value:" else "\n\n"
        content = lab.as_markdown(VALUES[match["name"]]())
        return f"{match['begin']}{space}{content}{space}{match['end']}"

    return MARKED.sub(replace, text)


@cache
def read(name):
    """Return the rows and the options of a committed result."""
    rows, run = lab.read_result(RESULTS / name)
    return rows, SimpleNamespace(**run["options"])


def compared(columns):
    """Return columns of the table of the methods."""
    comparison, _ = read_comparison(RESULTS / "compare_methods")
    header, *lines = (
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in comparison.to_markdown().splitlines()
        if line.startswith("| ")
    )
    return pd.DataFrame(lines, columns=header)[columns]


def scores(method):
    rows, _ = read("compare_methods")
    return rows.set_index("method").loc[method]


def paper_accuracy(contender):
    rows, _ = read("paper_table")
    rows = rows[rows.contender == contender]
    return f"{(1 - rows.wrong.map(json.loads).map(len) / rows.n_test).mean():.4f}"


def mean_seconds_to(accuracy, contender):
    rows, _ = read("time_to_accuracy")
    return f"{time_to_accuracy.seconds_to(accuracy, rows).loc[contender].mean():.0f}"


def last_points(contender):
    rows, _ = read("time_to_accuracy")
    return rows[rows.contender == contender].groupby("trial").last()


def speedup(ours, other):
    times = training_speed.times_of(read("training_speed")[0], "fit")
    return f"{(times[other] / times[ours]).median():.2f}"


def predictions(n_images):
    """Return the seconds of each call with a number of images, by contender."""
    calls = prediction_speed.each_call(read("prediction_speed")[0])
    return calls[calls.n_images == n_images].groupby("contender").seconds.median()


def largest_fit():
    return scaling.median_fits(read("scaling")[0]).iloc[-1]


DEEP, FAST, INTELEX = "deep_lenet", "deep_lenet, fast", "svm, intelex"
FLOAT32 = "sklenet, float32"
VALUES = {
    # One fit of each method to all of MNIST
    "comparison_table": lambda: compared(["method", "accuracy", "fit (s)", "predict 1000 (s)"]),
    "comparison_full_table": lambda: compared(slice(None)),
    "comparison_protocol": lambda: read_comparison(RESULTS / "compare_methods")[0].protocol,
    "deep_lenet_fit_s": lambda: f"{scores(DEEP).fit_time:.0f}",
    "svm_fit_s": lambda: f"{scores('svm').fit_time:.0f}",
    # Means of several trials on all of MNIST
    "deep_lenet_accuracy": lambda: paper_accuracy(DEEP),
    "augmented_accuracy": lambda: paper_accuracy("deep_lenet, augmentation"),
    "svm_accuracy": lambda: paper_accuracy("svm"),
    "lenet5_accuracy": lambda: paper_accuracy("lenet5"),
    "paper_table_trials": lambda: read("paper_table")[1].trials,
    # Means of several trials on all of MNIST, timed
    "time_to_accuracy_table": lambda: time_to_accuracy.contenders(*read("time_to_accuracy")),
    "time_to_accuracy_trials": lambda: read("time_to_accuracy")[1].trials,
    "deep_lenet_to_99_s": lambda: mean_seconds_to(0.99, DEEP),
    "fast_to_99_s": lambda: mean_seconds_to(0.99, FAST),
    "fast_accuracy": lambda: f"{last_points(FAST).accuracy.mean():.4f}",
    "intelex_fit_s": lambda: f"{last_points(INTELEX).seconds.mean():.0f}",
    "intelex_accuracy": lambda: f"{last_points(INTELEX).accuracy.mean():.4f}",
    # Medians of the rounds
    "training_speed_table": lambda: training_speed.contenders(*read("training_speed")),
    "training_speed_rounds": lambda: read("training_speed")[1].rounds,
    "speedup_over_skorch": lambda: speedup("sklenet", "skorch"),
    "speedup_over_skorch_float32": lambda: speedup(FLOAT32, "skorch"),
    "speedup_over_bare_loop": lambda: speedup("sklenet", "bare loop"),
    "prediction_rounds": lambda: read("prediction_speed")[1].rounds,
    "prediction_rate": lambda: f"{10_000 / predictions(10_000)['deep_lenet `predict`']:,.0f}",
    "prediction_relative_rate": lambda: (
        f"{prediction_speed.relative_rates(*read('prediction_speed'))['deep_lenet `predict`']:.2f}"
    ),
    "one_image_ms": lambda: f"{1e3 * predictions(1)['deep_lenet `predict`']:.1f}",
    "one_image_module_ms": lambda: f"{1e3 * predictions(1)['bare module']:.1f}",
    "scaling_table": lambda: scaling.fits(*read("scaling")),
    "search_table": lambda: scaling.searches(*read("scaling")),
    "scaling_rounds": lambda: read("scaling")[1].rounds,
    "largest_fit_images": lambda: int(largest_fit().name),
    "largest_fit_memory_mb": lambda: f"{largest_fit().memory_mb:.0f}",
}
