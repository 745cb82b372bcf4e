"""Does LeNet-5 learn slowly because of its sigmoid, and does the logarithmic rectifier cure that?"""

from functools import partial

import numpy as np
import pandas as pd

from sklenet import DeepLeNetClassifier, LReLU

from .. import lab

SGD, RECIPE = "plain SGD", "default recipe"
# Parameters, callbacks, and first guesses of the learning rate as powers of the square root of ten.
SETTINGS = {
    SGD: (
        {"optimizer": "sgd", "lr_schedule": "constant", "label_smoothing": 0.0},
        [lab.UnitGain],
        [-2, 0],
    ),
    RECIPE: ({}, [], [-5]),
}
POWERS = range(-10, 5)  # learning rates from 1e-5 to 100
SUITED = "sigmoid, sklenet's weights"
OTHERS = [name for name in lab.ACTIVATIONS if name != "l_relu"]
BETAS = {f"l_relu, beta {beta:g}": beta for beta in (0.5, 2, 4)}
GOALS = [0.95, 0.98]
DIVERGED = {"accuracy": 0.0, "seconds": 0.0, "loss": 1e9}  # the worst: it is never chosen
NETWORK = ["setting", "architecture", "activation"]

experiment = lab.Experiment(
    "activation_convergence",
    __doc__,
    options={
        "trials": lab.Option("trials, each with another seed", 5, 3, minimum=2, maximum=100),
        "n_train": lab.Option("training images", 150, 10_000, minimum=20),
        "epochs": lab.Option("epochs of a training", 5, 10, minimum=1, maximum=1000),
    },
)
experiment.images(lab.sample_tuned_trials)


@experiment.rows
def cells(options):
    networks = [
        (setting, architecture, activation)
        for setting in SETTINGS
        for architecture in lab.ARCHITECTURES
        for activation in (*lab.ACTIVATIONS, SUITED)
        if (setting, activation) != (RECIPE, SUITED)
    ]
    if options.data == "mnist":
        networks += [(RECIPE, "Deep LeNet", activation) for activation in BETAS]
    rates = {}
    for network in networks:
        rates[network] = yield from tune(network)
    for trial in range(options.trials):
        for network, lr in rates.items():
            yield make_cell("test", trial, network, lr)


def make_cell(stage, trial, network, lr):
    return {"stage": stage, "trial": trial, **dict(zip(NETWORK, network, strict=True)), "lr": lr}


def tune(network):
    """Return the learning rate with the best validation accuracy, then training loss.

    It goes up and down by factors of the square root of ten until its neighbors are worse.
    """
    scores, (*_, powers) = {}, SETTINGS[network[0]]
    while powers:
        for power in powers:
            last = yield make_cell("validation", 0, network, 10 ** (power / 2))
            scores[power] = last["accuracy"], -last["loss"]
        best = max(scores, key=scores.get)
        powers = [
            power for power in (best - 1, best + 1) if power in POWERS and power not in scores
        ]
    return 10 ** (best / 2)


@experiment.measure
def curve(stage, trial, setting, architecture, activation, lr, *, images, options):
    """Return accuracy, seconds and loss after each epoch, of a validation after the last one."""
    X, X_test, y, y_test = images[stage][trial]
    clock = lab.AccuracyClock(X_test, y_test)
    parameters, callbacks, _ = SETTINGS[setting]
    if activation == SUITED:
        callbacks = []
    classifier = DeepLeNetClassifier(
        make_activation(activation),
        **lab.ARCHITECTURES[architecture],
        **parameters,
        lr=lr,
        max_epochs=options.epochs,
        precision=lab.resolve_precision(),  # as for a name; "auto" is float32 for a callable
        callbacks=[*(callback() for callback in callbacks), clock],
        random_state=trial,
    )
    try:
        classifier.fit(X, y)
        points = zip(clock.points, classifier.loss_curve_, strict=True)
        points = [
            {"accuracy": accuracy, "seconds": seconds, "loss": loss}
            for (seconds, accuracy), loss in points
        ]
    except ValueError as error:
        if not any(sign in str(error) for sign in ("diverged", "overflows")):
            raise
        points = [DIVERGED] * options.epochs
    rows = [
        {"epoch": epoch, **point, "n_test": len(y_test)} for epoch, point in enumerate(points, 1)
    ]
    return rows if stage == "test" else rows[-1]


def make_activation(name):
    if name in BETAS:
        return partial(LReLU, beta=BETAS[name])
    return "sigmoid" if name == SUITED else name


def summarize(rows):
    """Return the final accuracy of each training, and when it reaches each goal."""
    lines = []
    for names, run in rows[rows.stage == "test"].groupby([*NETWORK, "trial", "lr"], sort=False):
        line = {
            **dict(zip([*NETWORK, "trial", "lr"], names, strict=True)),
            "final": run.accuracy.iloc[-1],
        }
        for goal in GOALS:
            epochs = epochs_to(goal, run.accuracy)
            seconds = np.interp(epochs, [0, *run.epoch], [0, *run.seconds])
            line |= {f"epochs to {goal:g}": epochs, f"seconds to {goal:g}": seconds}
        lines.append(line)
    return pd.DataFrame(lines)


def epochs_to(goal, accuracies):
    """Return after how many epochs an accuracy is first reached; never is one more than all.

    Between two epochs the accuracy is interpolated linearly, from zero at the start.
    """
    curve = np.array([0, *accuracies])
    if curve.max() < goal:
        return len(curve)
    last = np.argmax(curve >= goal) - 1
    return last + (goal - curve[last]) / (curve[last + 1] - curve[last])


def compare(rows, options, column, pairs, **spec):
    """Return the finding that a column is larger for the first network, of {case: pair}."""
    values = summarize(rows).pivot(index="trial", columns=NETWORK, values=column)
    ratio = lab.training_overlap(options.data, options.trials)
    differences = {
        case: lab.interval(values[a] - values[b], ratio) for case, (a, b) in pairs.items()
    }
    return lab.judge_differences(differences, **spec)


def compare_epochs(rows, options, activations):
    pairs = {
        f"{activation} on {architecture}": (
            (SGD, architecture, "sigmoid"),
            (SGD, architecture, activation),
        )
        for architecture in lab.ARCHITECTURES
        for activation in activations
    }
    finding = compare(rows, options, f"epochs to {GOALS[0]:g}", pairs, spec="+.1f", unit=" epochs")
    return finding._replace(effect=f"{finding.effect} Never counts as {options.epochs + 1}.")


@experiment.claim(
    f"By plain SGD from LeCun's weights the sigmoid needs more epochs to reach {GOALS[0]:g} than "
    "every other activation.",
    "error_per_epoch.png",
)
def sigmoid_is_slow(rows, options):
    return compare_epochs(rows, options, [name for name in lab.ACTIVATIONS if name != "sigmoid"])


@experiment.claim(
    f"From initial weights that suit it the sigmoid needs fewer epochs to reach {GOALS[0]:g} than "
    "from LeCun's, by plain SGD.",
    "error_per_epoch.png",
)
def suited_weights_are_faster(rows, options):
    return compare_epochs(rows, options, [SUITED])


def l_relu_is_more_accurate(setting, rows, options):
    pairs = {
        f"{architecture} against {name}": (
            (setting, architecture, "l_relu"),
            (setting, architecture, name),
        )
        for architecture in lab.ARCHITECTURES
        for name in OTHERS
    }
    return compare(rows, options, "final", pairs)


for setting, where in ((SGD, "plain SGD, from LeCun's weights"), (RECIPE, RECIPE)):
    text = f"The logarithmic rectifier ends more accurate than each other activation ({where})."
    experiment.claim(text, "error_per_epoch.png")(partial(l_relu_is_more_accurate, setting))


@experiment.claim(
    "The Deep LeNet ends more accurate with a beta of 1 than with 0.5, 2 or 4 (default recipe).",
    "beta.png",
)
def beta_of_one_is_best(rows, options):
    pairs = {
        name.removeprefix("l_relu, "): (
            (RECIPE, "Deep LeNet", "l_relu"),
            (RECIPE, "Deep LeNet", name),
        )
        for name in BETAS
    }
    return compare(rows, options, "final", pairs) if options.data == "mnist" else None


@experiment.table
def settings(rows, options):
    """Return a table for each setting."""
    ratio = lab.training_overlap(options.data, options.trials)
    tables = {setting: [] for setting in SETTINGS}
    for (setting, architecture, activation), runs in summarize(rows).groupby(NETWORK, sort=False):
        line = {"network": f"{architecture}, {activation}", "rate": f"{runs.lr.iloc[0]:.2g}"}
        for goal in GOALS:
            reached = runs[f"epochs to {goal:g}"] <= options.epochs
            for column in (f"epochs to {goal:g}", f"seconds to {goal:g}"):
                if reached.all():
                    line[column] = f"{lab.interval(runs[column], ratio):.1f}"
                elif reached.any():
                    line[column] = (
                        f"{runs[column][reached].mean():.1f} ({reached.sum()} of {len(runs)})"
                    )
                else:
                    line[column] = "never" if column.startswith("epochs") else ""
        tables[setting].append({**line, "final accuracy": f"{lab.interval(runs.final, ratio):.4f}"})
    return {setting: pd.DataFrame(lines) for setting, lines in tables.items()}


@experiment.table
def n_diverged(rows, options):
    last = rows[(rows.stage == "test") & (rows.epoch == options.epochs)]
    return int((last.loss == DIVERGED["loss"]).sum())


def draw_curves(rows, options, axes, column, ylabel, **limits):
    ratio = lab.training_overlap(options.data, options.trials)
    rows = rows[rows.stage == "test"].assign(error=100 - 100 * rows.accuracy)
    for line, architecture in zip(axes, lab.ARCHITECTURES, strict=True):
        for ax, setting in zip(line, SETTINGS, strict=True):
            part = rows[(rows.architecture == architecture) & (rows.setting == setting)]
            for number, activation in enumerate([*lab.ACTIVATIONS, SUITED]):
                curves = part[part.activation == activation].groupby("epoch")[column]
                if len(curves):
                    points = curves.apply(lab.interval, ratio)
                    has_band = activation in ("l_relu", "sigmoid")  # more would hide each other
                    lab.draw_curve(ax, points.index, points, number, has_band, label=activation)
            ax.set_title(f"{architecture}, {setting}", fontsize=10)
            ax.set(xlabel="Epoch", ylabel=ylabel, **limits)
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.label_outer()
    legend = axes[0, 0].get_legend_handles_labels()
    axes[0, 0].figure.legend(*legend, loc="outside right", frameon=False)


GRID = {"size": (8.9, 6.5), "panels": (2, 2), "sharey": True}
TITLE = "{n_train:,} training images of {data_name} (bands: 95 % intervals of l_relu and sigmoid)"


@experiment.figure("error_per_epoch.png", TITLE, **GRID)
def error_per_epoch(rows, options, axes):
    draw_curves(rows, options, axes, "error", "Test error (percent)", yscale="log", ylim=(0.5, 100))
    axes[0, 0].yaxis.set_major_formatter("{x:g}")


@experiment.figure("loss_per_epoch.png", TITLE, **GRID)
def loss_per_epoch(rows, options, axes):
    draw_curves(rows, options, axes, "loss", "Training loss (nats)", ylim=(0, 3.5))


@experiment.figure(
    "beta.png",
    "Deep LeNet, default recipe, {n_train:,} images of {data_name} (bars: 95 % intervals)",
    size=(7, 3.8),
    data="mnist",
)
def beta(rows, options, ax):
    runs = summarize(rows)
    runs = runs[(runs.setting == RECIPE) & (runs.architecture == "Deep LeNet")]
    betas = {0.5: "l_relu, beta 0.5", 1: "l_relu", 2: "l_relu, beta 2", 4: "l_relu, beta 4"}
    errors = [
        lab.interval(100 - 100 * runs[runs.activation == name].final) for name in betas.values()
    ]
    lab.draw_estimates(ax, list(betas), errors, 0)
    ax.set_xscale("log")
    ax.set_xticks(list(betas), [f"{beta:g}" for beta in betas])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="β of the logarithmic rectifier", ylabel="Test error (percent)")
