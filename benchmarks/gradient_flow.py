"""The sigmoid's gradient vanishes on its way to the input; the logarithmic rectifier keeps it.

The Deep LeNet is trained with each activation, from the initial weights of sklenet, whose size
suits the activation, and from those of LeCun et al. (1998), which have one size for all. Before the
training and after each epoch the gradient of the loss on 512 training images is taken in each
layer, and each activation is asked how many of its outputs are saturated (the slope is less than a
hundredth of the largest) and how many of its units are dead (saturated for all of these images).
The committed result:

    python benchmarks/gradient_flow.py --data mnist --trials 5 \\
        --out benchmarks/results/gradient_flow
"""

from functools import partial

import numpy as np
import torch
from experiments import (
    ACTIVATIONS,
    TITLES,
    ExperimentParser,
    UnitGain,
    claim,
    draw_trials,
    format_claims,
    interval,
    plus_minus,
    run_experiment,
    verdict_of,
)
from reporting import made_by, table, to_png
from skorch.callbacks import Callback

from sklenet import DeepLeNetClassifier
from sklenet.activations import make_activation
from sklenet.plotting import GradientFlowDisplay
from sklenet.plotting.style import COLOURS, MARKERS

N_TRAIN = {"digits": 800, "mnist": 10_000}
EPOCHS = {"digits": 4, "mnist": 10}
PRECISION = "float32"  # small gradients are the matter at hand
N_PROBES = 512
STARTS = {"LeCun's weights": [UnitGain], "sklenet's weights": []}
SATURATED = 0.01  # of the largest slope


def main(argv=None):
    run_experiment(make_parser(), argv, load_images, measure, judge, present, precision=PRECISION)


def make_parser():
    parser = ExperimentParser("gradient_flow.py", "The gradient in each layer.")
    parser.add_number("--n-train", 20, "training images; default: 800 and 10000 with mnist")
    parser.add_number("--epochs", 1, "epochs of a training; default: 4 and 10 with mnist")
    return parser


def load_images(options):
    options.n_train = options.n_train or N_TRAIN[options.data]
    options.epochs = options.epochs or EPOCHS[options.data]
    return draw_trials(options.data, options.trials, options.n_train)


def measure(options, trials, journal):
    runs = []
    for trial, images in enumerate(trials):
        for start in STARTS:
            for activation in ACTIVATIONS:
                name = f"{activation}, {start}, trial {trial}"
                numbers = journal.measure(
                    name, follow, activation, start, trial, images, options.epochs
                )
                runs.append({"activation": activation, "start": start, "trial": trial, **numbers})
    data = {"name": options.data, "training images": options.n_train, "trials": options.trials}
    return {"data": {**data, "epochs": options.epochs}, "runs": runs}


def follow(activation, start, seed, images, epochs):
    """Train a network and take its gradients and its saturation before and after each epoch."""
    X, X_test, y, y_test = images
    probe = Probe(activation)
    classifier = DeepLeNetClassifier(
        activation,
        max_epochs=epochs,
        precision=PRECISION,
        callbacks=[*(callback() for callback in STARTS[start]), probe],
        random_state=seed,
    ).fit(X, y)
    return {"points": probe.points, "accuracy": classifier.score(X_test, y_test)}


class Probe(Callback):
    """Measure the gradient of each layer, and the saturation of each activation, on some images."""

    def __init__(self, activation):
        self.activation, self.points = activation, []

    def on_train_begin(self, net, X=None, **kwargs):
        self.batch = X[torch.arange(min(len(X), N_PROBES))]
        self.measure(net)

    def on_epoch_end(self, net, **kwargs):
        self.measure(net)

    def measure(self, net):
        layers = dict([*net.module_.features.named_children(), *net.module_.head.named_children()])
        inputs = {}
        hooks = [
            layer.register_forward_pre_hook(partial(remember, inputs, name))
            for name, layer in layers.items()
            if name.startswith("activation")
        ]
        images, target = self.batch
        loss = net.get_loss(net.infer(images), target)
        weights = {
            name: layer.weight
            for name, layer in layers.items()
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)
        }
        gradients = torch.autograd.grad(loss, list(weights.values()))
        for hook in hooks:
            hook.remove()
        shares = {name: flat_shares(self.activation, z) for name, z in inputs.items()}
        self.points.append(
            {
                "gradient": {
                    name: float(gradient.square().mean().sqrt())
                    for name, gradient in zip(weights, gradients, strict=True)
                },
                "saturated": {
                    layer_before(name): saturated for name, (saturated, _) in shares.items()
                },
                "dead": {layer_before(name): dead for name, (_, dead) in shares.items()},
            }
        )


def remember(inputs, name, module, args):
    inputs[name] = args[0].detach()


def layer_before(activation):
    """Name the layer whose output an activation sees: "activation3" follows C3."""
    number = activation.removeprefix("activation")
    return {"1": "C1", "3": "C3", "5": "F5", "6": "F6"}[number]


def flat_shares(activation, z):
    """Return the shares of saturated outputs and of dead units; a unit is a kernel or a neuron."""
    function = make_activation(activation)
    z, grid = z.clone().requires_grad_(), torch.linspace(-8, 8, 2000).requires_grad_()
    (slope,) = torch.autograd.grad(function(z).sum(), z)
    (slopes,) = torch.autograd.grad(function(grid).sum(), grid)
    is_flat = slope.abs() < SATURATED * slopes.max()
    by_unit = is_flat.transpose(0, 1).flatten(1)
    return float(is_flat.float().mean()), float(by_unit.all(dim=1).float().mean())


class Flow:
    """The numbers of a result by activation and start; the first axis of an array is the trial."""

    def __init__(self, result):
        self.runs = result["runs"]
        self.layers = list(self.runs[0]["points"][0]["gradient"])

    def read(self, what, activation, start):
        """Return the "gradient" or a share, "saturated" or "dead": (trials, epochs + 1, layers)."""
        return np.array(
            [
                [list(point[what].values()) for point in run["points"]]
                for run in self._chosen(activation, start)
            ]
        )

    def arriving(self, activation, start):
        """Return, before the training, the gradient of C1 in terms of that of the output layer."""
        gradient = self.read("gradient", activation, start)[:, 0]
        return gradient[:, 0] / gradient[:, -1]

    def accuracy(self, activation, start):
        return [run["accuracy"] for run in self._chosen(activation, start)]

    def _chosen(self, activation, start):
        return [
            run for run in self.runs if (run["activation"], run["start"]) == (activation, start)
        ]


def judge(result):
    flow = Flow(result)
    lecun, own = STARTS
    others = [name for name in ACTIVATIONS if name != "sigmoid"]
    tenths = [ratio(flow.arriving(name, lecun), flow.arriving("sigmoid", lecun)) for name in others]
    kept = [ratio(flow.arriving("l_relu", start), flow.arriving("relu", start)) for start in STARTS]
    cured = [ratio(flow.arriving(name, own), flow.arriving("sigmoid", own)) for name in others]
    recovered = ratio(flow.arriving("sigmoid", own), flow.arriving("sigmoid", lecun))
    accuracies = (f"{plus_minus(flow.accuracy('sigmoid', start), 3)} ({start})" for start in STARTS)
    return [
        claim(
            "With LeCun's initial weights the sigmoid's gradient vanishes: measured by that of the "
            "output layer, less than a tenth of what the other activations have reaches C1.",
            verdict_of([low > 10 for _, low, _ in tenths]),
            f"The others have {describe_ratios(others, tenths)} times as much.",
        ),
        claim(
            "The logarithmic rectifier keeps it: C1 has at least half as much as with the "
            "rectifier.",
            verdict_of([low > 0.5 for _, low, _ in kept]),
            f"It has {describe_ratios(STARTS, kept)} times as much.",
        ),
        claim(
            "Initial weights that suit the sigmoid cure it, too: C1 has at least a tenth of what "
            "the other activations have.",
            verdict_of([high < 10 for *_, high in cured]),
            f"C1 has {describe_ratios([own], [recovered])} times as much as with LeCun's, and the "
            f"others have {describe_ratios(others, cured)} times more still; trained, the sigmoid "
            f"reaches an accuracy of {' and '.join(accuracies)}.",
        ),
    ]


def ratio(values, others):
    """Return the geometric mean over the trials of values / others, and its 95 % interval."""
    mean, half_width = interval(np.log(values / others))
    return tuple(float(np.exp(x)) for x in (mean, mean - half_width, mean + half_width))


def describe_ratios(names, ratios):
    return ", ".join(
        f"{mean:.3g} ({low:.3g} to {high:.3g}; {name})"
        for name, (mean, low, high) in zip(names, ratios, strict=True)
    )


def present(result):
    flow = Flow(result)
    pictures = {
        "gradient_flow.png": draw_gradients(flow, result["data"]),
        "saturation.png": draw_saturation(flow, result["data"]),
    }
    return format_page(result, flow), pictures


def format_page(result, flow):
    data = result["data"]
    arriving, shares = [], []
    for start in STARTS:
        for activation in ACTIVATIONS:
            gradient = flow.read("gradient", activation, start)
            relative = gradient[..., 0] / gradient[..., -1]
            arriving.append(
                [
                    f"{activation}, {start}",
                    *(f"{size:.1e}" for size in gradient[:, 0].mean(axis=0)),
                    f"{relative[:, 0].mean():.2g}",
                    f"{relative[:, -1].mean():.2g}",
                    plus_minus(flow.accuracy(activation, start)),
                ]
            )
            flat = flow.read("saturated", activation, start).mean(axis=(0, 2))
            dead = flow.read("dead", activation, start).mean(axis=(0, 2))
            shares.append(
                [f"{activation}, {start}"]
                + [f"{share:.3f}" for share in (flat[0], flat[-1], dead[0], dead[-1])]
            )
    header = ["activation, initial weights", *flow.layers, "C1/output", "after training"]
    return f"""# Gradient flow

{format_claims(result["claims"])}

The Deep LeNet, {data["training images"]:,} images of {TITLES[data["name"]]}, {data["epochs"]}
epochs of the default recipe in float32, {data["trials"]} trials: means and, where ± says so, 95 %
intervals (Student's t over the trials).
LeCun's weights have the standard deviation fan_in ** -0.5 in every layer (Y. LeCun, L. Bottou,
G. Orr, K.-R. Müller, *Efficient BackProp*, 1998, section 4.6), sklenet's are larger in the hidden
layers by the gain that suits the activation (`sklenet.activations.activation_gain`).

Root mean square of the gradient of the loss in the weights of each layer before the training, on
{N_PROBES} training images; that of C1 in terms of the output layer's, before and after the
training; and the accuracy on the test images.

{table([*header, "accuracy"], arriving)}

![The gradient in each layer, and that of C1 through the training](gradient_flow.png)

Shares of the outputs that are saturated (slope below {SATURATED:.0%} of the activation's largest;
of a rectifier that is every negative input) and of the units, kernels or neurons, that are dead
(saturated for all {N_PROBES} images), before and after the training; means over the layers.

{table(["activation, initial weights", "saturated", "after", "dead", "after"], shares)}

![Saturated outputs in each layer](saturation.png)

{made_by(result)}
"""


def draw_gradients(flow, data):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7.5), layout="constrained")
    axes = figure.subplots(2, len(STARTS), sharey="row")
    for (top, bottom), start in zip(axes.T, STARTS, strict=True):
        logs = {name: np.log(flow.read("gradient", name, start)) for name in ACTIVATIONS}
        sizes = {name: np.exp(log[:, 0].mean(axis=0)) for name, log in logs.items()}
        GradientFlowDisplay(flow.layers, sizes).plot(ax=top)
        top.set_title(f"Before the training, {start}")
        top.get_legend().remove()
        for number, (name, log) in enumerate(logs.items()):
            mean, half_width = np.transpose([interval(values) for values in log[..., 0].T])
            epochs = np.arange(len(mean))
            style = {"marker": MARKERS[number], "color": COLOURS[number], "markersize": 4}
            bottom.plot(epochs, np.exp(mean), label=name, **style)
            bottom.fill_between(
                epochs,
                np.exp(mean - half_width),
                np.exp(mean + half_width),
                color=COLOURS[number],
                alpha=0.15,
                linewidth=0,
            )
        bottom.set(yscale="log", xlabel="Epoch", title=f"C1 through the training, {start}")
        bottom.xaxis.get_major_locator().set_params(integer=True)
        bottom.grid(alpha=0.3)
    axes[0, 1].set_ylabel("")
    axes[1, 0].set_ylabel("Root mean square of the gradient")
    figure.suptitle(f"Gradient of the Deep LeNet, {TITLES[data['name']]}")
    figure.legend(*axes[1, 0].get_legend_handles_labels(), loc="outside right", frameon=False)
    return to_png(figure)


def draw_saturation(flow, data):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots(1, len(STARTS), sharey=True)
    layers = flow.layers[:-1]
    for ax, start in zip(axes, STARTS, strict=True):
        for number, name in enumerate(ACTIVATIONS):
            shares = flow.read("saturated", name, start).mean(axis=0)
            style = {"marker": MARKERS[number], "color": COLOURS[number], "markersize": 5}
            ax.plot(layers, shares[0], linestyle=":", **style)
            ax.plot(layers, shares[-1], label=name, **style)
        ax.set(title=start, xlabel="Layer", ylim=(-0.03, 1.03))
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("Saturated outputs (share)")
    figure.suptitle(f"Saturation before (dotted) and after the training, {TITLES[data['name']]}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right", frameon=False)
    return to_png(figure)


if __name__ == "__main__":
    main()
