"""How often does `check_pixels` warn of usual images, and of inverted and rescaled ones?"""

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from sklenet import DeepLeNetClassifier
from sklenet.datasets import fetch_mnist, load_digits_images

from . import lab

KINDS = {"digits": "digits", "mnist": "MNIST", "cifar10-small": "photographs"}
RANGES = {"digits": 16, "mnist": 255, "cifar10-small": 255}
FEWER = [1_000, 100]  # training images
CHANGES = {"none": lambda X, top: X, "inverted": lambda X, top: top - X, "0 to 1": np.divide}
DRAWS = {"1": 1, "10": 10, "100": 100, "100 of one class": 100}

experiment = lab.Experiment(
    __name__,
    __doc__,
    digits={"draws": 200, "changed_draws": 50},
    mnist={"draws": 10_000, "changed_draws": 1_000},
    device="cpu",
)


@experiment.images
def images(options):
    X, y = load_digits_images()
    kinds = {"digits": train_test_split(X, y, stratify=y, random_state=0)}
    if options.data == "mnist":
        photographs, tests = lab.load_photographs(), lab.load_photographs("test")
        kinds["mnist"] = fetch_mnist()
        kinds["cifar10-small"] = photographs.X, tests.X, photographs.y, tests.y
    return kinds


@experiment.rows
def cells(options):
    for kind in KINDS if options.data == "mnist" else ["digits"]:
        for n_train in [None, *FEWER]:
            yield {"kind": kind, "n_train": n_train}


@experiment.measure
def warned(kind, n_train, *, images, options):
    """Train, then count the calls of `predict` that warn, for each change and kind of draw."""
    X, X_test, y, y_test = images[kind]
    X, y = lab.take_subset(X, y, n_train, seed=0)
    # What the images are compared with does not depend on the training's length.
    classifier = DeepLeNetClassifier(max_epochs=1, random_state=0, device="cpu").fit(X, y)
    return [
        {"n_images": len(y), "change": change, "draw": draw, "n_draws": n_draws}
        | {"warnings": count_warnings(classifier, changed, y_test, draw, n_draws)}
        for change, function in CHANGES.items()
        for changed in [function(X_test, RANGES[kind])]
        for n_draws in [options.draws if change == "none" else options.changed_draws]
        for draw in DRAWS
    ]


def count_warnings(classifier, X, y, draw, n_draws):
    """Return the number of random draws of images whose prediction warns."""
    random, count = np.random.RandomState(0), 0
    for _ in range(n_draws):
        is_of_class = y == random.choice(y) if draw.endswith("class") else np.full(len(y), True)
        pool = np.flatnonzero(is_of_class)
        chosen = random.choice(pool, min(DRAWS[draw], len(pool)), replace=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            classifier.predict(X[chosen])
        count += bool(caught)
    return count


@experiment.table
def false_alarms(rows, options):
    return count(rows[rows.change == "none"]).drop(columns="change")


@experiment.table
def detections(rows, options):
    return count(rows[rows.change != "none"])


def count(rows):
    """Return the warnings: a row for each kind of images and change, a column for each draw."""
    cells = [f"{warned:,} of {n:,}" for warned, n in zip(rows.warnings, rows.n_draws, strict=True)]
    rows = rows.assign(
        images=rows.kind.map(KINDS), trained_on=rows.n_images.map("{:,}".format), cell=cells
    )
    keys = ["images", "trained_on", "change"]
    table = rows.pivot(index=keys, columns="draw", values="cell")[list(DRAWS)]
    order = pd.MultiIndex.from_frame(rows[keys].drop_duplicates())
    return table.loc[order].reset_index().rename(columns={"trained_on": "training images"})
