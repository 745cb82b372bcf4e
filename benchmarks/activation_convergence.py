"""LeNet-5 learns slowly because of its sigmoid; the logarithmic rectifier cures that.

The first part holds on 10,000 images of MNIST: by plain gradient descent from LeCun's weights the
sigmoid does not reach 0.95 in ten epochs, all others do in one to three on average. But every other
activation cures it, too: three trials do not tell the logarithmic rectifier from them, but for elu
on the Deep LeNet. Initial weights that suit the sigmoid bring it to 0.95 in four to five epochs,
and by the default recipe it needs two to three. What beta changes is open.

LeNet-5 and the Deep LeNet learn with each of six activations: by plain gradient descent at a
constant rate from the initial weights of LeCun et al. (1998), the setting of the claim, with the
sigmoid also from those of sklenet, whose size suits it; and by the default recipe, there also with
other betas of the logarithmic rectifier. The learning rate is chosen for each of them by trainings
of the same length, on images that no trial is tested on: it goes up and down by factors of the
square root of ten until its neighbours are worse. The committed result:

    python benchmarks/activation_convergence.py --data mnist \\
        --out benchmarks/results/activation_convergence
"""

from functools import partial

import numpy as np
from experiments import (
    ACTIVATIONS,
    ARCHITECTURES,
    TITLES,
    ExperimentParser,
    UnitGain,
    run_experiment,
)
from reporting import made_by, table, to_png
from time_to_accuracy import AccuracyClock
from trials import draw_tuned_trials
from verdicts import (
    claim,
    compare,
    count_leads,
    describe_overlap,
    format_claims,
    interval,
    overlap,
    plus_minus,
)

from sklenet import DeepLeNetClassifier, LReLU
from sklenet._torch import resolve_device, resolve_precision
from sklenet.plotting._style import COLOURS, MARKERS

DESCENT = {"optimizer": "sgd", "lr_schedule": "constant", "label_smoothing": 0.0}
PLAIN, RECIPE = "plain descent", "default recipe"
OTHERS = [name for name in ACTIVATIONS if name != "l_relu"]
SUITED = "sigmoid, sklenet's weights"
WITH_BAND = ["l_relu", "sigmoid"]  # more intervals would cover each other in the pictures
# Options, callbacks, and first guesses of the rate as powers of the square root of ten.
SETTINGS = {
    PLAIN: (DESCENT, [UnitGain], [-2, 0]),
    RECIPE: ({}, [], [-5]),
}
BETAS = {"digits": [], "mnist": [0.5, 2, 4]}
POWERS = range(-10, 5)  # rates from 1e-5 to 100
GOALS = [0.95, 0.98]
DIVERGED = {"accuracy": 0.0, "loss": 1e9}  # as bad as can be: no rate that diverges is chosen
PICTURES = ["error_per_epoch.png", "loss_per_epoch.png", "beta.png"]


def main(argv=None):
    run_experiment(make_parser(), argv, draw_tuned_trials, measure, judge, make_page, draw)


def make_parser():
    parser = ExperimentParser("activation_convergence.py", "How soon each activation learns.")
    parser.add_size("--n-train", 20, "training images", digits=150, mnist=10_000)
    parser.add_size("--epochs", 1, "epochs of a training", digits=5, mnist=10, maximum=1000)
    parser.add_argument(
        "--activations",
        nargs="+",
        choices=OTHERS,
        default=OTHERS,
        metavar="NAME",
        help=f"what l_relu is compared with, of {', '.join(OTHERS)}; default: all",
    )
    return parser


def measure(options, data, journal):
    tuning, trials = data
    networks = [
        (setting, architecture, activation)
        for setting in SETTINGS
        for architecture in ARCHITECTURES
        for activation in list_activations(setting, options.activations)
    ] + [(RECIPE, "Deep LeNet", f"l_relu, beta {beta:g}") for beta in BETAS[options.data]]
    rates = {network: tune(network, tuning, options.epochs, journal) for network in networks}
    runs = []
    for trial, images in enumerate(trials):
        for network, lr in rates.items():
            name = f"{', '.join(network)}, trial {trial}"
            numbers = journal.measure(name, follow, network, lr, trial, images, options.epochs)
            runs.append({**describe(network), "lr": lr, "trial": trial, **numbers})
    _, X_test, _, _ = trials[0]
    about = {"name": options.data, "trials": options.trials, "epochs": options.epochs}
    return {
        "data": {**about, "training images": options.n_train, "test images": len(X_test)},
        "runs": runs,
    }


def list_activations(setting, chosen):
    activations = dict.fromkeys(["l_relu", *chosen])
    is_suited = setting == PLAIN and "sigmoid" in activations
    return [*activations, SUITED] if is_suited else list(activations)


def describe(network):
    return dict(zip(["setting", "architecture", "activation"], network, strict=True))


def tune(network, images, epochs, journal):
    """Return the learning rate with the best accuracy on validation images.

    The trainings are as long as those of the trials: the sigmoid can stay on the plateau of its
    loss for half of one. Equal accuracies are told apart by the training loss.
    """
    scores = {}

    def score(power):
        if power not in scores:
            lr = 10 ** (power / 2)
            name = f"{', '.join(network)}: lr {lr:.2g}"
            scores[power] = tuple(journal.measure(name, validate, network, lr, images, epochs))
        return scores[power]

    *_, guesses = SETTINGS[network[0]]
    best, power = max(guesses, key=score), None
    while best != power:
        power = best
        best = max((p for p in (power, power - 1, power + 1) if p in POWERS), key=score)
    return 10 ** (power / 2)


def validate(network, lr, images, epochs):
    """Train a network; return its accuracy on validation images and its negative training loss."""
    X, X_validation, y, y_validation = images
    classifier = make_classifier(network, lr, 0, epochs)
    try:
        accuracy = classifier.fit(X, y).score(X_validation, y_validation)
    except ValueError as error:
        check_divergence(error)
        return DIVERGED["accuracy"], -DIVERGED["loss"]
    return accuracy, -classifier.loss_


def follow(network, lr, seed, images, epochs):
    """Train a network; return its test accuracy, seconds and training loss after each epoch."""
    X, X_test, y, y_test = images
    clock = AccuracyClock(X_test, y_test)
    classifier = make_classifier(network, lr, seed, epochs, clock)
    try:
        classifier.fit(X, y)
    except ValueError as error:
        check_divergence(error)
        accuracy, loss = ([DIVERGED[key]] * epochs for key in ("accuracy", "loss"))
        return {"accuracies": accuracy, "seconds": [0.0] * epochs, "losses": loss}
    seconds, accuracies = zip(*clock.points, strict=True)
    return {"accuracies": accuracies, "seconds": seconds, "losses": classifier.loss_curve_}


def make_classifier(network, lr, seed, epochs, *callbacks):
    setting, architecture, activation = network
    parameters, makers, _ = SETTINGS[setting]
    makers = [] if activation == SUITED else makers
    return DeepLeNetClassifier(
        module_of(activation),
        **ARCHITECTURES[architecture],
        **parameters,
        lr=lr,
        max_epochs=epochs,
        # The choice for a name, which "auto" does not make for the beta of a callable.
        precision=str(resolve_precision("auto", resolve_device("auto"))).removeprefix("torch."),
        callbacks=[*(make() for make in makers), *callbacks],
        random_state=seed,
    )


def check_divergence(error):
    """Raise what is no sign of a learning rate that is too high."""
    if not any(sign in str(error) for sign in ("diverged", "overflows")):
        raise error


def module_of(name):
    if name == SUITED:
        return "sigmoid"
    name, _, beta = name.partition(", beta ")
    return partial(LReLU, beta=float(beta)) if beta else name


class Curves:
    """The curves of a result: an array of shape (trials, epochs) for each network."""

    def __init__(self, result):
        self.runs, self.epochs = result["runs"], result["data"]["epochs"]
        self.ratio = overlap(result["data"])
        self.settings = self._names("setting")
        self.activations = [name for name in self._names("activation") if "beta" not in name]
        self.betas = [name for name in self._names("activation") if "beta" in name]

    def read(self, what, *network):
        return np.array([run[what] for run in self.of(*network)])

    def of(self, *network):
        return [run for run in self.runs if describe(network).items() <= run.items()]

    def final(self, *network):
        return self.read("accuracies", *network)[:, -1]

    def epochs_to(self, goal, *network):
        """Return for each trial after how many epochs such an accuracy is first reached.

        Between two epochs the accuracy is taken to change evenly, from zero at the start. Never is
        one epoch more than all.
        """
        accuracies = self.read("accuracies", *network)
        before = np.pad(accuracies, ((0, 0), (1, 0)))[:, :-1]
        reached = accuracies >= goal
        first = reached.argmax(axis=1)[:, None]
        low, high = (np.take_along_axis(part, first, 1)[:, 0] for part in (before, accuracies))
        fraction = (goal - low) / np.where(high > low, high - low, 1)
        return np.where(reached.any(axis=1), first[:, 0] + fraction, self.epochs + 1)

    def seconds_at(self, epochs, *network):
        """Return for each trial how many seconds such a number of epochs takes."""
        seconds = np.pad(self.read("seconds", *network), ((0, 0), (1, 0)))
        return np.array(
            [
                np.interp(n, range(self.epochs + 1), row)
                for n, row in zip(epochs, seconds, strict=True)
            ]
        )

    def _names(self, key):
        return list(dict.fromkeys(run[key] for run in self.runs))


def judge(result):
    curves = Curves(result)
    others = [name for name in curves.activations if name in OTHERS]
    claims = []
    if "sigmoid" in others:
        for text, activations in (
            (
                "By plain descent from LeCun's weights the sigmoid needs more epochs to reach "
                f"{GOALS[0]:g} than every other activation.",
                [name for name in curves.activations if "sigmoid" not in name],
            ),
            (
                "From initial weights that suit it the sigmoid needs fewer epochs to reach "
                f"{GOALS[0]:g} than from LeCun's, by plain descent.",
                [SUITED],
            ),
        ):
            saved = {
                f"{activation} on {architecture}": compare(
                    curves.epochs_to(GOALS[0], PLAIN, architecture, "sigmoid"),
                    curves.epochs_to(GOALS[0], PLAIN, architecture, activation),
                    curves.ratio,
                )
                for architecture in ARCHITECTURES
                for activation in activations
            }
            verdict, effect, details = count_leads(saved, digits=1, unit=" epochs")
            effect += f" Never counts as {curves.epochs + 1}."
            claims.append(claim(text, PICTURES[0], verdict, effect, details))
    for setting in curves.settings:
        leads = {
            f"{architecture} against {activation}": compare(
                curves.final(setting, architecture, "l_relu"),
                curves.final(setting, architecture, activation),
                curves.ratio,
            )
            for architecture in ARCHITECTURES
            for activation in others
        }
        text = f"The logarithmic rectifier ends more accurate than each other activation ({setting}"
        text += ", from LeCun's weights)." if setting == PLAIN else ")."
        claims.append(claim(text, PICTURES[0], *count_leads(leads)))
    if curves.betas:
        leads = {
            name.removeprefix("l_relu, "): compare(
                curves.final(RECIPE, "Deep LeNet", "l_relu"),
                curves.final(RECIPE, "Deep LeNet", name),
                curves.ratio,
            )
            for name in curves.betas
        }
        text = "The Deep LeNet ends more accurate with a beta of 1 than with 0.5, 2 or 4"
        text += " (default recipe)."
        claims.append(claim(text, PICTURES[2], *count_leads(leads)))
    return claims


def make_page(result):
    curves, data = Curves(result), result["data"]
    header = ["network", "rate"]
    for goal in GOALS:
        header += [f"epochs to {goal:g}", f"seconds to {goal:g}"]
    header += ["final accuracy"]
    tables = ""
    for setting in curves.settings:
        rows = [
            describe_curves(curves, setting, architecture, activation)
            for architecture in ARCHITECTURES
            for activation in [*curves.activations, *curves.betas]
            if curves.of(setting, architecture, activation)
        ]
        heading = setting[0].upper() + setting[1:]
        tables += f"## {heading}\n\n{table(header, rows)}\n\n"
    n_diverged = sum(run["losses"][-1] == DIVERGED["loss"] for run in curves.runs)
    diverged = f" {n_diverged} trainings diverged; their accuracy is zero." if n_diverged else ""
    beta = "![Accuracy over beta](beta.png)\n\n" if curves.betas else ""
    return f"""# Activations and convergence

{format_claims(result["claims"])}

{data["training images"]:,} training images of {TITLES[data["name"]]}, {data["epochs"]} epochs,
{data["test images"]:,} test images in each of {data["trials"]} trials, no two of which share one:
means and 95 % intervals (Student's t over the trials{describe_overlap(data)}). Many are compared:
one in twenty of no difference is expected to seem one. Epochs and seconds are counted in fractions,
as if the accuracy changed evenly within an epoch. "1 of 3" reached an accuracy in that many trials,
and the mean is theirs; in the claims, never counts as {data["epochs"] + 1} epochs. Seconds are
those of training, without the scoring after each epoch; with a beta other than 1 an epoch takes
longer, since the activation then comes before the pooling. "Plain descent" is stochastic gradient
descent in batches, without momentum and label smoothing, at a constant rate, from LeCun's weights
unless it says sklenet's. The loss of the default recipe cannot fall below 0.50, for its label
smoothing. Rates are chosen for each network on other images, by the accuracy of one training after
as many epochs; by plain descent it jumps from epoch to epoch.{diverged}

![Test error after each epoch](error_per_epoch.png)

![Training loss of each epoch](loss_per_epoch.png)

{beta}{tables}{made_by(result)}
"""


def describe_curves(curves, *network):
    runs = curves.of(*network)
    row = [", ".join(network[1:]), f"{runs[0]['lr']:.2g}"]
    for goal in GOALS:
        epochs = curves.epochs_to(goal, *network)
        seconds = curves.seconds_at(epochs, *network)
        reached = epochs <= curves.epochs
        if reached.all():
            row += [plus_minus(values, curves.ratio, digits=1) for values in (epochs, seconds)]
        elif reached.any():
            missed = f" ({reached.sum()} of {len(reached)})"
            row += [f"{values[reached].mean():.1f}{missed}" for values in (epochs, seconds)]
        else:
            row += ["never", ""]
    return [*row, plus_minus(curves.final(*network), curves.ratio)]


def draw(result):
    curves, data = Curves(result), result["data"]
    pictures = [draw_curves(curves, "accuracies", data), draw_curves(curves, "losses", data)]
    if curves.betas:
        pictures.append(draw_beta(curves, data))
    return dict(zip(PICTURES, pictures, strict=False))


def draw_curves(curves, what, data):
    from matplotlib.figure import Figure

    is_loss = what == "losses"
    banded = [name for name in WITH_BAND if name in curves.activations]
    figure = Figure(figsize=(3.7 * len(curves.settings) + 1.5, 6.5), layout="constrained")
    axes = figure.subplots(len(ARCHITECTURES), len(curves.settings), sharey=True, squeeze=False)
    epochs = np.arange(1, curves.epochs + 1)
    for row, architecture in zip(axes, ARCHITECTURES, strict=True):
        for ax, setting in zip(row, curves.settings, strict=True):
            for number, activation in enumerate([*ACTIVATIONS, SUITED]):
                if not curves.of(setting, architecture, activation):
                    continue
                values = curves.read(what, setting, architecture, activation)
                values = values if is_loss else 100 - 100 * values
                mean, half_width = np.transpose(
                    [interval(column, curves.ratio) for column in values.T]
                )
                ax.plot(
                    *(epochs, mean),
                    marker=MARKERS[number],
                    markersize=4,
                    color=COLOURS[number],
                    label=activation,
                )
                if activation in banded:
                    band = (mean - half_width, mean + half_width)
                    ax.fill_between(epochs, *band, color=COLOURS[number], alpha=0.2, linewidth=0)
            ax.set_title(f"{architecture}, {setting}", fontsize=10)
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.grid(alpha=0.3)
    for ax in axes[-1]:
        ax.set_xlabel("Epoch")
    for ax in axes[:, 0]:
        ax.set_ylabel("Training loss (nats)" if is_loss else "Test error (percent)")
    if is_loss:
        axes[0, 0].set_ylim(0, 3.5)
    else:
        axes[0, 0].set(yscale="log", ylim=(0.5, 100))
        axes[0, 0].yaxis.set_major_formatter("{x:g}")
    figure.suptitle(
        f"{data['training images']:,} training images of {TITLES[data['name']]} "
        f"(bands: 95 % intervals of {' and '.join(banded)})"
    )
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right", frameon=False)
    return to_png(figure)


def draw_beta(curves, data):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.8), layout="constrained")
    ax = figure.subplots()
    names = {float(name.split()[-1]): name for name in curves.betas} | {1.0: "l_relu"}
    betas = sorted(names)
    mean, half_width = np.transpose(
        [
            interval(100 - 100 * curves.final(RECIPE, "Deep LeNet", names[beta]), curves.ratio)
            for beta in betas
        ]
    )
    ax.errorbar(betas, mean, yerr=half_width, marker="o", color=COLOURS[0], capsize=3)
    ax.set_xscale("log")
    ax.set_xticks(betas, [f"{beta:g}" for beta in betas])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="β of the logarithmic rectifier", ylabel="Test error (percent)")
    ax.set_title(
        f"Deep LeNet, {RECIPE}, {data['training images']:,} images of {TITLES[data['name']]} "
        "(bars: 95 % intervals)",
        fontsize=10,
    )
    ax.grid(alpha=0.3)
    return to_png(figure)


if __name__ == "__main__":
    main()
