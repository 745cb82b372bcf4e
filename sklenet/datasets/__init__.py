"""Data sets of images: digits, MNIST, folders stored like MNIST, and folders of image files."""

from ._digits import load_digits_images
from ._folders import list_image_folder, load_image_folder
from ._idx import load_idx, load_idx_folder
from ._mnist import fetch_mnist
from ._prepare import prepare_digit

__all__ = [
    "fetch_mnist",
    "list_image_folder",
    "load_digits_images",
    "load_idx",
    "load_idx_folder",
    "load_image_folder",
    "prepare_digit",
]
