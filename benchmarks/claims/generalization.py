"""Do KNN, the SVM and the basic neural network generalize badly, and the deep LeNet-5 well?"""

from functools import partial
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from sklenet.baselines import METHODS, make_method
from sklenet.datasets import fetch_mnist, load_digits_images

from .. import lab
from .corruptions import CORRUPTIONS

OURS = "deep_lenet"
FIRST_SIZE, FIRST_SHIFT = 1_000, 2  # where the claims begin
STRENGTHS = {
    "digits": {
        "shift": [0, 1, 2],
        "rotate": [0, 20, 40, 60],
        "scale": [0.7, 1, 1.3],
        "blur": [0, 0.5, 1],
        "noise": [0, 0.2, 0.4],
        "occlude": [0, 2, 4],
        "invert": [0, 0.4, 1],
    },
    "mnist": {
        "shift": [0, 1, 2, 3, 4, 5, 6],
        "rotate": [0, 10, 20, 30, 40, 50, 60],
        "scale": [0.5, 0.7, 0.85, 1, 1.15, 1.3, 1.5],
        "blur": [0, 0.5, 1, 1.5, 2, 3],
        "noise": [0, 0.1, 0.2, 0.3, 0.4, 0.6],
        "occlude": [0, 4, 8, 10, 12],
        "invert": [0, 0.2, 0.4, 0.6, 0.8, 1],
    },
}
CORRUPTED = {
    "shift": (f"images shifted by {FIRST_SHIFT} pixels or more", "Shift (pixels)"),
    "rotate": ("rotated images", "Rotation (degrees)"),
    "scale": ("scaled images", "Scale (1: as trained)"),
    "blur": ("blurred images", "Blur, Gaussian (pixels)"),
    "noise": ("noisy images", "Noise (share of the range)"),
    "occlude": ("occluded images", "Square erased (pixels)"),
    "invert": ("images with less or inverted contrast", "Towards the negative (1)"),
}
UNCHANGED = {name: 1 if name == "scale" else 0 for name in CORRUPTED}

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"trials": 5, "sizes": [50, 200, 1_000], "accelerate": False},
    mnist={
        "trials": 5,
        "sizes": [100, 300, 1_000, 3_000, 10_000, 30_000, 60_000],
        "accelerate": True,
    },
)


@experiment.images
def images(options):
    if options.accelerate and find_spec("sklearnex") is None:
        raise ValueError(
            "argument --accelerate: needs scikit-learn-intelex; pip install it, or --no-accelerate"
        )
    data_sets = ["digits", "mnist"] if options.data == "mnist" else ["digits"]
    trials = {data: lab.sample_trials(data, options.trials) for data in data_sets}
    for trial, (X, _, y, _) in enumerate(trials[options.data]):
        for size in options.sizes:
            lab.take_subset(X, y, size, trial, argument="--sizes")
    return trials


@experiment.rows
def cells(options):
    for trial in range(options.trials):
        for size in options.sizes:
            for method in METHODS:
                yield {"trained_on": options.data, "trial": trial, "size": size, "method": method}
        if options.data == "mnist":
            for method in METHODS:
                cell = {"trained_on": "digits", "trial": trial, "size": max(options.sizes)}
                yield {**cell, "method": method}


@experiment.measure
def accuracies(trained_on, trial, size, method, *, images, options):
    """Score on clean images and, after the largest training, on corrupted and other images."""
    X, X_test, y, y_test = images[trained_on][trial]
    size = min(size, len(y))
    contender = make_method(method, random_state=trial)
    if options.accelerate:
        contender = lab.accelerate(contender)
    contender.fit(*lab.take_subset(X, y, size, trial))
    tests = [(trained_on, None, 0, X_test, y_test)]
    if size == min(max(options.sizes), len(y)):
        strengths = STRENGTHS[trained_on] if trained_on == options.data else {}
        for corruption, values in strengths.items():
            for strength in values:
                random_state = np.random.RandomState(trial)
                corrupted = CORRUPTIONS[corruption](X_test, strength, random_state)
                tests.append((trained_on, corruption, strength, corrupted, y_test))
        for other in images.keys() - {trained_on}:
            _, X_other, _, y_other = images[other][trial]
            convert = {"mnist": as_mnist, "digits": as_digits}[trained_on]
            tests.append((other, None, 0, convert(X_other), y_other))
    columns = ["tested_on", "corruption", "strength", "accuracy", "n_train", "n_test"]
    return [
        dict(zip(columns, (*test, contender.score(X, y), size, len(y)), strict=True))
        for *test, X, y in tests
    ]


def as_mnist(digits):
    """Enlarge scikit-learn's digits to 20 x 20 pixels, the box of MNIST's, and pad them to 28 x 28.

    Their pixels, 0 to 16, become 0 to 255.
    """
    pixels = torch.from_numpy(digits).float()[:, None] * (255 / 16)
    boxes = functional.interpolate(pixels, size=20, mode="bilinear", align_corners=False)
    return functional.pad(boxes, (4, 4, 4, 4))[:, 0].round().byte().numpy()


def as_digits(images):
    """Reduce the inner 20 x 20 pixels of MNIST's images, which hold the digit, to 8 x 8 means.

    Their pixels, 0 to 255, become 0 to 16.
    """
    boxes = torch.from_numpy(images[:, None, 4:24, 4:24]).float()
    means = functional.adaptive_avg_pool2d(boxes, 8)
    return (means * (16 / 255))[:, 0].round().byte().numpy()


def label(rows, case):
    """Name the case of each row."""
    cases = [case.format(**row).replace("mnist", "MNIST") for row in rows.to_dict("records")]
    return rows.assign(case=cases)


def over_sizes(rows, options):
    own = (rows.trained_on == options.data) & (rows.tested_on == options.data)
    return label(rows[own & rows.corruption.isna()], "{size:,} images")


def on_corrupted(rows):
    changed = rows.corruption.notna() & (rows.strength != rows.corruption.map(UNCHANGED))
    return label(rows[changed], "{corruption} {strength:g}")


def on_other(rows):
    return label(rows[rows.trained_on != rows.tested_on], "{trained_on} to {tested_on}")


def estimate(part, options):
    """Return the accuracies, a row for each case and a column for each method, and the leads."""
    accuracies, leads = [], []
    for trained_on, rows in part.groupby("trained_on", sort=False):
        trials = SimpleNamespace(data=trained_on, trials=options.trials)
        accuracies.append(lab.estimate(rows, "accuracy", ["case", "method"], trials))
        leads.append(lab.leads(rows, "accuracy", "method", OURS, "case", trials))
    return pd.concat(accuracies).unstack(sort=False), pd.concat(leads)


def judge(part, options):
    return lab.judge(estimate(part, options)[1]) if len(part) else None


MORE_ACCURATE = "The deep LeNet-5 is more accurate than each other method"


@experiment.claim(
    f"{MORE_ACCURATE} at every training size from {FIRST_SIZE:,} images up.",
    "accuracy_over_size.png",
)
def is_better_over_sizes(rows, options):
    return judge(over_sizes(rows[rows["size"] >= FIRST_SIZE], options), options)


@experiment.claim(f"{MORE_ACCURATE} on the other data set.", "other_data_set.png")
def is_better_on_other(rows, options):
    return judge(on_other(rows), options)


def is_better_on_corrupted(corruption, rows, options):
    first = FIRST_SHIFT if corruption == "shift" else 0
    part = rows[(rows.corruption == corruption) & (rows.strength >= first)]
    return judge(on_corrupted(part), options)


for name, (corrupted_images, _) in CORRUPTED.items():
    register = experiment.claim(f"{MORE_ACCURATE} on {corrupted_images}.", "corruptions.png")
    register(partial(is_better_on_corrupted, name))


def make_tables(what, part, options):
    accuracies, leads = estimate(part, options)
    leads = leads.map(lambda lead: f"{lead:+.4f} {lead.outcome()}").unstack(sort=False)
    return {
        "accuracies": accuracies.map("{:.4f}".format).rename_axis(what),
        "leads": leads.add_prefix("lead over ").rename_axis(what),
    }


@experiment.table
def sizes(rows, options):
    return make_tables("trained on", over_sizes(rows, options), options)


@experiment.table
def corrupted(rows, options):
    clean = over_sizes(rows[rows["size"] == max(options.sizes)], options)
    part = pd.concat([clean.assign(case="as they are"), on_corrupted(rows)])
    return make_tables("test images", part, options)


@experiment.table
def other(rows, options):
    same = rows[(rows["size"] == max(options.sizes)) & rows.corruption.isna()]
    same = label(same[same.trained_on == same.tested_on], "{trained_on} to {tested_on}")
    return make_tables("trained on, tested on", pd.concat([on_other(rows), same]), options)


@experiment.figure(
    "accuracy_over_size.png", "Test error and its 95 % interval, images of {data_name}", (7, 4.5)
)
def error_over_size(rows, options, ax):
    part = over_sizes(rows, options)
    part = part.assign(error=1 - part.accuracy)
    lab.draw_lines(ax, part, "size", "error", "method", options)
    ax.set(xscale="log", yscale="log", xlabel="Training images", ylabel="Test error")
    ax.set_xticks(options.sizes, [f"{size:,}" for size in options.sizes])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")
    ax.legend(frameon=False)


@experiment.figure(
    "corruptions.png",
    "Test accuracy on corrupted images, trained on clean images of {data_name} "
    "(bars: 95 % intervals; dotted: one guess in ten)",
    size=(11, 5.5),
    panels=["corruption"],
    sharey=True,
)
def accuracy_over_strength(rows, options, ax):
    lab.draw_lines(ax, rows, "strength", "accuracy", "method", options)
    ax.axhline(0.1, color="0.6", linestyle=":", linewidth=1)
    _, axis = CORRUPTED[rows.corruption.iloc[0]]
    ax.set(xlabel=axis, ylim=(0, 1.02))


@experiment.figure(
    "corrupted_images.png", "Corrupted images of {data_name} and their strengths", (7, 6.5)
)
def examples(rows, options, ax):
    X = load_digits_images()[0] if options.data == "digits" else fetch_mnist()[1]
    side, strengths = X.shape[1], rows.groupby("corruption", sort=False).strength.unique()
    for row, (name, values) in enumerate(strengths.items()):
        for column, strength in enumerate(values):
            corrupt = CORRUPTIONS[name]
            image = corrupt(X[row : row + 1], strength, np.random.RandomState(1))[0]
            left, top = 1.1 * side * column, 1.4 * side * row
            extent = (left, left + side, top + side, top)
            ax.imshow(image, "gray_r", vmin=0, vmax=X.max(), extent=extent)
            ax.text(left + side / 2, top - 1, f"{strength:g}", ha="center", fontsize=8)
    ax.set(
        xlim=(0, 7.7 * side),
        ylim=(1.4 * side * len(strengths), -0.2 * side),
        xticks=[],
        frame_on=False,
    )
    ax.set_yticks([(1.4 * row + 0.5) * side for row in range(len(strengths))], strengths.index)
    ax.tick_params(length=0)
    ax.grid(False)


@experiment.figure(
    "other_data_set.png", "Trained on one data set, tested on the other", (7, 3.5), data=["mnist"]
)
def accuracy_on_other(rows, options, ax):
    accuracies, _ = estimate(on_other(rows), options)
    for number, (case, points) in enumerate(accuracies.iterrows()):
        lab.draw_line(ax, points, number, label=case, linestyle="none")
    ax.set_ylabel("Accuracy and its 95 % interval")
    ax.legend(frameon=False)
