"""Does each of the paper's changes to LeNet-5 make it more accurate?"""

import time
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from sklenet import DeepLeNetClassifier
from sklenet.significance import corrected_t_test

from .. import lab

LENET5 = {**lab.ARCHITECTURES["LeNet-5"], "activation": "sigmoid", "output": "sigmoid"}
CHANGES = {
    "32 and 64 kernels": "conv_channels",
    "1024 and 67 hidden units": "hidden_layer_sizes",
    "maximum pooling": "pooling",
    "l_relu": "activation",
    "softmax output": "output",
}
# Learning rate and weight decay: the defaults of the deep network, those of `make_method("lenet5")`
# and others around them.
RECIPES = {
    "digits": [(5e-3, 0.3), (2e-2, 2e-2)],
    "mnist": [(5e-3, 0.3), (1e-2, 0.1), (2e-2, 2e-2), (5e-2, 2e-2)],
}
PICTURE = "ablation.png"


def name_of(changes):
    return " + ".join(("LeNet-5", *changes)) if len(changes) < len(CHANGES) else "Deep LeNet"


STEPS = [tuple(CHANGES)[:n] for n in range(len(CHANGES) + 1)]
OTHERS = {change: tuple(other for other in CHANGES if other != change) for change in CHANGES}
NETWORKS = {name_of(changes): changes for changes in (*STEPS, *OTHERS.values())}
# Each change and the networks before and after it: on the way from LeNet-5, and as the last one.
ADDED = [(after[-1], name_of(before), name_of(after)) for before, after in pairwise(STEPS)]
ADDED_LAST = [(change, name_of(others), "Deep LeNet") for change, others in OTHERS.items()]

experiment = lab.Experiment(
    "architecture_ablation",
    __doc__,
    options={
        "trials": lab.Option("trials, each with another seed", 5, 4, minimum=2, maximum=100),
        "n_train": lab.Option("training images", 250, 10_000, minimum=20),
        "epochs": lab.Option("epochs of a training", 10, 10, minimum=1, maximum=1000),
    },
)
experiment.images(lab.sample_tuned_trials)


@experiment.rows
def cells(options):
    chosen = []
    for network in NETWORKS:
        accuracies = {}
        for recipe in RECIPES[options.data]:
            measured = yield make_cell("validation", 0, network, recipe)
            accuracies[recipe] = measured["accuracy"]
        chosen.append((network, max(accuracies, key=accuracies.get)))
    for trial in range(options.trials):
        for network, recipe in chosen:
            yield make_cell("test", trial, network, recipe)


def make_cell(stage, trial, network, recipe):
    lr, weight_decay = recipe
    cell = {"stage": stage, "trial": trial, "network": network}
    return {**cell, "lr": lr, "weight_decay": weight_decay}


@experiment.measure
def accuracy(stage, trial, network, lr, weight_decay, *, images, options):
    X, X_test, y, y_test = images[stage][trial]
    epochs = options.epochs if stage == "test" else (options.epochs + 1) // 2
    changed = {CHANGES[change] for change in NETWORKS[network]}
    parameters = {key: value for key, value in LENET5.items() if key not in changed}
    classifier = DeepLeNetClassifier(
        lr=lr, weight_decay=weight_decay, max_epochs=epochs, random_state=trial, **parameters
    )
    start = time.perf_counter()
    classifier.fit(X, y)
    return {
        "fit_s": time.perf_counter() - start,
        "accuracy": classifier.score(X_test, y_test),
        "parameters": sum(parameter.numel() for parameter in classifier.module_.parameters()),
        "n_train": len(y),
        "n_test": len(y_test),
    }


class Gain(NamedTuple):
    """The gain in accuracy of a change, by the corrected resampled t-test."""

    change: str
    before: str
    after: str
    difference: lab.Estimate
    p: float

    def __str__(self):
        return f"{self.difference:+.4f}, {lab.format_p(self.p)}"


def gains(rows, pairs):
    tested = rows[rows.stage == "test"]
    ratio = (tested.n_test / tested.n_train).iloc[0]
    accuracies = tested.pivot(index="trial", columns="network", values="accuracy")
    for change, before, after in pairs:
        having, without = accuracies[after], accuracies[before]
        difference = lab.interval(having - without, ratio)
        yield Gain(change, before, after, difference, corrected_t_test(having, without, ratio))


def judge(gains):
    gains = list(gains)
    effect = "; ".join(f"{gain.change} {gain}" for gain in gains)
    return lab.Finding([gain.difference.outcome() for gain in gains], f"{effect}.")


@experiment.claim("All changes together make LeNet-5 more accurate.", PICTURE)
def all_changes(rows, options):
    return judge(gains(rows, [("all changes", "LeNet-5", "Deep LeNet")]))


@experiment.claim("Each change, added to those before it, makes LeNet-5 more accurate.", PICTURE)
def each_change(rows, options):
    return judge(gains(rows, ADDED))


@experiment.claim("Each change alone, undone in the Deep LeNet, costs accuracy.", PICTURE)
def each_change_undone(rows, options):
    return judge(gains(rows, ADDED_LAST))


@experiment.table
def networks(rows, options):
    lines = [("LeNet-5", "LeNet-5", "")]
    lines += [(f"+ {gain.change}", gain.after, gain) for gain in gains(rows, ADDED)]
    lines += [(f"all but {gain.change}", gain.before, gain) for gain in gains(rows, ADDED_LAST)]
    ratio = lab.training_overlap(options.data, options.trials)
    tested = dict(list(rows[rows.stage == "test"].groupby("network")))
    return pd.DataFrame(
        {
            "network": label,
            "accuracy": f"{lab.interval(runs.accuracy, ratio):.4f}",
            "gain of the change": gain,
            "parameters": f"{runs.parameters.iloc[0]:,}",
            "fit (s)": f"{runs.fit_s.median():.1f}",
            "lr, weight decay": f"{runs.lr.iloc[0]:g}, {runs.weight_decay.iloc[0]:g}",
        }
        for label, runs, gain in [(label, tested[name], gain) for label, name, gain in lines]
    )


@experiment.table
def recipes(rows, options):
    """Return the recipes that were tried, and for how many networks the best is an extreme one."""
    columns = ["lr", "weight_decay"]
    tried = rows[rows.stage == "validation"][columns].drop_duplicates()
    chosen = rows[rows.stage == "test"].drop_duplicates("network")[columns]
    text = "; ".join(f"{lr:g}, {weight_decay:g}" for lr, weight_decay in tried.to_numpy())
    n_extreme = len(chosen.merge(tried.iloc[[0, -1]]))
    return {"tried": text, "n_extreme": n_extreme, "n_networks": len(chosen)}


@experiment.figure(
    PICTURE, "From LeNet-5 to the Deep LeNet, {n_train:,} images of {data_name}", size=(9, 3.6)
)
def ablation(rows, options, ax):
    heights = np.arange(len(CHANGES))
    for number, (pairs, label) in enumerate(
        [(ADDED, "added to those above it"), (ADDED_LAST, "added last")]
    ):
        points = [100 * np.array(gain.difference) for gain in gains(rows, pairs)]
        style = {"linestyle": "none", "horizontal": True, "label": label}
        lab.draw_estimates(ax, heights + 0.2 * number - 0.1, points, number, **style)
    ax.axvline(0, color="0.5", linewidth=1)
    ax.set_yticks(heights, CHANGES)
    ax.invert_yaxis()
    ax.set_xlabel("Gain in accuracy and its 95 % interval (percentage points)")
    ax.figure.legend(loc="outside right", title="Each change", frameon=False)
