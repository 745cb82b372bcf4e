"""On MNIST the deep LeNet-5 is more accurate than the original LeNet-5, the SVM, the MLP and KNN.

It holds: 0.9947 after 69 s of training on two cores, against 0.9929, 0.9864, 0.9833 and 0.9742. The
lead over the original LeNet-5 is small (p = 0.010), over the others it is beyond doubt.

Every method is trained on the same images, one after the other, and scored on the same others; the
table says how accurate, fast and large each is and whether its difference to the best one is more
than chance. The full comparison, whose files the README quotes:

    python benchmarks/compare_methods.py --data mnist --n-train 60000 \\
        --methods deep_lenet knn mlp svm lenet5 --out benchmarks/results/mnist
"""

import json
import sys
from importlib.util import find_spec

import numpy as np
from reporting import (
    Parser,
    accept_any_character,
    check_out,
    describe_run,
    folder,
    made_by,
    not_empty,
    to_png,
    whole_number,
    write_files,
)
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import GridSearchCV, train_test_split

from sklenet._torch import resolve_device
from sklenet.comparison import METHODS, compare_methods, make_method, search_grid
from sklenet.datasets import fetch_mnist, load_digits_images, load_idx_folder
from sklenet.plotting import MistakesDisplay
from sklenet.plotting._style import COLOURS, MARKERS

FILES = ["comparison.md", "comparison.json", "accuracy_vs_time.png", "mistakes.png"]


def main(argv=None):
    arguments = sys.argv[1:] if argv is None else argv
    accept_any_character()
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        check_environment(options)
        X, y, test_set = load_data(options)
        check_out(options.out, FILES)
        methods = {name: make_contender(name, options) for name in options.methods}
        comparison = compare_methods(
            X, y, methods, options.cv, options.n_jobs, *test_set, random_state=options.seed
        )
    except (OSError, ValueError) as error:
        parser.error(" ".join(str(error).split()))
    except KeyboardInterrupt:
        parser.exit(130, "Interrupted; nothing was written.\n")
    print(comparison)
    if options.out:
        images = X if test_set[0] is None else test_set[0]
        device = resolve_device(options.device)
        accelerator = ["scikit-learn-intelex"] if options.accelerate else []
        run = describe_run("compare_methods.py", arguments, device, accelerator)
        files = make_files(comparison, images, run)
        try:
            write_files(options.out, files)
        except OSError as error:
            parser.exit(1, f"{parser.prog}: error: cannot write to {options.out}: {error}\n")
        print(f"Written to {options.out}")


def make_parser():
    parser = Parser(
        prog="compare_methods.py",
        description="Compare the deep LeNet-5 with the original one, SVM, MLP and KNN.",
    )
    add = parser.add_argument
    add(
        "--data",
        type=not_empty,
        default="digits",
        metavar="DATA",
        help="'digits' (scikit-learn's, 8x8), 'mnist' (looked for in SKLENET_DATA, else fetched), "
        "or a folder with the four IDX files of a data set stored as MNIST is; default: digits",
    )
    add(
        "--n-train",
        type=whole_number(1),
        metavar="N",
        help="use only N of the training images, a stratified random choice; default: all",
    )
    add(
        "--cv",
        type=whole_number(2),
        metavar="FOLDS",
        help="cross-validate on the training images in place of scoring the test images; default: "
        "5 for digits, which has no test images, and none for other data",
    )
    add(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=METHODS,
        metavar="METHOD",
        help=f"the methods to compare, of {', '.join(METHODS)}; default: all",
    )
    add(
        "--tune",
        action="store_true",
        help="search the settings of each method by 3-fold cross-validation within its training "
        "images; the fit time then includes the search",
    )
    add(
        "--device",
        default="auto",
        help="where the networks are trained: cpu, cuda, mps, ...; default: a GPU if there is one",
    )
    add(
        "--accelerate",
        action="store_true",
        help="use the SVM and KNN of scikit-learn-intelex, which must be installed",
    )
    add(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="seed of all randomness; default: 0",
    )
    add(
        "--n-jobs",
        type=whole_number(1, 1000),
        default=1,
        metavar="N",
        help="fits at the same time; the times are only comparable with 1, the default",
    )
    add(
        "--out",
        type=folder,
        metavar="FOLDER",
        help="write comparison.md, comparison.json, accuracy_vs_time.png and mistakes.png into "
        "this folder, which is made if it is missing; default: only print the table",
    )
    return parser


def check_environment(options):
    """Refuse, before anything is computed, what would fail afterwards."""
    resolve_device(options.device)
    if options.accelerate and find_spec("sklearnex") is None:
        raise ValueError("--accelerate needs scikit-learn-intelex; pip install it or leave it out")
    if options.out and find_spec("matplotlib") is None:
        raise ValueError("--out needs matplotlib for the pictures; pip install it")


def load_data(options):
    """Load the training images and, where the methods are scored on them, the test images."""
    if options.data == "digits":
        X, y = load_digits_images()
        X_test = y_test = None
        options.cv = options.cv or 5
    else:
        load = fetch_mnist if options.data == "mnist" else lambda: load_idx_folder(options.data)
        X, X_test, y, y_test = load()
    if options.n_train is not None:
        X, y = choose(X, y, options.n_train, options.seed)
    return X, y, (None, None) if options.cv else (X_test, y_test)


def choose(X, y, n_train, seed):
    if n_train > len(y):
        raise ValueError(f"argument --n-train: there are only {len(y)} training images")
    if n_train == len(y):
        return X, y
    n_classes = len(np.unique(y))
    if not n_classes <= n_train <= len(y) - n_classes:
        raise ValueError(
            f"argument --n-train: a stratified choice of {n_train} of {len(y)} images must take "
            f"and leave at least one for each of the {n_classes} classes"
        )
    X, _, y, _ = train_test_split(X, y, train_size=n_train, stratify=y, random_state=seed)
    return X, y


def make_contender(name, options):
    method = make_method(name, random_state=options.seed, device=options.device)
    if options.accelerate:
        method = accelerate(method)
    if options.tune:
        method = GridSearchCV(method, search_grid(name), cv=3, error_score="raise")
    return method


def accelerate(method):
    """Replace the classifier of a pipeline by that of scikit-learn-intelex, if it has the same."""
    from sklearnex import neighbors, svm

    fast = {"SVC": svm.SVC, "KNeighborsClassifier": neighbors.KNeighborsClassifier}
    classifier = method["classifier"]
    name = type(classifier).__name__
    if name in fast:
        method.set_params(classifier=fast[name](**classifier.get_params()))
    return method


def make_files(comparison, images, run):
    """Return the content of each file by its name."""
    numbers = {**run, **comparison.to_dict()}
    contents = [
        format_page(comparison, run).encode(),
        (json.dumps(numbers, indent=2, default=str) + "\n").encode(),
        draw_accuracy_against_time(comparison),
        draw_mistakes(comparison, images),
    ]
    return dict(zip(FILES, contents, strict=True))


def format_page(comparison, run):
    return f"""# Comparison of the methods

{comparison.to_markdown()}

![Accuracy against fit time](accuracy_vs_time.png)

![Confusion matrix and the most confident mistakes of the best method](mistakes.png)

{made_by(run)}
"""


def draw_accuracy_against_time(comparison):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    ax = figure.subplots()
    rows = [row for row in comparison.scores_ if not row.error]
    is_over_folds = len(rows[0].fold_accuracies) > 1
    for row in rows:
        style = METHODS.index(row.method)
        ax.errorbar(
            row.fit_time,
            row.accuracy,
            yerr=row.accuracy_std if is_over_folds else None,
            fmt=MARKERS[style],
            color=COLOURS[style],
            markersize=9,
            capsize=4,
            label=f"{row.method}  {row.accuracy:.4f}",
        )
    decades = np.log10([row.fit_time for row in rows])
    ax.set_xscale("log")
    ax.set_xlim(10 ** np.floor(decades.min() - 0.1), 10 ** np.ceil(decades.max() + 0.1))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    ax.set_xlabel("Fit time (seconds, logarithmic)")
    ax.set_ylabel("Accuracy and its standard deviation" if is_over_folds else "Accuracy")
    ax.set_title(f"Accuracy against fit time\n{comparison.protocol_}")
    ax.grid(alpha=0.3)
    figure.legend(loc="outside right upper", title="Method and accuracy", frameon=False)
    return to_png(figure)


def draw_mistakes(comparison, images):
    from matplotlib.figure import Figure

    best, y_true = comparison.best_, comparison.y_true_
    predictions = comparison.predictions_[best]
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    n_mistakes = int((predictions != y_true).sum())
    figure.suptitle(f"{best}: {n_mistakes:,} mistakes in {len(y_true):,} images", fontsize=15)
    left, right = figure.subfigures(1, 2)
    ax = left.subplots()
    n_classes = len(np.unique(y_true))
    matrix = ConfusionMatrixDisplay.from_predictions(
        y_true, predictions, include_values=n_classes <= 20, cmap="Blues", colorbar=False, ax=ax
    )
    for text in np.ravel(matrix.text_):
        if text is not None and text.get_text() == "0":
            text.set_text("")
    MistakesDisplay.from_predictions(
        images, y_true, predictions, comparison.confidences_[best], figure=right
    )
    return to_png(figure)


if __name__ == "__main__":
    main()
