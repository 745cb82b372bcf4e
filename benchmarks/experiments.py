"""What the experiments share: trials, intervals, and measurements that outlive an interruption."""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from compare_methods import choose
from reporting import MeasurementParser, describe_run
from scipy import stats
from sklearn.model_selection import StratifiedKFold, train_test_split
from skorch.callbacks import Callback

import sklenet
from sklenet.activations import activation_gain, make_activation
from sklenet.datasets import fetch_mnist, load_digits_images
from sklenet.hardware import resolve_device

TRIALS = {"digits": 5, "mnist": 3}
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
        default = " and ".join(f"{number} with {name}" for name, number in TRIALS.items())
        self.add_number(
            "--trials",
            2,
            f"repetitions, each with another seed and other images; default: {default}",
            maximum=100,
        )
        self.add_argument(
            "--redraw",
            action="store_true",
            help="only make the page and the pictures in --out anew, from the numbers there",
        )


def run_experiment(parser, argv, load, measure, judge, present, precision="auto"):
    """Measure, or read what was measured, and write the numbers, the page and the pictures.

    `load(options)` returns the data and refuses what cannot be done; `measure(options, data,
    journal)` returns the numbers, as JSON has them. From the numbers and the description of the run
    alone `judge(result)` makes the claims with their verdicts, and with these `present(result)` the
    page and the pictures, the most telling first. An interrupted run goes on where it stopped, if
    it has a folder to keep its measurements in. `precision` is what the networks are trained in.
    """

    def load_all(options):
        options.trials = options.trials or TRIALS[options.data]
        if not options.redraw:
            return load(options)
        if not options.out:
            raise ValueError("argument --redraw: needs --out, the folder with the numbers")
        return json.loads((options.out / parser.file_names()[1]).read_text())

    options, data = parser.read(argv, load_all)
    if options.redraw:
        result, journal = data, Journal()
    else:
        journal = open_journal(parser, options)
        try:
            numbers = measure(options, data, journal)
        except KeyboardInterrupt:
            kept = f"; the same command goes on from {journal.path}" if journal.path else ""
            parser.exit(130, f"Interrupted{kept}.\n")
        device = resolve_device("auto")
        run = describe_run(parser.prog, options.arguments, device, precision=precision)
        result = json.loads(json.dumps({**run, **numbers}))
    result["claims"] = judge(result)
    page, pictures = present(result)
    result["pictures"] = list(pictures)
    parser.report(options, result, {}, page, pictures if options.out else None)
    journal.remove()


def open_journal(parser, options):
    if not options.out:
        return Journal()
    path = options.out / f"{Path(parser.prog).stem}.unfinished.jsonl"
    settings = {
        key: value
        for key, value in vars(options).items()
        if key not in {"out", "redraw", "arguments"}
    }
    try:
        return Journal(path, {"settings": settings, "code": digest_of_code()})
    except ValueError as error:
        parser.error(f"argument --out: {error}")


def digest_of_code():
    """Tell apart the versions of all code of sklenet and of this folder that is in use."""
    folders = [Path(sklenet.__file__).parent, Path(__file__).parent]
    files = {Path(getattr(module, "__file__", None) or "") for module in sys.modules.values()}
    own = sorted(file for file in files if not set(folders).isdisjoint(file.parents))
    return hashlib.sha256(b"".join(file.read_bytes() for file in own)).hexdigest()[:16]


class Journal:
    """Measurements by name, each written to a file as soon as it is made.

    The first line of the file says what the run is: measurements of another run are refused. Of an
    interrupted run the last line may be incomplete; it is dropped.
    """

    def __init__(self, path=None, run=None):
        self.path, self.measured = path, {}
        if path is None:
            return
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        if not entries:
            path.write_text(json.dumps(run) + "\n")
            return
        if entries[0] != json.loads(json.dumps(run)):
            raise ValueError(
                f"{path} is the beginning of a run with other arguments or other code; finish that "
                "run as it was, or delete the file"
            )
        self.measured = dict(entries[1:])
        path.write_text("".join(lines[: len(entries)]))
        print(f"Going on after {len(self.measured)} measurements in {path}", flush=True)

    def measure(self, name, function, *args):
        """Return what the function returns, or what it returned before the interruption."""
        if name not in self.measured:
            start = time.perf_counter()
            self.measured[name] = function(*args)
            print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps([name, self.measured[name]]) + "\n")
        return self.measured[name]

    def remove(self):
        if self.path:
            self.path.unlink()


def draw_trials(data, n_trials, n_train=None, is_tuned=False):
    """Return training images, test images, training labels and test labels for each trial.

    The test images are those of MNIST, or all digits, dealt out: no two trials share one, so that
    the trials differ by all that chance decides. The training images are a random choice of the
    other digits or of MNIST's training images. Where recipes are chosen on images of `draw_tuning`,
    the digits among these are left out.
    """
    dealing = StratifiedKFold(n_trials, shuffle=True, random_state=0)
    if data == "digits":
        X, y = load_digits_images()
        if is_tuned:
            X, _, y, _ = set_aside(X, y)
        pools = [(X[train], X[test], y[train], y[test]) for train, test in dealing.split(X, y)]
    else:
        X, X_test, y, y_test = fetch_mnist()
        parts = [part for _, part in dealing.split(X_test, y_test)]
        pools = [(X, X_test[part], y, y_test[part]) for part in parts]
    trials = []
    for seed, (X, X_test, y, y_test) in enumerate(pools):
        X, y = choose(X, y, len(y) if n_train is None else n_train, seed)
        trials.append((X, X_test, y, y_test))
    return trials


def draw_tuning(data, n_train=None):
    """Return images to choose recipes on, as those of a trial; none is a test image of one."""
    if data == "digits":
        X, y = load_digits_images()
        _, X, _, y = set_aside(X, y)
        n_train, n_validation = None, len(y) // 3
    else:
        X, _, y, _ = fetch_mnist()
        n_validation = 10_000
    return train_test_split(
        X, y, train_size=n_train, test_size=n_validation, stratify=y, random_state=0
    )


def set_aside(X, y):
    return train_test_split(X, y, test_size=1 / 3, stratify=y, random_state=0)


class UnitGain(Callback):
    """Start from weights of standard deviation ``fan_in ** -0.5``, whatever the activation.

    sklenet draws the weights of hidden layers with the gain that suits the activation. Without it
    they are as LeCun et al. (1998, "Efficient BackProp", section 4.6) drew them.
    """

    def on_train_begin(self, net, **kwargs):
        gain = activation_gain(make_activation(net.module.keywords["activation"]))
        hidden = [*net.module_.features, *net.module_.head][:-1]
        with torch.no_grad():
            for layer in hidden:
                if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                    layer.weight /= gain


def interval(values, test_train_ratio=0):
    """Return the mean of a value per trial and the half-width of its 95 % interval (Student).

    With `test_train_ratio` the variance is that of the corrected resampled t-test, see
    `sklenet.significance.corrected_t_test`.
    """
    n_trials = len(values)
    standard_error = np.std(values, ddof=1) * np.sqrt(1 / n_trials + test_train_ratio)
    half_width = stats.t.ppf(0.975, n_trials - 1) * standard_error
    return float(np.mean(values)), float(half_width)


def claim(text, verdict, effect, details=""):
    """Return a claim as it stands in a result; the verdict is holds, holds in part or fails."""
    return {"claim": text, "verdict": verdict, "effect": effect, "details": details}


def verdict_of(outcomes):
    return "holds" if all(outcomes) else "holds in part" if any(outcomes) else "fails"


def plus_minus(values, digits=4):
    mean, half_width = interval(values)
    return f"{mean:.{digits}f} ± {half_width:.{digits}f}"


def format_claims(claims):
    """Put the claims and their verdicts at the head of a page."""
    return "\n\n".join(
        f"**Claim.** {claim['claim']}\n"
        f"**Verdict: {claim['verdict']}.** {claim['effect']} {claim['details']}".rstrip()
        for claim in claims
    )


def compare(ours, others):
    """Return the mean difference over the trials, its half-width, and who is ahead."""
    mean, half_width = interval(np.subtract(ours, others))
    if abs(mean) <= half_width:
        return mean, half_width, "open"
    return mean, half_width, "ahead" if mean > 0 else "behind"


def count_leads(comparisons, digits=4):
    """Return the verdict on a claim to be ahead everywhere, how large the lead is, and the rest.

    `comparisons` has, by the name of each case, what `compare` returns.
    """
    is_ahead = [outcome == "ahead" for *_, outcome in comparisons.values()]
    by_lead = sorted(comparisons, key=lambda case: comparisons[case][0])
    ends = " to ".join(
        f"{comparisons[case][0]:+.{digits}f} ± {comparisons[case][1]:.{digits}f} ({case})"
        for case in dict.fromkeys([by_lead[0], by_lead[-1]])
    )
    details = ""
    for outcome in ("behind", "open"):
        cases = [case for case in by_lead if comparisons[case][2] == outcome]
        if cases:
            details += f"{outcome.capitalize()}: {', '.join(cases)}. "
    effect = f"Ahead in {sum(is_ahead)} of {len(is_ahead)} comparisons: {ends}."
    return verdict_of(is_ahead), effect, details.rstrip()
