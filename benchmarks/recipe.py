"""Which training recipe is the most accurate on validation images of several kinds?"""

import time
from functools import partial

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss
from torch.optim import AdamW

from sklenet import DeepLeNetClassifier
from sklenet.datasets import fetch_mnist, load_digits_images
from sklenet.training import training_budget

from . import lab

DEFAULT = "default"


def with_betas(*betas):
    return {"optimizer": partial(AdamW, betas=betas, fused=True), "weight_decay": 0.3}


# One change of the default at a time; "batch_size" and "max_epochs" are factors.
CHANGES = {
    DEFAULT: {},
    "normalization=None": {"normalization": None},
    "augmentation=None": {"augmentation": None},
    'augmentation="shift"': {"augmentation": "shift"},
    'augmentation="elastic"': {"augmentation": "elastic"},
    'augmentation=("affine", "flip")': {"augmentation": ("affine", "flip")},
    "label_smoothing=0": {"label_smoothing": 0.0},
    "lr=5e-3": {"lr": 5e-3},
    "lr=2e-2": {"lr": 2e-2},
    "betas=(0.9, 0.999)": with_betas(0.9, 0.999),
    "weight_decay=0.1": {"weight_decay": 0.1},
    "weight_decay=1": {"weight_decay": 1.0},
    "half the batch": {"batch_size": 0.5},
    "twice the batch": {"batch_size": 2},
    "twice the epochs": {"max_epochs": 2},
}
# For the dots only the augmentation counts.
OF_DOTS = [DEFAULT, *(change for change in CHANGES if change.startswith("augmentation"))]
MANY = 5_000  # images; with more a training takes minutes
OF_MANY = [
    DEFAULT,
    "normalization=None",
    "augmentation=None",
    'augmentation="shift"',
    "label_smoothing=0",
    "lr=5e-3",
    "half the batch",
]
N_BINS = 15  # of the calibration error

KINDS = {
    "digits": "digits",
    "mnist": "MNIST",
    "letters": "letters",
    "cifar10-small": "photographs",
    "dot": "position of a dot",
}

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"trials": 2, "sizes": [50], "most_epochs": 20},
    mnist={"trials": 2, "sizes": [100, 1_000, 10_000, 50_000], "most_epochs": 60},
)


@experiment.images
def images(options):
    kinds = {"digits": lab.Images(*load_digits_images())}
    if options.data == "mnist":
        X, _, y, _ = fetch_mnist()
        kinds |= {"mnist": lab.Images(X, y), "cifar10-small": lab.load_photographs()}
        kinds |= {"letters": lab.draw_letters(), "dot": lab.draw_dots()}
    for size in options.sizes:
        kinds[options.data].split(trial=0, n_train=size)
    return kinds


@experiment.rows
def cells(options):
    for trial in range(options.trials):
        for kind in KINDS if options.data == "mnist" else ["digits"]:
            for n_train in options.sizes if kind == options.data else [None]:
                changes = OF_MANY if n_train and n_train > MANY else CHANGES
                for change in OF_DOTS if kind == "dot" else changes:
                    yield {"trial": trial, "kind": kind, "n_train": n_train, "change": change}


@experiment.measure
def scores(trial, kind, n_train, change, *, images, options):
    X, X_valid, y, y_valid = images[kind].split(trial, n_train)
    parameters = dict(CHANGES[change])
    batch_size, max_epochs = training_budget(len(y))
    counts = {"batch_size": batch_size, "max_epochs": min(max_epochs, options.most_epochs)}
    for name, count in counts.items():
        parameters[name] = max(1, round(count * parameters.pop(name, 1)))
    classifier = DeepLeNetClassifier(random_state=trial, **parameters)
    start = time.perf_counter()
    classifier.fit(X, y)
    seconds, log_proba = time.perf_counter() - start, classifier.predict_log_proba(X_valid)

    def log_loss_at(temperature):
        """Return the log loss if the scores were divided by a temperature once more."""
        proba = softmax(log_proba / temperature, axis=1)
        return log_loss(y_valid, proba, labels=classifier.classes_)

    proba = np.exp(log_proba)
    return {
        "accuracy": np.mean(classifier.classes_[proba.argmax(axis=1)] == y_valid),
        "log_loss": log_loss_at(1),
        "least_log_loss": minimize_scalar(log_loss_at, bounds=(0.1, 10), method="bounded").fun,
        "calibration_error": calibration_error(proba, classifier.classes_, y_valid),
        "seconds": seconds,
        "epochs": parameters["max_epochs"],
        "batch": parameters["batch_size"],
        "n_images": len(y),
        "n_valid": len(y_valid),
    }


def calibration_error(proba, classes, y):
    """Return the expected calibration error (Guo et al., 2017, arXiv:1706.04599)."""
    confidence, right = proba.max(axis=1), classes[proba.argmax(axis=1)] == y
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=N_BINS)
    return float(np.abs(gaps).sum() / len(y))


def with_names(rows):
    """Name the images of each row, with their number."""
    sizes = rows.n_images.map("{:,}".format)
    return rows.assign(images=rows.kind.map(KINDS) + ", " + sizes)


@experiment.table
def gains(rows, options):
    """Return the gain of each change in percentage points: the mean and the range of the trials."""
    rows = with_names(rows)
    accuracies = rows.pivot(index=["images", "trial"], columns="change", values="accuracy")
    percent = 100 * accuracies.sub(accuracies[DEFAULT], axis=0)
    by_images = percent.drop(columns=DEFAULT).groupby("images", sort=False)
    lines = {
        name: [
            f"{part[change].mean():+.2f} ({part[change].min():.2f} to {part[change].max():.2f})"
            if part[change].notna().all()
            else ""
            for change in part
        ]
        for name, part in by_images
    }
    table = pd.DataFrame(lines, index=pd.Index(by_images.obj.columns, name="change"))
    return table.loc[[change for change in CHANGES if change in table.index], rows.images.unique()]


@experiment.table
def defaults(rows, options):
    """Return what the default is for each kind of images, and its other measures."""
    default = with_names(rows[rows.change == DEFAULT]).groupby("images", sort=False)
    unsmoothed = with_names(rows[rows.change == "label_smoothing=0"]).groupby("images", sort=False)
    return pd.DataFrame(
        {
            "epochs": default.epochs.first(),
            "batch": default.batch.first(),
            "fit (s)": default.seconds.median().map("{:.1f}".format),
            "accuracy": default.accuracy.mean().map("{:.4f}".format),
            "log loss": default.log_loss.mean().map("{:.4f}".format),
            "at the best temperature": default.least_log_loss.mean().map("{:.4f}".format),
            "without smoothing": unsmoothed.log_loss.mean().map("{:.4f}".format),
            "calibration error": default.calibration_error.mean().map("{:.4f}".format),
        }
    )
