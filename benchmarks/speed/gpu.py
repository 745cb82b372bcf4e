"""How fast does a CUDA device train the network, and is it as accurate as on the CPU?"""

import time
from functools import partial

import pandas as pd
import torch
from skorch.callbacks import Callback

from sklenet import DeepLeNetClassifier

from .. import lab

FIRST = "first fit of the process"
CONTENDERS = {
    FIRST: {"max_epochs": 1},
    "1 epoch": {"max_epochs": 1},
    "1 epoch, kernel by kernel": {"max_epochs": 1},
    "default": {},
    "default, float32": {"precision": "float32"},
    "affine, twice the epochs": {"augmentation": "affine"},
}
ON_CPU = ["1 epoch", "default"]  # once, for their accuracy
ACCURACY = 0.99

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"n_train": 1_000, "trials": 2},
    mnist={"n_train": 60_000, "trials": 3},
)


@experiment.images
def images(options):
    if not torch.cuda.is_available():
        raise ValueError("the experiment gpu needs a CUDA device, and PyTorch does not find any")
    return lab.load_subset(options)


@experiment.rows
def cells(options):
    for trial in range(options.trials):
        for device in ("cuda", "cpu"):
            if device == "cuda" or trial == 0:
                yield {"trial": trial, "device": device}


@experiment.measure
def accuracy_over_time(trial, device, *, images, options):
    names = CONTENDERS if device == "cuda" else ON_CPU
    return lab.run_in_new_process(partial(fit_all, names, device, trial), *images)


class BatchCallback(Callback):
    """A callback that sees each batch: the steps are then not captured."""

    def on_batch_end(self, net, **kwargs):
        pass


def fit_all(names, device, seed, X, X_test, y, y_test):
    rows = []
    for name in names:
        clock = lab.AccuracyClock(X_test, y_test)
        callbacks = [clock, BatchCallback()] if "kernel by kernel" in name else [clock]
        options = {"device": device, "random_state": seed, "callbacks": callbacks}
        classifier = DeepLeNetClassifier(**options, **CONTENDERS[name])
        clock.start = time.perf_counter()
        classifier.fit(X, y)
        seconds = time.perf_counter() - clock.start - clock.pause
        points = [*clock.points[:-1], (seconds, float(classifier.score(X_test, y_test)))]
        rows += [
            {"contender": name, "point": point, "seconds": seconds, "accuracy": accuracy}
            for point, (seconds, accuracy) in enumerate(points, start=1)
        ]
    return rows


@experiment.table
def contenders(rows, options):
    trials = rows.groupby(["device", "contender", "trial"], sort=False)
    fits = trials.last()
    reached = rows.seconds.where(rows.accuracy >= ACCURACY)
    columns = [rows.device, rows.contender, rows.trial]
    fits["reached"] = reached.groupby(columns, sort=False).first()
    methods = fits.groupby(["device", "contender"], sort=False)
    return pd.DataFrame(
        {
            "accuracy": methods.accuracy.mean().map("{:.4f}".format),
            "fit (s)": methods.seconds.median().map("{:.2f}".format),
            "range (s)": methods.seconds.agg(
                lambda times: f"{times.min():.2f} to {times.max():.2f}" if len(times) > 1 else ""
            ),
            f"to {ACCURACY} (s)": methods.reached.agg(lab.format_reached),
            "trials": methods.size(),
        }
    ).rename_axis(["device", "fit"])


@experiment.figure(
    "accuracy_over_time.png",
    "Test accuracy over training time, {n_train:,} images of {data_name}",
    size=(8, 4.5),
)
def accuracy_over_seconds(rows, options, ax):
    names = rows.device.str.upper() + ", " + rows.contender
    for number, (name, runs) in enumerate(rows.groupby(names, sort=False)):
        means = runs.groupby("point")[["seconds", "accuracy"]].mean()
        color, marker = lab.style_of(number)
        style = {"color": color, "marker": marker, "linewidth": 1.2, "label": name}
        ax.plot(means.seconds, means.accuracy, **style)
    ax.axhline(ACCURACY, color="0.6", linewidth=0.8, zorder=0)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="Training time (s)", ylabel="Test accuracy, mean of the trials")
    ax.figure.legend(loc="outside right", frameon=False)
