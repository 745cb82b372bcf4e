"""From a batch of images to class scores."""

from ._activations import (
    ACTIVATIONS,
    LReLU,
    activation_gain,
    make_activation,
    value_and_derivative,
)
from ._dropout import Dropout
from ._lenet import IMAGE_SIZE, DeepLeNet
from ._normalization import estimate_statistics, fold_normalization, insert_normalization

__all__ = [
    "ACTIVATIONS",
    "IMAGE_SIZE",
    "DeepLeNet",
    "Dropout",
    "LReLU",
    "activation_gain",
    "estimate_statistics",
    "fold_normalization",
    "insert_normalization",
    "make_activation",
    "value_and_derivative",
]
