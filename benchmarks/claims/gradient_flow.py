"""Does the sigmoid's gradient vanish on its way to the input, and does the logarithmic rectifier
keep it?"""

from functools import partial

import pandas as pd
import torch
from skorch.callbacks import Callback

from sklenet import DeepLeNetClassifier

from .. import lab

N_PROBES = 512
SATURATED = 0.01  # of the largest slope
LECUN, SKLENET = "LeCun's weights", "sklenet's weights"
STARTS = {LECUN: [lab.UnitGain], SKLENET: []}
NETWORK = ["architecture", "start", "activation"]
PICTURE = "gradient_flow.png"

experiment = lab.Experiment(
    "gradient_flow",
    __doc__,
    options={
        "trials": lab.Option("trials, each with another seed", 5, 5, minimum=2, maximum=100),
        "n_train": lab.Option("training images", 200, 10_000, minimum=20),
        "epochs": lab.Option("epochs of a training", 2, 5, minimum=1, maximum=1000),
    },
    precision="float32",  # bfloat16 rounds small gradients
)


@experiment.images
def images(options):
    return lab.sample_trials(options.data, options.trials, options.n_train)


@experiment.rows
def cells(options):
    return {
        "trial": range(options.trials),
        "architecture": lab.ARCHITECTURES,
        "start": STARTS,
        "activation": lab.ACTIVATIONS,
    }


@experiment.measure
def flow(trial, architecture, start, activation, *, images, options):
    X, X_test, y, y_test = images[trial]
    probe = Probe(activation)
    classifier = DeepLeNetClassifier(
        activation,
        **lab.ARCHITECTURES[architecture],
        max_epochs=options.epochs,
        precision=experiment.precision,
        callbacks=[*(callback() for callback in STARTS[start]), probe],
        random_state=trial,
    ).fit(X, y)
    accuracy = classifier.score(X_test, y_test)
    return [{**row, "accuracy": accuracy} for row in probe.rows]


class Probe(Callback):
    """Record the gradients and the saturation of each layer, before training and each epoch."""

    def __init__(self, activation):
        self.activation, self.rows = activation, []

    def on_train_begin(self, net, X=None, **kwargs):
        self.batch = X[torch.arange(min(len(X), N_PROBES))]
        self.record(net, epoch=0)

    def on_epoch_end(self, net, **kwargs):
        self.record(net, epoch=len(net.history))

    def record(self, net, epoch):
        modules = dict([*net.module_.features.named_children(), *net.module_.head.named_children()])
        inputs, outputs = {}, {}
        hooks = [
            module.register_forward_hook(partial(remember, name, inputs, outputs))
            for name, module in modules.items()
        ]
        loss = lab.loss_of(net, self.batch)
        for hook in hooks:
            hook.remove()
        is_layer = {
            name: isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
            for name, module in modules.items()
        }
        layers = [name for name in modules if is_layer[name]]
        weights = [modules[name].weight for name in layers]
        gradients = torch.autograd.grad(loss, [*weights, *(outputs[name] for name in layers)])
        rms = [float(gradient.square().mean().sqrt()) for gradient in gradients]
        # An activation follows each layer but the last, in the order of the layers.
        shares = [
            flat_shares(self.activation, inputs[name])
            for name in modules
            if name.startswith("activation")
        ]
        for name, of_weights, of_outputs, (saturated, dead) in zip(
            layers, rms[: len(layers)], rms[len(layers) :], [*shares, (None, None)], strict=True
        ):
            row = {"epoch": epoch, "layer": name, "weight_gradient": of_weights}
            row |= {"output_gradient": of_outputs, "saturated": saturated, "dead": dead}
            self.rows.append(row)


def remember(name, inputs, outputs, module, args, output):
    inputs[name], outputs[name] = args[0].detach(), output


def flat_shares(activation, z):
    """Return the shares of saturated values and of dead units; a unit is a kernel or a neuron."""
    function = lab.make_activation(activation)
    z, grid = z.clone().requires_grad_(), torch.linspace(-8, 8, 2000).requires_grad_()
    (slope,) = torch.autograd.grad(function(z).sum(), z)
    (slopes,) = torch.autograd.grad(function(grid).sum(), grid)
    is_flat = slope.abs() < SATURATED * slopes.max()
    by_unit = is_flat.transpose(0, 1).flatten(1)
    return float(is_flat.float().mean()), float(by_unit.all(dim=1).float().mean())


def with_norm(rows):
    """Add the gradient norm of each layer's outputs, over that of the network's."""
    networks = rows.groupby([*NETWORK, "trial", "epoch"], sort=False)
    return rows.assign(norm=rows.output_gradient / networks.output_gradient.transform("last"))


def compare(rows, options, pairs):
    """Return how many times larger the initial norm at C1 is: {case: estimate} for {case: pair}."""
    initial = with_norm(rows[rows.epoch == 0])
    norm = initial[initial.layer == "C1"].pivot(index="trial", columns=NETWORK, values="norm")
    ratio = lab.training_overlap(options.data, options.trials)
    return {
        case: lab.geometric_interval(norm[a] / norm[b], ratio) for case, (a, b) in pairs.items()
    }


def others_to_sigmoid(start):
    return {
        f"{name}, {architecture}": ((architecture, start, name), (architecture, start, "sigmoid"))
        for architecture in lab.ARCHITECTURES
        for name in lab.ACTIVATIONS
        if name != "sigmoid"
    }


def describe(outcomes, subject, times):
    """Return the counts, and the smallest and the largest estimate."""
    ordered = sorted(times, key=lambda case: times[case].mean)
    texts = []
    for case in (ordered[0], ordered[-1]):
        mean, low, high = (f"{float(f'{x:.2g}'):g}" for x in times[case])
        texts.append(f"{mean} ({case}; {low} to {high})")
    return f"{lab.count_outcomes(outcomes)}: {subject} is {' to '.join(texts)} times as large."


@experiment.claim(
    "With LeCun's initial weights the sigmoid's gradient vanishes: its norm at C1 is less than a "
    "tenth of that of each other activation.",
    PICTURE,
)
def vanishes(rows, options):
    times = compare(rows, options, others_to_sigmoid(LECUN))
    outcomes = [each.outcome(10) for each in times.values()]
    return lab.Finding(outcomes, describe(outcomes, "that of the others", times))


@experiment.claim(
    "The logarithmic rectifier keeps the gradient: its norm at C1 is at least half of that of the "
    "rectifier.",
    PICTURE,
)
def is_kept(rows, options):
    pairs = {
        f"{architecture}, {start}": ((architecture, start, "l_relu"), (architecture, start, "relu"))
        for architecture in lab.ARCHITECTURES
        for start in STARTS
    }
    times = compare(rows, options, pairs)
    outcomes = [each.outcome(0.5) for each in times.values()]
    return lab.Finding(outcomes, describe(outcomes, "it", times))


@experiment.claim(
    "Initial weights that suit the sigmoid prevent the vanishing: its norm at C1 is at least a "
    "tenth of that of each other activation.",
    PICTURE,
)
def is_prevented(rows, options):
    times = compare(rows, options, others_to_sigmoid(SKLENET))
    outcomes = [
        lab.Estimate(1 / each.mean, 1 / each.high, 1 / each.low).outcome(0.1)
        for each in times.values()
    ]
    sigmoid = rows[rows.activation == "sigmoid"].groupby(["architecture", "start"])
    ends = [f"{accuracy(part, options):.4f} ({', '.join(name)})" for name, part in sigmoid]
    details = f"With the sigmoid the training ends at {', '.join(ends)}."
    return lab.Finding(outcomes, describe(outcomes, "that of the others", times), details)


def accuracy(part, options):
    ratio = lab.training_overlap(options.data, options.trials)
    return lab.interval(part.groupby("trial").accuracy.first(), ratio)


@experiment.table
def networks(rows, options):
    """Return a table for each architecture."""
    tables = {}
    for (architecture, start, activation), part in with_norm(rows).groupby(NETWORK, sort=False):
        initial, final = (part[part.epoch == epoch] for epoch in (0, options.epochs))
        line = {"activation, initial weights": f"{activation}, {start}"}
        for layer, gradient in initial.groupby("layer", sort=False).weight_gradient.mean().items():
            line[layer] = f"{gradient:.1e}"
        for when, at in (("", initial), (" after", final)):
            line[f"C1/output{when}"] = f"{at[at.layer == 'C1'].norm.mean():.2g}"
            line[f"saturated{when}"] = f"{at.saturated.mean():.3f}"
            line[f"dead{when}"] = f"{at.dead.mean():.3f}"
        line["accuracy"] = f"{accuracy(part, options):.4f}"
        tables.setdefault(architecture, []).append(line)
    return {architecture: pd.DataFrame(lines) for architecture, lines in tables.items()}


def draw_panels(rows, axes, draw, **labels):
    """Draw the lines of all activations, in a panel for each architecture and start."""
    networks = rows.groupby(["architecture", "start"], sort=False)
    for ax, (names, part) in zip(axes.flat, networks, strict=True):
        for number, (activation, lines) in enumerate(part.groupby("activation", sort=False)):
            draw(ax, lines, number, activation)
        ax.set(**labels)
        ax.set_title(", ".join(names), fontsize=10)
        ax.label_outer()
    legend = axes[0, 0].get_legend_handles_labels()
    axes[0, 0].figure.legend(*legend, loc="outside right", frameon=False)


GRID = {"size": (10, 7), "panels": (2, 2), "sharex": True, "sharey": True}


@experiment.figure(PICTURE, "Before the training, {data_name} (bars: 95 % intervals)", **GRID)
def norm_over_layers(rows, options, axes):
    ratio = lab.training_overlap(options.data, options.trials)

    def draw(ax, lines, number, activation):
        norms = lines.groupby("layer", sort=False).norm.apply(lab.geometric_interval, ratio)
        lab.draw_estimates(ax, norms.index, norms, number, label=activation)

    labels = {"yscale": "log", "xlabel": "Layer", "ylabel": "Gradient norm, over the output's"}
    draw_panels(with_norm(rows[rows.epoch == 0]), axes, draw, **labels)


@experiment.figure(
    "gradient_over_epochs.png", "Through the training, {data_name} (bands: 95 % intervals)", **GRID
)
def gradient_over_epochs(rows, options, axes):
    ratio = lab.training_overlap(options.data, options.trials)

    def draw(ax, lines, number, activation):
        gradients = lines.groupby("epoch").weight_gradient.apply(lab.geometric_interval, ratio)
        lab.draw_curve(ax, gradients.index, gradients, number, label=activation)
        ax.xaxis.get_major_locator().set_params(integer=True)

    labels = {"xlabel": "Epoch", "ylabel": "Gradient of the weights of C1 (RMS)"}
    draw_panels(rows[rows.layer == "C1"], axes, draw, yscale="log", **labels)


@experiment.figure("saturation.png", "Before (dotted) and after the training, {data_name}", **GRID)
def saturation(rows, options, axes):
    def draw(ax, lines, number, activation):
        style = {"marker": lab.MARKERS[number], "color": lab.COLORS[number], "markersize": 5}
        for epoch, line in ((0, {"linestyle": ":"}), (options.epochs, {"label": activation})):
            shares = lines[lines.epoch == epoch].groupby("layer", sort=False).saturated.mean()
            ax.plot(shares.index, shares, **style, **line)

    labels = {"xlabel": "Layer", "ylabel": "Saturated values (share)", "ylim": (-0.03, 1.03)}
    draw_panels(rows[rows.saturated.notna()], axes, draw, **labels)
