"""Fixtures of several test files, and the tests that need a GPU."""

import os
import signal

import numpy as np
import pytest
import torch
from helpers import IDX_NAMES, Small, idx_bytes
from sklearn.model_selection import train_test_split

from sklenet.callbacks import GradientNorm
from sklenet.datasets import fetch_mnist, load_digits_images

# Before anything imports pyplot: no test opens a window, nor do the examples that they start.
os.environ["MPLBACKEND"] = "agg"


@pytest.fixture(scope="session")
def mnist():
    """MNIST as `fetch_mnist` returns it; the test is skipped where its files are missing."""
    try:
        return fetch_mnist(download_if_missing=False)
    except OSError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def digits():
    """300 training and 300 test images of scikit-learn's digits, in `train_test_split`'s order."""
    X, y = load_digits_images()
    return train_test_split(X, y, train_size=300, test_size=300, random_state=0, stratify=y)


@pytest.fixture(scope="session")
def recorded_classifier(digits):
    """A classifier with everything that a display draws; tests must not change it."""
    X_train, _, y_train, _ = digits
    options = {"early_stopping": True, "callbacks": [GradientNorm()], "hidden_layer_sizes": (16,)}
    return Small(**options).fit(X_train, y_train)


@pytest.fixture
def sigint():
    """Let SIGINT raise `KeyboardInterrupt`, which a shell disables for processes in background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def close_figures():
    """Close the figures that a test leaves open."""
    yield
    from matplotlib import pyplot as plt

    plt.close("all")


@pytest.fixture
def idx_arrays():
    """Three training and two test images with labels, in the order of `train_test_split`."""
    images = np.arange(5 * 28 * 28).reshape(5, 28, 28).astype(np.uint8)
    labels = np.array([5, 0, 4, 1, 9], dtype=np.uint8)
    return images[:3], images[3:], labels[:3], labels[3:]


@pytest.fixture
def write_idx_folder(idx_arrays):
    """Return a function that writes the files of `idx_arrays` into a new folder."""

    def write(folder):
        folder.mkdir(parents=True)
        for name, array in zip(IDX_NAMES, idx_arrays, strict=True):
            (folder / name).write_bytes(idx_bytes(array))
        return folder

    return write


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
