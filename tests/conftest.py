"""What all tests share: the real MNIST, and the tests that need a GPU."""

import os

import pytest
import torch

from sklenet.datasets import fetch_mnist

# Before anything imports pyplot: no test opens a window, nor do the examples that they start.
os.environ["MPLBACKEND"] = "agg"


@pytest.fixture(scope="session")
def mnist():
    """MNIST as `fetch_mnist` returns it; the test is skipped where its files are missing."""
    try:
        return fetch_mnist(download_if_missing=False)
    except OSError as missing:
        pytest.skip(str(missing))


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
