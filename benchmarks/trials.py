"""The images of each trial of an experiment, and those to choose recipes on."""

from compare_methods import choose
from sklearn.model_selection import StratifiedKFold, train_test_split

from sklenet.datasets import fetch_mnist, load_digits_images


def draw_trials(data, n_trials, n_train=None, is_tuned=False):
    """Return training images, test images, training labels and test labels for each trial.

    The test images are those of MNIST, or all digits, dealt out: no two trials share one. The
    training images are the other digits or MNIST's training images, or a random choice of them.
    Where recipes are chosen on images of `draw_tuning`, the digits among these are left out.
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


def draw_tuning(data, n_train):
    """Return images to choose recipes on, none of which is a test image of a trial.

    Of MNIST's training images `n_train` to train on and 10,000 to validate on; of a third of the
    digits at most two of three to train on.
    """
    if data == "digits":
        _, X, _, y = set_aside(*load_digits_images())
        n_validation = len(y) // 3
        n_train = min(n_train, len(y) - n_validation)
    else:
        X, _, y, _ = fetch_mnist()
        n_validation = 10_000
        if n_train > len(y) - n_validation:
            raise ValueError(
                f"argument --n-train: {n_validation:,} of MNIST's {len(y):,} training images are "
                f"to choose recipes on; {n_train:,} do not remain"
            )
    return train_test_split(
        X, y, train_size=n_train, test_size=n_validation, stratify=y, random_state=0
    )


def draw_tuned_trials(options):
    """Return images to choose recipes on and the trials, of the sizes that the options ask for."""
    trials = draw_trials(options.data, options.trials, options.n_train, is_tuned=True)
    return draw_tuning(options.data, options.n_train), trials


def set_aside(X, y):
    return train_test_split(X, y, test_size=1 / 3, stratify=y, random_state=0)
