"""Does the sigmoid's gradient vanish on its way to the input, and does the logarithmic rectifier
keep it?"""

from copy import deepcopy
from functools import partial

import numpy as np
import pandas as pd
import torch
from skorch.callbacks import Callback

from sklenet import DeepLeNetClassifier
from sklenet.network import make_activation, value_and_derivative

from .. import lab

SATURATED = 0.01  # of the largest slope
LR = 5e-3  # the default without normalization, here for every start
# The callbacks and the parameters of each start.
NORMALIZED = "LeCun's weights, batch normalization"
STARTS = {
    "LeCun's weights": ([lab.UnitGain], lab.PLAIN),
    "sklenet's weights": ([], lab.PLAIN),
    NORMALIZED: ([lab.UnitGain], lab.NORMALIZED),
}
NETWORK = ["architecture", "start", "activation"]
SIGMOID_FIRST = lab.ACTIVATIONS[::-1]

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"trials": 5, "n_train": 200, "epochs": 2, "n_probes": 512},
    mnist={"trials": 5, "n_train": 10_000, "epochs": 5, "n_probes": 512},
    precision="float32",  # bfloat16 rounds small gradients
)


@experiment.images
def images(options):
    return lab.sample_trials(options.data, options.trials, options.n_train)


@experiment.rows
def cells(options):
    networks = {"architecture": lab.ARCHITECTURES, "start": STARTS, "activation": lab.ACTIVATIONS}
    return {"trial": range(options.trials), **networks}


@experiment.measure
def flow(trial, architecture, start, activation, *, images, options):
    X, X_test, y, y_test = images[trial]
    probe = Probe(activation, options.n_probes)
    callbacks, parameters = STARTS[start]
    classifier = DeepLeNetClassifier(
        activation,
        **lab.ARCHITECTURES[architecture],
        **parameters,
        lr=LR,
        max_epochs=options.epochs,
        precision=experiment.precision,
        callbacks=[*(callback() for callback in callbacks), probe],
        random_state=trial,
    ).fit(X, y)
    accuracy = classifier.score(X_test, y_test)
    return [{**row, "accuracy": accuracy} for row in probe.rows]


class Probe(Callback):
    """Record gradients and saturation of each layer, before the training and after each epoch."""

    def __init__(self, activation, n_probes):
        self.activation, self.n_probes, self.rows = activation, n_probes, []

    def on_train_begin(self, net, X=None, **kwargs):
        self.inputs, self.target = X[torch.arange(min(len(X), self.n_probes))]
        self.record(net, epoch=0)

    def on_epoch_end(self, net, **kwargs):
        self.record(net, epoch=len(net.history))

    def record(self, net, epoch):
        network = deepcopy(net.module_).train()  # the moving averages of the copy change
        modules = dict([*network.features.named_children(), *network.head.named_children()])
        values, z = {}, self.inputs["images"]
        for name, module in modules.items():
            values[name] = z.detach(), module(z)
            z = values[name][1]
        loss = net.get_loss(z, self.target, X=self.inputs)
        layers = [name for name, module in modules.items() if hasattr(module, "weight")]
        tensors = [modules[name].weight for name in layers], [values[name][1] for name in layers]
        gradients = (torch.autograd.grad(loss, each, retain_graph=True) for each in tensors)
        # An activation follows each layer but the last, in the order of the layers.
        inputs = [values[name][0] for name in modules if name.startswith("activation")]
        shares = [*(flat_shares(self.activation, z) for z in inputs), (None, None)]
        for layer, of_weights, of_outputs, share in zip(layers, *gradients, shares, strict=True):
            row = {"epoch": epoch, "layer": layer}
            row |= {"weight_gradient": rms(of_weights), "output_gradient": rms(of_outputs)}
            self.rows.append({**row, "saturated": share[0], "dead": share[1]})


def rms(gradient):
    return float(gradient.square().mean().sqrt())


def flat_shares(activation, z):
    """Return the shares of saturated values and of dead units; a unit is a kernel or a neuron."""
    function = make_activation(activation)
    _, slope = value_and_derivative(function, z)
    _, slopes = value_and_derivative(function, torch.linspace(-8, 8, 2000))
    is_flat = slope.abs() < SATURATED * slopes.max()
    by_unit = is_flat.transpose(0, 1).flatten(1)
    return float(is_flat.float().mean()), float(by_unit.all(dim=1).float().mean())


def with_norm(rows):
    """Add the gradient norm of each layer's outputs, over that of the network's."""
    networks = rows.groupby([*NETWORK, "trial", "epoch"], sort=False)
    return rows.assign(norm=rows.output_gradient / networks.output_gradient.transform("last"))


def judge(rows, options, start, activations, threshold, power=1):
    """Judge the norm of the first activation at C1 over that of the others, before the training.

    The claim is that each ratio, to this power, is above the threshold.
    """
    chosen = (rows.epoch == 0) & rows.activation.isin(activations) & rows.start.isin(start)
    norms = with_norm(rows[chosen]).query("layer == 'C1'")
    norms = norms.assign(
        log_norm=power * np.log(norms.norm), network=norms.architecture + ", " + norms.start
    )
    leads = lab.leads(norms, "log_norm", "activation", activations[0], "network", options)
    form = partial(format_ratio, unit="times as large" if power == 1 else "times smaller")
    return lab.judge(leads, form, np.log(threshold))


def format_ratio(log_ratio, unit):
    ratio, low, high = (f"{float(f'{x:.2g}'):g}" for x in np.exp(log_ratio))
    return f"{ratio} ({low} to {high}) {unit}"


@experiment.claim(
    "From LeCun's weights the sigmoid has under a tenth of the others' gradient norm."
)
def vanishes(rows, options):
    return judge(rows, options, ["LeCun's weights"], SIGMOID_FIRST, threshold=10, power=-1)


@experiment.claim("The logarithmic rectifier has at least half of the rectifier's gradient norm.")
def is_kept(rows, options):
    starts = [start for start in STARTS if start != NORMALIZED]
    return judge(rows, options, starts, ["l_relu", "relu"], threshold=0.5)


@experiment.claim(
    "From sklenet's weights the sigmoid has at least a tenth of the others' gradient norm."
)
def is_prevented(rows, options):
    return judge(rows, options, ["sklenet's weights"], SIGMOID_FIRST, threshold=0.1)


@experiment.claim(
    "With batch normalization the sigmoid has at least a tenth of the others' gradient norm."
)
def is_prevented_by_normalization(rows, options):
    return judge(rows, options, [NORMALIZED], SIGMOID_FIRST, threshold=0.1)


@experiment.table
def networks(rows, options):
    """Return a table for each architecture."""
    trainings = rows.drop_duplicates([*NETWORK, "trial"])
    accuracies = lab.estimate(trainings, "accuracy", NETWORK, options)
    tables = {architecture: [] for architecture in lab.ARCHITECTURES}
    for network, part in with_norm(rows).groupby(NETWORK, sort=False):
        initial, final = (part[part.epoch == epoch] for epoch in (0, options.epochs))
        gradients = initial.groupby("layer", sort=False).weight_gradient.mean()
        line = {"activation, initial weights": f"{network[2]}, {network[1]}"}
        line |= gradients.map("{:.1e}".format).to_dict()
        for when, at in (("", initial), (" after", final)):
            line[f"C1/output{when}"] = f"{at[at.layer == 'C1'].norm.mean():.2g}"
            line[f"saturated{when}"] = f"{at.saturated.mean():.3f}"
            line[f"dead{when}"] = f"{at.dead.mean():.3f}"
        tables[network[0]].append({**line, "accuracy": f"{accuracies[network]:.4f}"})
    return {architecture: pd.DataFrame(lines) for architecture, lines in tables.items()}


@experiment.table
def saturated_below(rows, options):
    return SATURATED


@experiment.table
def lr(rows, options):
    return LR


GRID = {"size": (10, 7), "panels": NETWORK[:2], "sharex": True, "sharey": True}


@experiment.figure(
    "gradient_flow.png", "Before the training, {data_name} (bars: 95 % intervals)", **GRID
)
def norm_over_layers(rows, options, ax):
    initial = with_norm(rows[rows.epoch == 0])
    lab.draw_lines(ax, initial, "layer", "norm", "activation", options, lab.geometric_interval)
    ax.set(yscale="log", xlabel="Layer, from input to output", ylabel="Gradient norm / output's")


@experiment.figure(
    "gradient_over_epochs.png", "During the training, {data_name} (bands: 95 % intervals)", **GRID
)
def gradient_over_epochs(rows, options, ax):
    lines = {"x": "epoch", "column": "weight_gradient", "by": "activation", "options": options}
    style = {"interval": lab.geometric_interval, "bands": lab.ACTIVATIONS}
    lab.draw_lines(ax, rows[rows.layer == "C1"], **lines, **style)
    ax.set(yscale="log", xlabel="Epoch", ylabel="Gradient of the weights of C1 (RMS)")
    ax.xaxis.get_major_locator().set_params(integer=True)


@experiment.figure("saturation.png", "Before (dotted) and after the training, {data_name}", **GRID)
def saturation(rows, options, ax):
    for epoch, style in ((0, {"linestyle": ":", "label": None}), (options.epochs, {})):
        part = rows[rows.epoch == epoch].dropna()
        columns = ["layer", "saturated", "activation"]
        lab.draw_lines(ax, part, *columns, options, bands=[], **style)
    ax.set(xlabel="Layer", ylabel="Saturated values (share)", ylim=(-0.03, 1.03))
