"""From a batch of images to class scores."""

from ._activations import ACTIVATIONS, LReLU, activation_gain, make_activation
from ._lenet import IMAGE_SIZE, DeepLeNet

__all__ = [
    "ACTIVATIONS",
    "IMAGE_SIZE",
    "DeepLeNet",
    "LReLU",
    "activation_gain",
    "make_activation",
]
