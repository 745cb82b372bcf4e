"""The images of each trial of an experiment, and those to choose recipes on."""

from sklearn.model_selection import StratifiedKFold, train_test_split

from sklenet.datasets import fetch_mnist, load_digits_images
from sklenet.datasets._sources import take_subset


def load_split(data):
    """Return all training images, test images, training labels and test labels."""
    if data == "mnist":
        return fetch_mnist()
    X, y = load_digits_images()
    return train_test_split(X, y, stratify=y, random_state=0)


def load_subset(options):
    """Return a random subset of the training images, the test images and the labels of both."""
    X, X_test, y, y_test = load_split(options.data)
    X, y = take_subset(X, y, options.n_train, seed=0)
    return X, X_test, y, y_test


def sample_trials(data, n_trials, n_train=None, *, is_tuned=False):
    """Return training images, test images, training labels and test labels for each trial.

    No two trials share a test image: they split those of MNIST, or all digits. The training images
    are a random subset of MNIST's, or of the other digits, without those to choose recipes on.
    """
    if n_trials < 2:
        raise ValueError(f"argument --trials: must be at least 2, got {n_trials}")
    folds = StratifiedKFold(n_trials, shuffle=True, random_state=0)
    if data == "digits":
        X, y = load_digits_images()
        if is_tuned:
            X, _, y, _ = _hold_out(X, y)
        pools = [(X[train], X[test], y[train], y[test]) for train, test in folds.split(X, y)]
    else:
        X, X_test, y, y_test = fetch_mnist()
        parts = [part for _, part in folds.split(X_test, y_test)]
        pools = [(X, X_test[part], y, y_test[part]) for part in parts]
    trials = []
    for seed, (X, X_test, y, y_test) in enumerate(pools):
        X, y = take_subset(X, y, n_train, seed)
        trials.append((X, X_test, y, y_test))
    return trials


def sample_tuned_trials(options):
    """Return the images of an experiment that chooses recipes, by stage and trial.

    Recipes are chosen on MNIST's training images or on a third of the digits.
    """
    n_train = options.n_train
    if options.data == "digits":
        _, X, _, y = _hold_out(*load_digits_images())
        n_validation = len(y) // 3
        n_train = min(n_train, len(y) - n_validation)
    else:
        X, _, y, _ = fetch_mnist()
        n_validation = 10_000
    sizes = {"train_size": n_train, "test_size": n_validation}
    return {
        "validation": [train_test_split(X, y, **sizes, stratify=y, random_state=0)],
        "test": sample_trials(options.data, options.trials, options.n_train, is_tuned=True),
    }


def _hold_out(X, y):
    return train_test_split(X, y, test_size=1 / 3, stratify=y, random_state=0)
