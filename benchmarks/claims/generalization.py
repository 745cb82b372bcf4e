"""Do KNN, the SVM and the basic neural network generalize badly, and the deep LeNet-5 well?"""

from functools import partial
from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from sklenet.comparison import METHODS, make_method
from sklenet.datasets import fetch_mnist, load_digits_images

from .. import lab
from .corruptions import CORRUPTIONS

OURS, PLAIN = "deep_lenet", "deep_lenet, no augmentation"
CONTENDERS = [*METHODS, PLAIN]
FIRST_SIZE, FIRST_SHIFT = 1_000, 2  # from which on the claims count
SHARES = [0, 0.2, 0.4, 0.6, 0.8, 1]
# What the images are, the axis of the picture, and the strengths on the digits and on MNIST.
CORRUPTED = {
    "shift": ("images shifted by 2 pixels or more", "Shift (pixels)", range(3), range(7)),
    "rotate": ("rotated images", "Rotation (degrees)", range(0, 61, 20), range(0, 61, 10)),
    "scale": ("scaled images", "Scale", [0.7, 1, 1.3], [0.5, 0.7, 0.85, 1, 1.15, 1.3, 1.5]),
    "blur": ("blurred images", "Gaussian blur (pixels)", [0, 0.5, 1], [0, 0.5, 1, 1.5, 2, 3]),
    "noise": ("noisy images", "Noise / range", [0, 0.2, 0.4], [0, 0.1, 0.2, 0.3, 0.4, 0.6]),
    "occlude": ("occluded images", "Square erased (pixels)", [0, 2, 4], [0, 4, 8, 10, 12]),
    "invert": ("images with less or inverted contrast", "Share of the negative", SHARES, SHARES),
}
UNCHANGED = {name: 1 if name == "scale" else 0 for name in CORRUPTED}

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"trials": 5, "sizes": [50, 200, 1_000], "accelerate": False},
    mnist={
        "trials": 5,
        "sizes": [100, 300, 1_000, 3_000, 10_000],
        "accelerate": True,
    },
)


@experiment.images
def images(options):
    if options.accelerate:
        lab.check_installed("--accelerate/--no-accelerate", "sklearnex")
    data_sets = ["digits", "mnist"] if options.data == "mnist" else ["digits"]
    trials = {data: lab.sample_trials(data, options.trials) for data in data_sets}
    for trial, (X, _, y, _) in enumerate(trials[options.data]):
        for size in options.sizes:
            lab.take_subset(X, y, size, trial, argument="--sizes")
    return trials


@experiment.rows
def cells(options):
    for trial in range(options.trials):
        trainings = [(options.data, size) for size in options.sizes]
        if options.data == "mnist":
            trainings.append(("digits", max(options.sizes)))
        for (trained_on, size), method in product(trainings, CONTENDERS):
            yield {"trained_on": trained_on, "trial": trial, "size": size, "method": method}


@experiment.measure
def accuracies(trained_on, trial, size, method, *, images, options):
    """Score on clean images and, after the largest training, on corrupted and other images."""
    X, X_test, y, y_test = images[trained_on][trial]
    size = min(size, len(y))
    contender = make_method(method.removesuffix(", no augmentation"), random_state=trial)
    if method == PLAIN:
        contender.set_params(classifier__augmentation=None)
    if "classifier__check_pixels" in contender.get_params():
        contender.set_params(classifier__check_pixels=False)  # corrupted images are intended
    if options.accelerate:
        contender = lab.accelerate(contender)
    contender.fit(*lab.take_subset(X, y, size, trial))
    tests = [(trained_on, None, 0, X_test, y_test)]
    if size == min(max(options.sizes), len(y)):
        for corruption, (*_, on_digits, on_mnist) in CORRUPTED.items():
            for strength in {"digits": on_digits, "mnist": on_mnist}[options.data]:
                if trained_on == options.data:
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
    """Enlarge scikit-learn's digits, 0 to 16, to MNIST's: 20 x 20 pixels, 0 to 255, in 28 x 28."""
    pixels = torch.from_numpy(digits).float()[:, None] * (255 / 16)
    boxes = functional.interpolate(pixels, size=20, mode="bilinear", align_corners=False)
    return functional.pad(boxes, (4, 4, 4, 4))[:, 0].round().byte().numpy()


def as_digits(images):
    """Reduce the inner 20 x 20 pixels of MNIST's images to 8 x 8 means, and 255 to 16."""
    boxes = torch.from_numpy(images[:, None, 4:24, 4:24]).float()
    means = functional.adaptive_avg_pool2d(boxes, 8)
    return (means * (16 / 255))[:, 0].round().byte().numpy()


def with_cases(rows, options):
    """Name the case of each row, and its part of the page; drop corruptions that change nothing."""
    rows = rows[rows.strength != rows.corruption.map(UNCHANGED)]
    size = rows["size"].map("{:,} images".format)
    corrupted = rows.corruption + rows.strength.map(" {:g}".format)
    data_sets = (rows.trained_on + " to " + rows.tested_on).str.replace("mnist", "MNIST")
    is_own = (rows.trained_on == options.data) & (rows.tested_on == options.data)
    part = np.select([rows.corruption.notna(), is_own], ["corruption", "size"], "data set")
    return rows.assign(part=part, case=corrupted.fillna(size.where(is_own, data_sets)))


def compare(rows, options):
    """Return the accuracies, a row for each case and a column for each method, and the leads."""
    accuracies, leads = [], []
    for trained_on, part in rows.groupby("trained_on", sort=False):
        trials = SimpleNamespace(data=trained_on, trials=options.trials)
        accuracies.append(lab.estimate(part, "accuracy", ["case", "method"], trials))
        methods = part[part.method != PLAIN]
        leads.append(lab.leads(methods, "accuracy", "method", OURS, "case", trials))
    return pd.concat(accuracies).unstack(sort=False), pd.concat(leads)


def judge(rows, options):
    return lab.judge(compare(with_cases(rows, options), options)[1]) if len(rows) else None


MORE_ACCURATE = "The deep LeNet-5 is more accurate than every other method"


@experiment.claim(f"{MORE_ACCURATE} from {FIRST_SIZE:,} training images on.")
def is_better_over_sizes(rows, options):
    own = (rows.trained_on == rows.tested_on) & (rows.trained_on == options.data)
    return judge(rows[own & rows.corruption.isna() & (rows["size"] >= FIRST_SIZE)], options)


@experiment.claim(f"{MORE_ACCURATE} on the other data set.", "other_data_set.png")
def is_better_on_other(rows, options):
    return judge(rows[rows.trained_on != rows.tested_on], options)


def is_better_on_corrupted(corruption, rows, options):
    first = FIRST_SHIFT if corruption == "shift" else 0
    return judge(rows[(rows.corruption == corruption) & (rows.strength >= first)], options)


for name, (images_are, *_) in CORRUPTED.items():
    register = experiment.claim(f"{MORE_ACCURATE} on {images_are}.", "corruptions.png")
    register(partial(is_better_on_corrupted, name))


@experiment.table
def parts(rows, options):
    """Return the accuracies and the leads in each part."""
    tables = {}
    for part, chosen in with_cases(rows, options).groupby("part"):
        accuracies, leads = compare(chosen, options)
        leads = leads.map(lambda lead: f"{lead:+.4f} {lead.outcome()}").unstack(sort=False)
        tables[part] = {
            "accuracies": accuracies.map("{:.4f}".format).rename_axis(part),
            "leads": leads.add_prefix("lead over ").rename_axis(part),
        }
    return tables


@experiment.figure(
    "accuracy_over_size.png", "Test error and its 95 % interval, images of {data_name}", (7, 4.5)
)
def error_over_size(rows, options, ax):
    rows = with_cases(rows, options).query("part == 'size'")
    rows = rows.assign(error=1 - rows.accuracy)
    lab.draw_lines(ax, rows, "size", "error", "method", options)
    ax.set(xscale="log", yscale="log", xlabel="Training images", ylabel="Test error")
    ax.set_xticks(options.sizes, [f"{size:,}" for size in options.sizes])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")
    ax.legend(frameon=False)


@experiment.figure(
    "corruptions.png",
    "Test accuracy on corrupted images, trained on images of {data_name} "
    "(bars: 95 % intervals; dotted: one guess in ten)",
    size=(11, 5.5),
    panels=["corruption"],
    sharey=True,
)
def accuracy_over_strength(rows, options, ax):
    lab.draw_lines(ax, rows, "strength", "accuracy", "method", options)
    ax.axhline(0.1, color="0.6", linestyle=":", linewidth=1)
    ax.set(xlabel=CORRUPTED[rows.corruption.iloc[0]][1], ylim=(0, 1.02))


@experiment.figure(
    "corrupted_images.png", "Corrupted images of {data_name} and their strengths", (7, 6.5)
)
def examples(rows, options, ax):
    X = load_digits_images()[0] if options.data == "digits" else fetch_mnist()[1]
    side, strengths = X.shape[1], rows.groupby("corruption", sort=False).strength.unique()
    for row, (name, values) in enumerate(strengths.items()):
        for column, strength in enumerate(values):
            image = CORRUPTIONS[name](X[[row]], strength, np.random.RandomState(1))[0]
            left, top = 1.1 * side * column, 1.4 * side * row
            extent = (left, left + side, top + side, top)
            ax.imshow(image, "gray_r", vmin=0, vmax=X.max(), extent=extent)
            ax.text(left + side / 2, top - side / 30, f"{strength:g}", ha="center", fontsize=8)
        ax.text(-0.1 * side, (1.4 * row + 0.6) * side, name, ha="right")
    ax.set(xlim=(0, 7.7 * side), ylim=(1.4 * side * len(strengths), -0.2 * side))
    ax.set(xticks=[], yticks=[], frame_on=False)


@experiment.figure(
    "other_data_set.png", "Trained on one data set, tested on the other", (7, 3.5), data=["mnist"]
)
def accuracy_on_other(rows, options, ax):
    rows = rows[rows.trained_on != rows.tested_on]
    accuracies, _ = compare(with_cases(rows, options), options)
    for number, (case, points) in enumerate(accuracies.iterrows()):
        lab.draw_line(ax, points, number, label=case, linestyle="none")
    ax.set_xticks(range(len(points)), [name.replace(", ", ",\n") for name in points.index])
    ax.set_ylabel("Accuracy and its 95 % interval")
    ax.legend(frameon=False)
