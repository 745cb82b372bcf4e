"""Data sets of images: scikit-learn's digits, MNIST, and folders stored like MNIST."""

from ._digits import load_digits_images
from ._idx import load_idx, load_idx_folder
from ._mnist import fetch_mnist

__all__ = ["fetch_mnist", "load_digits_images", "load_idx", "load_idx_folder"]
