"""How long does a network train until it reaches a test accuracy, and how long does an SVM?"""

import time
from importlib.util import find_spec

import pandas as pd

from sklenet.comparison import make_method

from .. import lab

OURS = [
    "deep_lenet",
    "deep_lenet, 2 epochs",
    "deep_lenet, 1 epoch",
    "deep_lenet, 1 epoch, float32",
]
CONTENDERS = [*OURS, "svm, intelex", "lenet5", "mlp", "svm", "knn", "knn, intelex"]
PARAMETERS = {
    "1 epoch": {"max_epochs": 1},
    "2 epochs": {"max_epochs": 2},
    "float32": {"precision": "float32"},
    "intelex": {},
}
ONCE = ["lenet5", "mlp", "svm"]  # they take minutes
RIVAL = "svm, intelex"
ACCURACIES = [0.98, 0.99, 0.9945]

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"n_train": 1_000, "trials": 2},
    mnist={"n_train": 60_000, "trials": 3},
)
experiment.images(lab.load_subset)


@experiment.rows
def cells(options):
    for trial in range(options.trials):
        for contender in CONTENDERS:
            is_missing = "intelex" in contender and not find_spec("sklearnex")
            if not is_missing and (trial == 0 or contender not in ONCE):
                yield {"trial": trial, "contender": contender}


@experiment.measure
def accuracy_over_time(trial, contender, *, images, options):
    X, X_test, y, y_test = images
    name, *variants = contender.split(", ")
    method, clock = make_method(name, random_state=trial), lab.AccuracyClock(X_test, y_test)
    if "classifier__callbacks" in method.get_params():
        method.set_params(classifier__callbacks=[clock])
    for variant in variants:
        method["classifier"].set_params(**PARAMETERS[variant])
    if "intelex" in variants:
        method = lab.accelerate(method)
    clock.start = time.perf_counter()
    method.fit(X, y)
    seconds = time.perf_counter() - clock.start - clock.pause
    # The fit ends after the last epoch: its point is that of the fitted model.
    points = [*clock.points[:-1], (seconds, float(method.score(X_test, y_test)))]
    return [
        {"point": point, "seconds": seconds, "accuracy": accuracy, "n_test": len(y_test)}
        for point, (seconds, accuracy) in enumerate(points, start=1)
    ]


def seconds_to(accuracy, rows):
    """Return the seconds until an accuracy is reached, NaN for never, by contender and trial."""
    trials = [rows.contender, rows.trial]
    return rows.seconds.where(rows.accuracy >= accuracy).groupby(trials, sort=False).first()


@experiment.table
def contenders(rows, options):
    fits = rows.groupby(["contender", "trial"], sort=False).last()
    goals = {accuracy: f"to {accuracy} (s)" for accuracy in ACCURACIES}
    for accuracy, column in goals.items():
        fits[column] = seconds_to(accuracy, rows)
    methods = fits.groupby("contender", sort=False)
    columns = {
        "accuracy": methods.accuracy.mean().map("{:.4f}".format),
        "fit (s)": methods.seconds.mean().map("{:.1f}".format),
        **{column: methods[column].agg(lab.format_reached) for column in goals.values()},
    }
    if RIVAL in fits.index:
        for accuracy in ACCURACIES[1:]:
            ratios = fits[goals[accuracy]].div(fits.seconds[RIVAL], level="trial")
            by_method = ratios.groupby("contender", sort=False)
            columns[f"to {accuracy} / fit of {RIVAL}"] = by_method.agg(
                lambda ratios: "" if ratios.isna().any() else lab.format_median(ratios, ".2f")
            )
    columns["range of fit (s)"] = methods.seconds.agg(
        lambda times: f"{times.min():.1f} to {times.max():.1f}" if len(times) > 1 else ""
    )
    return pd.DataFrame({**columns, "trials": methods.size()}).rename_axis("method")


@experiment.figure(
    "accuracy_over_time.png",
    "Test accuracy over training time, {n_train:,} images of {data_name}",
    size=(8, 4.5),
)
def accuracy_over_seconds(rows, options, ax):
    methods = rows.contender.str.partition(",")[0]
    for number, (_, contenders) in enumerate(rows.groupby(methods, sort=False)):
        style = {"color": lab.COLORS[number], "marker": lab.MARKERS[number], "linewidth": 1.2}
        for variant, (name, runs) in enumerate(contenders.groupby("contender", sort=False)):
            means = runs.groupby("point")[["seconds", "accuracy"]].mean()
            style |= {"linestyle": "-" if variant == 0 else ":", "label": name}
            style |= {"fillstyle": ["full", "none", "left", "right"][variant]}
            ax.plot(means.seconds, means.accuracy, **style)
    for accuracy in ACCURACIES:
        ax.axhline(accuracy, color="0.6", linewidth=0.8, zorder=0)
    worst = rows.groupby(["contender", "trial"]).accuracy.last().min()
    ax.set_ylim(min(0.97, worst - 0.005), 1)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="Training time (s)", ylabel="Test accuracy, mean of the trials")
    ax.figure.legend(loc="outside right", frameon=False)
