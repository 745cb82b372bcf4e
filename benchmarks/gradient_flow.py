"""The sigmoid's gradient vanishes on its way to the input; the logarithmic rectifier keeps it.

The first part holds: from initial weights of one size the other activations let 39 to 210 times as
much of it through to C1. The logarithmic rectifier keeps more than the sigmoid, but only about a
quarter to a half of what the rectifier does (up to 0.84 in an interval). Initial weights that suit
the sigmoid help, no cure: the others then let through 7 to 27 times as much. The vanishing is one
of the start: after five epochs the sigmoid is within a factor of 3 to 8 of the others.

The Deep LeNet and LeNet-5 are trained with each activation, from the initial weights of sklenet,
whose size suits the activation, and from those of LeCun et al. (1998), which have one size for all.
Before the training and after each epoch the gradient of the loss on 512 training images is taken in
each layer, in its weights and in its outputs, and each activation is asked how many of its values
are saturated (the slope is less than a hundredth of the largest) and how many of its units are dead
(saturated for all of these images). The committed result:

    python benchmarks/gradient_flow.py --data mnist --trials 5 \\
        --out benchmarks/results/gradient_flow
"""

from functools import partial

import numpy as np
import torch
from experiments import (
    ACTIVATIONS,
    ARCHITECTURES,
    TITLES,
    ExperimentParser,
    UnitGain,
    run_experiment,
)
from reporting import made_by, table, to_png
from skorch.callbacks import Callback
from trials import draw_trials
from verdicts import (
    claim,
    describe_counts,
    describe_overlap,
    format_claims,
    geometric_interval,
    outcome_of,
    overlap,
    plus_minus,
    verdict_of,
)

from sklenet import DeepLeNetClassifier
from sklenet.network import make_activation
from sklenet.plotting import GradientFlowDisplay
from sklenet.plotting._style import COLOURS, MARKERS

PRECISION = "float32"  # small gradients are the matter at hand
N_PROBES = 512
STARTS = {"LeCun's weights": [UnitGain], "sklenet's weights": []}
PICTURE = "gradient_flow.png"
SATURATED = 0.01  # of the largest slope


def main(argv=None):
    run_experiment(
        *(make_parser(), argv, load_images, measure, judge, make_page, draw), precision=PRECISION
    )


def make_parser():
    parser = ExperimentParser("gradient_flow.py", "The gradient in each layer.")
    parser.add_size("--n-train", 20, "training images", digits=200, mnist=10_000)
    parser.add_size("--epochs", 1, "epochs of a training", digits=2, mnist=5, maximum=1000)
    return parser


def load_images(options):
    return draw_trials(options.data, options.trials, options.n_train)


def measure(options, trials, journal):
    networks = [
        {"architecture": architecture, "start": start, "activation": activation}
        for architecture in ARCHITECTURES
        for start in STARTS
        for activation in ACTIVATIONS
    ]
    runs = []
    for trial, images in enumerate(trials):
        for network in networks:
            name = f"{', '.join(network.values())}, trial {trial}"
            numbers = journal.measure(
                name, follow, *network.values(), trial, images, options.epochs
            )
            runs.append({**network, "trial": trial, **numbers})
    data = {"name": options.data, "training images": options.n_train, "trials": options.trials}
    probes = {"probes": min(options.n_train, N_PROBES), "saturated": SATURATED}
    return {"data": {**data, "epochs": options.epochs, **probes}, "runs": runs}


def follow(architecture, start, activation, seed, images, epochs):
    """Train a network and probe it before the training and after each epoch."""
    X, X_test, y, y_test = images
    probe = Probe(activation)
    classifier = DeepLeNetClassifier(
        activation,
        **ARCHITECTURES[architecture],
        max_epochs=epochs,
        precision=PRECISION,
        callbacks=[*(callback() for callback in STARTS[start]), probe],
        random_state=seed,
    ).fit(X, y)
    return {"points": probe.points, "accuracy": classifier.score(X_test, y_test)}


class Probe(Callback):
    """Take the gradient in each layer and the saturation of each activation, on some images."""

    def __init__(self, activation):
        self.activation, self.points = activation, []

    def on_train_begin(self, net, X=None, **kwargs):
        self.batch = X[torch.arange(min(len(X), N_PROBES))]
        self.take(net)

    def on_epoch_end(self, net, **kwargs):
        self.take(net)

    def take(self, net):
        modules = [*net.module_.features.named_children(), *net.module_.head.named_children()]
        layers = {
            name: module
            for name, module in modules
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
        }
        outputs, inputs = {}, {}
        hooks = [
            layer.register_forward_hook(partial(remember_output, outputs, name))
            for name, layer in layers.items()
        ] + [
            module.register_forward_pre_hook(partial(remember_input, inputs, name))
            for name, module in modules
            if name.startswith("activation")
        ]
        images, target = self.batch
        loss = net.get_loss(net.infer(images), target)
        for hook in hooks:
            hook.remove()
        weights = [layer.weight for layer in layers.values()]
        gradients = torch.autograd.grad(loss, [*weights, *outputs.values()])
        sizes = [float(gradient.square().mean().sqrt()) for gradient in gradients]
        # An activation follows each layer but the last, in the order of the layers.
        shares = [flat_shares(self.activation, z) for z in inputs.values()]
        self.points.append(
            {
                "gradient": dict(zip(layers, sizes[: len(layers)], strict=True)),
                "gradient of outputs": dict(zip(layers, sizes[len(layers) :], strict=True)),
                "saturated": dict(zip(layers, [share for share, _ in shares], strict=False)),
                "dead": dict(zip(layers, [share for _, share in shares], strict=False)),
            }
        )


def remember_output(outputs, name, module, inputs, output):
    outputs[name] = output


def remember_input(inputs, name, module, args):
    inputs[name] = args[0].detach()


def flat_shares(activation, z):
    """Return the shares of saturated values and of dead units; a unit is a kernel or a neuron."""
    function = make_activation(activation)
    z, grid = z.clone().requires_grad_(), torch.linspace(-8, 8, 2000).requires_grad_()
    (slope,) = torch.autograd.grad(function(z).sum(), z)
    (slopes,) = torch.autograd.grad(function(grid).sum(), grid)
    is_flat = slope.abs() < SATURATED * slopes.max()
    by_unit = is_flat.transpose(0, 1).flatten(1)
    return float(is_flat.float().mean()), float(by_unit.all(dim=1).float().mean())


class Flow:
    """The numbers of a result, by architecture, start and activation; first axis: the trial."""

    def __init__(self, result):
        self.runs, self.ratio = result["runs"], overlap(result["data"])
        self.layers = list(self.runs[0]["points"][0]["gradient"])

    def read(self, what, *network):
        """Return what was taken in each layer, an array of shape (trials, epochs + 1, layers)."""
        return np.array(
            [
                [list(point[what].values()) for point in run["points"]]
                for run in self._chosen(network)
            ]
        )

    def arriving(self, *network):
        """Return the gradient of each layer's outputs over that of the network's, like `read`."""
        gradient = self.read("gradient of outputs", *network)
        return gradient / gradient[..., -1:]

    def accuracy(self, *network):
        return [run["accuracy"] for run in self._chosen(network)]

    def times(self, network, other):
        """Return how many times more arrives at C1 before the training: the mean, its interval."""
        times = self.arriving(*network)[:, 0, 0] / self.arriving(*other)[:, 0, 0]
        return geometric_interval(times, self.ratio)

    def _chosen(self, network):
        keys = ("architecture", "start", "activation")
        return [run for run in self.runs if tuple(run[key] for key in keys) == network]


def judge(result):
    flow = Flow(result)
    others = [name for name in ACTIVATIONS if name != "sigmoid"]
    lost, cured = (
        {
            f"{name}, {architecture}": flow.times(
                (architecture, start, name), (architecture, start, "sigmoid")
            )
            for architecture in ARCHITECTURES
            for name in others
        }
        for start in STARTS
    )
    kept = {
        f"{architecture}, {start}": flow.times(
            (architecture, start, "l_relu"), (architecture, start, "relu")
        )
        for architecture in ARCHITECTURES
        for start in STARTS
    }
    accuracies = [
        f"{plus_minus(flow.accuracy(architecture, start, 'sigmoid'), flow.ratio)} "
        f"({architecture}, {start})"
        for architecture in ARCHITECTURES
        for start in STARTS
    ]
    return [
        claim(
            "With LeCun's initial weights the sigmoid's gradient vanishes: less than a tenth of "
            "what the other activations let through arrives at C1.",
            PICTURE,
            *describe_times(
                [outcome_of(low, high, 10) for _, low, high in lost.values()],
                f"the others let through {describe_range(lost)} times as much.",
            ),
        ),
        claim(
            "The logarithmic rectifier keeps the gradient: it lets through at least half of what "
            "the rectifier does.",
            PICTURE,
            *describe_times(
                [outcome_of(low, high, 0.5) for _, low, high in kept.values()],
                f"it lets through {describe_range(kept)} times as much.",
            ),
        ),
        claim(
            "Initial weights that suit the sigmoid cure the vanishing, too: at least a tenth of "
            "what the other activations let through arrives at C1.",
            PICTURE,
            *describe_times(
                [outcome_of(1 / high, 1 / low, 0.1) for _, low, high in cured.values()],
                f"the others let through {describe_range(cured)} times as much.",
            ),
            f"With the sigmoid the training ends at {', '.join(accuracies)}.",
        ),
    ]


def describe_times(outcomes, text):
    """Return the verdict, and the counts before the text."""
    return verdict_of(outcomes), f"{describe_counts(outcomes)}: {text}"


def describe_range(cases):
    by_size = sorted(cases, key=lambda case: cases[case][0])
    texts = []
    for case in (by_size[0], by_size[-1]):
        mean, low, high = (f"{float(f'{times:.2g}'):g}" for times in cases[case])
        texts.append(f"{mean} ({case}; {low} to {high})")
    return " to ".join(texts)


def make_page(result):
    flow, data = Flow(result), result["data"]
    pages = ""
    for architecture in ARCHITECTURES:
        arriving, shares = [], []
        for start in STARTS:
            for activation in ACTIVATIONS:
                network = (architecture, start, activation)
                ends = [0, -1]
                passed = flow.arriving(*network)[..., 0].mean(axis=0)[ends]
                arriving.append(
                    [
                        f"{activation}, {start}",
                        *(f"{size:.1e}" for size in flow.read("gradient", *network)[:, 0].mean(0)),
                        *(f"{share:.2g}" for share in passed),
                        plus_minus(flow.accuracy(*network), flow.ratio),
                    ]
                )
                saturated, dead = (
                    flow.read(what, *network).mean(axis=(0, 2))[ends]
                    for what in ("saturated", "dead")
                )
                shares.append(
                    [f"{activation}, {start}", *(f"{x:.3f}" for x in (*saturated, *dead))]
                )
        header = ["activation, initial weights", *flow.layers, "C1/output", "after", "accuracy"]
        pages += f"""## {architecture}

{table(header, arriving)}

{table(["activation, initial weights", "saturated", "after", "dead", "after"], shares)}

"""
    return f"""# Gradient flow

{format_claims(result["claims"])}

{data["training images"]:,} images of {TITLES[data["name"]]}, {data["epochs"]} epochs of the default
recipe in float32, {data["trials"]} trials: means; for the claims, the accuracies and the first two
pictures also 95 % intervals (Student's t over the trials{describe_overlap(data)}).
LeCun's weights have the standard deviation fan_in ** -0.5 in every layer (Y. LeCun, L. Bottou,
G. Orr, K.-R. Müller, *Efficient BackProp*, 1998, section 4.6), sklenet's are larger in the hidden
layers by the gain that suits the activation (`sklenet.network.activation_gain`).

What arrives at a layer is the root mean square of the gradient of the loss in its outputs, before
the activation, over that in the outputs of the network. The claims are about the networks before
the training, and compare geometric means.

![The gradient in each layer](gradient_flow.png)

![The gradient of C1 through the training](gradient_over_epochs.png)

![Saturated values in each layer](saturation.png)

The first table of each architecture has the root mean square of the gradient in the weights of each
layer before the training, on {data["probes"]} training images; what arrives at C1 before and after
the training; and the test accuracy. The second has the shares of values that are saturated (slope
below {data["saturated"]:g} of the activation's largest; for a rectifier every negative one, for the
leaky rectifier, whose smaller slope is just that, none) and of units, kernels or neurons, that are
dead (saturated for all {data["probes"]} images), before and after the training: means over the
layers. Where the maximum of four pixels is taken, these are the values that remain.

{pages}{made_by(result)}
"""


def draw(result):
    flow, title = Flow(result), TITLES[result["data"]["name"]]
    return {
        PICTURE: draw_grid(
            flow, draw_layers, f"Before the training, {title} (bars: 95 % intervals)"
        ),
        "gradient_over_epochs.png": draw_grid(
            flow, draw_epochs, f"Through the training, {title} (bands: 95 % intervals)"
        ),
        "saturation.png": draw_grid(
            flow, draw_saturation, f"Before (dotted) and after the training, {title}"
        ),
    }


def draw_grid(flow, draw_panel, title):
    """Draw a panel for each architecture and start."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots(len(ARCHITECTURES), len(STARTS), sharex=True, sharey=True)
    for row, architecture in zip(axes, ARCHITECTURES, strict=True):
        for ax, start in zip(row, STARTS, strict=True):
            draw_panel(ax, flow, architecture, start)
            ax.set_title(f"{architecture}, {start}", fontsize=10)
            ax.grid(alpha=0.3)
            ax.label_outer()
    figure.suptitle(title)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right", frameon=False)
    return to_png(figure)


def draw_layers(ax, flow, architecture, start):
    sizes, errors = {}, {}
    for name in ACTIVATIONS:
        arriving = flow.arriving(architecture, start, name)[:, 0]
        size, low, high = np.transpose([geometric_interval(x, flow.ratio) for x in arriving.T])
        sizes[name], errors[name] = size, [size - low, high - size]
    GradientFlowDisplay(flow.layers, sizes, errors).plot(ax=ax)
    ax.set_ylabel("What arrives, of the output's gradient")
    ax.get_legend().remove()


def draw_epochs(ax, flow, architecture, start):
    for number, name in enumerate(ACTIVATIONS):
        gradient = flow.read("gradient", architecture, start, name)[..., 0]
        mean, *band = np.transpose([geometric_interval(x, flow.ratio) for x in gradient.T])
        epochs, colour = np.arange(len(mean)), COLOURS[number]
        ax.plot(epochs, mean, marker=MARKERS[number], color=colour, markersize=4, label=name)
        ax.fill_between(epochs, *band, color=colour, alpha=0.15, linewidth=0)
    ax.set(yscale="log", xlabel="Epoch", ylabel="Gradient in the weights of C1 (RMS)")
    ax.xaxis.get_major_locator().set_params(integer=True)


def draw_saturation(ax, flow, architecture, start):
    for number, name in enumerate(ACTIVATIONS):
        shares = flow.read("saturated", architecture, start, name).mean(axis=0)
        style = {"marker": MARKERS[number], "color": COLOURS[number], "markersize": 5}
        ax.plot(flow.layers[:-1], shares[0], linestyle=":", **style)
        ax.plot(flow.layers[:-1], shares[-1], label=name, **style)
    ax.set(xlabel="Layer", ylabel="Saturated values (share)", ylim=(-0.03, 1.03))


if __name__ == "__main__":
    main()
