"""From a batch of images to class scores."""

from ._activations import (
    ACTIVATIONS,
    LReLU,
    activation_gain,
    make_activation,
    value_and_derivative,
)
from ._dropout import Dropout
from ._lenet import IMAGE_SIZE, DeepLeNet, parameter_shapes
from ._linear import RowwiseLinear
from ._normalization import estimate_statistics, fold_normalization, insert_normalization
from ._pooling import MaxPool2x2

__all__ = [
    "ACTIVATIONS",
    "IMAGE_SIZE",
    "DeepLeNet",
    "Dropout",
    "LReLU",
    "MaxPool2x2",
    "RowwiseLinear",
    "activation_gain",
    "estimate_statistics",
    "fold_normalization",
    "insert_normalization",
    "make_activation",
    "parameter_shapes",
    "value_and_derivative",
]
