"""How many seconds of training until a test accuracy is reached, and how many for an SVM?"""

import time
from importlib.util import find_spec

import pandas as pd
from sklearn.model_selection import train_test_split

from sklenet.comparison import make_method
from sklenet.datasets import fetch_mnist, load_digits_images

from .. import lab

FAST = {"max_epochs": 2}
# Method, its parameters, and whether it is the one of scikit-learn-intelex.
CONTENDERS = {
    "deep_lenet": ("deep_lenet", {}, False),
    "deep_lenet, fast": ("deep_lenet", FAST, False),
    "deep_lenet, fast, float32": ("deep_lenet", {**FAST, "precision": "float32"}, False),
    "svm, intelex": ("svm", {}, True),
    "lenet5": ("lenet5", {}, False),
    "mlp": ("mlp", {}, False),
    "svm": ("svm", {}, False),
    "knn": ("knn", {}, False),
    "knn, intelex": ("knn", {}, True),
}
ONCE = ["svm"]  # it takes minutes and is deterministic
RIVAL = "svm, intelex"
ACCURACIES = [0.98, 0.99, 0.992]

experiment = lab.Experiment(
    "time_to_accuracy",
    __doc__,
    options={
        "n_train": lab.Option("training images", 1_000, 60_000, minimum=20),
        "trials": lab.Option("trials, each with another seed", 2, 3, minimum=1, maximum=100),
    },
)


@experiment.images
def images(options):
    if options.data == "digits":
        X, X_test, y, y_test = train_test_split(*load_digits_images(), random_state=0)
    else:
        X, X_test, y, y_test = fetch_mnist()
    X, y = lab.take_subset(X, y, options.n_train, seed=0)
    return X, X_test, y, y_test


@experiment.rows
def cells(options):
    for trial in range(options.trials):
        for contender, (*_, is_accelerated) in CONTENDERS.items():
            is_installed = not is_accelerated or find_spec("sklearnex")
            if is_installed and (trial == 0 or contender not in ONCE):
                yield {"trial": trial, "contender": contender}


@experiment.measure
def accuracy_over_time(trial, contender, *, images, options):
    X, X_test, y, y_test = images
    name, parameters, is_accelerated = CONTENDERS[contender]
    method = make_method(name, random_state=trial)
    method.set_params(**{f"classifier__{key}": value for key, value in parameters.items()})
    clock = lab.AccuracyClock(X_test, y_test)
    if "classifier__callbacks" in method.get_params():
        method.set_params(classifier__callbacks=[clock])
    if is_accelerated:
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
    """Return the seconds until an accuracy is reached: a row a contender, a column a trial."""
    first = rows[rows.accuracy >= accuracy].groupby(["contender", "trial"]).seconds.first()
    return first.unstack().reindex(index=rows.contender.unique(), columns=rows.trial.unique())


def fits(rows):
    """Return seconds and accuracy of each fitted model, by contender and trial."""
    return rows.groupby(["contender", "trial"], sort=False)[["seconds", "accuracy"]].last()


@experiment.table
def contenders(rows, options):
    times = {accuracy: seconds_to(accuracy, rows) for accuracy in ACCURACIES}
    ratios = times[0.99]
    if RIVAL in rows.contender.array:
        ratios = times[0.99] / fits(rows).seconds[RIVAL]
    return pd.DataFrame(
        {
            "method": name,
            "accuracy": f"{runs.accuracy.mean():.4f}",
            "fit (s)": f"{runs.seconds.mean():.1f}",
            **{
                f"to {accuracy} (s)": format_times(times[accuracy].loc[name], len(runs))
                for accuracy in ACCURACIES
            },
            f"to 0.99 / fit of {RIVAL}": format_ratios(ratios.loc[name].dropna(), len(runs)),
            "range of fit (s)": f"{runs.seconds.min():.1f} to {runs.seconds.max():.1f}"
            if len(runs) > 1
            else "",
            "trials": len(runs),
        }
        for name, runs in fits(rows).groupby("contender", sort=False)
    )


def format_times(times, n_runs):
    reached = times.count()
    missed = f" ({reached} of {n_runs})" if reached < n_runs else ""
    return f"{times.mean():.1f}{missed}" if reached else "never"


def format_ratios(ratios, n_runs):
    if len(ratios) < n_runs:
        return ""
    return f"{ratios.median():.2f} ({ratios.min():.2f} to {ratios.max():.2f})"


@experiment.figure(
    "accuracy_over_time.png",
    "Accuracy over training time, {n_train:,} images of {data_name}",
    size=(8, 4.5),
)
def accuracy_over_seconds(rows, options, ax):
    numbers = {
        method: number
        for number, method in enumerate(["deep_lenet", "svm", "lenet5", "mlp", "knn"])
    }
    variants = dict.fromkeys(numbers, -1)
    for name, runs in rows.groupby("contender", sort=False):
        method = CONTENDERS[name][0]
        variants[method] += 1
        number, variant = numbers[method], variants[method]
        style = {"color": lab.COLORS[number], "marker": lab.MARKERS[number], "linewidth": 1.2}
        style |= {"linestyle": ["-", "--", ":"][variant]}
        style |= {"fillstyle": ["full", "none", "left"][variant]}
        for trial, points in runs.groupby("trial"):
            ax.plot(points.seconds, points.accuracy, label=None if trial else name, **style)
    for accuracy in ACCURACIES:
        ax.axhline(accuracy, color="0.8", linewidth=0.8, zorder=0)
    ax.set_ylim(min(0.97, fits(rows).accuracy.min() - 0.005), 1)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("Training time (seconds, logarithmic)")
    ax.set_ylabel("Test accuracy")
    ax.figure.legend(loc="outside right upper", frameon=False)
