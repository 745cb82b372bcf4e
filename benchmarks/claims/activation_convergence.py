"""Does LeNet-5 learn slowly because of its sigmoid, and does the logarithmic rectifier
cure that?"""

from functools import partial

import numpy as np
import pandas as pd

from sklenet import DeepLeNetClassifier, LReLU

from .. import lab

SGD, RECIPE = "plain SGD", "default recipe"
PARAMETERS = {
    SGD: {"optimizer": "sgd", "lr_schedule": "constant", "label_smoothing": 0.0, **lab.PLAIN},
    RECIPE: lab.PLAIN,
}
# Learning rates are powers of the square root of ten, from 1e-5 to 100; these are tried first.
POWERS, FIRST_POWERS = range(-10, 5), {SGD: [-2, 0], RECIPE: [-5]}
SUITED = "sigmoid, sklenet's weights"
NORMALIZED = "sigmoid, batch normalization"
CURES = [SUITED, NORMALIZED]
BETAS = {f"l_relu, beta {beta:g}": beta for beta in (0.5, 2, 4)}
GOALS = ["0.95", "0.98"]
DIVERGED = {"accuracy": 0.0, "seconds": 0.0, "loss": 1e9}  # the worst: it is never chosen
NETWORK = ["setting", "architecture", "activation"]

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"trials": 5, "n_train": 150, "epochs": 5},
    mnist={"trials": 3, "n_train": 10_000, "epochs": 10},
)
experiment.images(lab.sample_tuned_trials)


@experiment.rows
def cells(options):
    networks = [
        (setting, architecture, activation)
        for setting in PARAMETERS
        for architecture in lab.ARCHITECTURES
        for activation in (*lab.ACTIVATIONS, *(CURES if setting == SGD else []))
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
    scores, powers = {}, FIRST_POWERS[network[0]]
    while powers:
        for power in powers:
            last = yield make_cell("validation", 0, network, 10 ** (power / 2))
            scores[power] = last["accuracy"], -last["loss"]
        best = max(scores, key=scores.get)
        powers = [p for p in (best - 1, best + 1) if p in POWERS and p not in scores]
    return 10 ** (best / 2)


@experiment.measure
def curve(stage, trial, setting, architecture, activation, lr, *, images, options):
    """Return accuracy, seconds and loss after each epoch, for validation after the last one."""
    X, X_test, y, y_test = images[stage][trial]
    clock = lab.AccuracyClock(X_test, y_test)
    start = [lab.UnitGain()] if setting == SGD and activation != SUITED else []
    parameters = PARAMETERS[setting] | (lab.NORMALIZED if activation == NORMALIZED else {})
    classifier = DeepLeNetClassifier(
        make_activation(activation),
        **lab.ARCHITECTURES[architecture],
        **parameters,
        lr=lr,
        max_epochs=options.epochs,
        precision=lab.resolve_precision(),  # as for a name; "auto" is float32 for a callable
        callbacks=[*start, clock],
        random_state=trial,
    )
    try:
        classifier.fit(X, y)
        points = [
            {"accuracy": accuracy, "seconds": seconds, "loss": loss}
            for (seconds, accuracy), loss in zip(clock.points, classifier.loss_curve_, strict=True)
        ]
    except ValueError as error:
        if not any(sign in str(error) for sign in ("diverged", "overflows")):
            raise
        points = [DIVERGED] * options.epochs
    rows = [{"epoch": i, **point, "n_test": len(y_test)} for i, point in enumerate(points, 1)]
    return rows if stage == "test" else rows[-1]


def make_activation(name):
    if name in BETAS:
        return partial(LReLU, beta=BETAS[name])
    return "sigmoid" if name in CURES else name


def summarize(rows):
    """Return the final accuracy of each training, and when it reaches each goal."""

    def summarize_run(run):
        summary = {"final": run.accuracy.iloc[-1]}
        for goal in GOALS:
            epochs = summary[f"epochs to {goal}"] = epochs_to(float(goal), run.accuracy)
            seconds = np.interp(epochs, [0, *run.epoch], [0, *run.seconds])
            summary[f"seconds to {goal}"] = seconds
        return pd.Series(summary)

    runs = rows[rows.stage == "test"].groupby([*NETWORK, "trial", "lr"], sort=False)
    return runs.apply(summarize_run).reset_index()


def epochs_to(goal, accuracies):
    """Return after how many epochs an accuracy is first reached; never is one more than all.

    Between two epochs the accuracy is interpolated linearly, from zero at the start.
    """
    curve = np.array([0, *accuracies])
    if curve.max() < goal:
        return len(curve)
    last = np.argmax(curve >= goal) - 1
    return last + (goal - curve[last]) / (curve[last + 1] - curve[last])


def compare(rows, options, column, setting, ours, others):
    runs = summarize(rows)
    runs = runs[(runs.setting == setting) & runs.activation.isin([ours, *others])]
    return lab.leads(runs, column, "activation", ours, "architecture", options)


def judge_epochs(rows, options, others):
    leads = compare(rows, options, f"epochs to {GOALS[0]}", SGD, "sigmoid", others)
    return lab.judge(leads, "{:+.1f} epochs".format)


@experiment.claim("With plain SGD every other activation reaches 0.95 before the sigmoid.")
def sigmoid_is_slow(rows, options):
    return judge_epochs(rows, options, lab.ACTIVATIONS)


@experiment.claim("With plain SGD the sigmoid reaches 0.95 earlier from sklenet's weights.")
def suited_weights_are_faster(rows, options):
    return judge_epochs(rows, options, [SUITED])


@experiment.claim("With plain SGD the sigmoid reaches 0.95 earlier with batch normalization.")
def normalization_is_faster(rows, options):
    return judge_epochs(rows, options, [NORMALIZED])


@experiment.claim("With plain SGD l_relu has the highest final accuracy.")
def l_relu_is_better_by_sgd(rows, options):
    return lab.judge(compare(rows, options, "final", SGD, "l_relu", lab.ACTIVATIONS))


@experiment.claim("With the default recipe l_relu has the highest final accuracy.")
def l_relu_is_better(rows, options):
    return lab.judge(compare(rows, options, "final", RECIPE, "l_relu", lab.ACTIVATIONS))


@experiment.claim("The final accuracy with β = 1 is higher than with 0.5, 2 and 4.", "beta.png")
def beta_of_one_is_better(rows, options):
    return lab.judge(compare(rows, options, "final", RECIPE, "l_relu", BETAS))


@experiment.table
def settings(rows, options):
    """Return a table for each setting."""

    def with_interval(values, spec=".1f"):
        return f"{lab.interval(values, lab.overlap(options)):{spec}}"

    tables = {setting: [] for setting in PARAMETERS}
    for (setting, *network), runs in summarize(rows).groupby(NETWORK, sort=False):
        line = {"network": ", ".join(network), "rate": f"{runs.lr.iloc[0]:.2g}"}
        for goal in GOALS:
            is_reached = runs[f"epochs to {goal}"] <= options.epochs
            for column in (f"epochs to {goal}", f"seconds to {goal}"):
                line[column] = lab.format_reached(runs[column].where(is_reached), with_interval)
        tables[setting].append({**line, "final accuracy": with_interval(runs.final, ".4f")})
    return {setting: pd.DataFrame(lines) for setting, lines in tables.items()}


@experiment.table
def n_diverged(rows, options):
    last = rows[(rows.stage == "test") & (rows.epoch == options.epochs)]
    return int((last.loss == DIVERGED["loss"]).sum())


GRID = {"size": (8.9, 6.5), "panels": NETWORK[:2], "sharex": True, "sharey": True}
TITLE = "{n_train:,} training images of {data_name} (bands: 95 % intervals of l_relu and sigmoid)"


def draw_curves(rows, options, ax, column):
    rows = rows[(rows.stage == "test") & ~rows.activation.isin(BETAS)]
    rows = rows.assign(error=100 - 100 * rows.accuracy)
    bands = ["l_relu", "sigmoid"]  # more would hide each other
    lab.draw_lines(ax, rows, "epoch", column, "activation", options, bands=bands)
    ax.set_xlabel("Epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)


@experiment.figure("error_per_epoch.png", TITLE, **GRID)
def error_per_epoch(rows, options, ax):
    draw_curves(rows, options, ax, "error")
    ax.set(ylabel="Test error (percent)", yscale="log", ylim=(0.5, 100))
    ax.yaxis.set_major_formatter("{x:g}")


@experiment.figure("loss_per_epoch.png", TITLE, **GRID)
def loss_per_epoch(rows, options, ax):
    draw_curves(rows, options, ax, "loss")
    ax.set(ylabel="Training loss (nats)", ylim=(0, 3.5))


@experiment.figure(
    "beta.png",
    "Deep LeNet, default recipe, {n_train:,} images of {data_name} (bars: 95 % intervals)",
    size=(7, 3.8),
    data=["mnist"],
)
def error_over_beta(rows, options, ax):
    runs = summarize(rows).query(f"setting == '{RECIPE}' and architecture == 'Deep LeNet'")
    betas = runs.activation.map({"l_relu": 1, **BETAS})
    runs = runs.assign(beta=betas, error=100 - 100 * runs.final)
    points = lab.estimate(runs.sort_values("beta"), "error", "beta", options)
    lab.draw_line(ax, points, 0)
    ax.set(xscale="log", xlabel="β of the logarithmic rectifier", ylabel="Test error (percent)")
    ax.set_xticks(points.index, [f"{beta:g}" for beta in points.index])
    ax.set_xticks([], minor=True)
