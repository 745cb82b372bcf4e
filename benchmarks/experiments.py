"""How an experiment runs: measure, judge the claims, write the page and the pictures."""

import json
import math
from importlib.util import find_spec
from pathlib import Path

import torch
from journal import Journal, digest_of_code
from reporting import MeasurementParser, describe_run, write_files
from skorch.callbacks import Callback

from sklenet._torch import resolve_device
from sklenet.network import activation_gain, make_activation

TITLES = {"digits": "the digits", "mnist": "MNIST"}
ACTIVATIONS = ["l_relu", "relu", "leaky_relu", "elu", "tanh", "sigmoid"]
ARCHITECTURES = {
    "Deep LeNet": {},
    "LeNet-5": {"conv_channels": (6, 16), "pooling": "avg", "hidden_layer_sizes": (120, 84)},
}


class ExperimentParser(MeasurementParser):
    """The parser of a script that puts a claim to the test."""

    def __init__(self, prog, description):
        super().__init__(prog, description, default_data="digits")
        self.defaults = {}
        self.add_size(
            "--trials", 2, "repetitions, each with another seed", digits=5, mnist=3, maximum=100
        )
        self.add_argument(
            "--redraw",
            action="store_true",
            help="only make the page and the pictures in --out anew, from the numbers there",
        )

    def add_size(self, flag, minimum, help, *, digits, mnist, maximum=math.inf):
        """Add an argument that takes a whole number, with a default for each data set."""
        help = f"{help}; default: {digits}, {mnist} with mnist"
        self.add_number(flag, minimum, help, maximum=maximum)
        self.defaults[flag[2:].replace("-", "_")] = {"digits": digits, "mnist": mnist}

    def fill_in(self, options):
        """Give each argument of `add_size` that was left out its default."""
        for name, by_data in self.defaults.items():
            if getattr(options, name) is None:
                setattr(options, name, by_data[options.data])


def run_experiment(parser, argv, load, measure, judge, make_page, draw, precision="auto"):
    """Measure, or read what was measured, and write the numbers, the page and the pictures.

    `load(options)` returns the data and refuses what cannot be done; `measure(options, data,
    journal)` returns the numbers, as JSON has them. From the numbers and the description of the run
    `judge(result)` makes the claims with their verdicts, `draw(result)` the pictures by their
    names, the most telling first, and `make_page(result)` the page. An interrupted run goes on
    where it stopped, if it has a folder to keep its measurements in. `precision` is what the
    networks are trained in.
    """

    def load_all(options):
        parser.fill_in(options)
        if options.out and find_spec("matplotlib") is None:
            raise ValueError("--out needs matplotlib for the pictures; pip install it")
        if not options.redraw:
            return load(options)
        if not options.out:
            raise ValueError("argument --redraw: needs --out, the folder with the numbers")
        return read_numbers(parser, options.out / parser.file_names()[1])

    options, data = parser.read(argv, load_all)
    result = data if options.redraw else measure_all(parser, options, data, measure, precision)
    result["claims"] = judge(result)
    try:
        pictures = draw(result) if options.out else {}
    except OSError as error:  # such as the examples of MNIST that a picture shows
        parser.error(f"the pictures cannot be made: {' '.join(str(error).split())}")
    result["pictures"] = list(pictures)
    parser.report(options, result, {}, make_page(result), pictures)


def read_numbers(parser, path):
    """Return what an earlier run of this script has written."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"argument --redraw: cannot read the numbers of a finished run in {path}: {error}"
        ) from error
    command = result.get("command", "") if isinstance(result, dict) else ""
    if parser.prog not in command:
        raise ValueError(f"argument --redraw: {path} does not hold numbers of {parser.prog}")
    return result


def measure_all(parser, options, data, measure, precision):
    """Return the numbers and the description of the run, both written if there is a folder."""
    packages = ["scikit-learn-intelex"] if getattr(options, "accelerate", False) else []
    device = resolve_device("auto")
    run = describe_run(parser.prog, options.arguments, device, packages, precision)
    journal = open_journal(parser, options, run)
    try:
        numbers = measure(options, data, journal)
    except KeyboardInterrupt:
        kept = f"; the same command goes on from {journal.path}" if journal.path else ""
        parser.exit(130, f"Interrupted{kept}.\n")
    content = json.dumps({**run, **numbers})
    if options.out:
        write_files(options.out, {parser.file_names()[1]: content.encode()})
        journal.remove()
    return json.loads(content)


def open_journal(parser, options, run):
    if not options.out:
        return Journal()
    path = options.out / f"{Path(parser.prog).stem}.unfinished.jsonl"
    settings = {
        key: value
        for key, value in vars(options).items()
        if key not in {"out", "redraw", "arguments"}
    }
    circumstances = {key: run[key] for key in ("machine", "versions")}
    circumstances |= {"settings": settings, "code": digest_of_code()}
    try:
        return Journal(path, circumstances)
    except (OSError, ValueError) as error:
        parser.error(f"argument --out: {error}")


class UnitGain(Callback):
    """Start from weights of standard deviation ``fan_in ** -0.5``, whatever the activation.

    sklenet draws the weights of hidden layers with the gain that suits the activation. Without it
    they are as LeCun et al. (1998, "Efficient BackProp", section 4.6) drew them, for a scaled tanh;
    the logistic sigmoid, whose slope at zero is a quarter, is flatter than that rule expects.
    """

    def on_train_begin(self, net, **kwargs):
        gain = activation_gain(make_activation(net.module.keywords["activation"]))
        hidden = [*net.module_.features, *net.module_.head][:-1]
        with torch.no_grad():
            for layer in hidden:
                if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                    layer.weight /= gain
