"""Do KNN, the SVM and the basic neural network generalize badly, and the deep LeNet-5 well?"""

from functools import partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from sklenet.baselines import METHODS, make_method
from sklenet.datasets import fetch_mnist, load_digits_images

from .. import lab
from .corruptions import CORRUPTIONS

OURS = "deep_lenet"
RIVALS = [name for name in METHODS if name != OURS]
FIRST_SIZE, FIRST_SHIFT = 1_000, 2  # from which on the claims count
# Images of MNIST have 28 x 28 pixels, the digits 8 x 8.
STRENGTHS = {
    "shift": {"digits": [0, 1, 2], "mnist": [0, 1, 2, 3, 4, 5, 6]},
    "rotate": {"digits": [0, 20, 40, 60], "mnist": [0, 10, 20, 30, 40, 50, 60]},
    "scale": {"digits": [0.7, 1, 1.3], "mnist": [0.5, 0.7, 0.85, 1, 1.15, 1.3, 1.5]},
    "blur": {"digits": [0, 0.5, 1], "mnist": [0, 0.5, 1, 1.5, 2, 3]},
    "noise": {"digits": [0, 0.2, 0.4], "mnist": [0, 0.1, 0.2, 0.3, 0.4, 0.6]},
    "occlude": {"digits": [0, 2, 4], "mnist": [0, 4, 8, 10, 12]},
    "invert": {"digits": [0, 0.4, 1], "mnist": [0, 0.2, 0.4, 0.6, 0.8, 1]},
}
UNCHANGED = {name: 1 if name == "scale" else 0 for name in STRENGTHS}
CORRUPTED = {
    "shift": (f"images shifted by {FIRST_SHIFT} pixels or more", "Shift (pixels)"),
    "rotate": ("rotated images", "Rotation (degrees)"),
    "scale": ("scaled images", "Scale (1: as trained)"),
    "blur": ("blurred images", "Blur, Gaussian (pixels)"),
    "noise": ("noisy images", "Noise (share of the range)"),
    "occlude": ("occluded images", "Square erased (pixels)"),
    "invert": ("images with less or inverted contrast", "Towards the negative (1)"),
}

experiment = lab.Experiment(
    "generalization",
    __doc__,
    options={
        "trials": lab.Option("trials, each with another seed", 5, 5, minimum=2, maximum=100),
        "sizes": lab.Option(
            "numbers of training images",
            digits=[50, 200, 1_000],
            mnist=[100, 300, 1_000, 3_000, 10_000, 30_000, 60_000],
            minimum=20,
        ),
        "accelerate": lab.Option("use SVM and KNN of scikit-learn-intelex", False, True),
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
    """Score on the same data set and, after the largest training, on corrupted and other images."""
    X, X_test, y, y_test = images[trained_on][trial]
    n_train = min(size, len(y))
    contender = make_method(method, random_state=trial)
    if options.accelerate:
        contender = lab.accelerate(contender)
    contender.fit(*lab.take_subset(X, y, n_train, trial))

    def score(X, y, tested_on=trained_on, corruption="clean", strength=0):
        test = {"tested_on": tested_on, "corruption": corruption, "strength": strength}
        counts = {"n_train": n_train, "n_test": len(y)}
        return {**test, **counts, "accuracy": contender.score(X, y)}

    rows = [score(X_test, y_test)]
    if size < max(options.sizes):
        return rows
    if trained_on == options.data:
        for name, strengths in STRENGTHS.items():
            for strength in strengths[options.data]:
                corrupted = CORRUPTIONS[name](X_test, strength, np.random.RandomState(trial))
                rows.append(score(corrupted, y_test, corruption=name, strength=strength))
    for tested_on in images:
        if tested_on != trained_on:
            _, X_other, _, y_other = images[tested_on][trial]
            convert = {"mnist": as_mnist, "digits": as_digits}[trained_on]
            rows.append(score(convert(X_other), y_other, tested_on))
    return rows


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
    own = rows[(rows.trained_on == options.data) & (rows.tested_on == options.data)]
    return label(own[own.corruption == "clean"], "{size:,} images")


def on_corrupted(rows):
    changed = rows[rows.strength != rows.corruption.map(UNCHANGED)]
    return label(changed[changed.corruption != "clean"], "{corruption} {strength:g}")


def on_other(rows):
    return label(rows[rows.trained_on != rows.tested_on], "{trained_on} to {tested_on}")


def compare(part, options):
    """Return the accuracy of each method and the lead over each rival, a row for each case."""
    accuracies, leads = {}, {}
    for (trained_on, case), rows in part.groupby(["trained_on", "case"], sort=False):
        ratio = lab.training_overlap(trained_on, options.trials)
        scores = rows.pivot(index="trial", columns="method", values="accuracy")
        accuracies[case] = {name: lab.interval(scores[name], ratio) for name in METHODS}
        leads[case] = {name: lab.interval(scores[OURS] - scores[name], ratio) for name in RIVALS}
    return pd.DataFrame(accuracies).T, pd.DataFrame(leads).T


def judge(part, options):
    _, leads = compare(part, options)
    differences = {f"{case} against {rival}": lead for (case, rival), lead in leads.stack().items()}
    return lab.judge_differences(differences) if differences else None


MORE_ACCURATE = "The deep LeNet-5 is more accurate than each other method"


@experiment.claim(
    f"{MORE_ACCURATE} at every training size from {FIRST_SIZE:,} images up.",
    "accuracy_over_size.png",
)
def more_accurate_over_sizes(rows, options):
    return judge(over_sizes(rows[rows["size"] >= FIRST_SIZE], options), options)


@experiment.claim(f"{MORE_ACCURATE} on the other data set.", "other_data_set.png")
def more_accurate_on_other(rows, options):
    return judge(on_other(rows), options)


def more_accurate_on_corrupted(corruption, rows, options):
    chosen = rows[rows.corruption == corruption]
    if corruption == "shift":
        chosen = chosen[chosen.strength >= FIRST_SHIFT]
    return judge(on_corrupted(chosen), options)


for name, (corrupted_images, _) in CORRUPTED.items():
    register = experiment.claim(f"{MORE_ACCURATE} on {corrupted_images}.", "corruptions.png")
    register(partial(more_accurate_on_corrupted, name))


def make_tables(what, part, options):
    accuracies, leads = compare(part, options)
    leads = leads.map(lambda lead: f"{lead:+.4f} {lead.outcome()}").add_prefix("lead over ")
    return {
        "accuracies": accuracies.map("{:.4f}".format).rename_axis(what).reset_index(),
        "leads": leads.rename_axis(what).reset_index(),
    }


@experiment.table
def sizes(rows, options):
    return make_tables("trained on", over_sizes(rows, options), options)


@experiment.table
def corrupted(rows, options):
    clean = over_sizes(rows[rows["size"] == max(options.sizes)], options)
    part = pd.concat([label(clean, "as they are"), on_corrupted(rows)])
    return make_tables("test images", part, options)


@experiment.table
def other(rows, options):
    same = rows[(rows["size"] == max(options.sizes)) & (rows.corruption == "clean")]
    same = label(same[same.trained_on == same.tested_on], "{trained_on} to {tested_on}")
    return make_tables("trained on, tested on", pd.concat([on_other(rows), same]), options)


def draw_methods(ax, x, accuracies, **style):
    for number, method in enumerate(METHODS):
        lab.draw_estimates(ax, x, accuracies[method], number, label=method, markersize=5, **style)


@experiment.figure(
    "accuracy_over_size.png",
    "Test error and its 95 % interval, images of {data_name}",
    size=(7, 4.5),
)
def accuracy_over_size(rows, options, ax):
    accuracies, _ = compare(over_sizes(rows, options), options)
    draw_methods(ax, options.sizes, accuracies.map(lab.Estimate.complement))
    ax.set(xscale="log", yscale="log", xlabel="Training images", ylabel="Test error")
    ax.set_xticks(options.sizes, [f"{size:,}" for size in options.sizes])
    ax.set_xticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")
    ax.legend(frameon=False)


@experiment.figure(
    "corruptions.png",
    "Trained on clean images of {data_name}, tested on corrupted ones "
    "(bars: 95 % intervals; dotted: one guess in ten)",
    size=(11, 5.5),
    panels=(2, 4),
    sharey=True,
)
def corruptions(rows, options, axes):
    for ax, (name, (_, axis)) in zip(axes.flat, CORRUPTED.items(), strict=False):
        part = rows[rows.corruption == name]
        accuracies, _ = compare(label(part, "{strength}"), options)
        draw_methods(ax, part.strength.unique(), accuracies)
        ax.axhline(0.1, color="0.6", linestyle=":", linewidth=1)
        ax.set(xlabel=axis, ylim=(0, 1.02))
    for ax in axes[:, 0]:
        ax.set_ylabel("Test accuracy")
    axes[-1, -1].set_axis_off()
    axes[-1, -1].legend(*axes[0, 0].get_legend_handles_labels(), loc="center", frameon=False)


@experiment.figure(
    "corrupted_images.png",
    "Corrupted images of {data_name} and their strengths",
    size=(7, 6.5),
    panels=(7, 7),
)
def corrupted_images(rows, options, axes):
    X = load_digits_images()[0] if options.data == "digits" else fetch_mnist()[1]
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[], frame_on=False)
    for image, row, (name, corrupt) in zip(X[:, None], axes, CORRUPTIONS.items(), strict=False):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
        strengths = rows[rows.corruption == name].strength.unique()
        for ax, strength in zip(row, strengths, strict=False):
            changed = corrupt(image, strength, np.random.RandomState(1))
            ax.imshow(changed[0], cmap="gray_r", vmin=0, vmax=X.max())
            ax.set_title(f"{strength:g}", fontsize=8)


@experiment.figure(
    "other_data_set.png",
    "Trained on one data set, tested on the other",
    size=(7, 3.5),
    data="mnist",
)
def other_data_set(rows, options, ax):
    accuracies, _ = compare(on_other(rows), options)
    places = np.arange(len(accuracies))
    for number, method in enumerate(METHODS):
        x = places + 0.1 * (number - len(METHODS) // 2)
        lab.draw_estimates(ax, x, accuracies[method], number, label=method, linestyle="none")
    ax.set_xticks(places, accuracies.index)
    ax.set(xlim=(-0.5, len(places) - 0.5), ylabel="Accuracy and its 95 % interval")
    ax.figure.legend(loc="outside right", frameon=False)
