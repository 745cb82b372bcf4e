"""What the experiments share: trials, intervals, and measurements that outlive an interruption."""

import hashlib
import json
import time
from pathlib import Path

import numpy as np
from compare_methods import choose
from reporting import MeasurementParser, describe_run
from scipy import stats
from sklearn.model_selection import StratifiedKFold

import sklenet
from sklenet.datasets import fetch_mnist, load_digits_images
from sklenet.hardware import resolve_device

TRIALS = {"digits": 5, "mnist": 3}


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


def run_experiment(parser, argv, load, measure, present):
    """Measure, or read what was measured, and write the numbers, the page and the pictures.

    `load(options)` returns the data and refuses what cannot be done; `measure(options, data,
    journal)` returns the numbers, as JSON has them; `present(result)` makes the page and the
    pictures from the numbers and the description of the run alone. An interrupted run goes on
    where it stopped, if it has a folder to keep its measurements in.
    """

    def load_all(options):
        options.trials = options.trials or TRIALS[options.data]
        if not options.redraw:
            return load(options), open_journal(options, parser)
        if not options.out:
            raise ValueError("argument --redraw: needs --out, the folder with the numbers")
        return json.loads((options.out / parser.file_names()[1]).read_text())

    options, loaded = parser.read(argv, load_all)
    if options.redraw:
        result, journal = loaded, Journal()
    else:
        data, journal = loaded
        try:
            numbers = measure(options, data, journal)
        except KeyboardInterrupt:
            kept = f"; the same command goes on from {journal.path}" if journal.path else ""
            parser.exit(130, f"Interrupted{kept}.\n")
        run = describe_run(parser.prog, options.arguments, resolve_device("auto"))
        result = json.loads(json.dumps({**run, **numbers}))
    page, pictures = present(result)
    parser.report(options, result, {}, page, pictures if options.out else None)
    journal.remove()


def open_journal(options, parser):
    if not options.out:
        return Journal()
    path = options.out / f"{Path(parser.prog).stem}.unfinished.jsonl"
    settings = {key: value for key, value in vars(options).items() if key not in NO_SETTINGS}
    return Journal(path, {"settings": settings, "code": digest_of_code(parser.prog)})


NO_SETTINGS = {"out", "redraw", "arguments"}


def digest_of_code(script):
    """Tell apart the versions of the code that a measurement depends on."""
    files = [*Path(sklenet.__file__).parent.glob("*.py"), Path(__file__).with_name(script)]
    contents = b"".join(path.read_bytes() for path in sorted(files))
    return hashlib.sha256(contents).hexdigest()[:16]


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
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(run) + "\n")
            return
        if entries[0] != json.loads(json.dumps(run)):
            raise ValueError(
                f"argument --out: {path} is the beginning of a run with other arguments or other "
                "code; finish that run as it was, or delete the file"
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


def draw_trials(data, n_trials, n_train=None):
    """Return training images, test images, training labels and test labels for each trial.

    The test images are those of MNIST, or all digits, dealt out: no two trials share one, so that
    the trials differ by all that chance decides. The training images are a random choice of the
    other digits or of MNIST's training images.
    """
    dealing = StratifiedKFold(n_trials, shuffle=True, random_state=0)
    if data == "digits":
        X, y = load_digits_images()
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


def interval(values):
    """Return the mean of a value per trial and the half-width of its 95 % interval (Student)."""
    half_width = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(np.mean(values)), float(half_width)


def plus_minus(values, digits=4):
    mean, half_width = interval(values)
    return f"{mean:.{digits}f} ± {half_width:.{digits}f}"


def format_claims(claims):
    """Put the claims and their verdicts at the head of a page."""
    return "\n\n".join(
        f"**Claim.** {claim['claim']}\n**Verdict: {claim['verdict']}.** {claim['effect']}"
        for claim in claims
    )


def compare(ours, others):
    """Return the mean difference over the trials, its half-width, and who is ahead."""
    mean, half_width = interval(np.subtract(ours, others))
    if abs(mean) <= half_width:
        return mean, half_width, "open"
    return mean, half_width, "ahead" if mean > 0 else "behind"


def count_leads(comparisons):
    """Return a verdict on a claim to be ahead everywhere, and how large the lead is.

    `comparisons` has, by the name of each case, what `compare` returns.
    """
    n_ahead = sum(outcome == "ahead" for *_, outcome in comparisons.values())
    verdict = {0: "fails", len(comparisons): "holds"}.get(n_ahead, "holds in part")
    by_lead = sorted(comparisons, key=lambda case: comparisons[case][0])
    effect = f"Ahead in {n_ahead} of {len(comparisons)} comparisons: "
    effect += " to ".join(
        f"{comparisons[case][0]:+.4f} ± {comparisons[case][1]:.4f} ({case})"
        for case in dict.fromkeys([by_lead[0], by_lead[-1]])
    )
    for outcome in ("behind", "open"):
        cases = [case for case in by_lead if comparisons[case][2] == outcome]
        more = f" and {len(cases) - 6} more" if len(cases) > 6 else ""
        if cases:
            effect += f"; {outcome}: {', '.join(cases[:6])}{more}"
    return {"verdict": verdict, "effect": effect + "."}
