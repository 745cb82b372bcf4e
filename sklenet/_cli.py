"""The command `sklenet`: compare methods, train, predict, evaluate, export."""

import argparse
import codecs
import csv
import io
import json
import os
import re
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__

__all__ = ["Parser", "main", "positive"]

_DESCRIPTION = """\
Train an image classifier on a folder of images, ask it about new ones, and take it
where it is needed: a deep LeNet-5 for small images, next to the methods of
scikit-learn.
"""
_EXAMPLES = """\
DATA is one of
  a folder        with a folder of images for each class, as photos/cat/1.jpg,
                  or with such folders in train/ and test/ (or val/)
  a CSV file      with a column of file names and a column of labels
  an IDX folder   with the four files of a data set like MNIST
  digits, mnist   scikit-learn's digits; MNIST from SKLENET_DATA, else from OpenML

examples:
  sklenet compare photos                             which method is best here?
  sklenet train photos --out photos.sklenet          train on all of them
  sklenet predict photos.sklenet new/*.jpg           what is on these?
  sklenet evaluate photos.sklenet more_photos        how often is it right?
  sklenet export photos.sklenet --page photos.html   a web page to try it

`sklenet COMMAND --help` explains a command.
"""
_METHODS = ("deep_lenet", "lenet5", "svm", "mlp", "knn")
_AUGMENTATIONS = ("affine", "elastic", "flip", "shift")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_PROBE_IMAGES = 2_000  # that the time of an epoch is measured with
_NAMELESS = re.compile(r"\bX\[\d+\]")  # an image that is not a file, in an error
_FOR_PYTHON = re.compile(r" [A-Z]?[^.;]*\bcheck_pixels=False\b.*")  # in a warning
_TEXT_IMAGE = re.compile(rb"P[1-7]\s")  # of Netpbm, which need not have zero bytes
_SMALLEST = 4  # pixels of a side: of 3, one axis could be that of the colors
_SCORES = ("precision", "recall", "f1-score", "support")  # as scikit-learn names them
_N_LISTED = 5  # mistakes or unknown labels


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {' '.join(message.split())}\n")


def positive(text: str) -> int:
    """Convert an argument to a positive integer."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a positive whole number, got {text!r}")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for a terminal without ±
    parser = _make_parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help(sys.stderr)
        return 2
    try:
        with warnings.catch_warnings(), _ending_at_sigterm():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = _show_warning
            return _run(parser, argv)
    except argparse.ArgumentError as error:
        _say(f"sklenet: error: {error}")
        return 2
    except KeyboardInterrupt:
        _say("Interrupted.")
        return 130
    except BrokenPipeError:  # the reader of the output has ended, as `head` does
        return 1
    except (OSError, ValueError, TypeError, ImportError, RuntimeError, MemoryError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        _say(f"sklenet: error: {_NAMELESS.sub('standard input', text)}")
        return 1


def _run(parser, argv):
    if sys.stdout is None:
        raise OSError("standard output is closed")
    try:
        options = parser.parse_args(argv)
        return options.run(options) or 0
    finally:
        try:
            sys.stdout.flush()  # here, where an error is reported
        except OSError:
            with open(os.devnull, "w") as nothing:  # takes what Python writes at its end
                os.dup2(nothing.fileno(), sys.stdout.fileno())
            raise


@contextmanager
def _ending_at_sigterm():
    """Let the signal end the command as an exit does, with its processes and temporary files."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _naming(**arguments):
    """Let an error that begins with the name of a parameter begin with that of its argument."""
    try:
        yield
    except (OSError, ValueError, TypeError) as error:
        name, _, rest = str(error).partition(" ")
        if name not in arguments:
            raise
        raise ValueError(f"{arguments[name]} {rest}") from error


def _make_parser():
    parser = Parser(
        "sklenet",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sklenet {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (run, add_arguments, help) in _COMMANDS.items():
        command = commands.add_parser(name, help=help, description=run.__doc__)
        command.set_defaults(run=run)
        add_arguments(command.add_argument)
    return parser


def _show_warning(message, category, *_):
    """Print a warning in one line, without the line of code that warns."""
    if issubclass(category, UserWarning):
        _say(f"sklenet: warning: {_FOR_PYTHON.sub('', str(message))}")


def _say(message):
    print(message, file=sys.stderr, flush=True)


def _add_data(add):
    add("data", metavar="DATA", help="the images: see `sklenet --help`")
    add("--split", metavar="NAME", help="which part of a folder (train, test, val) or data set")
    columns = "columns of a CSV file; default: those with usual names"
    add("--columns", nargs=2, metavar=("FILE", "LABEL"), help=columns)
    add("--skip-broken", action="store_true", help="leave out images that cannot be read")
    _add_jobs(add)


def _add_jobs(add):
    add("--jobs", type=positive, metavar="N", help="processes that read images; default: 1")


def _add_training(add):
    add("--device", type=_device, default="auto", help="cpu, cuda, mps; default: auto")
    add("--seed", type=_seed, default=0, metavar="N", help="of all randomness; default: 0")


def _device(text):
    from ._torch import resolve_device

    try:
        resolve_device(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be cpu, cuda or mps; {error}") from error
    return text


def _seed(text):
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"must be from 0 to {2**32 - 1}, got {text!r}")
    return int(text)


def _load(options, **reading):
    from .datasets._sources import load_source

    reading |= {"on_error": "skip" if options.skip_broken else "raise", "n_jobs": options.jobs}
    with _naming(path="DATA", source="DATA", split="--split", columns="--columns"):
        return load_source(options.data, options.split, columns=options.columns, **reading)


def _load_to_train(options, **reading):
    """Load images of two classes or more, those of the test part among them."""
    source = _load(options, **reading)
    classes = set(source.y.tolist())
    if len(classes) < 2:
        raise ValueError(f"DATA must have two classes at least, got only {classes.pop()!r}")
    unknown = set() if source.y_test is None else set(source.y_test.tolist()) - classes
    if unknown:
        raise ValueError(
            "DATA must have all classes among its training images, got also "
            f"{sorted(unknown)[:_N_LISTED]} among its test images"
        )
    return source


def _describe(X, y):
    height, width = X.shape[1:3]
    kind = "color" if X.ndim == 4 else "gray"
    return f"{len(X):,} {kind} images of {height}x{width} pixels in {len(np.unique(y))} classes"


def _add_compare(add):
    _add_data(add)
    add("--methods", nargs="+", choices=_METHODS, metavar="NAME", help=f"of {', '.join(_METHODS)}")
    add("--cv", type=_folds, metavar="N", help="folds; default: the test part of DATA, else 5")
    add("--n-train", type=positive, metavar="N", help="training images; default: all")
    _add_training(add)


def _folds(text):
    if positive(text) < 2:
        raise argparse.ArgumentTypeError(f"must be 2 or more, got {text!r}")
    return int(text)


def _compare(options):
    """Compare the deep LeNet-5 with the original one, the SVM, the MLP and KNN.

    Every method is trained on the training part of DATA and tested on its test part, or
    cross-validated where it does not have one.
    """
    from .comparison import METHODS, compare_methods, make_method
    from .datasets._sources import take_subset

    source = _load_to_train(options)
    X, y = take_subset(source.X, source.y, options.n_train, options.seed)
    _say(f"Comparing on {_describe(X, y)}")
    methods = {
        name: make_method(name, random_state=options.seed, device=options.device)
        for name in options.methods or METHODS
    }
    splits: dict[str, Any] = {"X_test": source.X_test, "y_test": source.y_test}
    if options.cv or source.X_test is None:
        splits = {"cv": options.cv or 5}
    print(compare_methods(X, y, methods, random_state=options.seed, **splits))


def _add_train(add):
    _add_data(add)
    add("--out", required=True, metavar="MODEL", help="the file to write, as my.sklenet")
    add("--size", type=_size, help="of the images, as 32 or 48x64 (height x width)")
    add("--mode", choices=("L", "RGB"), help="gray (L) or color (RGB); default: as the images are")
    changes = (*_AUGMENTATIONS, "none")
    add(
        "--augmentation",
        nargs="+",
        choices=changes,
        metavar="NAME",
        help=f"of {', '.join(changes)}",
    )
    add("--time", type=_duration, help="train for at most this long, as 90s, 5m or 1h")
    add("--epochs", type=positive, metavar="N", help="default: by the number of images")
    _add_training(add)


def _size(text):
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if not match:
        raise argparse.ArgumentTypeError(f"must be a size such as 32 or 48x64, got {text!r}")
    size = int(match[1]), int(match[2] or match[1])
    if min(size) < _SMALLEST:
        raise argparse.ArgumentTypeError(f"must be {_SMALLEST} pixels or more, got {text!r}")
    return size


def _duration(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"must be a time such as 90s, 5m or 1h, got {text!r}")
    return float(match[1]) * _UNITS[match[2]]


def _train(options):
    """Train the deep LeNet-5 on a folder of images, and write it to a file.

    The file holds the network and how image files become its input. Nothing is written if the
    training fails or is interrupted.
    """
    from sklearn.pipeline import make_pipeline

    from ._classifier import DeepLeNetClassifier
    from .export import save
    from .export._write import check_writable
    from .images import ImageReader

    start = time.perf_counter()
    augmentation = _augmentation(options.augmentation)
    if options.time and options.epochs:
        raise argparse.ArgumentError(None, "argument --time: not allowed with argument --epochs")
    with _naming(path="--out"):
        check_writable(options.out)
    source = _load_to_train(options, size=options.size, mode=options.mode)
    _say(f"Training on {_describe(source.X, source.y)}")
    classifier = DeepLeNetClassifier(
        augmentation=augmentation,
        max_epochs=options.epochs or "auto",
        device=options.device,
        random_state=options.seed,
    )
    if options.time:
        seconds = options.time - (time.perf_counter() - start)
        classifier.set_params(**_limit_time(classifier, source.X, source.y, seconds))
    reader = ImageReader(source.X.shape[1:3], "L" if source.X.ndim == 3 else "RGB")
    model = make_pipeline(reader, classifier.set_params(callbacks=[_make_progress()]))
    model.fit(source.X, source.y)
    classifier.set_params(callbacks=None)  # code is not saved
    with _naming(path="--out"):
        save(model, options.out)
    seconds = time.perf_counter() - start
    epochs = f"{classifier.n_iter_} epoch{'s' if classifier.n_iter_ > 1 else ''}"
    print(f"Trained for {epochs} in {seconds:.0f} s, written to {options.out}")
    if source.X_test is not None:
        accuracy = model.score(source.X_test, source.y_test)
        print(f"Accuracy on the {len(source.y_test):,} test images: {accuracy:.4f}")
    else:
        _say(f"How good is it? `sklenet compare {options.data}` cross-validates.")


def _augmentation(names):
    if names is None:
        return "auto"
    if "none" in names and len(names) > 1:
        raise argparse.ArgumentError(
            None, f"argument --augmentation: 'none' must be the only one, got {names}"
        )
    return None if names == ["none"] else tuple(names)


def _limit_time(classifier, X, y, seconds):
    """Return the parameters with which a fit takes at most so long, but at least one epoch."""
    from sklearn.base import clone

    from .training import training_budget

    is_doubled = classifier.augmentation not in ("auto", None)
    batch_size, max_epochs = training_budget(len(y), is_doubled)
    start = time.perf_counter()
    probe = clone(classifier).set_params(max_epochs=2, batch_size=batch_size)
    probed = np.random.RandomState(0).permutation(len(y))[:_PROBE_IMAGES]
    if len(np.unique(y[probed])) < 2:
        probed = np.arange(len(y))
    probe.fit(X[probed], y[probed])
    share = len(probed) / len(y)
    seconds -= time.perf_counter() - start
    fitting = int(seconds / (probe.history_[-1, "dur"] / share))
    if fitting < 1:
        _say(f"An epoch takes {probe.history_[-1, 'dur'] / share:.0f} s, more than the time left.")
    return {"max_epochs": max(1, min(max_epochs, fitting))}


def _make_progress():
    """Make a callback that shows the epochs on the standard error stream, if it is a terminal."""
    from skorch.callbacks import Callback
    from tqdm import tqdm

    class Progress(Callback):
        def on_train_begin(self, net, **kwargs):
            self.bar = tqdm(total=net.max_epochs, desc="Training", unit=" epochs", disable=None)

        def on_epoch_end(self, net, **kwargs):
            self.bar.set_postfix(loss=f"{net.history[-1, 'train_loss']:.3f}", refresh=False)
            self.bar.update()

        def on_train_end(self, net, **kwargs):
            self.bar.close()

    return Progress()


def _add_model(add):
    add("model", metavar="MODEL", help="a file that `sklenet train` or `sklenet.save` wrote")


def _load_model(options):
    from .export import load

    with _naming(path="MODEL"):
        return load(options.model)


def _add_predict(add):
    _add_model(add)
    images = "files or folders; - reads an image, or a list of files, from standard input"
    add("images", nargs="+", metavar="IMAGES", help=images)
    add("--csv", action="store_true", help="comma-separated values instead of a table")
    add("--json", action="store_true", help="JSON, with the probability of each class")
    _add_jobs(add)


def _predict(options):
    """Predict the class of image files.

    Images that cannot be read are named on the standard error stream, and the exit code is 1.
    """
    from tabulate import tabulate

    if options.csv and options.json:
        raise argparse.ArgumentError(None, "argument --csv: not allowed with argument --json")
    names, sources = _find_images(options.images)
    model = _load_model(options)
    classes, positions, probabilities, errors = _predict_files(model, sources, options.jobs)
    best = probabilities.argmax(axis=1)
    rows = [
        (names[position], classes[winner], float(row[winner]))
        for position, winner, row in zip(positions, best, probabilities, strict=True)
    ]
    header = ("file", "label", "probability")
    if options.json:
        records = [
            dict(zip(header, row, strict=True))
            | {"probabilities": dict(zip(map(str, classes), map(float, each), strict=True))}
            for row, each in zip(rows, probabilities, strict=True)
        ]
        print(json.dumps(records, indent=2, ensure_ascii=False))
    elif options.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([header, *((name, label, f"{p:.4f}") for name, label, p in rows)])
    elif rows:
        print(tabulate(rows, header, tablefmt="simple", floatfmt=".4f", disable_numparse=[0, 1]))
    for error in errors:
        _say(f"sklenet: error: {_NAMELESS.sub('standard input', str(error))}")
    return 1 if errors else 0


def _find_images(arguments):
    """Return the names and the sources of images; those of a folder are its files."""
    from .datasets._folders import find_images

    names, sources = [], []
    for argument in arguments:
        found = [argument]
        if argument == "-":
            if sys.stdin is None:
                raise OSError("standard input is closed")
            content = sys.stdin.buffer.read()
            listed = _listed_files(content)
            if listed is None:
                names.append("-")
                sources.append(content)
                continue
            found = listed
        elif Path(argument).is_dir():
            found = find_images(argument)
            if not found:
                raise ValueError(f"argument IMAGES: the folder {argument} does not have any image")
        names += found
        sources += found
    return names, sources


def _listed_files(content):
    """Return the lines of a list of files; None for the content of an image."""
    if b"\0" in content or _TEXT_IMAGE.match(content):
        return None
    lines = os.fsdecode(content.removeprefix(codecs.BOM_UTF8)).splitlines()  # Windows marks UTF-8
    found = [line for line in lines if line.strip()]
    if not found:
        raise ValueError("standard input must be an image or a list of files, got nothing")
    return found


def _predict_files(model, sources, n_jobs):
    """Return the classes, the positions of the images that could be read, and their probabilities.

    The last item are the errors of the others.
    """
    from .export._pipeline import split_model
    from .images import ImageReader, read_images

    reader, classifier = split_model(model)
    height, width, channels = classifier.image_shape_
    size, mode = (height, width), {1: "L", 3: "RGB"}.get(channels)
    if mode is None:
        raise ValueError(f"MODEL must have images of 1 or 3 channels for files, got {channels}")
    dtype = None if reader is None else reader.dtype_
    background = "white" if reader is None else reader.background
    reader = ImageReader(background=background, on_error="skip", n_jobs=n_jobs)
    images, positions, errors = read_images(reader, sources, size, mode, dtype, verbose=1)
    classes = classifier.classes_.tolist()
    probabilities = classifier.predict_proba(images) if positions else np.empty((0, len(classes)))
    return classes, positions, probabilities, errors


def _add_evaluate(add):
    _add_model(add)
    _add_data(add)
    add("--json", action="store_true", help="JSON instead of tables")


def _evaluate(options):
    """Measure the accuracy of a model on labeled images: the test part of DATA, else all of it."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support
    from tabulate import tabulate

    from .datasets._sources import find_test_split
    from .export._pipeline import split_model

    model = _load_model(options)
    reader, classifier = split_model(model)
    options.split = options.split or find_test_split(options.data)
    mode = "L" if classifier.image_shape_[2] == 1 else "RGB"
    background = "white" if reader is None else reader.background
    source = _load(options, size=classifier.image_shape_[:2], mode=mode, background=background)
    X, y = (source.X, source.y) if source.X_test is None else (source.X_test, source.y_test)
    y = _match_labels(y, classifier.classes_)
    predictions = model.predict(X)
    accuracy = float(accuracy_score(y, predictions))
    classes = classifier.classes_.tolist()
    scores = precision_recall_fscore_support(y, predictions, labels=classes, zero_division=0)
    rows = [*zip(classes, *(measure.tolist() for measure in scores), strict=True)]
    mistakes = _count_mistakes(y, predictions)
    if options.json:
        result = {
            "accuracy": accuracy,
            "n_images": len(y),
            "classes": {
                str(label): dict(zip(_SCORES, measures, strict=True)) for label, *measures in rows
            },
            "mistakes": [
                dict(zip(("n", "true", "predicted"), each, strict=True)) for each in mistakes
            ],
        }
        print(json.dumps(result, indent=2, ensure_ascii=False))
        return
    columns: tuple[str, ...] = ("class", "precision", "recall", "F1", "images")
    print(f"Accuracy on {len(y):,} images: {accuracy:.4f}\n")
    print(tabulate(rows, columns, floatfmt=".4f", intfmt=",", disable_numparse=[0]))
    if mistakes:
        columns = ("images", "true", "predicted")
        print("\nMost frequent mistakes\n")
        print(tabulate(mistakes[:_N_LISTED], columns, disable_numparse=[1, 2]))


def _match_labels(y, classes):
    """Return the classes that are written as the labels: the folder "7" is the class 7."""
    known = {str(label): position for position, label in enumerate(classes.tolist())}
    names = [str(label) for label in y.tolist()]
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise ValueError(
            f"DATA must have the classes of the model, {[*known]}, got also {unknown[:_N_LISTED]}"
        )
    return classes[[known[name] for name in names]]


def _count_mistakes(y, predictions):
    """Return the number, the class and the prediction of mistakes, the most frequent first."""
    wrong = y != predictions
    counts = Counter(zip(y[wrong].tolist(), predictions[wrong].tolist(), strict=True))
    return [(count, *pair) for pair, count in counts.most_common()]


def _add_export(add):
    _add_model(add)
    add("--onnx", metavar="FILE", help="for ONNX Runtime, in any language")
    add("--page", metavar="FILE", help="a web page that runs the model")


def _export(options):
    """Export a model as ONNX or as a web page."""
    from .export import to_onnx, to_page

    exports = [("--onnx", options.onnx, to_onnx), ("--page", options.page, to_page)]
    exports = [(flag, path, write) for flag, path, write in exports if path]
    if not exports:
        raise argparse.ArgumentError(None, "argument --onnx or --page: one is required")
    files = [os.path.realpath(path) for path in (options.model, *(path for _, path, _ in exports))]
    if len(set(files)) < len(files):
        raise argparse.ArgumentError(None, "MODEL, --onnx and --page must be different files")
    model = _load_model(options)
    for flag, path, write in exports:
        with _naming(path=flag):
            write(model, path)
        print(f"Written to {path}")


_COMMANDS = {
    "compare": (_compare, _add_compare, "compare methods on the same images"),
    "train": (_train, _add_train, "train the deep LeNet-5 and write it to a file"),
    "predict": (_predict, _add_predict, "predict the class of image files"),
    "evaluate": (_evaluate, _add_evaluate, "measure the accuracy on labeled images"),
    "export": (_export, _add_export, "export a model as ONNX or as a web page"),
}
