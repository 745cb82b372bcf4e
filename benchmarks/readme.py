"""The numbers and the table of the README, from the results."""

import re
from pathlib import Path

import pandas as pd

from sklenet.comparison._results import format_three_digits

from . import lab
from .claims import paper_table
from .speed import scaling, training_speed

ROOT = Path(__file__).parents[1]
README, RESULTS = ROOT / "README.md", ROOT / "benchmarks" / "results"
# A value in a sentence, or a block of lines. A line that begins with a comment is HTML in Markdown:
# the marker of a value must not begin it.
MARKED = re.compile(
    r"(<!-- (value:|begin generated:) (\w+) -->).*?(<!-- end(?: generated)? -->)", re.DOTALL
)


def update(is_check):
    """Fill in the README, unless it is a check; return whether it was up to date."""
    values = make_values()

    def fill_in(match):
        begin, kind, name, end = match.groups()
        if name not in values:
            raise lab.Refusal(f"README.md: a value must be one of {', '.join(values)}, got {name}")
        space = "" if kind == "value:" else "\n\n"
        return f"{begin}{space}{lab.as_markdown(values[name])}{space}{end}"

    before = README.read_text(encoding="utf-8")
    after = MARKED.sub(fill_in, before)
    if not is_check:
        README.write_text(after, encoding="utf-8")
    return before == after


def make_values():
    """Return the values of the README by name."""
    methods, _ = lab.read_result(RESULTS / "compare_methods")
    clean, generalization = lab.read_result(RESULTS / "generalization")
    trained, _ = lab.read_result(RESULTS / "training_speed")
    fitted, _ = lab.read_result(RESULTS / "scaling")
    timed, _ = lab.read_result(RESULTS / "time_to_accuracy")
    tested, repeated = lab.read_result(RESULTS / "paper_table")

    fit_s = methods.set_index("method").fit_time.map("{:.0f}".format)
    accuracy = paper_table.summarize(tested)[paper_table.OURS].rate.mean
    clean = clean[clean.corruption.isna() & (clean.tested_on == "mnist") & (clean["size"] == 1000)]
    few_images = clean.groupby("method").accuracy.mean().map("{:.4f}".format)
    times = training_speed.times_of(trained, "fit")
    intelex = timed[timed.contender == "svm, intelex"]
    largest_fit = scaling.median_fits(fitted).iloc[-1]
    return {
        "comparison_table": comparison_table(methods),
        "n_methods": len(methods),
        "deep_lenet_fit_s": fit_s["deep_lenet"],
        "svm_fit_s": fit_s["svm"],
        "deep_lenet_accuracy": f"{accuracy:.4f}",
        "accuracy_trials": repeated["options"]["trials"],
        "few_images_deep_lenet": few_images["deep_lenet"],
        "few_images_svm": few_images["svm"],
        "generalization_trials": generalization["options"]["trials"],
        "speedup_over_skorch": f"{(times.skorch / times.sklenet).median():.2f}",
        "speedup_in_float32": f"{(times.skorch / times['sklenet, float32']).median():.2f}",
        "intelex_fit_s": f"{intelex.seconds.mean():.0f}",
        "largest_fit_images": largest_fit.name,
        "largest_fit_memory_mb": f"{largest_fit.memory_mb:.0f}",
    }


def comparison_table(methods):
    return pd.DataFrame(
        {
            "method": methods.method,
            "accuracy": methods.accuracy.map("{:.4f}".format),
            "fit (s)": methods.fit_time.map(format_three_digits),
            "predict 1000 (s)": methods.predict_time.map(format_three_digits),
        }
    )
