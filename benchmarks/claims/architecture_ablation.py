"""Does each of the paper's changes to LeNet-5 make it more accurate?"""

import time
from itertools import pairwise

import numpy as np
import pandas as pd

from sklenet import DeepLeNetClassifier
from sklenet.comparison import corrected_t_test

from .. import lab

LENET5 = {**lab.ARCHITECTURES["LeNet-5"], "activation": "sigmoid", "output": "sigmoid"}
CHANGES = {
    "32 and 64 kernels": "conv_channels",
    "1024 and 67 hidden units": "hidden_layer_sizes",
    "maximum pooling": "pooling",
    "l_relu": "activation",
    "softmax output": "output",
}
# Learning rate and weight decay: those of the deep network without normalization, those that suit
# LeNet-5 then, and others around them.
RECIPES = {
    "digits": [(5e-3, 0.3), (2e-2, 2e-2)],
    "mnist": [(5e-3, 0.3), (1e-2, 0.1), (2e-2, 2e-2), (5e-2, 2e-2)],
}


def name_of(changes):
    return " + ".join(("LeNet-5", *changes)) if len(changes) < len(CHANGES) else "Deep LeNet"


STEPS = [tuple(CHANGES)[:n] for n in range(len(CHANGES) + 1)]
OTHERS = {change: tuple(other for other in CHANGES if other != change) for change in CHANGES}
NETWORKS = {name_of(changes): changes for changes in (*STEPS, *OTHERS.values())}
# Each change and the networks before and after it: on the way from LeNet-5, and as the last one.
ADDED = [(after[-1], name_of(before), name_of(after)) for before, after in pairwise(STEPS)]
ADDED_LAST = [(change, name_of(others), "Deep LeNet") for change, others in OTHERS.items()]

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"trials": 5, "n_train": 250, "epochs": 10},
    mnist={"trials": 4, "n_train": 10_000, "epochs": 10},
)
experiment.images(lab.sample_tuned_trials)


@experiment.rows
def cells(options):
    chosen = []
    for network in NETWORKS:
        accuracies = []
        recipes = [
            {"network": network, "lr": lr, "weight_decay": weight_decay}
            for lr, weight_decay in RECIPES[options.data]
        ]
        for recipe in recipes:
            measured = yield {"stage": "validation", "trial": 0, **recipe}
            accuracies.append(measured["accuracy"])
        chosen.append(recipes[np.argmax(accuracies)])
    for trial in range(options.trials):
        for recipe in chosen:
            yield {"stage": "test", "trial": trial, **recipe}


@experiment.measure
def accuracy(stage, trial, network, lr, weight_decay, *, images, options):
    X, X_test, y, y_test = images[stage][trial]
    epochs = options.epochs if stage == "test" else (options.epochs + 1) // 2
    changed = {CHANGES[change] for change in NETWORKS[network]}
    parameters = {key: value for key, value in LENET5.items() if key not in changed}
    classifier = DeepLeNetClassifier(
        lr=lr,
        weight_decay=weight_decay,
        max_epochs=epochs,
        random_state=trial,
        **lab.PLAIN,
        **parameters,
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


def gains(rows, pairs):
    """Return the gain in accuracy of each change, by the corrected resampled t-test."""
    tested = rows[rows.stage == "test"]
    ratio = (tested.n_test / tested.n_train).iloc[0]
    accuracies = tested.pivot(index="trial", columns="network", values="accuracy")
    gains = pd.DataFrame(pairs, columns=["change", "before", "after"])
    scores = [(accuracies[after], accuracies[before]) for _, before, after in pairs]
    gains["estimate"] = [lab.interval(after - before, ratio) for after, before in scores]
    p_values = [corrected_t_test(*each, ratio) for each in scores]
    texts = zip(gains.estimate, map(lab.format_p, p_values), strict=True)
    return gains.assign(text=[f"{estimate:+.4f}, {p}" for estimate, p in texts])


def judge(gains):
    effect = "; ".join(gains.change + " " + gains.text)
    return lab.Finding([estimate.outcome() for estimate in gains.estimate], f"{effect}.")


@experiment.claim("All changes together make LeNet-5 more accurate.")
def all_changes(rows, options):
    return judge(gains(rows, [("all changes", "LeNet-5", "Deep LeNet")]))


@experiment.claim("Each change, added to those before it, makes LeNet-5 more accurate.")
def each_change(rows, options):
    return judge(gains(rows, ADDED))


@experiment.claim("Each change alone, undone in the Deep LeNet, costs accuracy.")
def each_change_undone(rows, options):
    return judge(gains(rows, ADDED_LAST))


@experiment.table
def networks(rows, options):
    added, added_last = gains(rows, ADDED), gains(rows, ADDED_LAST)
    names = ["LeNet-5", *added.after, *added_last.before]
    labels = ["LeNet-5", *("+ " + added.change), *("all but " + added_last.change)]
    tested = rows[rows.stage == "test"]
    accuracies = lab.estimate(tested, "accuracy", "network", options)
    runs = tested.groupby("network")
    recipes = runs[["lr", "weight_decay"]].first().apply(lambda row: "{:g}, {:g}".format(*row), 1)
    columns = {
        "accuracy": accuracies.map("{:.4f}".format),
        "parameters": runs.parameters.first().map("{:,}".format),
        "fit (s)": runs.fit_s.median().map("{:.1f}".format),
        "lr, weight decay": recipes,
    }
    table = pd.DataFrame(columns).loc[names]
    table.insert(1, "gain of the change", ["", *added.text, *added_last.text])
    return table.set_axis(labels).rename_axis("network")


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
    "ablation.png",
    "From LeNet-5 to the Deep LeNet, {n_train:,} images of {data_name}",
    size=(9, 3.6),
)
def gain_of_each_change(rows, options, ax):
    places = np.arange(len(CHANGES))
    for number, (label, pairs) in enumerate(
        {"added to those above it": ADDED, "added last": ADDED_LAST}.items()
    ):
        mean, low, high = 100 * np.transpose(list(gains(rows, pairs).estimate))
        style = {"fmt": lab.MARKERS[number], "color": lab.COLORS[number], "label": label}
        heights = places + 0.2 * number - 0.1
        ax.errorbar(mean, heights, xerr=(mean - low, high - mean), capsize=4, **style)
    ax.axvline(0, color="0.5", linewidth=1)
    ax.set_yticks(places, CHANGES)
    ax.invert_yaxis()
    ax.set_xlabel("Gain in accuracy and its 95 % interval (percentage points)")
    ax.figure.legend(loc="outside right", title="Each change", frameon=False)
